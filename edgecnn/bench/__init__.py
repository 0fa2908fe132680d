"""A finished build or a bundle, measured and judged again: here, or on a board; and reference networks, for evidence."""
