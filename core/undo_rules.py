"""The rules of undo, per object: what of a manifest carries meaning, and the three-way rule. Pure.

S is the object before the change, A after it, L live at the time of the undo.
"""

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from core.effects import Change
from core.snapshot import Manifest, SnapshotEntry

SERVER_METADATA = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "selfLink",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_DERIVED_ANNOTATIONS = (
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deployment.kubernetes.io/revision-history",
    "deprecated.daemonset.template.generation",
    "kubernetes.io/change-cause",
    "autoscaling.alpha.kubernetes.io/",
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.kubernetes.io/selected-node",
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
)
"""Written by controllers; those that end in "/" are prefixes."""
RESTARTED = "kubectl.kubernetes.io/restartedAt"
REPLICAS = ("spec", "replicas")
_NODE_TAINTS = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
_NODE_PARTS = ("unschedulable", "taints")
_LIST_KEYS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("containers", "initContainers", "ephemeralContainers", "env", "volumes"), ("name",)),
    **dict.fromkeys(("imagePullSecrets", "webhooks", "secrets"), ("name",)),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "port", "protocol"),
    "taints": ("key", "effect"),
    "hostAliases": ("ip",),
    "ownerReferences": ("uid",),
}
"""What the API server tells the elements of a list apart by; lists that are not named here are one value."""
ABSENT = object()
"""Stands for a field that is not there, where None is a value."""
Json = dict[str, Any]
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Restore:
    """What to write: the live object with the change's fields put back, but those in `left` to somebody else."""

    manifest: Json
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Nothing:
    """The object is as before already."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Clash:
    """A field that the change set to `ours` and somebody else to `theirs` since; None where it is absent."""

    field: str
    ours: object
    theirs: object


@dataclass(frozen=True, slots=True)
class Conflict:
    """Fields that the change and somebody else both changed; nothing of this object is overwritten."""

    clashes: tuple[Clash, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(clash.field for clash in self.clashes)


def plan_restore(
    before: Manifest, after: Manifest, live: Manifest, *, left_alone: Collection[Path] = ()
) -> Restore | Nothing | Conflict:
    """Fields the change touched go back where live still equals after; a field that both changed is a conflict.

    A field of `left_alone` belongs to a controller (an autoscaler's replicas): it stays as it is live.
    """
    s, a, current = meaning(before), meaning(after), meaning(live)
    if current == s:
        return Nothing("It is as it was before already.")
    if s == a:
        return Nothing("It was not changed.")
    if without_restart(s) == without_restart(a):
        return Nothing("Only a restart was asked for; there is nothing to put back.")
    work = _Work(frozenset(left_alone))
    merged = copy.deepcopy(dict(live))
    work.merge((s, a, current), merged, path=())
    if work.clashes:
        return Conflict(tuple(work.clashes))
    _keep_derived(live, merged)
    if meaning(merged) == current:
        kept = f" {', '.join(work.left)} is left to the autoscaler." if work.left else ""
        return Nothing(f"What was changed is back already.{kept}" if not work.left else f"Nothing is put back:{kept}")
    return Restore(merged, tuple(work.left))


def unread_after(entry: SnapshotEntry, live: Manifest) -> Manifest | None:
    """What the change left, where nobody read it: what its dry run proposed, or what such a change writes.

    None where `live` cannot be told from what somebody else made.
    """
    before = entry.before or {}
    if entry.change in {Change.DELETE, Change.DELETE_POD}:
        return before if _uid(before) == _uid(live) else None
    if entry.after is not None:
        return {**entry.after, "metadata": {**entry.after["metadata"], "uid": _uid(before)}}
    return assumed_after(before, live, entry.change)


def after_change(entry: SnapshotEntry, seen: Manifest) -> Manifest:
    """The object as it was read back, but for what others did since it was read before.

    Only what the dry run of the change proposed, or what such a change writes, is taken for ours.
    """
    before = entry.before
    if before is None or _uid(before) != _uid(seen):
        return seen
    proposed = entry.after if entry.after is not None else assumed_after(before, seen, entry.change)
    if proposed is seen:
        return seen
    ours = _only_ours((meaning(before), meaning(proposed), meaning(seen)))
    derived = {name: value for name, value in _annotations(seen).items() if _is_derived(name)}
    given = {name: value for name, value in seen["metadata"].items() if name in SERVER_METADATA}
    ours["metadata"] |= given
    if derived:
        ours["metadata"]["annotations"] = {**(ours["metadata"].get("annotations") or {}), **derived}
    return {**ours, "status": seen["status"]} if "status" in seen else ours


def _only_ours(versions: tuple[Json, Json, Json]) -> Json:
    """Of before, proposed and seen: `seen` where the proposal changes something, `before` elsewhere."""
    before, _, seen = versions
    found: Json = {}
    for key in [*before, *(one for one in seen if one not in before)]:
        old, new, now = (one.get(key, ABSENT) for one in versions)
        kept = old if old == new else now
        if old != new and all(isinstance(one, dict) for one in (old, new, now)):
            kept = _only_ours((old, new, now))
        elif old != new and (keyed := keyed_lists(key, (old, new, now))) is not None:
            kept = _in_order(_only_ours(keyed), keyed)
        if kept is not ABSENT:
            found[key] = copy.deepcopy(kept)
    return found


def _in_order(found: Json, versions: tuple[Json, Json, Json]) -> list[Any]:
    """Elements stand where they were seen, if the change was to move any of them, else where they stood before."""
    before, proposed, seen = versions
    leading = (
        before if [one for one in proposed if one in before] == [one for one in before if one in proposed] else seen
    )
    order = [one for one in leading if one in found]
    return [found[one] for one in (*order, *(one for one in found if one not in order))]


def _annotations(manifest: Manifest) -> Mapping[str, Any]:
    return manifest["metadata"].get("annotations") or {}


def _uid(manifest: Manifest) -> object:
    return (manifest.get("metadata") or {}).get("uid")


def assumed_after(before: Manifest, live: Manifest, change: Change) -> Manifest:
    """Of a workload only the field that such a change writes is ours."""
    field = {
        Change.SCALE: "replicas",
        Change.SET_IMAGE: "template",
        Change.UNDO: "template",
        Change.RESTART: "template",
    }.get(change)
    old, now = before.get("spec"), live.get("spec")
    if field is None or not isinstance(old, dict) or not isinstance(now, dict) or "template" not in old:
        return live
    spec = {key: value for key, value in old.items() if key != field} | ({field: now[field]} if field in now else {})
    metadata = {**before["metadata"], "uid": live["metadata"].get("uid")}
    return {**before, "metadata": metadata, "spec": spec}


def meaning(manifest: Manifest) -> Json:
    """The part that carries meaning: no status, no fields of the API server, no annotations of controllers.

    Its inner parts are those of `manifest`: to be read only.
    """
    plain = {key: value for key, value in manifest.items() if key != "status"}
    metadata = {key: value for key, value in plain.get("metadata", {}).items() if key not in SERVER_METADATA}
    if isinstance(metadata.get("annotations"), dict):
        metadata["annotations"] = dict(metadata["annotations"])
    drop_derived_annotations(metadata)
    if "metadata" in plain:
        plain["metadata"] = metadata
    match plain.get("kind"):
        case "Node":
            spec = plain.get("spec") or {}
            plain["spec"] = {key: spec[key] for key in _NODE_PARTS if spec.get(key)}
            taints = [one for one in spec.get("taints") or [] if not _is_node_taint(one)]
            _set_or_drop(plain["spec"], "taints", taints)
        case "ClusterRole" if plain.get("aggregationRule"):
            plain.pop("rules", None)
        case "PersistentVolume":
            spec = dict(plain.get("spec") or {})
            claim = spec.get("claimRef") or {}
            spec["claimRef"] = {key: one for key, one in claim.items() if key not in {"uid", "resourceVersion"}}
            plain["spec"] = spec
        case _:
            pass
    return plain


def drop_derived_annotations(metadata: Json) -> None:
    """In place; an empty map of annotations goes too, for the API server keeps none."""
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict):
        for name in [name for name in annotations if _is_derived(name)]:
            annotations.pop(name)
        if not annotations:
            metadata.pop("annotations")


def without_restart(manifest: Json) -> Json:
    plain = copy.deepcopy(manifest)
    template = plain.get("spec", {}).get("template", {}) if isinstance(plain.get("spec"), dict) else {}
    metadata = (template.get("metadata") or {}) if isinstance(template, dict) else {}
    (metadata.get("annotations") or {}).pop(RESTARTED, None)
    if metadata.get("annotations") in ({}, None):
        metadata.pop("annotations", None)
    return plain


def _is_derived(annotation: str) -> bool:
    return any(annotation == one or (one.endswith("/") and annotation.startswith(one)) for one in _DERIVED_ANNOTATIONS)


def _is_node_taint(taint: Mapping[str, Any]) -> bool:
    """Taints that the node's own controllers set and remove."""
    return str(taint.get("key", "")).startswith(_NODE_TAINTS)


def _set_or_drop(place: Json, key: str, value: object) -> None:
    if value:
        place[key] = value
    else:
        place.pop(key, None)


def _keep_derived(live: Manifest, merged: Json) -> None:
    """What others keep stays as it is, also where the map or list it stands in was put back."""
    annotations = live.get("metadata", {}).get("annotations") or {}
    derived = {name: value for name, value in annotations.items() if _is_derived(name)}
    if derived:
        merged["metadata"].setdefault("annotations", {}).update(derived)
    if live.get("kind") == "Node":
        theirs = [one for one in (live.get("spec") or {}).get("taints") or [] if _is_node_taint(one)]
        ours = [one for one in merged["spec"].get("taints") or [] if not _is_node_taint(one)]
        _set_or_drop(merged["spec"], "taints", [*ours, *theirs])


class _Work:
    """One three-way merge: what clashed, and what was left to somebody else."""

    def __init__(self, left_alone: frozenset[Path]) -> None:
        self.clashes: list[Clash] = []
        self.left: list[str] = []
        self._left_alone = left_alone

    def merge(self, versions: tuple[Json, Json, Json], merged: Json, *, path: Path) -> None:
        """Walks what the change touched (S ≠ A) and puts it back into `merged`; `versions` are S, A and live."""
        s, a, current = versions
        for key in sorted({*s, *a}):
            old, new, now = (one.get(key, ABSENT) for one in (s, a, current))
            if old != new and key != RESTARTED and now != old:
                self._merge_one((old, new, now), merged, path=(*path, key))

    def _merge_one(self, versions: tuple[Any, Any, Any], merged: Json, *, path: Path) -> None:
        old, new, now = versions
        key = path[-1]
        if all(isinstance(one, dict) for one in versions):
            self.merge((old, new, now), merged[key], path=path)
        elif now == new and path in self._left_alone:
            self.left.append(field_words(path))
        elif now == new:
            if old is ABSENT:
                merged.pop(key, None)
            else:
                merged[key] = copy.deepcopy(old)
        elif (keyed := keyed_lists(key, versions)) is not None:
            merged[key] = self._merged_list(keyed, path=path)
        else:
            self.clashes.append(Clash(field_words(path), _shown(new), _shown(now)))

    def _merged_list(self, keyed: "tuple[Json, Json, Json]", *, path: Path) -> list[Any]:
        """The live list with the change's elements put back, each where it stood before."""
        together: Json = copy.deepcopy(keyed[2])
        self.merge(keyed, together, path=path)
        order = list(together)
        for place, name in enumerate(keyed[0]):
            if name in together and name not in keyed[2]:
                order.remove(name)
                earlier = [one for one in list(keyed[0])[:place] if one in order]
                order.insert(order.index(earlier[-1]) + 1 if earlier else 0, name)
        return [together[name] for name in order]


def keyed_lists(field: str, versions: tuple[Any, Any, Any]) -> tuple[Json, Json, Json] | None:
    """The three lists as maps by what tells their elements apart; None where they have no such thing."""
    names = _LIST_KEYS.get(field)
    if names is None:
        return None
    found: list[Json] = []
    for version in versions:
        elements = [] if version is ABSENT else version
        if not isinstance(elements, list) or not all(isinstance(one, dict) for one in elements):
            return None
        keyed = {_element_name(one, names): one for one in elements}
        if len(keyed) != len(elements):
            return None
        found.append(keyed)
    return found[0], found[1], found[2]


def _element_name(element: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return "/".join(str(element[name]) for name in names if name in element)


def field_words(path: Path) -> str:
    """`spec.template.spec.containers[web].image`."""
    told = ""
    for place, part in enumerate(path):
        is_element = place > 0 and path[place - 1] in _LIST_KEYS and place + 1 <= len(path)
        told += f"[{part}]" if is_element else f"{'.' if told else ''}{part}"
    return told


def _shown(value: object) -> object:
    return None if value is ABSENT else value
