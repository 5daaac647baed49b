"""helm for the tests: built from a Go module of its own, run against the test cluster."""
