"""Leased boards: one board of a kind for the duration of a block, from a file of boards or from a labgrid coordinator."""
