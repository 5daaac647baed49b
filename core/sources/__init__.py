"""The context sources beside Kubernetes: the SRE platform's REST APIs and the Neo4j graph."""
