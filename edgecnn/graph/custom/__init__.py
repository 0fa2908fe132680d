"""A user's own model file in any supported form: read, checked, and turned into the trunk of every candidate."""
