"""What a judged line would change, by the API server's own dry run: nothing is changed by asking."""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core import diffs, revisions
from core.effects import Change, Effect, Judged
from core.errors import NotAllowedError, StepFailedError
from core.foresight import foresee
from core.ports import Cluster
from core.risk_levels import RiskLevel
from core.snapshot import Manifest, Touched

_REVISIONS = {"Deployment": "ReplicaSet", "StatefulSet": "ControllerRevision", "DaemonSet": "ControllerRevision"}


@dataclass(frozen=True, slots=True)
class Preview:
    """`diff` is field by field what would change; `losses` are sentences on what undo cannot bring back."""

    diff: str
    touched: tuple[Touched, ...]
    losses: tuple[str, ...] = ()
    least_risk: RiskLevel = RiskLevel.LOW


@dataclass(frozen=True, slots=True)
class Previewer:
    """`cluster` speaks with the preview identity: it may try changes and make none."""

    cluster: Cluster

    async def preview(self, judged: Judged, *, folder: Path, namespace: str) -> Preview:
        """Of a line above LOW. ResolverError says why it cannot be tried, was refused, or would change nothing."""
        foresight = await foresee(self.cluster, judged, folder=folder, namespace=namespace)
        if foresight.refusal is not None:
            raise NotAllowedError(f"It could not be undone. {foresight.refusal}")
        touched = foresight.touched
        if judged.effects:
            touched = tuple(await self.cluster.touched(judged, folder=folder, namespace=namespace))
        effect = judged.effects[0] if len(judged.effects) == 1 else None
        if effect is not None and effect.change in {Change.UNDO, Change.RESTART}:
            touched = tuple([replace(one, proposed=await self._written(effect, one)) for one in touched])
        for one in touched:
            if one.is_deleted:
                await self.cluster.delete(one.target, is_dry_run=True)
        told = diffs.joined([diffs.diff(one.target, one.before, one.proposed) for one in touched])
        if not told:
            raise StepFailedError("The API server's dry run says that it would change nothing.")
        lost = tuple(one.sentence for one in foresight.losses)
        return Preview(told, touched, lost, foresight.least_risk)

    async def _written(self, effect: Effect, touched: Touched) -> Manifest:
        """Of verbs that answer with the old object: what the same change makes of it, by dry run."""
        live = touched.before or {}
        wanted: dict[str, Any] | None
        if effect.change is Change.RESTART:
            wanted = _restarted(copy.deepcopy(dict(live)))
        else:
            listed = await self.cluster.listed(_REVISIONS[effect.kind], effect.namespace)
            wanted = revisions.undone(live, listed, to_revision=effect.to_revision)
        if wanted is None:
            raise StepFailedError(f"{touched.target} has no such earlier revision to go back to.")
        return await self.cluster.replace(wanted, is_dry_run=True)


def _restarted(live: dict[str, Any]) -> dict[str, Any]:
    metadata = live["spec"]["template"].setdefault("metadata", {})
    metadata["annotations"] = (metadata.get("annotations") or {}) | {diffs.RESTARTED: diffs.RUN_TIME}
    return live
