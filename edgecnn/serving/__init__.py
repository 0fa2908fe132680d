"""A local page that classifies images dropped on it."""
