"""Images: what is in a folder or an archive, its splits by content, hygiene, composed images, the demo."""
