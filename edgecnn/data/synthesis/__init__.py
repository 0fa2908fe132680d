"""Training images composed of cut-outs and backgrounds."""
