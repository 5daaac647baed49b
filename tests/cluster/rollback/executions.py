"""An execution as the service runs it: a resolution in the real store, and the one place that changes the cluster."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from core.effects import Change, Effect, Judged
from core.grants import ReadyMade
from core.history import Entry, Happened
from core.permit import Permit, PermitRule
from core.ports import Cluster, Store
from core.resolution import ActionType, Person, Request, Resolution, ResolutionId, State
from core.resources import Resource
from core.risk_levels import RiskLevel
from core.toolbox import GatedToolbox

ADA = Person("slack:T1/U1", "Ada")
LATER = datetime(2100, 1, 1, tzinfo=UTC)


def clock() -> datetime:
    return datetime.now(UTC)


async def executing(store: Store, namespace: str) -> Resolution:
    """A resolution that this worker holds and runs."""
    request = Request("a-client", namespace, ActionType.RESOURCE_SCALE, "scale web")
    made = Resolution(ResolutionId(str(uuid.uuid4())), request, ADA, State.GATHERING, clock(), clock())
    async with store.transaction() as tx:
        stored = await tx.add_resolution(made, dedupe_key=None)
        await tx.append(Entry(Happened.REQUESTED, stored.id, ADA))
    claimed = await store.claim("a-worker", limit=5)
    held = next(one for one in claimed if one.id == stored.id)
    for origin, to in ((State.GATHERING, State.APPROVED), (State.APPROVED, State.EXECUTING)):
        async with store.transaction() as tx:
            moving = replace(held, state=origin)
            assert await tx.move(moving, to=to, because=Entry(Happened.APPROVED, held.id), wake_in_seconds=0)
    return replace(held, state=State.EXECUTING)


def toolbox(resolution: Resolution, target: Resource, *, store: Store, cluster: Cluster, folder: Path) -> GatedToolbox:
    """May scale `target`; every line given to it is judged to be `kubectl scale … --replicas=N`."""
    rule = PermitRule(Change.SCALE, target, replicas=(0, 9))
    namespace = target.namespace or ""
    permit = Permit(ActionType.RESOURCE_SCALE, "c", namespace, (rule,), RiskLevel.HIGH, 1000, LATER)
    return GatedToolbox(
        resolution=resolution,
        permit=permit,
        gate=lambda line: _judged(line, target),
        store=store,
        cluster=cluster,
        changes=cluster,
        grants=ReadyMade(cluster),
        folder=folder,
        clock=clock,
    )


def _judged(line: str, target: Resource) -> Judged:
    replicas = int(line.rpartition("=")[2])
    effect = Effect(Change.SCALE, target.kind, target.name, target.namespace or "", replicas=replicas)
    return Judged(line, RiskLevel.HIGH, "R1", "scales", (tuple(line.split()),), (effect,))
