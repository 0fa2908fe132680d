"""Images: finding them in a folder or an archive, splitting them by content, checking them, composing new ones, and the demo."""
