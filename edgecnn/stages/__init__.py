"""The steps that the store keeps, from weights and images to kit and engine."""
