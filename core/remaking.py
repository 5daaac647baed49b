"""Remaking: creates a deleted object again from its snapshot, and waits where what comes after needs it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core import owners, recreation
from core.errors import InvalidInputError, NotAllowedError, NotFoundError, ResolverError, StepFailedError
from core.ports import Cluster
from core.resources import Resource
from core.snapshot import Manifest, SnapshotEntry

_WAIT_SECONDS = 15.0
_LOOK_SECONDS = 0.2
_NO_DATA = "its data went with its volume; a new claim would be empty, so none was made."


@dataclass(frozen=True, slots=True)
class Made:
    """The object as the API server made it, and what is not as before ("" where nothing)."""

    manifest: Manifest
    difference: str


@dataclass(frozen=True, slots=True)
class Unmade:
    """Why it was left: status skipped, conflict or failed."""

    status: str
    sentence: str
    is_beyond: bool = False


@dataclass(slots=True)
class Remaking:
    """What one rollback has made so far. `remade` maps uids of before to those of now."""

    cluster: Cluster
    is_dry_run: bool
    remade: dict[str, str] = field(default_factory=dict)
    _made_kinds: set[str] = field(default_factory=set)

    async def make(self, entry: SnapshotEntry, *, is_approved: bool) -> Made | Unmade:
        """StaleError when it came into being meanwhile; any other error is the API server's refusal."""
        before = entry.before or {}
        refused = recreation.refusal(before)
        if refused is not None and not (before.get("kind") == "Job" and is_approved):
            return Unmade(refused.status, refused.sentence, is_beyond=before.get("kind") == "Job")
        living = await self._living_owners(entry)
        controller = owners.controller_of(before)
        if controller is not None and controller.get("uid") in living:
            return Unmade("skipped", f"{controller.get('kind')} {controller.get('name')} makes what it needs itself.")
        manifest = recreation.to_create(before, owners=living)
        if before.get("kind") == "PersistentVolumeClaim":
            unmade = await self._rebind(before, manifest)
            if unmade is not None:
                return unmade
        made = await self._first_accepted(before, manifest)
        self._made_kinds.add(entry.target.kind)
        if not self.is_dry_run:
            await self._until_usable(entry.target)
        return made

    async def _first_accepted(self, before: Manifest, manifest: dict[str, Any]) -> Made:
        refused: InvalidInputError | None = None
        for attempt in recreation.attempts(before, manifest):
            try:
                return Made(await self._create(attempt.manifest), attempt.difference)
            except InvalidInputError as error:
                refused = error
        raise refused or StepFailedError("There was nothing to try.")

    async def _create(self, manifest: dict[str, Any]) -> Manifest:
        """In a namespace or of a kind made a moment ago, refusals are waited out: parts of it come a moment later."""
        is_young = not self._made_kinds.isdisjoint({"Namespace", "CustomResourceDefinition"})
        for _ in range(int(_WAIT_SECONDS / _LOOK_SECONDS) if is_young else 0):
            try:
                return await self.cluster.create(manifest, is_dry_run=self.is_dry_run)
            except (NotFoundError, NotAllowedError, InvalidInputError):
                if self.is_dry_run:
                    return manifest  # the namespace or kind that it needs would be there
                await asyncio.sleep(_LOOK_SECONDS)
        return await self.cluster.create(manifest, is_dry_run=self.is_dry_run)

    async def _living_owners(self, entry: SnapshotEntry) -> dict[str, str]:
        """The uid each owner had, to the uid it has now; an owner that is gone is not in it."""
        found: dict[str, str] = {}
        for owner in (entry.before or {}).get("metadata", {}).get("ownerReferences") or []:
            old = str(owner.get("uid"))
            if old in self.remade:
                found[old] = self.remade[old]
                continue
            target = Resource(owner["kind"], owner["name"], entry.target.namespace, owner.get("apiVersion", ""))
            try:
                live = await self.cluster.read(target)
            except ResolverError:
                continue
            if live is not None and live.get("metadata", {}).get("uid") == old:
                found[old] = old
        return found

    async def _rebind(self, before: Manifest, manifest: dict[str, Any]) -> Unmade | None:
        """Frees the retained volume for the claim and names it in `manifest`; None where the claim may be made."""
        name = (before.get("spec") or {}).get("volumeName")
        if not name:
            return None
        volume = await self.cluster.read(Resource("PersistentVolume", str(name), None, "v1"))
        if volume is None or volume.get("metadata", {}).get("deletionTimestamp"):
            return Unmade("failed", _NO_DATA)
        spec = volume.get("spec") or {}
        claim, old = spec.get("claimRef") or {}, before["metadata"]
        if (claim.get("namespace"), claim.get("name")) != (old.get("namespace"), old.get("name")):
            return Unmade("conflict", f"PersistentVolume {name} belongs to another claim now.")
        if claim.get("uid") not in {None, old.get("uid")}:
            return Unmade("conflict", f"PersistentVolume {name} is bound to another claim of that name.")
        if spec.get("persistentVolumeReclaimPolicy") != "Retain":
            return Unmade("failed", _NO_DATA)
        manifest["spec"]["volumeName"] = name
        if claim.get("uid") is not None:
            free = {key: value for key, value in claim.items() if key not in {"uid", "resourceVersion"}}
            await self.cluster.replace({**volume, "spec": {**spec, "claimRef": free}}, is_dry_run=self.is_dry_run)
        return None

    async def _until_usable(self, target: Resource) -> None:
        """What is made next needs this one to be ready."""
        match target.kind:
            case "CustomResourceDefinition":
                await self._until(target, lambda one: _has_condition(one, "Established"))
            case "Namespace":
                await self._until(target, lambda one: _phase(one) == "Active")
            case "PersistentVolumeClaim":
                await self._until(target, lambda one: _phase(one) == "Bound", is_needed=False)
            case _:
                pass

    async def _until(self, target: Resource, is_it: Callable[[Manifest], bool], *, is_needed: bool = True) -> None:
        for _ in range(int(_WAIT_SECONDS / _LOOK_SECONDS)):
            live = await self.cluster.read(target)
            if live is not None and is_it(live):
                return
            await asyncio.sleep(_LOOK_SECONDS)
        if is_needed:
            raise StepFailedError(f"It was made again, but was not ready within {_WAIT_SECONDS:g} s.")


def _phase(manifest: Manifest) -> object:
    return (manifest.get("status") or {}).get("phase")


def _has_condition(manifest: Manifest, wanted: str) -> bool:
    conditions = (manifest.get("status") or {}).get("conditions") or []
    return any(one.get("type") == wanted and one.get("status") == "True" for one in conditions)
