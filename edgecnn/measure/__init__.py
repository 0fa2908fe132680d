"""Accuracy, races, residency and energy as schedules for the runner, and its runs read back."""
