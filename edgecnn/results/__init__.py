"""Read a finished build without measuring: its folder, its kits, their origin, and the reasons of the choice."""
