"""Slack: listeners that record, cards and threads that are pure rendering, the client, and who people are."""
