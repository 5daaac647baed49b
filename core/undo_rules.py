"""The rules of undo, per object: what of a manifest carries meaning, and the three-way rule. Pure.

S is the object before the change, A after it, L live at the time of the undo.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.snapshot import Manifest

_SERVER_METADATA = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "selfLink",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
]
_DERIVED_ANNOTATIONS = frozenset(
    {
        "deployment.kubernetes.io/revision",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deployment.kubernetes.io/revision-history",
        "deprecated.daemonset.template.generation",
        "kubernetes.io/change-cause",
    }
)
RESTARTED = "kubectl.kubernetes.io/restartedAt"
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Restore:
    """What to write: the live object with the change's fields put back."""

    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Nothing:
    """The object is as before already."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that the change and somebody else both changed; nothing of this object is overwritten."""

    fields: tuple[str, ...]


def plan_restore(before: Manifest, after: Manifest, live: Manifest) -> Restore | Nothing | Conflict:
    """Fields the change touched go back where live still equals after; a field that both changed is a conflict."""
    s, a, current = meaning(before), meaning(after), meaning(live)
    if current == s:
        return Nothing("It is as it was before already.")
    if _without_restart(s) == _without_restart(a):
        return Nothing("Only a restart was asked for; there is nothing to put back.")
    merged = copy.deepcopy(dict(live))
    conflicts: list[str] = []
    _merge((s, a, current), merged, path=(), conflicts=conflicts)
    if conflicts:
        return Conflict(tuple(conflicts))
    _keep_derived(live, merged)
    if meaning(merged) == current:
        return Nothing("What was changed is back already.")
    return Restore(merged)


def _keep_derived(live: Manifest, merged: dict[str, Any]) -> None:
    """Annotations that others keep stay as they are, also where the map they stand in was put back."""
    annotations = live.get("metadata", {}).get("annotations") or {}
    derived = {name: value for name, value in annotations.items() if name in _DERIVED_ANNOTATIONS}
    if derived:
        merged["metadata"].setdefault("annotations", {}).update(derived)


def meaning(manifest: Manifest) -> dict[str, Any]:
    """The part that carries meaning: no status, no fields of the API server, no derived annotations."""
    plain = copy.deepcopy({key: value for key, value in manifest.items() if key != "status"})
    metadata = plain.get("metadata", {})
    for name in _SERVER_METADATA:
        metadata.pop(name, None)
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict):
        for name in _DERIVED_ANNOTATIONS:
            annotations.pop(name, None)
        if not annotations:
            metadata.pop("annotations")
    return plain


def to_create(before: Manifest) -> dict[str, Any]:
    """A manifest that can be created again: nothing the server sets, no dangling owner, no node, no token volume."""
    plain = copy.deepcopy({key: value for key, value in before.items() if key != "status"})
    metadata = plain["metadata"]
    for name in (*_SERVER_METADATA, "ownerReferences"):
        metadata.pop(name, None)
    for name in _DERIVED_ANNOTATIONS:
        (metadata.get("annotations") or {}).pop(name, None)
    if plain.get("kind") == "Pod":
        _unbind_pod(plain.get("spec", {}))
    if plain.get("kind") == "Service":
        spec = plain.get("spec", {})
        if spec.get("clusterIP") != "None":
            spec.pop("clusterIP", None)
            spec.pop("clusterIPs", None)
    return plain


def _unbind_pod(spec: dict[str, Any]) -> None:
    for name in ("nodeName", "priority", "ephemeralContainers"):
        spec.pop(name, None)

    def is_injected(name: object) -> bool:
        return str(name).startswith("kube-api-access-")

    spec["volumes"] = [one for one in spec.get("volumes", []) if not is_injected(one.get("name"))]
    for container in (*spec.get("containers", []), *spec.get("initContainers", [])):
        mounts = [one for one in container.get("volumeMounts", []) if not is_injected(one.get("name"))]
        container["volumeMounts"] = mounts


def has_controller(manifest: Manifest) -> bool:
    owners = manifest.get("metadata", {}).get("ownerReferences") or []
    return any(owner.get("controller") for owner in owners)


Json = dict[str, Any]


def _merge(versions: tuple[Json, Json, Json], merged: Json, *, path: tuple[str, ...], conflicts: list[str]) -> None:
    """Walks what the change touched (S ≠ A) and puts it back into `merged`, in place; `versions` are S, A and live."""
    s, a, current = versions
    for key in {*s, *a}:
        old, new = s.get(key, _ABSENT), a.get(key, _ABSENT)
        if old == new or key == RESTARTED:
            continue
        now = current.get(key, _ABSENT)
        if isinstance(old, dict) and isinstance(new, dict) and isinstance(now, dict):
            _merge((old, new, now), merged[key], path=(*path, key), conflicts=conflicts)
        elif now == old:
            continue
        elif now != new:
            conflicts.append(".".join((*path, key)))
        elif old is _ABSENT:
            merged.pop(key, None)
        elif isinstance(old, Mapping | list):
            merged[key] = copy.deepcopy(old)
        else:
            merged[key] = old


def _without_restart(manifest: dict[str, Any]) -> dict[str, Any]:
    plain = copy.deepcopy(manifest)
    template = plain.get("spec", {}).get("template", {}) if isinstance(plain.get("spec"), dict) else {}
    metadata = template.get("metadata") or {}
    (metadata.get("annotations") or {}).pop(RESTARTED, None)
    if metadata.get("annotations") in ({}, None):
        metadata.pop("annotations", None)
    return plain
