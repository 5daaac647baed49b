"""Kubernetes objects by name, and what is known about the workloads among them."""

from dataclasses import dataclass, field

from typing_extensions import override

SYSTEM_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})
"""Those of the cluster itself."""


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """One Kubernetes object.

    `namespace` is None for cluster-scoped kinds. `api_version` is as in manifests ("apps/v1"), empty where the source
    did not say. `uid` is the API server's, None where the source did not say; two Resources that differ only in uid or
    api_version compare equal, so compare uids where identity matters.
    """

    kind: str
    name: str
    namespace: str | None = None
    api_version: str = field(default="", compare=False)
    uid: str | None = field(default=None, compare=False)

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class PodState:
    """A pod as its status tells it.

    `reason` is the container's waiting or terminated reason ("" when fine); `controller` the top-most owner
    (Deployment, not ReplicaSet), None for a bare pod.
    """

    resource: Resource
    phase: str
    reason: str
    restarts: int
    is_ready: bool
    node: str | None
    controller: Resource | None


@dataclass(frozen=True, slots=True)
class Workload:
    """A controller (Deployment, StatefulSet, DaemonSet, Job) or a bare pod, with what risk depends on.

    `disruptions_allowed` is the tightest PodDisruptionBudget's number, None without one; `images` maps containers to
    images now; `image_history` lists images of earlier revisions of this same workload, newest first, without the
    present ones; `hpa_range` is (min, max) of its HorizontalPodAutoscaler; `managed_by` names GitOps or Helm
    ("argocd", "flux", "helm") or is None. `has_scratch`: its pods have emptyDir volumes; `drops_claims`: scaling down
    deletes volumes; `is_ending`: it is being deleted already.
    """

    resource: Resource
    desired_replicas: int
    ready_replicas: int
    is_stateful: bool = False
    pods: tuple[PodState, ...] = ()
    disruptions_allowed: int | None = None
    images: tuple[tuple[str, str], ...] = ()
    image_history: tuple[str, ...] = ()
    hpa_range: tuple[int, int] | None = None
    managed_by: str | None = None
    has_scratch: bool = False
    drops_claims: bool = False
    is_ending: bool = False

    @property
    def is_failing(self) -> bool:
        return self.ready_replicas < self.desired_replicas or any(not pod.is_ready or pod.reason for pod in self.pods)
