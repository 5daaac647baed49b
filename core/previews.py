"""What a judged line would change, by the API server's own dry run: nothing is changed by asking."""

import copy
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import diffs, revisions
from core.effects import Change, Effect, Judged
from core.errors import NotFoundError, StepFailedError
from core.ports import Cluster
from core.redaction import redact
from core.resources import Resource
from core.risk_levels import RiskLevel
from core.running import run_judged
from core.snapshot import Manifest

Gate = Callable[[str], Judged]
_WORKLOAD_REVISIONS = {
    "Deployment": "ReplicaSet",
    "StatefulSet": "ControllerRevision",
    "DaemonSet": "ControllerRevision",
}
_WHEN = "1970-01-01T00:00:00Z"
"""Stands for the time of a restart; a difference never shows it."""


@dataclass(frozen=True, slots=True)
class Previewer:
    """`cluster` speaks with the preview identity: it may try changes and make none."""

    cluster: Cluster
    seconds_per_command: float = 30.0

    async def diff(
        self, judged: Judged, targets: Sequence[Resource], *, gate: Gate, folder: Path, namespace: str
    ) -> str:
        """Field by field what the line would change of `targets`, as the API server answers it.

        ResolverError says why it was refused, that it would change nothing, or that the line cannot be tried.
        """
        before = {target: await self.cluster.read(target) for target in targets}
        gone = next((one for one, live in before.items() if live is None and one.uid is not None), None)
        if gone is not None:
            raise NotFoundError(f"{gone} does not exist any more.")
        after = await self._after(judged, before, gate=gate, folder=folder, namespace=namespace)
        if isinstance(after, str):
            return after
        stranger = next((one for one in after if one not in before), None)
        if stranger is not None:
            raise StepFailedError(f"The dry run would touch {stranger}, which the line's own words do not name.")
        found = diffs.joined([diffs.diff(one, before[one], after[one]) for one in targets if one in after])
        if not found:
            raise StepFailedError("The API server's dry run says that it would change nothing.")
        return found

    async def _after(
        self, judged: Judged, before: Mapping[Resource, Manifest | None], *, gate: Gate, folder: Path, namespace: str
    ) -> Mapping[Resource, Manifest | None] | str:
        """Each object as it would be; kubectl's own words for verbs that show no objects."""
        effect = judged.effects[0] if len(judged.effects) == 1 else None
        if effect is None or effect.change is not Change.RESTART:  # it has no dry run
            told, is_json = await self._tried(judged, gate=gate, folder=folder, namespace=namespace)
            if judged.verb == "kubectl delete":
                return dict.fromkeys(before)
            if effect is None or effect.change not in _MADE:
                if not is_json:
                    return redact(told.strip())[: diffs.LONGEST]
                return {_resource(one): one for one in _objects(told)}
        return {one: await self._written(effect, live) for one, live in before.items() if live is not None}

    async def _tried(self, judged: Judged, *, gate: Gate, folder: Path, namespace: str) -> tuple[str, bool]:
        """What kubectl prints for the line as a server-side dry run, and whether that is JSON; the gate must call it one."""
        argv = judged.stages[0]
        wanted = ("-o", "json") if judged.verb != "kubectl delete" else ("-o", "name")
        dry = gate(shlex.join([*argv, _DRY, *wanted]))
        is_json = dry.risk is RiskLevel.LOW
        if not is_json:
            dry = gate(shlex.join([*argv, _DRY]))
        if dry.risk is not RiskLevel.LOW:
            raise StepFailedError(f"{judged.verb or argv[0]} cannot be tried by server-side dry run.")
        done = await run_judged(self.cluster, dry, folder=folder, seconds=self.seconds_per_command, namespace=namespace)
        if done.exit_code != 0:
            raise StepFailedError(f"The API server's dry run refused it: {redact(done.output.strip())[-600:]}")
        return done.output, is_json

    async def _written(self, effect: Effect, live: Manifest) -> Manifest:
        """Of lines that kubectl shows the old object for: what the same change makes of it, by dry run."""
        wanted: dict[str, Any] | None = copy.deepcopy(dict(live))
        match effect.change:
            case Change.SCALE:
                wanted["spec"]["replicas"] = effect.replicas  # type: ignore[index]  # not None here
            case Change.RESTART:
                template = wanted["spec"]["template"].setdefault("metadata", {})  # type: ignore[index]  # as above
                template["annotations"] = (template.get("annotations") or {}) | {diffs.RESTARTED: _WHEN}
            case _:
                listed = await self.cluster.listed(_WORKLOAD_REVISIONS[effect.kind], effect.namespace)
                wanted = revisions.undone(live, listed, to_revision=effect.to_revision)
        if wanted is None:
            raise StepFailedError(f"{effect.kind} {effect.name} has no such earlier revision to go back to.")
        return await self.cluster.replace(wanted, is_dry_run=True)


_DRY = "--dry-run=server"
_MADE = frozenset({Change.SCALE, Change.RESTART, Change.UNDO})


def _objects(text: str) -> list[Manifest]:
    """The objects kubectl printed one after the other, lists taken apart. StepFailedError for anything else."""
    decoder, found = json.JSONDecoder(), []
    text = text.strip()
    while text:
        try:
            one, place = decoder.raw_decode(text)
            found += one["items"] if "items" in one else [one]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise StepFailedError("What the dry run answered cannot be shown: it is too long, or no object.") from error
        text = text[place:].lstrip()
    if not all(isinstance(one, dict) and isinstance(one.get("metadata"), dict) for one in found):
        raise StepFailedError("What the dry run answered cannot be shown: it holds no object.")
    return found


def _resource(one: Manifest) -> Resource:
    return Resource(str(one.get("kind")), str(one["metadata"].get("name")), one["metadata"].get("namespace"))
