"""Where kits run: this machine, or a board over SSH; and the sandbox for everything that is from elsewhere."""
