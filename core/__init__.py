"""What the product is: values, rules and use cases, and the doors to the cluster, the agent and the sources."""
