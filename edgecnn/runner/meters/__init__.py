"""What can say how much energy was spent: one module a kind of meter. None of them models anything."""
