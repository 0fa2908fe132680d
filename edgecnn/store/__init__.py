"""Artifacts by key and profiles by subject. Only finished work is stored, published by one rename."""
