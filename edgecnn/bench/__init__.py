"""A finished build or a bundle, measured and judged again: here, or on a board."""
