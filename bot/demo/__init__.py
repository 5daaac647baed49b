"""Local stand-ins for the outside world: honest servers that the unmodified clients talk to over loopback."""
