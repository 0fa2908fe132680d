"""A subject and how it is measured: accuracy, races, residency and energy as schedules for the runner, and its runs read back."""
