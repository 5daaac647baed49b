"""Which objects a line about helm releases means: what their revisions hold, by the cluster's own word."""

from dataclasses import dataclass

from core.cluster.discovery import Reader, objects_of_release, revisions_of
from core.cluster.touching import resource_of
from core.effects import Aim
from core.errors import NotFoundError
from core.helm_releases import Release
from core.resources import Resource


@dataclass(frozen=True, slots=True)
class Releases:
    """Needs an identity that may read Secrets: helm keeps its revisions there."""

    reader: Reader

    async def targets(self, aim: Aim) -> list[Resource]:
        """The objects that are there, the Secrets of the revisions with them; one without uid is yet to be made.

        NotFoundError where there is no such release or revision.
        """
        found: list[Resource] = []
        for name in aim.releases:
            revisions = await self._revisions(name, aim.namespace)
            newest = max(revisions)
            there = [resource_of(one) for one in await objects_of_release(self.reader, revisions[newest])]
            found += there
            if aim.rolls_back:
                wanted = aim.to_revision or newest - 1
                if wanted not in revisions:
                    raise NotFoundError(f"The helm release {aim.namespace}/{name} has no revision {wanted}.")
                found += await self._others_of(revisions[wanted], set(there))
        return found

    async def _revisions(self, name: str, namespace: str) -> dict[int, Release]:
        found = await revisions_of(self.reader, name, namespace)
        if not found:
            raise NotFoundError(f"There is no helm release {namespace}/{name} that may be read here.")
        return found

    async def _others_of(self, release: Release, there: set[Resource]) -> list[Resource]:
        """What this revision holds beside those: live all the same, or yet to be made."""
        others = [(one, await self.reader.read(one)) for one in release.objects() if one not in there]
        return [named if live is None else resource_of(live) for named, live in others]
