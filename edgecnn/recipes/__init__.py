"""What a user writes: recipes, targets and their TOML."""
