"""What a build left, read back without measuring: its folder, the kit that ships, where it came from, why it was chosen."""
