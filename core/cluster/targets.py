"""Which objects a judged line means, by the API server's own word: names with their uid."""

from collections.abc import Iterable
from typing import Any

from core import owners
from core.cluster.api import KubernetesApi, Query
from core.cluster.discovery import Reader, served_kinds
from core.cluster.kinds import KINDS, NODE, POD, Kind
from core.cluster.releases import Releases
from core.commands.kinds import is_known
from core.effects import Aim, Judged
from core.errors import InvalidInputError, NotFoundError
from core.resources import Resource

MOST_TARGETS = 50


async def resolve_targets(api: KubernetesApi, judged: Judged, reader: Reader) -> tuple[Resource, ...]:
    """All objects the line would change, at most MOST_TARGETS, never none; one without uid is yet to be made.

    InvalidInputError or NotFoundError with the reason where they cannot be told; NotAllowedError where the API server
    does not show them.
    """
    aim = judged.aim
    if aim is None:
        raise InvalidInputError(f"Which objects {judged.verb or 'this line'} changes cannot be told beforehand.")
    if aim.unclear:
        raise InvalidInputError(aim.unclear)
    found: dict[tuple[str, str | None, str], Resource] = {}
    kinds = _Kinds(api)
    for kind_or_word, name in aim.pairs:
        for one in await _of_pair(api, await kinds.of_word(kind_or_word), name, aim):
            found[one.kind, one.namespace, one.name] = one
    for named in aim.objects:
        one = await _of_object(api, await kinds.of(named), named, may_be_new=aim.may_be_new)
        found[one.kind, one.namespace, one.name] = one
    for one in await Releases(reader).targets(aim):
        found[one.kind, one.namespace, one.name] = one
    if aim.drains:
        for one in await _pods_on(api, [node for node in found.values() if node.kind == NODE.name]):
            found[one.kind, one.namespace, one.name] = one
    if not found:
        raise NotFoundError("No object matches, so there is nothing to change.")
    if len(found) > MOST_TARGETS:
        raise InvalidInputError(f"It would change {len(found)} objects; at most {MOST_TARGETS} in one line.")
    return tuple(sorted(found.values()))


async def _of_pair(api: KubernetesApi, kind: Kind, name: str, aim: Aim) -> list[Resource]:
    namespace = aim.namespace if kind.is_namespaced else None
    if name:
        try:
            return [_resource(kind, await api.get(kind, namespace, name))]
        except NotFoundError as error:
            raise NotFoundError(f"{Resource(kind.name, name, namespace)} does not exist.") from error
    selectors = (("labelSelector", aim.selector), ("fieldSelector", aim.field_selector))
    query: Query = [(key, value) for key, value in selectors if value]
    where = None if aim.is_everywhere else namespace
    return [_resource(kind, one) for one in await api.list(kind, where, query=query)]


async def _of_object(api: KubernetesApi, kind: Kind, named: Resource, *, may_be_new: bool) -> Resource:
    namespace = named.namespace if kind.is_namespaced else None
    try:
        return _resource(kind, await api.get(kind, namespace, named.name))
    except NotFoundError:
        if may_be_new:
            return Resource(kind.name, named.name, namespace, kind.api_version)
        raise NotFoundError(f"{Resource(kind.name, named.name, namespace)} does not exist.") from None


async def _pods_on(api: KubernetesApi, nodes: Iterable[Resource]) -> list[Resource]:
    """What a drain evicts: pods of DaemonSets and of the kubelet itself stay."""
    found: list[Resource] = []
    for node in nodes:
        pods = await api.list(POD, None, query=[("fieldSelector", f"spec.nodeName={node.name}")])
        found += [_resource(POD, pod) for pod in pods if not _stays(pod)]
    return found


def _stays(pod: dict[str, Any]) -> bool:
    metadata = pod.get("metadata") or {}
    is_mirror = "kubernetes.io/config.mirror" in (metadata.get("annotations") or {})
    owner = owners.controller_of(pod)
    return is_mirror or (owner is not None and owner.get("kind") == "DaemonSet")


def _resource(kind: Kind, manifest: dict[str, Any]) -> Resource:
    metadata = manifest.get("metadata") or {}
    uid = metadata.get("uid")
    if not uid:
        raise InvalidInputError(f"The Kubernetes API showed a {kind.name} without a uid; nothing can be bound to it.")
    return Resource(kind.name, str(metadata.get("name")), metadata.get("namespace"), kind.api_version, str(uid))


class _Kinds:
    """Kinds by the words of a line; the API server's discovery is asked once, and only for what is not built in."""

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api
        self._served: list[Kind] | None = None

    async def of_word(self, word: str) -> Kind:
        """`word` is a kind ("Pod"), or the line's own ("widgets.example.com") for one that the gate does not know."""
        if word in KINDS:
            return KINDS[word]
        if word == "all":
            raise InvalidInputError("'all' stands for ten kinds: name the kinds that are meant.")
        name, _, group = word.lower().partition(".")
        served = [one for one in await self._all() if name in {one.name.lower(), one.resource, f"{one.name.lower()}s"}]
        found = [one for one in served if not group or group in {one.group, f"{one.api_version.rpartition('/')[2]}"}]
        if len(found) != 1:
            raise InvalidInputError(_which(word, served, is_builtin=is_known(word)))
        return found[0]

    async def of(self, named: Resource) -> Kind:
        known = KINDS.get(named.kind)
        if not named.api_version or (known is not None and known.api_version == named.api_version):
            return await self.of_word(named.kind)
        served = [one for one in await self._all() if (one.name, one.api_version) == (named.kind, named.api_version)]
        if not served:
            raise InvalidInputError(
                f"The Kubernetes API does not serve {named.kind} in {named.api_version}, or not as its first version."
            )
        return served[0]

    async def _all(self) -> list[Kind]:
        if self._served is None:
            both = [await served_kinds(self._api, is_namespaced=flag) for flag in (True, False)]
            self._served = [kind for several in both for kind in several]
        return self._served


def _which(word: str, served: list[Kind], *, is_builtin: bool) -> str:
    if served and not is_builtin:
        names = " or ".join(f"{one.resource}.{one.group}" for one in served)
        return f"The kind {word!r} is not one kind here; write {names}."
    return f"The Kubernetes API serves no kind {word!r}, or more than one; write it with its group."
