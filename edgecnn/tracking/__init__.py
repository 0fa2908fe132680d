"""Experiment trackers as sinks: finished builds are sent, and nothing is ever read back."""
