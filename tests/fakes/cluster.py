"""A cluster in a dictionary: objects by kind, namespace and name; kubectl lines change it as a test says."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.effects import Aim, Change, Effect, Judged
from core.errors import InvalidInputError, NotAllowedError, NotFoundError, ResolverError, StaleError, StepFailedError
from core.helm_releases import Release
from core.ports import CommandResult
from core.resources import Resource, Workload
from core.snapshot import Manifest, Touched

Stages = tuple[tuple[str, ...], ...]


@dataclass
class FakeCluster:
    """`effects` maps a command line (joined by blanks) to what it does; `workloads` is what health is read from.

    `touches` maps a line to what it would touch, for lines whose effects the gate cannot tell; `dry_run_error` is
    raised instead.
    """

    objects: dict[Resource, dict[str, Any]] = field(default_factory=dict)
    workloads: dict[Resource, Workload] = field(default_factory=dict)
    effects: dict[str, Callable[[], str]] = field(default_factory=dict)
    touches: dict[str, tuple[Touched, ...]] = field(default_factory=dict)
    dry_run_error: ResolverError | None = None
    ran: list[str] = field(default_factory=list)
    unkept: set[Resource] = field(default_factory=set)
    versions: int = 100

    async def workload(self, resource: Resource) -> Workload | None:
        return self.workloads.get(resource)

    async def read(self, resource: Resource) -> Manifest | None:
        return copy.deepcopy(self.objects.get(resource))

    async def check_kept(self, resource: Resource) -> None:
        if resource in self.unkept:
            raise NotAllowedError(f"{resource} could not be put back. Add to its Role: a line")

    async def resolve(self, judged: Judged) -> tuple[Resource, ...]:
        """By `objects`: names, whole kinds, and selectors of the form KEY=VALUE."""
        aim = judged.aim
        if aim is None or aim.unclear:
            raise InvalidInputError(aim.unclear if aim else "It cannot be told.")
        found = {named for kind, name in aim.pairs for named in self._named(kind, name, aim)}
        for one in aim.objects:
            if one not in self.objects and not aim.may_be_new:
                raise NotFoundError(f"{one} does not exist.")
            found.add(self._live(one) if one in self.objects else one)
        if not found:
            raise NotFoundError("No object matches, so there is nothing to change.")
        return tuple(sorted(found))

    def _named(self, kind: str, name: str, aim: Aim) -> list[Resource]:
        if name:
            one = Resource(kind, name, None if kind == "Node" else aim.namespace)
            if one not in self.objects:
                raise NotFoundError(f"{one} does not exist.")
            return [self._live(one)]
        key, _, value = aim.selector.partition("=")
        return [
            self._live(one)
            for one, live in self.objects.items()
            if one.kind == kind and (not key or live["metadata"].get("labels", {}).get(key) == value)
        ]

    def _live(self, one: Resource) -> Resource:
        live = self.objects[one]
        return replace(one, api_version=live.get("apiVersion", ""), uid=live["metadata"].get("uid"))

    async def touched(self, judged: Judged, *, folder: Path, namespace: str) -> list[Touched]:
        if self.dry_run_error is not None:
            raise self.dry_run_error
        if judged.line not in self.touches and judged.effects:
            return [self._tried(one) for one in judged.effects]
        if judged.line not in self.touches:
            raise StepFailedError("What it changes cannot be found beforehand.")
        return list(self.touches[judged.line])

    def _tried(self, effect: Effect) -> Touched:
        """As the API server's dry run answers: an undo and a restart show the object as it is."""
        target = self._live(Resource(effect.kind, effect.name, effect.namespace))
        before = copy.deepcopy(self.objects[target])
        proposed = copy.deepcopy(before)
        match effect.change:
            case Change.DELETE_POD:
                return Touched(target, before, None)
            case Change.SCALE:
                proposed["spec"]["replicas"] = effect.replicas
            case Change.SET_IMAGE:
                containers = dict(effect.images)
                for one in proposed["spec"]["template"]["spec"]["containers"]:
                    one["image"] = containers.get(one["name"], one["image"])
            case _:
                pass
        return Touched(target, before, proposed)

    async def touched_by_deletion(self, resource: Resource) -> list[Manifest]:
        return [one for one in self.objects.values() if one["metadata"].get("namespace") == resource.name]

    async def create(self, manifest: Manifest, *, is_dry_run: bool) -> Manifest:
        if resource_of(manifest) in self.objects:
            raise StaleError("The object exists already.")
        self.versions += 1
        given = {"uid": f"made-{self.versions}", "resourceVersion": str(self.versions)}
        made = copy.deepcopy({**manifest, "metadata": {**manifest["metadata"], **given}})
        if not is_dry_run:
            self.objects[resource_of(manifest)] = made
        return copy.deepcopy(made)

    async def replace(self, manifest: Manifest, *, is_dry_run: bool) -> Manifest:
        live = self.objects.get(resource_of(manifest))
        if live is None or live["metadata"]["resourceVersion"] != manifest["metadata"]["resourceVersion"]:
            raise StaleError("The object has been modified.")
        self.versions += 1
        metadata = {**manifest["metadata"], "resourceVersion": str(self.versions)}
        written = copy.deepcopy({**manifest, "metadata": metadata})
        if not is_dry_run:
            self.objects[resource_of(manifest)] = written
        return copy.deepcopy(written)

    async def replace_status(self, manifest: Manifest) -> Manifest:
        self.objects[resource_of(manifest)]["status"] = manifest["status"]
        return manifest

    async def listed(self, kind: str, namespace: str | None) -> list[Manifest]:
        wanted = (kind, namespace)
        return [one for resource, one in self.objects.items() if (resource.kind, resource.namespace) == wanted]

    async def roll_release_back(self, release: Release) -> None:
        raise StepFailedError(f"There is no helm here to roll {release.name} back with.")

    async def delete(self, resource: Resource, *, is_dry_run: bool) -> None:
        live = self.objects.get(resource)
        if live is None or live["metadata"]["uid"] != resource.uid:
            raise StaleError("It is another object.")
        if not is_dry_run:
            del self.objects[resource]

    async def run(self, stages: Stages, *, folder: Path, seconds: float, **_: object) -> CommandResult:
        line = " ".join(stages[0])
        self.ran.append(line)
        effect = self.effects.get(line)
        return CommandResult(0, effect() if effect else "ok")


def resource_of(manifest: Manifest) -> Resource:
    return Resource(manifest["kind"], manifest["metadata"]["name"], manifest["metadata"].get("namespace"))
