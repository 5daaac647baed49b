"""What a judged line would touch, found before it runs: by server-side dry run, by discovery and by ownership."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import owners
from core.cluster import discovery, kinds
from core.cluster.api import KubernetesApi
from core.commands.flags import Invocation, parse_invocation
from core.commands.grammar import Refused
from core.commands.helm import HELM
from core.commands.kubectl import KUBECTL, parse_kubectl
from core.effects import Judged
from core.errors import StepFailedError, first_of
from core.helm_releases import Release
from core.resources import Resource
from core.snapshot import Manifest, Touched

Ask = Callable[[tuple[str, ...]], Awaitable[str]]
"""Runs a kubectl line that changes nothing and answers all that it printed; StepFailedError where it failed."""

_SELECTING = ("namespace", "all-namespaces", "selector", "field-selector", "filename", "kustomize", "recursive")
_INSIDE = frozenset({"exec", "cp"})
"""Verbs that change what is inside a container, and no object."""
_AT_ONCE = 8
_NODES = frozenset({"cordon", "uncordon", "drain"})
_SWITCHES: Mapping[str, tuple[str, bool]] = {
    "rollout pause": ("paused", True),
    "rollout resume": ("paused", False),
    "cordon": ("unschedulable", True),
    "uncordon": ("unschedulable", False),
    "drain": ("unschedulable", True),
}
"""Verbs without a dry run that set one field of `spec`."""
_UNTOLD = frozenset({"rollout restart", "rollout undo"})
"""Verbs without a dry run, or whose dry run prints the object as it was."""
_OTHERWISE = frozenset(
    {"output", "dry-run", "template", "show-managed-fields", "force", "wait", "timeout", "v", "vmodule"}
)


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds by asking the API server. Whatever it refuses to show or to try is raised, so that nothing is changed."""

    api: KubernetesApi
    reader: discovery.Reader
    ask: Ask

    async def find(self, judged: Judged, namespace: str) -> tuple[Touched, ...]:
        """In the order in which undo goes backwards: what must be made again first comes last.

        Empty for what changes no object (inside a container). StepFailedError where it cannot be told.
        """
        program, *arguments = judged.stages[0]
        try:
            match program:
                case "kubectl":
                    return await self._by_kubectl(parse_kubectl(tuple(arguments)))
                case "helm":
                    invocation = parse_invocation("helm", tuple(arguments), HELM, lambda _verb, _name: None)
                    return await self._by_helm(invocation, namespace)
                case _:
                    raise StepFailedError(f"What {program} changes cannot be found beforehand, so it cannot be undone.")
        except Refused as refused:
            raise StepFailedError(refused.reason) from refused

    async def _by_kubectl(self, invocation: Invocation) -> tuple[Touched, ...]:
        verb = invocation.verb
        if invocation.is_on("prune"):
            raise StepFailedError("What --prune deletes cannot be found beforehand; delete it by name.")
        if verb in _INSIDE:
            return ()
        if verb == "delete":
            return await self._gone(await self._selected(invocation))
        if verb == "replace" and invocation.is_on("force"):
            return await self._made_anew(invocation)
        if verb in _NODES:
            return await self._nodes(invocation)
        if verb in _SWITCHES:
            field, is_on = _SWITCHES[verb]
            return tuple(_switched(one, field, is_on=is_on) for one in await self._selected(invocation))
        if verb in _UNTOLD:
            selected = await self._selected(invocation)
            return tuple(Touched(resource_of(one), one, one, is_tried=False) for one in selected)
        if KUBECTL.of(verb, "dry-run") is None or KUBECTL.of(verb, "output") is None:
            raise StepFailedError(f"What kubectl {verb} changes cannot be found beforehand, so it cannot be undone.")
        return await self._tried(invocation)

    async def _tried(self, invocation: Invocation) -> tuple[Touched, ...]:
        """By the dry run of the very line; a webhook with side effects refuses that, and so the change."""
        proposals = _manifests(await self.ask(_line(invocation, invocation.words, ("dry-run=server", "output=json"))))
        if any(one.get("kind") == "Scale" for one in proposals):
            number = proposals[0]["spec"].get("replicas")
            return tuple(_with_field(one, "replicas", number) for one in await self._selected(invocation))
        if any(not one["metadata"].get("name") or one["metadata"].get("generateName") for one in proposals):
            raise StepFailedError("An object whose name the API server makes up cannot be found again; name it.")
        return await self._with_before(proposals)

    async def _with_before(self, proposals: Sequence[Manifest]) -> tuple[Touched, ...]:
        room = asyncio.Semaphore(_AT_ONCE)

        async def read(proposed: Manifest) -> Touched:
            async with room:
                return Touched(resource_of(proposed), await self.reader.read(resource_of(proposed)), proposed)

        try:
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(read(one)) for one in proposals]
        except ExceptionGroup as failures:
            raise first_of(failures) from failures
        return tuple(task.result() for task in asked)

    async def _selected(self, invocation: Invocation, words: tuple[str, ...] | None = None) -> list[Manifest]:
        """What the words, selectors and files of the line name, as it is live."""
        flags = {name: values for name, values in invocation.flags.items() if name in _SELECTING}
        asked = Invocation("kubectl", "get", invocation.words if words is None else words, flags)
        return _manifests(
            await self.ask(_line(asked, asked.words, ("ignore-not-found", "show-managed-fields", "output=json")))
        )

    async def _gone(self, targets: Sequence[Manifest]) -> tuple[Touched, ...]:
        """With what goes along: all of a namespace or kind, and what they own that no controller makes again."""
        named = [resource_of(one) for one in targets]
        along = await discovery.touched_by_deletion(self.api, *named)
        return tuple(_touched(one, None) for one in (*along, *targets))

    async def _made_anew(self, invocation: Invocation) -> tuple[Touched, ...]:
        """`replace --force` deletes and makes; it has no dry run, so its files are read as `create` would read them."""
        flags = {name: values for name, values in invocation.flags.items() if name in _SELECTING}
        asked = Invocation("kubectl", "create", (), flags)
        wanted = _manifests(await self.ask(_line(asked, (), ("dry-run=client", "output=json"))))
        found = await self._with_before(wanted)
        gone = [resource_of(one.before) for one in found if one.before is not None]
        along = await discovery.touched_by_deletion(self.api, *gone)
        return (*(_touched(one, None) for one in along), *found)

    async def _nodes(self, invocation: Invocation) -> tuple[Touched, ...]:
        nodes = await self._selected(invocation, ("nodes", *invocation.words))
        pods: list[Touched] = []
        for node in nodes if invocation.verb == "drain" else ():
            query = [("fieldSelector", f"spec.nodeName={node['metadata']['name']}")]
            there = await self.api.list(kinds.POD, None, query=query)
            bare = [{**one, "kind": "Pod", "apiVersion": "v1"} for one in there if not owners.has_controller(one)]
            pods += [_touched(one, None) for one in bare]
        field, is_on = _SWITCHES[invocation.verb]
        return (*pods, *(_switched(one, field, is_on=is_on) for one in nodes))

    async def _by_helm(self, invocation: Invocation, namespace: str) -> tuple[Touched, ...]:
        """The release's objects as they are live, and the Secrets of its revisions, newest last."""
        if invocation.verb not in {"upgrade", "rollback", "uninstall"} or not invocation.words:
            raise StepFailedError(
                f"What helm {invocation.verb} makes cannot be found beforehand, so it cannot be undone."
            )
        where = invocation.last("namespace") or namespace
        found: list[Touched] = []
        for name in invocation.words if invocation.verb == "uninstall" else invocation.words[:1]:
            release = await self._newest(name, where)
            is_gone = invocation.verb == "uninstall"
            objects = await discovery.objects_of_release(self.reader, release)
            found += [Touched(resource_of(one), one, None if is_gone else one, is_tried=is_gone) for one in objects]
        return tuple(found)

    async def _newest(self, name: str, namespace: str) -> Release:
        revisions = await discovery.revisions_of(self.reader, name, namespace)
        if not revisions:
            raise StepFailedError(f"There is no helm release {namespace}/{name} that may be read here.")
        return revisions[max(revisions)]


def _line(invocation: Invocation, words: tuple[str, ...], added: tuple[str, ...]) -> tuple[str, ...]:
    """The line again, with flags of ours in place of those that say how it answers."""
    replaced = _OTHERWISE if invocation.verb == "get" else _OTHERWISE - {"force", "wait", "timeout"}
    given = [(name, value) for name, values in invocation.flags.items() if name not in replaced for value in values]
    flags = [f"--{name}={value}" if value else f"--{name}" for name, value in given]
    dash = len(words) if invocation.dash is None else invocation.dash
    rest = () if invocation.dash is None else ("--", *words[dash:])
    return ("kubectl", *invocation.verb.split(), *words[:dash], *flags, *(f"--{one}" for one in added), *rest)


def _manifests(printed: str) -> list[Manifest]:
    """The objects of an answer: one, a list, or several after each other, with warnings in between."""
    decoder, place = json.JSONDecoder(), 0
    found: list[Manifest] = []
    while (start := _next_object(printed, place)) is not None:
        try:
            one, place = decoder.raw_decode(printed, start)
        except ValueError as error:
            raise StepFailedError("What the line touches could not be read from the dry run's answer.") from error
        found += one["items"] if one.get("kind") == "List" else [one]
    if not all(isinstance(one.get("metadata"), dict) and one.get("kind") for one in found):
        raise StepFailedError("The dry run answered with something that is no object.")
    return found


def _next_object(printed: str, place: int) -> int | None:
    """Where the next line that begins with a brace is."""
    if printed.startswith("{", place) and (place == 0 or printed[place - 1] in "\n}"):
        return place
    found = printed.find("\n{", place)
    return None if found < 0 else found + 1


def resource_of(manifest: Mapping[str, Any]) -> Resource:
    """What names this object."""
    metadata = manifest["metadata"]
    return Resource(
        manifest["kind"], metadata["name"], metadata.get("namespace"), manifest["apiVersion"], metadata.get("uid")
    )


def _touched(before: Manifest, proposed: Manifest | None) -> Touched:
    return Touched(resource_of(before), before, proposed)


def _switched(before: Manifest, field: str, *, is_on: bool) -> Touched:
    """`spec.FIELD` is true, or not there."""
    return _with_field(before, field, True if is_on else None)


def _with_field(before: Manifest, field: str, value: object) -> Touched:
    spec = {key: one for key, one in (before.get("spec") or {}).items() if key != field}
    return _touched(before, {**before, "spec": spec if value is None else {**spec, field: value}})
