"""The local page that classifies photographs which are dropped on it."""
