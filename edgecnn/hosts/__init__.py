"""Where kits run: this machine, a board over SSH, an emulated one."""
