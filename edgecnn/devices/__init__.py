"""Device files, this machine, a machine held for a call, `devices check` and `add`, and the doctor."""
