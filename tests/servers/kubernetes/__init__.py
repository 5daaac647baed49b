"""A real Kubernetes control plane on 127.0.0.1 for the tests, and a kubelet that runs nothing."""
