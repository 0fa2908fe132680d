"""Artifacts by key, profiles by subject: only finished work, published by one rename."""
