"""Boards by lease: one of a kind, ours while a block runs, from a file of boards or from a labgrid coordinator."""
