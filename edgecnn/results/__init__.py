"""The results of a build, read without measuring: its folder, the shipped kit, its origin, and the reasons for the choice."""
