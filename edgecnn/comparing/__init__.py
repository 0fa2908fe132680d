"""Two builds against each other: a paired race, a baseline file, a pin in Git, side by side, a history."""
