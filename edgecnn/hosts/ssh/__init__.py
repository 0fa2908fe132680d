"""A board as a Host over the user's own OpenSSH. No process of edgecnn runs there without a connection."""
