"""Which API path a kind lives under: pure."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind as the API server serves it. `resource` is the plural used in paths and Roles."""

    name: str
    api_version: str
    resource: str
    is_namespaced: bool = True

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None, name: str | None = None) -> str:
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        if self.is_namespaced and namespace:
            root += f"/namespaces/{quote(namespace, safe='')}"
        root += f"/{self.resource}"
        return f"{root}/{quote(name, safe='')}" if name else root

    def role_line(self, verb: str) -> str:
        """The line of a Role (a ClusterRole for cluster-wide kinds) that allows `verb`."""
        return f'{{apiGroups: ["{self.group}"], resources: [{self.resource}], verbs: [{verb}]}}'


def _core(name: str, resource: str, *, is_namespaced: bool = True) -> Kind:
    return Kind(name, "v1", resource, is_namespaced)


POD = _core("Pod", "pods")
POD_LOG = _core("Pod", "pods/log")
EVENT = _core("Event", "events")
NAMESPACE = _core("Namespace", "namespaces", is_namespaced=False)
NODE = _core("Node", "nodes", is_namespaced=False)
DEPLOYMENT = Kind("Deployment", "apps/v1", "deployments")
REPLICA_SET = Kind("ReplicaSet", "apps/v1", "replicasets")
STATEFUL_SET = Kind("StatefulSet", "apps/v1", "statefulsets")
DAEMON_SET = Kind("DaemonSet", "apps/v1", "daemonsets")
CONTROLLER_REVISION = Kind("ControllerRevision", "apps/v1", "controllerrevisions")
JOB = Kind("Job", "batch/v1", "jobs")
HPA = Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers")
PDB = Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets")
SERVICE_ACCOUNT = _core("ServiceAccount", "serviceaccounts")
ROLE = Kind("Role", "rbac.authorization.k8s.io/v1", "roles")
ROLE_BINDING = Kind("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings")

KINDS = {
    kind.name: kind
    for kind in (
        POD,
        EVENT,
        NAMESPACE,
        NODE,
        DEPLOYMENT,
        REPLICA_SET,
        STATEFUL_SET,
        DAEMON_SET,
        CONTROLLER_REVISION,
        JOB,
        HPA,
        PDB,
        SERVICE_ACCOUNT,
        ROLE,
        ROLE_BINDING,
        _core("ConfigMap", "configmaps"),
        _core("Secret", "secrets"),
        _core("Service", "services"),
        _core("PersistentVolumeClaim", "persistentvolumeclaims"),
        _core("PersistentVolume", "persistentvolumes", is_namespaced=False),
        _core("ResourceQuota", "resourcequotas"),
        _core("LimitRange", "limitranges"),
        Kind("CronJob", "batch/v1", "cronjobs"),
        Kind("Ingress", "networking.k8s.io/v1", "ingresses"),
        Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
    )
}
"""Kinds whose path is known without asking. Others are looked up in the API server's discovery, by apiVersion."""
