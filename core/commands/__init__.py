"""The gate: what a command line is, what it would do, and how dangerous that is. Pure."""
