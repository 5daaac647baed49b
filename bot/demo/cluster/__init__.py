"""A small cluster simulator for the demo: JSON only, spoken to by the unmodified kubectl and Python client.

It claims no Kubernetes behaviour; tests that do run on a real API server.
"""
