"""Losses: what undo cannot bring back, found before a change is made and said in words. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import owners
from core.resolution import ActionType
from core.resources import Workload
from core.risk_levels import RiskLevel

Object = Mapping[str, Any]
_MEMORY = "What their containers hold in memory is lost"
_SCRATCH = "What their emptyDir volumes hold is lost"


@dataclass(frozen=True, slots=True)
class Loss:
    """A sentence for the card, and the risk it raises to at least.

    `is_refused`: too much is lost to ask for it; the change is not made at all.
    """

    sentence: str
    level: RiskLevel = RiskLevel.MEDIUM
    is_refused: bool = False


def _refused(sentence: str) -> Loss:
    return Loss(sentence, RiskLevel.CRITICAL, is_refused=True)


def of_request(action: ActionType, workload: Workload) -> tuple[Loss, ...]:
    """What this kind of resolution may lose of a workload, as far as its facts tell."""
    name = str(workload.resource)
    if action is ActionType.INVESTIGATION:
        return ()
    found: list[Loss] = []
    if workload.is_ending:
        found.append(_refused(f"{name} is being deleted already, which nothing can undo"))
    found.append(Loss(f"Cannot be undone: what replaced containers of {name} held in memory, and work they had done"))
    if workload.has_scratch:
        found.append(Loss(f"Cannot be undone: the emptyDir volumes of replaced pods of {name} are emptied"))
    if workload.resource.kind == "Pod":
        found.append(Loss(f"{name} has no controller: undo makes a new pod of that name", RiskLevel.HIGH))
    if workload.resource.kind == "Job":
        found.append(Loss(f"{name} is a Job: what it did cannot be undone, and it may run again", RiskLevel.HIGH))
    if action is ActionType.RESOURCE_SCALE:
        found += _of_scale(workload)
    return tuple(found)


def _of_scale(workload: Workload) -> list[Loss]:
    name = str(workload.resource)
    found = []
    if workload.drops_claims:
        told = f"Cannot be undone: scaling {name} down deletes the volumes of the pods that go (whenScaled: Delete)"
        found.append(Loss(told, RiskLevel.CRITICAL))
    if workload.hpa_range is not None:
        found.append(Loss(f"Undo leaves the replicas of {name} to its autoscaler"))
    return found


def of_deletion(manifest: Object, *, volumes: Mapping[str, Object] | None = None) -> tuple[Loss, ...]:
    """What deleting this object loses for good. `volumes` are the PersistentVolumes of claims, by name."""
    metadata = manifest.get("metadata") or {}
    name = f"{manifest.get('kind')} {metadata.get('name')}"
    found: list[Loss] = []
    if metadata.get("deletionTimestamp"):
        found.append(_refused(f"{name} is being deleted already, which nothing can undo"))
    finalizers = [one for one in metadata.get("finalizers") or [] if not str(one).startswith("kubernetes.io/")]
    if finalizers:
        found.append(Loss(f"What the finalizers of {name} do cannot be undone: {', '.join(finalizers)}"))
    found += _of_kind(name, manifest, volumes or {})
    return tuple(found)


def _of_kind(name: str, manifest: Object, volumes: Mapping[str, Object]) -> list[Loss]:
    spec = manifest.get("spec") or {}
    match manifest.get("kind"):
        case "Pod":
            return _of_pod(name, spec, is_controlled=owners.has_controller(manifest))
        case "PersistentVolumeClaim":
            return _of_claim(name, spec, volumes)
        case "StatefulSet" if _retention(spec).get("whenDeleted") == "Delete":
            return [_refused(f"Deleting {name} deletes its volumes with their data (whenDeleted: Delete)")]
        case "Deployment" | "StatefulSet" | "DaemonSet":
            return [Loss(f"The earlier revisions of {name} are lost"), *of_template(name, spec.get("template") or {})]
        case "Job":
            return [Loss(f"What {name} did cannot be undone; made again it runs again", RiskLevel.HIGH)]
        case "Namespace":
            return [_refused(f"Deleting {name} deletes all that is in it, and not all of it can come back")]
        case "CustomResourceDefinition":
            told = f"Deleting {name} deletes all its objects; their status cannot come back"
            return [Loss(told, RiskLevel.CRITICAL)]
        case "ServiceAccount":
            return [Loss(f"The tokens of {name} end; pods that run as it must be restarted", RiskLevel.HIGH)]
        case "Service" if spec.get("type") == "LoadBalancer":
            return [Loss(f"The external address of {name} cannot be restored", RiskLevel.HIGH)]
        case "Node":
            return [_refused(f"{name} comes back only when its kubelet registers it again")]
        case kind if _is_custom(manifest) and manifest.get("status"):
            return [
                Loss(f"The status of {kind} {name.partition(' ')[2]} cannot come back; its controller writes it anew")
            ]
        case _:
            return []


def _is_custom(manifest: Object) -> bool:
    """Groups of Kubernetes itself have no dot, or end in k8s.io."""
    group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def of_creation(proposed: Object) -> tuple[Loss, ...]:
    """What removing an object that the change makes does not undo."""
    name = f"{proposed.get('kind')} {(proposed.get('metadata') or {}).get('name')}"
    match proposed.get("kind"):
        case "Pod" | "Job" | "CronJob":
            return (Loss(f"What {name} does until it is removed cannot be undone", RiskLevel.HIGH),)
        case "PersistentVolumeClaim":
            return (Loss(f"Undo removes {name} with whatever was written to it since"),)
        case _:
            return ()


def of_line(verb: str) -> tuple[Loss, ...]:
    """What a line loses beside objects. `verb` is the gate's ("kubectl exec")."""
    match verb:
        case "kubectl exec" | "kubectl cp":
            return (Loss("What is done inside a container cannot be undone", RiskLevel.HIGH),)
        case "kubectl drain":
            told = (
                "Undo lets pods onto the node again, but moves none back; what they held in memory or emptyDir is lost"
            )
            return (Loss(told, RiskLevel.CRITICAL),)
        case _:
            return ()


def of_hooks(name: str, hooks: Sequence[str]) -> tuple[Loss, ...]:
    """What the hooks of a helm release do."""
    return (Loss(f"What the hooks of helm release {name} do cannot be undone: {', '.join(hooks)}"),) if hooks else ()


def of_change(before: Object, proposed: Object) -> tuple[Loss, ...]:
    """What changing an object loses for good; `proposed` is the API server's answer to the dry run of the change."""
    name = f"{before.get('kind')} {(before.get('metadata') or {}).get('name')}"
    old, new = before.get("spec") or {}, proposed.get("spec") or {}
    found: list[Loss] = []
    if (before.get("metadata") or {}).get("deletionTimestamp"):
        found.append(_refused(f"{name} is being deleted already, which nothing can undo"))
    if before.get("kind") == "PersistentVolumeClaim" and _storage(old) != _storage(new):
        found.append(_refused(f"{name} can grow but never shrink again: its resize cannot be undone"))
    if int(new.get("replicas") or 0) < int(old.get("replicas") or 0):
        if _retention(old).get("whenScaled") == "Delete":
            told = f"Scaling {name} down deletes the volumes of the pods that go, with their data (whenScaled: Delete)"
            found.append(_refused(told))
        found += of_template(name, old.get("template") or {})
    elif before.get("kind") != "CronJob" and old.get("template") != new.get("template"):
        found += of_template(name, old.get("template") or {})
    owner = owners.managed_by(before)
    if owner is not None:
        who = owners.GITOPS.get(owner, "Helm")
        found.append(Loss(f"{name} is managed by {who}, which may write its own version over the change and the undo"))
    return tuple(found)


def of_template(name: str, template: Object) -> list[Loss]:
    """What goes with pods of this template."""
    found = [Loss(f"{_MEMORY} when pods of {name} are replaced")]
    if has_scratch(template.get("spec") or {}):
        found.append(Loss(f"{_SCRATCH} when pods of {name} are replaced"))
    return found


def _of_pod(name: str, spec: Object, *, is_controlled: bool) -> list[Loss]:
    found = [Loss(f"What {name} holds in memory is lost, with its restart count")]
    if has_scratch(spec):
        found.append(Loss(f"What the emptyDir volumes of {name} hold is lost"))
    if not is_controlled:
        found.append(Loss(f"{name} has no controller: undo makes a new pod of that name", RiskLevel.HIGH))
    return found


def _of_claim(name: str, spec: Object, volumes: Mapping[str, Object]) -> list[Loss]:
    volume = str(spec.get("volumeName") or "")
    if not volume:
        return []
    policy = ((volumes.get(volume) or {}).get("spec") or {}).get("persistentVolumeReclaimPolicy")
    if policy == "Retain":
        return [Loss(f"{name} lets go of its volume {volume}; undo binds it again", RiskLevel.HIGH)]
    return [
        _refused(f"The data of {name} will be lost: its volume {volume} is deleted with it (reclaim policy Delete)")
    ]


def has_scratch(pod_spec: Object) -> bool:
    return any("emptyDir" in volume or "ephemeral" in volume for volume in pod_spec.get("volumes") or [])


def drops_claims(spec: Object) -> bool:
    return bool(_retention(spec).get("whenScaled") == "Delete")


def _retention(spec: Object) -> Object:
    return spec.get("persistentVolumeClaimRetentionPolicy") or {}


def _storage(spec: Object) -> object:
    return ((spec.get("resources") or {}).get("requests") or {}).get("storage")
