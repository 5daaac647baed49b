"""What deleting an object would take with it, found by the API server's discovery and by ownership, not `get all`."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import yaml

from core import owners, recreation
from core.cluster.api import KubernetesApi
from core.cluster.kinds import Kind
from core.errors import NotFoundError, UnavailableError, first_of
from core.helm_releases import Release, release_of
from core.resources import Resource
from core.snapshot import Manifest


class Reader(Protocol):
    """What reads objects of any kind."""

    async def read(self, resource: Resource) -> Manifest | None: ...

    async def listed(self, kind: str, namespace: str | None) -> Sequence[Manifest]: ...


_AT_ONCE = 8
_DISCOVERY = Kind("APIResourceList", "v1", "resources", is_namespaced=False)


async def touched_by_deletion(api: KubernetesApi, target: Resource) -> tuple[Manifest, ...]:
    """What would go with `target`, but not itself: what is made again last comes first, as undo goes backwards.

    Objects that a living controller makes again, and kinds that others derive, are left out. Whatever error reading one
    kind ends in is raised: what cannot be shown cannot be put back.
    """
    match target.kind:
        case "Namespace":
            found = await _objects(api, target.name, is_wanted=lambda _: True)
        case "CustomResourceDefinition":
            found = await _custom_objects(api, target)
        case _:
            found = await _objects(api, target.namespace, is_wanted=lambda one: _is_owned_by(one, target.uid))
    kept = [one for one in found if one["kind"] not in recreation.DERIVED and not owners.has_controller(one)]
    return tuple(sorted(kept, key=lambda one: -recreation.creation_rank(one["kind"])))


async def objects_of_release(reader: Reader, release: Release) -> tuple[Manifest, ...]:
    """The objects of a helm release as they are live, and the Secrets that hold its revisions, newest last."""
    found = []
    for one in yaml.safe_load_all(release.manifest):
        if not one:
            continue
        metadata = one["metadata"]
        namespace = metadata.get("namespace", release.namespace)
        live = await reader.read(Resource(one["kind"], metadata["name"], namespace, one["apiVersion"]))
        found += [live] if live is not None else []
    secrets = [(known, one) for one in await reader.listed("Secret", release.namespace) if (known := release_of(one))]
    kept = sorted(((known.revision, one) for known, one in secrets if known.name == release.name), key=lambda it: it[0])
    objects = sorted(found, key=lambda one: -recreation.creation_rank(one["kind"]))
    return (*objects, *({**one, "apiVersion": "v1", "kind": "Secret"} for _, one in kept))


async def served_kinds(api: KubernetesApi, *, is_namespaced: bool) -> tuple[Kind, ...]:
    """Every kind that can be listed, in the version that the API server prefers."""
    groups = await api.send("GET", _DISCOVERY, path="/apis", namespace=None)
    versions = ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups.get("groups") or [])]
    found: list[Kind] = []
    for version in versions:
        found += await _kinds_of(api, version)
    return tuple(kind for kind in found if kind.is_namespaced is is_namespaced)


async def _kinds_of(api: KubernetesApi, version: str) -> list[Kind]:
    path = f"/apis/{version}" if "/" in version else f"/api/{version}"
    try:
        answer = await api.send("GET", _DISCOVERY, path=path, namespace=None)
    except (NotFoundError, UnavailableError):
        return []  # an aggregated API whose server is away: its objects cannot be deleted either
    return [
        Kind(one["kind"], version, one["name"], is_namespaced=one.get("namespaced") is True)
        for one in answer.get("resources") or []
        if "/" not in one["name"] and {"list", "create"} <= set(one.get("verbs") or [])
    ]


async def _objects(
    api: KubernetesApi, namespace: str | None, *, is_wanted: Callable[[Manifest], bool]
) -> list[dict[str, Any]]:
    kinds = [kind for kind in await served_kinds(api, is_namespaced=True) if kind.name not in recreation.DERIVED]
    return await _listed(api, kinds, namespace, is_wanted=is_wanted)


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
    return await _listed(api, [kind], None, is_wanted=lambda _: True)


async def _listed(
    api: KubernetesApi, kinds: Sequence[Kind], namespace: str | None, *, is_wanted: Callable[[Manifest], bool]
) -> list[dict[str, Any]]:
    """Items of a list say neither kind nor apiVersion, so both are written into them."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def listed(kind: Kind) -> list[dict[str, Any]]:
        async with room:
            items = await api.list(kind, namespace, limit=10_000)
        return [{**one, "kind": kind.name, "apiVersion": kind.api_version} for one in items if is_wanted(one)]

    try:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(listed(kind)) for kind in kinds]
    except ExceptionGroup as failures:
        raise first_of(failures) from failures
    return [one for task in asked for one in task.result()]


def _is_owned_by(one: Manifest, uid: str | None) -> bool:
    references = one["metadata"].get("ownerReferences") or []
    return uid is not None and any(reference.get("uid") == uid for reference in references)
