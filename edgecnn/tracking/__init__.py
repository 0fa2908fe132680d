"""Experiment trackers: finished builds are sent to them, and nothing is read back."""
