"""Errors that a user can cause, one row each: what happened, why, and the command or change that fixes it."""
