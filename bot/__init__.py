"""The edges: Slack, REST, the command line, and the wiring of all parts."""
