"""The kinds the simulator serves, and what discovery says of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Served:
    """A kind with its path. `group_version` as in manifests."""

    group_version: str
    plural: str
    kind: str
    shorts: tuple[str, ...] = ()
    is_namespaced: bool = True
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ("create", "delete", "get", "list", "patch", "update", "watch")


KINDS = (
    Served("v1", "namespaces", "Namespace", ("ns",), is_namespaced=False),
    Served("v1", "nodes", "Node", ("no",), is_namespaced=False),
    Served("v1", "pods", "Pod", ("po",), subresources=("log", "status")),
    Served("v1", "services", "Service", ("svc",)),
    Served("v1", "configmaps", "ConfigMap", ("cm",)),
    Served("v1", "secrets", "Secret"),
    Served("v1", "serviceaccounts", "ServiceAccount", ("sa",)),
    Served("v1", "events", "Event", ("ev",)),
    Served("v1", "persistentvolumeclaims", "PersistentVolumeClaim", ("pvc",)),
    Served("apps/v1", "deployments", "Deployment", ("deploy",), subresources=("scale", "status")),
    Served("apps/v1", "replicasets", "ReplicaSet", ("rs",)),
    Served("apps/v1", "statefulsets", "StatefulSet", ("sts",), subresources=("scale", "status")),
    Served("apps/v1", "daemonsets", "DaemonSet", ("ds",)),
    Served("apps/v1", "controllerrevisions", "ControllerRevision"),
    Served("batch/v1", "jobs", "Job"),
    Served("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", ("hpa",)),
    Served("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", ("pdb",)),
    Served(
        "authorization.k8s.io/v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        is_namespaced=False,
        verbs=("create",),
    ),
    Served("metrics.k8s.io/v1beta1", "pods", "PodMetrics", verbs=("get", "list")),
    Served("metrics.k8s.io/v1beta1", "nodes", "NodeMetrics", is_namespaced=False, verbs=("get", "list")),
)
BY_PATH = {(one.group_version, one.plural): one for one in KINDS}
BY_KIND = {one.kind: one for one in KINDS}


def resource_list(group_version: str) -> dict[str, object] | None:
    """The APIResourceList of a group version, None where it is not served."""
    found = [one for one in KINDS if one.group_version == group_version]
    if not found:
        return None
    resources: list[dict[str, object]] = []
    for one in found:
        entry = {
            "name": one.plural,
            "singularName": one.kind.lower(),
            "namespaced": one.is_namespaced,
            "kind": one.kind,
            "verbs": list(one.verbs),
            "shortNames": list(one.shorts),
        }
        resources.append(entry)
        for sub in one.subresources:
            scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"} if sub == "scale" else {"kind": one.kind}
            resources.append(
                {
                    "name": f"{one.plural}/{sub}",
                    "singularName": "",
                    "namespaced": one.is_namespaced,
                    "verbs": ["get", "patch", "update"],
                    **scale,
                }
            )
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}


def group_list() -> dict[str, object]:
    groups = []
    for name in sorted({one.group_version for one in KINDS if "/" in one.group_version}):
        group, version = name.split("/")
        served = {"groupVersion": name, "version": version}
        groups.append({"name": group, "versions": [served], "preferredVersion": served})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
