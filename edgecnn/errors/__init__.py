"""What a user can cause, one class each: what happened, because of what, the command that mends it."""
