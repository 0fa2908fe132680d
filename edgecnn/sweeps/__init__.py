"""Networks × devices × recipe values: many builds from one file, their state, and one report of all of them."""
