"""Foresight: what a judged line would touch and what undo could not bring back, known before anybody is asked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core import losses
from core.effects import Change, Effect, Judged
from core.errors import NotFoundError
from core.helm_releases import release_of
from core.losses import Loss
from core.ports import Cluster
from core.resources import Resource
from core.risk_levels import RiskLevel
from core.snapshot import Manifest, Touched


@dataclass(frozen=True, slots=True)
class Foresight:
    """`touched`: those undone first come last. `losses`: sentences for the card, each raises the risk."""

    touched: tuple[Touched, ...]
    losses: tuple[Loss, ...]

    @property
    def refusal(self) -> str | None:
        """Why the line is not even asked for; None where it may be."""
        worst = [loss.sentence for loss in self.losses if loss.is_refused]
        return f"{'. '.join(worst)}." if worst else None

    @property
    def least_risk(self) -> RiskLevel:
        return max((loss.level for loss in self.losses), default=RiskLevel.LOW)


async def foresee(cluster: Cluster, judged: Judged, *, folder: Path, namespace: str) -> Foresight:
    """Of a line above LOW. Where the gate can tell each effect, the objects are read; else the API server is asked.

    What cannot be found, shown or tried is an error: such a line is not run.
    """
    if judged.effects:
        touched = [await _of_effect(cluster, effect) for effect in judged.effects]
    else:
        touched = list(await cluster.touched(judged, folder=folder, namespace=namespace))
    lost = list(losses.of_line(judged.verb))
    if not touched and not lost:
        raise NotFoundError("It names no object that exists.")
    for one in touched:
        lost += await _of_touched(cluster, one)
    return Foresight(tuple(touched), tuple(dict.fromkeys(lost)))


async def _of_effect(cluster: Cluster, effect: Effect) -> Touched:
    target = Resource(effect.kind, effect.name, effect.namespace)
    before = await cluster.read(target)
    if before is None:
        raise NotFoundError(f"{target} does not exist.")
    metadata = before.get("metadata") or {}
    named = replace(target, api_version=str(before.get("apiVersion", "")), uid=metadata.get("uid"))
    match effect.change:
        case Change.DELETE_POD:
            return Touched(named, before, None)
        case Change.SCALE:
            return Touched(
                named, before, {**before, "spec": {**(before.get("spec") or {}), "replicas": effect.replicas}}
            )
        case _:
            return Touched(named, before, before)


async def _of_touched(cluster: Cluster, one: Touched) -> Sequence[Loss]:
    if one.before is None:
        return losses.of_creation(one.proposed or {})
    release = release_of(one.before)
    if release is not None:
        return losses.of_hooks(release.name, release.hooks)
    if one.proposed is not None:
        return losses.of_change(one.before, one.proposed)
    return losses.of_deletion(one.before, volumes=await _volumes(cluster, one.before))


async def _volumes(cluster: Cluster, before: Manifest) -> dict[str, Manifest]:
    """The volume of a claim, by its name."""
    name = (before.get("spec") or {}).get("volumeName")
    if before.get("kind") != "PersistentVolumeClaim" or not name:
        return {}
    volume = await cluster.read(Resource("PersistentVolume", str(name), None, "v1"))
    return {str(name): volume} if volume is not None else {}
