"""The steps that the store keeps: one file a kind, from fetch to compile."""
