"""A Permit: what an approval allows, named by its digest."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from core.effects import Change, Effect
from core.resolution import ActionType
from core.resources import Resource
from core.risk_levels import RiskLevel


@dataclass(frozen=True, slots=True)
class PermitRule:
    """One change allowed on one object by name. Empty bounds allow nothing.

    `replicas` is the inclusive (min, max) for SCALE. `images` for SET_IMAGE are images of the object's own history.
    """

    change: Change
    target: Resource
    replicas: tuple[int, int] | None = None
    images: tuple[str, ...] = ()

    def covers(self, effect: Effect) -> bool:
        if (effect.change, effect.kind, effect.name, effect.namespace) != (
            self.change,
            self.target.kind,
            self.target.name,
            self.target.namespace,
        ):
            return False
        match self.change:
            case Change.SCALE:
                low, high = self.replicas or (1, 0)
                return effect.replicas is not None and low <= effect.replicas <= high
            case Change.SET_IMAGE:
                return bool(effect.images) and all(image in self.images for _, image in effect.images)
            case Change.UNDO:
                return effect.to_revision is None or effect.to_revision > 0
            case Change.DELETE_POD | Change.RESTART:
                return True
            case Change.WRITE | Change.DELETE | Change.PUT_BACK | Change.MAKE_AGAIN:
                return False

    def sentence(self) -> str:
        where = str(self.target)
        match self.change:
            case Change.DELETE_POD:
                return f"delete {where}, so that its controller replaces it"
            case Change.RESTART:
                return f"restart the rollout of {where}"
            case Change.UNDO:
                return f"roll {where} back to an earlier revision"
            case Change.SCALE:
                low, high = self.replicas or (1, 0)
                return f"scale {where} to between {low} and {high} replicas"
            case Change.SET_IMAGE:
                return f"set the image of {where} to {' or '.join(self.images)}"
            case Change.WRITE:
                return f"change {where}"
            case Change.DELETE:
                return f"delete {where}"
            case Change.PUT_BACK:
                return f"put {where} back as it was, where nobody else has changed it since"
            case Change.MAKE_AGAIN:
                return f"make {where} again, which is more than putting it back"


@dataclass(frozen=True, slots=True)
class Permit:
    """What may be done, by rules of named objects; reading (LOW) is always allowed.

    No rules is a permit to read. `ends_at` bounds the start of an execution; `highest_risk` is the highest verdict of
    a line it covers, and the level the card shows.
    """

    action_type: ActionType
    cluster: str
    namespace: str
    rules: tuple[PermitRule, ...]
    highest_risk: RiskLevel
    token_limit: int
    ends_at: datetime
    policy_version: str = "default"

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over everything that changes the effect: cluster, names, uids, values, policy, end time."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, default=_plain).encode()).hexdigest()

    def covers(self, effects: tuple[Effect, ...]) -> bool:
        """Whether each effect is allowed by some rule. No effects is not covered: nothing to judge is not a yes."""
        return bool(effects) and all(any(rule.covers(effect) for rule in self.rules) for effect in effects)

    def shares_target(self, other: "Permit") -> bool:
        """Whether both may change the same object."""
        return bool({rule.target for rule in self.rules} & {rule.target for rule in other.rules})

    def rule_for(self, effect: Effect) -> PermitRule | None:
        return next((rule for rule in self.rules if rule.covers(effect)), None)

    def sentences(self) -> tuple[str, ...]:
        """What the agent may do, in words for the card."""
        reads = "read anything in the cluster except Secrets' values"
        return (reads, *(rule.sentence() for rule in self.rules))

    def until(self, ends_at: datetime) -> "Permit":
        return replace(self, ends_at=ends_at)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (ActionType, Change, RiskLevel)):
        return str(value.value)
    raise TypeError(f"{type(value).__name__} has no place in a digest")
