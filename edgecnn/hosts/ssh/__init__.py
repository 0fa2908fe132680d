"""A board as a Host, reached by the user's own OpenSSH: no agent of ours runs there when nobody is connected."""
