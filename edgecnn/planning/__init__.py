"""Read recipes, complete a request, resolve it against this machine, and lay it out as steps with keys. Nothing is run."""
