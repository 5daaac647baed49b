"""What `kubectl rollout undo` would put back: the pod template of an earlier revision. Pure."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from core import owners
from core.snapshot import Manifest

REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"
_STAYS = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.deployment.rollback.to",
    }
)
"""Annotations of a Deployment that an undo leaves as they are (kubectl, polymorphichelpers/rollback.go)."""


def undone(live: Manifest, revisions: Sequence[Manifest], *, to_revision: int | None) -> dict[str, Any] | None:
    """The object as the undo would write it; None where there is no such revision.

    `revisions` are the ReplicaSets (of a Deployment) or ControllerRevisions of the namespace, whoever they belong to;
    items of a list say no kind, so they are told apart by what they hold.
    """
    own = {_number(one): one for one in revisions if _belongs(one, live)}
    found = own.get(to_revision) if to_revision is not None else _previous(own)
    if found is None:
        return None
    changed: dict[str, Any] = copy.deepcopy(dict(live))
    if "revision" not in found:
        return _of_replica_set(changed, found)
    template = copy.deepcopy(((found.get("data") or {}).get("spec") or {}).get("template"))
    if not isinstance(template, dict):
        return None
    template.pop("$patch", None)
    changed["spec"]["template"] = template
    return changed


def _of_replica_set(changed: dict[str, Any], found: Manifest) -> dict[str, Any]:
    template = copy.deepcopy(found["spec"]["template"])
    labels = (template.get("metadata") or {}).get("labels") or {}
    labels.pop(_HASH, None)
    changed["spec"]["template"] = template
    kept = {key: value for key, value in _notes(changed).items() if key in _STAYS}
    changed["metadata"]["annotations"] = kept | {
        key: value for key, value in _notes(found).items() if key not in _STAYS
    }
    return changed


def _notes(one: Manifest) -> Mapping[str, str]:
    return (one.get("metadata") or {}).get("annotations") or {}


def _belongs(one: Manifest, live: Manifest) -> bool:
    owner = owners.controller_of(one)
    return owner is not None and owner.get("uid") == live["metadata"]["uid"] and _number(one) > 0


def _number(one: Manifest) -> int:
    try:
        return int(one["revision"]) if "revision" in one else int(_notes(one).get(REVISION, "0"))
    except (TypeError, ValueError):
        return 0


def _previous(own: Mapping[int, Manifest]) -> Manifest | None:
    """The second newest, as kubectl takes it where no revision is named."""
    numbers = sorted(own)
    return own[numbers[-2]] if len(numbers) > 1 else None
