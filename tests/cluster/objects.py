"""Manifests of the tests, no longer than a test needs them."""

from typing import Any

from tests.servers.kubernetes.server import ClusterServer

Manifest = dict[str, Any]

GOOD_IMAGE = "registry.example/shop/web:1.4.1"
NEXT_IMAGE = "registry.example/shop/web:1.4.2"
UNPULLABLE_IMAGE = "registry.example/shop/web:1.4.O"
CRASHING_IMAGE = "registry.example/shop/web:crash"
NEVER_READY_IMAGE = "registry.example/shop/web:never-ready"


def workload(kind: str, namespace: str, name: str = "web", *, image: str = GOOD_IMAGE, replicas: int = 2) -> Manifest:
    """A Deployment, StatefulSet or DaemonSet of one container named as itself."""
    labels = {"app": name}
    spec: Manifest = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod_spec(name, image)},
    }
    if kind != "DaemonSet":
        spec["replicas"] = replicas
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": _metadata(namespace, name), "spec": spec}


def pod(namespace: str, name: str = "web", *, image: str = GOOD_IMAGE) -> Manifest:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _metadata(namespace, name), "spec": pod_spec(name, image)}


def pod_spec(name: str, image: str) -> Manifest:
    return {"containers": [{"name": name, "image": image}], "terminationGracePeriodSeconds": 0}


def config_map(namespace: str, name: str = "settings", **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(namespace, name), "data": data}


def secret(namespace: str, name: str = "keys", **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _metadata(namespace, name), "stringData": data}


def service(namespace: str, name: str = "web", *, port: int = 80) -> Manifest:
    spec = {"selector": {"app": name}, "ports": [{"port": port, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(namespace, name), "spec": spec}


def disruption_budget(namespace: str, name: str = "web", *, min_available: int) -> Manifest:
    spec = {"minAvailable": min_available, "selector": {"matchLabels": {"app": name}}}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(namespace, name),
        "spec": spec,
    }


def autoscaler(namespace: str, name: str = "web", *, lowest: int, highest: int) -> Manifest:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(namespace, name),
        "spec": {"scaleTargetRef": target, "minReplicas": lowest, "maxReplicas": highest},
    }


def service_account_that_may(
    server: ClusterServer, namespace: str, name: str, *, verbs: list[str], resources: list[str]
) -> None:
    """A service account whose Role allows `verbs` on `resources` of the core and apps groups, and nothing else."""
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    server.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    rule = {"apiGroups": ["", "apps"], "resources": resources, "verbs": verbs}
    server.request("POST", f"{rbac}/roles", {"metadata": {"name": name}, "rules": [rule]})
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    server.request("POST", f"{rbac}/rolebindings", binding)


def _metadata(namespace: str, name: str) -> Manifest:
    return {"name": name, "namespace": namespace}
