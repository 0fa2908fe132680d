"""What is often behind a failure, and the command that helps."""
