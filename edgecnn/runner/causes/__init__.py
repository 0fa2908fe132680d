"""Frequent causes of failures, and the commands that fix them."""
