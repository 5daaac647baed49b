"""The door to Kubernetes: objects, commands, and the cluster as a context source."""
