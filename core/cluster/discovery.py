"""What deleting an object would take with it, found by the API server's discovery and by ownership, not `get all`."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from core import owners, recreation
from core.cluster.api import KubernetesApi
from core.cluster.kinds import Kind
from core.errors import NotFoundError, StepFailedError, first_of
from core.helm_releases import Release, release_of
from core.resources import Resource
from core.snapshot import Manifest


class Reader(Protocol):
    """What reads objects of any kind."""

    async def read(self, resource: Resource) -> Manifest | None: ...

    async def listed(self, kind: str, namespace: str | None) -> Sequence[Manifest]: ...


_AT_ONCE = 8
_MOST = 10_000
_MEASURED = frozenset({"metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"})
"""Groups of numbers, not objects; their server may be away for long."""
_DISCOVERY = Kind("APIResourceList", "v1", "resources", is_namespaced=False)


async def touched_by_deletion(api: KubernetesApi, *targets: Resource) -> tuple[Manifest, ...]:
    """What would go with `targets`, but not themselves: what is made again last comes first, as undo goes backwards.

    Objects that a living controller makes again, and kinds that others derive, are left out. Whatever error reading one
    kind ends in is raised: what cannot be shown cannot be put back.
    """
    found: dict[str, dict[str, Any]] = {}
    owning: dict[str | None, set[str]] = {}
    for target in targets:
        match target.kind:
            case "Namespace":
                taken = await _objects(api, target.name)
            case "CustomResourceDefinition":
                taken = await _custom_objects(api, target)
            case "Pod":
                taken = []  # owns only the claims of its ephemeral volumes, which end with it
            case _:
                taken = []
                owning.setdefault(target.namespace, set()).add(str(target.uid))
        found |= {_uid(one): one for one in taken}
    for namespace, uids in owning.items():
        found |= {_uid(one): one for one in _owned_by(await _objects(api, namespace), uids)}
    gone = {str(target.uid) for target in targets}
    kept = [one for uid, one in found.items() if uid not in gone and not owners.has_controller(one)]
    return tuple(sorted(kept, key=lambda one: -recreation.creation_rank(one["kind"])))


def _owned_by(objects: Sequence[dict[str, Any]], uids: set[str]) -> list[dict[str, Any]]:
    """What belongs to any of `uids`, and what belongs to that."""
    owned: dict[str, dict[str, Any]] = {}
    size = -1
    while size != len(owned):
        size = len(owned)
        above = uids | owned.keys()
        owned |= {_uid(one): one for one in objects if _owner_uids(one) & above}
    return list(owned.values())


async def revisions_of(reader: Reader, name: str, namespace: str) -> dict[int, Release]:
    """The revisions of a helm release by their numbers; empty where none is there that may be read."""
    known = [release_of(one) for one in await reader.listed("Secret", namespace)]
    return {one.revision: one for one in known if one is not None and one.name == name}


async def objects_of_release(reader: Reader, release: Release) -> tuple[Manifest, ...]:
    """The objects of a helm release as they are live, and the Secrets that hold its revisions, newest last."""
    read = [await reader.read(one) for one in release.objects()]
    found = [one for one in read if one is not None]
    secrets = [(known, one) for one in await reader.listed("Secret", release.namespace) if (known := release_of(one))]
    kept = sorted(((known.revision, one) for known, one in secrets if known.name == release.name), key=lambda it: it[0])
    objects = sorted(found, key=lambda one: -recreation.creation_rank(one["kind"]))
    return (*objects, *({**one, "apiVersion": "v1", "kind": "Secret"} for _, one in kept))


async def served_kinds(api: KubernetesApi, *, is_namespaced: bool) -> tuple[Kind, ...]:
    """Every kind that can be listed, in the version that the API server prefers."""
    groups = await api.send("GET", _DISCOVERY, path="/apis", namespace=None)
    preferred = [group["preferredVersion"]["groupVersion"] for group in groups.get("groups") or []]
    versions = ["v1", *(one for one in preferred if one.partition("/")[0] not in _MEASURED)]
    found: list[Kind] = []
    for version in versions:
        found += await _kinds_of(api, version)
    return tuple(kind for kind in found if kind.is_namespaced is is_namespaced)


async def _kinds_of(api: KubernetesApi, version: str) -> list[Kind]:
    path = f"/apis/{version}" if "/" in version else f"/api/{version}"
    try:
        answer = await api.send("GET", _DISCOVERY, path=path, namespace=None)
    except NotFoundError:
        return []
    return [
        Kind(one["kind"], version, one["name"], is_namespaced=one.get("namespaced") is True)
        for one in answer.get("resources") or []
        if "/" not in one["name"] and {"list", "create"} <= set(one.get("verbs") or [])
    ]


async def _objects(api: KubernetesApi, namespace: str | None) -> list[dict[str, Any]]:
    """All of a namespace; without one all of the cluster, since what is cluster-wide may own anything."""
    scopes = (True,) if namespace is not None else (True, False)
    served = [kind for scope in scopes for kind in await served_kinds(api, is_namespaced=scope)]
    return await _listed(api, [kind for kind in served if kind.name not in recreation.DERIVED], namespace)


async def _custom_objects(api: KubernetesApi, target: Resource) -> list[dict[str, Any]]:
    definition = Kind("CustomResourceDefinition", "apiextensions.k8s.io/v1", "customresourcedefinitions", False)
    spec = (await api.get(definition, None, target.name))["spec"]
    version = next(one["name"] for one in spec["versions"] if one.get("storage"))
    kind = Kind(
        spec["names"]["kind"],
        f"{spec['group']}/{version}",
        spec["names"]["plural"],
        is_namespaced=spec["scope"] == "Namespaced",
    )
    return await _listed(api, [kind], None)


async def _listed(api: KubernetesApi, kinds: Sequence[Kind], namespace: str | None) -> list[dict[str, Any]]:
    """Items of a list say neither kind nor apiVersion, so both are written into them."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def listed(kind: Kind) -> list[dict[str, Any]]:
        async with room:
            items = await api.list(kind, namespace, limit=_MOST + 1)
        if len(items) > _MOST:
            raise StepFailedError(
                f"There are more than {_MOST:,} objects of kind {kind.name}; that is too many to keep."
            )
        return [{**one, "kind": kind.name, "apiVersion": kind.api_version} for one in items]

    try:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(listed(kind)) for kind in kinds]
    except ExceptionGroup as failures:
        raise first_of(failures) from failures
    return [one for task in asked for one in task.result()]


def _uid(one: Manifest) -> str:
    return str(one["metadata"].get("uid"))


def _owner_uids(one: Manifest) -> set[str]:
    return {str(reference.get("uid")) for reference in one["metadata"].get("ownerReferences") or []}
