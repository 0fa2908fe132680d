"""Recipes, targets and their TOML."""
