"""Read a user's model file in any supported format, check it, and make the trunk of all candidates from it."""
