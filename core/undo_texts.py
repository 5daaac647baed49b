"""What an undo says to people: sentences and the equivalent kubectl lines. Pure; of a Secret never a value."""

import json
import shlex
from collections.abc import Sequence

from core import owners, recreation
from core.helm_releases import Release
from core.redaction import redact
from core.resources import Resource
from core.snapshot import Manifest
from core.undo_rules import Clash
from core.undo_values import shown

_SHOWN_FIELDS = 5
_SHOWN_LENGTH = 80
_PATCH_LENGTH = 1_000
_STUCK_PODS = " Its pods that are not ready stay as they are until they are deleted, one by one."
_MOVED_PODS = " Pods that were moved away are not moved back."


def command(target: Resource, *, is_creation: bool) -> str:
    """The kubectl line that would undo it as a whole; the file is the snapshot's entry."""
    if is_creation:
        return f"kubectl delete {target.kind.lower()} {target.name}{_where(target)}"
    return f"kubectl replace -f {_file(target)}{_where(target)}"


def creation_command(target: Resource) -> str:
    return f"kubectl create -f {_file(target)}{_where(target)}"


def patch_command(target: Resource, live: Manifest, written: Manifest) -> str:
    """The kubectl line equivalent to writing it: only what changes, and of a Secret, or of much, only the file."""
    patch = json.dumps(_difference(live, written), separators=(",", ":"), sort_keys=True)
    if target.kind == "Secret" or len(patch) > _PATCH_LENGTH or redact(patch) != patch:
        return command(target, is_creation=False)
    return f"kubectl patch {target.kind.lower()} {target.name}{_where(target)} --type=merge -p {shlex.quote(patch)}"


def _difference(live: Manifest, written: Manifest) -> dict[str, object]:
    """A JSON merge patch (RFC 7386)."""
    found: dict[str, object] = dict.fromkeys(live.keys() - written.keys())
    for key, new in written.items():
        old = live.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            inner = _difference(old, new)
            found |= {key: inner} if inner else {}
        elif old != new:
            found[key] = new
    return found


def _where(target: Resource) -> str:
    return f" -n {target.namespace}" if target.namespace else ""


def _file(target: Resource) -> str:
    return f"snapshot/{target.kind.lower()}-{target.name}.yaml"


def would(*, is_dry_run: bool) -> str:
    return "would be" if is_dry_run else "was"


def put_back(target: Resource, values: str, *, is_dry_run: bool, kept: tuple[str, ...], before: Manifest) -> str:
    """`values` are those that go back, "" where none is told."""
    told = f"{target} {would(is_dry_run=is_dry_run)} put back as it was{_with(values)}."
    if kept:
        told += f" {', '.join(kept)} is left to its autoscaler."
    if target.kind == "StatefulSet":
        told += _STUCK_PODS
    if target.kind == "Node" and not before.get("spec", {}).get("unschedulable"):
        told += _MOVED_PODS
    return told


def not_approved(target: Resource) -> str:
    return (
        f"{target} was not put back: what its snapshot holds is not what the permit of this rollback names. "
        "Ask for the rollback again."
    )


def made_again(target: Resource, values: str, *, is_dry_run: bool) -> str:
    return f"{target} {would(is_dry_run=is_dry_run)} made again{_with(values)}."


def deleted_since(target: Resource, values: str) -> str:
    return f"Somebody deleted {target} since; it is not made again unless that is approved{_with(values)}."


def replaced(target: Resource, values: str) -> str:
    """Only ever a preview: what is done is told as made again."""
    return f"{target} would be deleted and made again as it was{_with(values)}."


def _with(values: str) -> str:
    return f": {values}" if values else ""


def conflict(target: Resource, clashes: Sequence[Clash], *, live: Manifest, scaler: tuple[int, int] | None) -> str:
    """Both versions of each field, but of a Secret only the names."""
    shown = []
    for clash in clashes[:_SHOWN_FIELDS]:
        if target.kind == "Secret":
            shown.append(clash.field)
        else:
            shown.append(
                f"{clash.field} (ours {_short(clash.field, clash.ours)}, now {_short(clash.field, clash.theirs)})"
            )
    who = owners.GITOPS.get(owners.managed_by(live) or "")
    told = f"Somebody changed {target} since, nothing is overwritten: {', '.join(shown)}."
    if who is not None:
        told += f" It is managed by {who}, which has written its own version over it."
    if scaler is not None and any(clash.field == "spec.replicas" for clash in clashes):
        told += f" Its autoscaler keeps it between {scaler[0]} and {scaler[1]} replicas; that is left to it."
    return told


def release(release: Release, hooks: Sequence[str], *, is_dry_run: bool) -> str:
    told = f"Helm release {release.namespace}/{release.name} {would(is_dry_run=is_dry_run)} rolled back to revision "
    told += f"{release.revision}, as a new revision."
    if hooks:
        told += f" What its hooks did cannot be undone: {', '.join(hooks)}."
    return told


def release_command(release: Release) -> str:
    return f"helm rollback {release.name} {release.revision} -n {release.namespace}"


def holders(account: str, pods: Sequence[Manifest]) -> str:
    """Which pods run as a service account that was made anew."""
    names = sorted(
        str(pod["metadata"]["name"]) for pod in pods if (pod.get("spec") or {}).get("serviceAccountName") == account
    )
    return f" Restart the pods that run as it, their tokens are of the old one: {', '.join(names)}." if names else ""


def readiness(target: Resource, live: Manifest | None) -> str:
    if live is None or live.get("kind") not in {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"}:
        return ""
    wanted = recreation.wanted_replicas(live)
    return f" {target}: {recreation.ready_replicas(live)} of {wanted} ready."


def _short(field: str, value: object) -> str:
    text = shown(field, value)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"
