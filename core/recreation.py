"""Making a deleted object again: what may be made, in which order, from what, and what does not come back. Pure."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.snapshot import Manifest
from core.undo_rules import SERVER_METADATA, drop_derived_annotations, meaning

_ORDER = (
    ("CustomResourceDefinition",),
    ("Namespace",),
    ("StorageClass", "PriorityClass"),
    ("PersistentVolume",),
    ("PersistentVolumeClaim",),
    ("ServiceAccount", "Role", "ClusterRole"),
    ("RoleBinding", "ClusterRoleBinding"),
    ("Secret", "ConfigMap"),
    ("LimitRange", "ResourceQuota"),
    ("Service",),
    ("Pod",),
    ("ReplicaSet",),
    ("StatefulSet",),
    ("DaemonSet",),
    ("Deployment",),
    ("CronJob",),
    ("Job",),
    ("HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "Ingress"),
)
_RANKS = {kind: rank for rank, kinds in enumerate(_ORDER) for kind in kinds}
_CUSTOM, _LAST = len(_ORDER), len(_ORDER) + 1
_WEBHOOKS = frozenset({"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "APIService"})
DERIVED = frozenset(
    {
        "Endpoints",
        "EndpointSlice",
        "Event",
        "Lease",
        "PodMetrics",
        "NodeMetrics",
        "ControllerRevision",
    }
)
"""Kinds that others derive or own: never in a snapshot of what was deleted, never made again."""
_JOB_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name")
_BINDING = ("pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an object is not made again: "skipped" where somebody else makes it, "conflict" where a person must say."""

    status: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One manifest to try, and what is different in it ("" where nothing is)."""

    manifest: dict[str, Any]
    difference: str = ""


def creation_rank(kind: str) -> int:
    """Lower is made earlier; webhooks come last, custom resources just before them."""
    return _RANKS.get(kind, _LAST if kind in _WEBHOOKS else _CUSTOM)


def refusal(before: Manifest) -> Refusal | None:
    """None where it may be made again."""
    kind, name = str(before.get("kind")), str(before.get("metadata", {}).get("name"))
    labels = before.get("metadata", {}).get("labels") or {}
    if kind == "Node":
        return Refusal("conflict", "A node comes back only when its kubelet registers it again.")
    if kind == "Job":
        return Refusal("conflict", f"{_job_state(before)} Made again it would run again, so that is asked separately.")
    is_token = kind == "Secret" and before.get("type") == "kubernetes.io/service-account-token"
    is_root_ca = kind == "ConfigMap" and name == "kube-root-ca.crt"
    is_default = kind == "ServiceAccount" and name == "default"
    is_automatic = kind == "APIService" and "kube-aggregator.kubernetes.io/automanaged" in labels
    if kind in DERIVED or is_token or is_root_ca or is_default or is_automatic:
        return Refusal("skipped", "The cluster makes it by itself.")
    return None


def to_create(before: Manifest, *, owners: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A manifest that can be created: nothing that the server or a controller sets.

    `owners` maps the uid that an owner had to the one it has now; an owner that is not in it is gone, and a reference
    to it would make the garbage collector delete what is made.
    """
    plain: dict[str, Any] = copy.deepcopy({key: value for key, value in before.items() if key != "status"})
    metadata = plain["metadata"]
    references = metadata.pop("ownerReferences", None) or []
    for name in SERVER_METADATA:
        metadata.pop(name, None)
    drop_derived_annotations(metadata)
    living = owners or {}
    kept = [one | {"uid": living[one["uid"]]} for one in references if one.get("uid") in living]
    if kept:
        metadata["ownerReferences"] = kept
    _by_kind(plain)
    return plain


def _by_kind(plain: dict[str, Any]) -> None:
    spec = plain.get("spec") or {}
    match plain.get("kind"):
        case "Pod":
            _unbind_pod(spec)
        case "Job" if not spec.get("manualSelector"):
            _unbind_job(spec)
        case "PersistentVolumeClaim":
            spec.pop("volumeName", None)
        case "PersistentVolume":
            for name in ("uid", "resourceVersion"):
                (spec.get("claimRef") or {}).pop(name, None)
        case "ServiceAccount":
            token = f"{plain['metadata']['name']}-token-"
            secrets = [one for one in plain.get("secrets") or [] if not str(one.get("name")).startswith(token)]
            plain.pop("secrets", None)
            if secrets:
                plain["secrets"] = secrets
        case "ClusterRole" if plain.get("aggregationRule"):
            plain["rules"] = None
        case "Namespace":
            plain.pop("spec", None)
        case _:
            pass


def _unbind_pod(spec: dict[str, Any]) -> None:
    for name in ("nodeName", "priority", "ephemeralContainers"):
        spec.pop(name, None)

    def is_injected(name: object) -> bool:
        return str(name).startswith("kube-api-access-")

    spec["volumes"] = [one for one in spec.get("volumes", []) if not is_injected(one.get("name"))]
    for container in (*spec.get("containers", []), *spec.get("initContainers", [])):
        mounts = [one for one in container.get("volumeMounts", []) if not is_injected(one.get("name"))]
        container["volumeMounts"] = mounts


def _unbind_job(spec: dict[str, Any]) -> None:
    spec.pop("selector", None)
    labels = (spec.get("template", {}).get("metadata") or {}).get("labels") or {}
    for name in _JOB_LABELS:
        labels.pop(name, None)


def attempts(before: Manifest, manifest: dict[str, Any]) -> Iterator[Attempt]:
    """What to try one after the other while the API server refuses: addresses that were assigned may be taken."""
    yield Attempt(manifest)
    spec = manifest.get("spec") or {}
    if manifest.get("kind") != "Service":
        return
    assigned = [] if _is_node_port_given(before) else _node_ports(spec)
    has_address = spec.get("clusterIP") not in {None, "", "None"}
    variants = []
    if assigned:
        variants.append((True, False))
    if has_address:
        variants.append((False, True))
    if assigned and has_address:
        variants.append((True, True))
    for drops_ports, drops_address in variants:
        changed = copy.deepcopy(manifest)
        told = []
        if drops_ports:
            changed["spec"].pop("healthCheckNodePort", None)
            for port in changed["spec"].get("ports") or []:
                port.pop("nodePort", None)
            told.append(f"its node port {', '.join(assigned)} was taken, it has another now.")
        if drops_address:
            changed["spec"].pop("clusterIP", None)
            changed["spec"].pop("clusterIPs", None)
            told.append(f"its address {spec['clusterIP']} was taken, it has another now.")
        yield Attempt(changed, f" Not as before: {' '.join(told)}")


def _node_ports(spec: Mapping[str, Any]) -> list[str]:
    return [str(port["nodePort"]) for port in spec.get("ports") or [] if port.get("nodePort")]


def _is_node_port_given(before: Manifest) -> bool:
    """Whether a person wrote it: allocated ones stand in no manager's fields and in no applied manifest."""
    metadata = before.get("metadata", {})
    applied = (metadata.get("annotations") or {}).get("kubectl.kubernetes.io/last-applied-configuration", "")
    return "f:nodePort" in str(metadata.get("managedFields")) or "nodePort" in applied


def is_there_again(before: Manifest, live: Manifest) -> bool:
    """Whether `live` is what making `before` again would make, whatever its uid and where it was placed."""
    return _comparable(before) == _comparable(live)


def _comparable(manifest: Manifest) -> dict[str, Any]:
    plain = meaning(to_create(manifest))
    if plain.get("kind") == "Pod":
        spec = plain.get("spec") or {}
        for name in ("serviceAccount", "serviceAccountName", "tolerations"):
            spec.pop(name, None)
    return plain


def lost(before: Manifest) -> str:
    """What making it again does not bring back, in a sentence; "" where nothing of it is lost."""
    spec = before.get("spec") or {}
    match before.get("kind"):
        case "Pod":
            return " What it held in memory is lost."
        case "Deployment":
            return " Its earlier revisions are lost, unless its ReplicaSets were left running."
        case "DaemonSet" | "StatefulSet":
            return " Its earlier revisions are lost."
        case "Service" if spec.get("type") == "LoadBalancer":
            return " Its external address is assigned anew and may be another."
        case "CustomResourceDefinition":
            return " The status of its objects is lost."
        case "Namespace":
            return " What is not in the snapshot did not come back: events, tokens, and what pods held in memory."
        case "Job":
            return " It runs again from the beginning."
        case _ if before.get("status") and creation_rank(str(before.get("kind"))) == _CUSTOM:
            return " Its status is lost, until its controller writes it again."
        case _:
            return ""


def _job_state(before: Manifest) -> str:
    conditions = (before.get("status") or {}).get("conditions") or []
    is_over = any(one.get("type") in {"Complete", "Failed"} and one.get("status") == "True" for one in conditions)
    return "It had ended." if is_over else "It was running, and what it had done so far cannot be undone."


def needs_recreation(before: Manifest, live: Manifest) -> bool:
    """Whether only deleting and making again puts it back: what the API server lets nobody change in place."""
    match before.get("kind"):
        case "ConfigMap" | "Secret":
            return bool(live.get("immutable"))
        case "RoleBinding" | "ClusterRoleBinding":
            return bool(before.get("roleRef") != live.get("roleRef"))
        case _:
            return False


# --- readiness -----------------------------------------------------------------------------------------------------


WITH_READINESS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod"})


def is_settled(before: Manifest, live: Manifest) -> bool:
    """Whether controllers have seen the restored object and as many replicas are ready as were before."""
    status = live.get("status") or {}
    if live.get("kind") not in WITH_READINESS:
        return True
    if live.get("kind") == "Pod":
        return not _is_pod_ready(before) or _is_pod_ready(live)
    is_seen = int(status.get("observedGeneration") or 0) >= int(live.get("metadata", {}).get("generation") or 0)
    return is_seen and ready_replicas(live) >= ready_replicas(before)


def is_whole(live: Manifest) -> bool:
    """Whether a controller has all replicas it wants, ready."""
    return ready_replicas(live) >= wanted_replicas(live)


def wanted_replicas(manifest: Manifest) -> int:
    if manifest.get("kind") == "DaemonSet":
        return int((manifest.get("status") or {}).get("desiredNumberScheduled") or 0)
    return int((manifest.get("spec") or {}).get("replicas") or 0)


def ready_replicas(manifest: Manifest) -> int:
    status = manifest.get("status") or {}
    if manifest.get("kind") == "Pod":
        return int(_is_pod_ready(manifest))
    return int(status.get("numberReady" if manifest.get("kind") == "DaemonSet" else "readyReplicas") or 0)


def _is_pod_ready(manifest: Manifest) -> bool:
    conditions = (manifest.get("status") or {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
