"""Device files, this machine, a machine held for a call, boards by lease, `devices check` and `add`, and the doctor."""
