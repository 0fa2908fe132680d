"""Where kits run: this machine, or a board over SSH."""
