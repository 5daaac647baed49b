"""Who an object belongs to: its controller, GitOps or Helm, and the managers of its fields. Pure."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]
Path = tuple[str, ...]
Manager = tuple[str, str, str, str]
"""Name, operation, apiVersion and subresource: what the API server tells managers apart by."""

FIELD_MANAGER = "incident-resolver"
"""Who we are to the API server: the user agent of every request, and so the manager of what we write."""
GITOPS = {"argocd": "Argo CD", "flux": "Flux"}


def has_controller(manifest: Object) -> bool:
    return controller_of(manifest) is not None


def controller_of(manifest: Object) -> Object | None:
    """The owner reference that controls it."""
    owners = (manifest.get("metadata") or {}).get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)


def managed_by(manifest: Object) -> str | None:
    """GitOps or Helm ("argocd", "flux", "helm"), by the labels and annotations each of them leaves."""
    metadata = manifest.get("metadata") or {}
    labels, notes = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if "argocd.argoproj.io/instance" in labels or "argocd.argoproj.io/tracking-id" in notes:
        return "argocd"
    if any(key.split("/")[0] in {"kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"} for key in labels):
        return "flux"
    if labels.get("app.kubernetes.io/managed-by") == "Helm" or "meta.helm.sh/release-name" in notes:
        return "helm"
    return None


# --- managers of fields --------------------------------------------------------------------------------------------


def fields_of_before(before: Object, after: Object, live: Object, *, us: str) -> list[Any] | None:
    """`managedFields` for the live object once its values are back; None where they are right already.

    A field whose managers the change moved goes back to the managers of `before`; every other field stays with its
    live managers. `us`, who wrote the undo, keeps nothing that was somebody's.
    """
    old, ours, now = _managers(before), _managers(after), _managers(live)
    if not now or not old:
        return None
    touched = {path for path in _paths(old) | _paths(ours) if _who(old, path) != _who(ours, path)}
    undone = {path for manager, paths in now.items() if manager[0] == us for path in paths}
    wanted: dict[Manager, set[Path]] = {}
    for path in _paths(now) | touched:
        present = {one for one in _who(now, path) if one[0] != us}
        strangers = present - _who(ours, path)
        back = path in undone or (path in touched and not strangers)
        for manager in (_who(old, path) | strangers) if back else present:
            wanted.setdefault(manager, set()).add(path)
    if wanted == now:
        return None
    times = {manager: time for one in (before, live) for manager, time in _times(one).items()}
    return [_entry(manager, paths, times.get(manager)) for manager, paths in sorted(wanted.items()) if paths]


def _managers(manifest: Object) -> dict[Manager, set[Path]]:
    found: dict[Manager, set[Path]] = {}
    for entry in _entries(manifest):
        if entry.get("subresource") != "status":
            found.setdefault(_named(entry), set()).update(_flat(entry.get("fieldsV1") or {}))
    return found


def status_entries(manifest: Object) -> list[Any]:
    """The entries of who writes the status: never ours to move."""
    return [copy.deepcopy(entry) for entry in _entries(manifest) if entry.get("subresource") == "status"]


def _entries(manifest: Object) -> Sequence[Any]:
    return (manifest.get("metadata") or {}).get("managedFields") or []


def _named(entry: Object) -> Manager:
    return (
        str(entry.get("manager")),
        str(entry.get("operation")),
        str(entry.get("apiVersion")),
        str(entry.get("subresource") or ""),
    )


def _times(manifest: Object) -> dict[Manager, str]:
    return {_named(entry): entry["time"] for entry in _entries(manifest) if "time" in entry}


def _paths(managers: Mapping[Manager, set[Path]]) -> set[Path]:
    return {path for paths in managers.values() for path in paths}


def _who(managers: Mapping[Manager, set[Path]], path: Path) -> set[Manager]:
    return {manager for manager, paths in managers.items() if path in paths}


def _flat(fields: Object, path: Path = ()) -> Iterator[Path]:
    """Every leaf of a fieldsV1 tree; "." (the element itself) is a leaf of its own."""
    for key, inner in fields.items():
        if inner:
            yield from _flat(inner, (*path, key))
        else:
            yield (*path, key)


def _entry(manager: Manager, paths: set[Path], time: str | None) -> dict[str, Any]:
    name, operation, api_version, subresource = manager
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        place = tree
        for part in path:
            place = place.setdefault(part, {})
    entry = {
        "manager": name,
        "operation": operation,
        "apiVersion": api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": tree,
    }
    if subresource:
        entry["subresource"] = subresource
    if time is not None:
        entry["time"] = time
    return entry
