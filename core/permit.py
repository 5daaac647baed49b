"""A Permit: what an approval allows, named by its digest."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from core.effects import Change, Effect, FieldPath, Judged
from core.redaction import MARK, is_secret
from core.resolution import ActionType
from core.resources import Resource
from core.risk_levels import RiskLevel


@dataclass(frozen=True, slots=True)
class Precondition:
    """A field that a line changes, as it was when it was put to people.

    `value` is canonical JSON ("null" where the field is absent), or "sha256:…" of it where it is long.
    """

    target: Resource
    path: FieldPath
    value: str

    def sentence(self) -> str:
        return f"{'.'.join(self.path)} of {self.target} is {shown_value(self.path, self.value)}"


def shown_value(path: FieldPath, value: str) -> str:
    """A field's value for people, `[redacted]` where it or the end of its path says that it is a secret."""
    return MARK if is_secret(value, *path[-2:]) else value


@dataclass(frozen=True, slots=True)
class PermitRule:
    """One change allowed on one object by name. Empty bounds allow nothing.

    `replicas` is the inclusive (min, max) for SCALE. `images` for SET_IMAGE are images of the object's own history.
    `preconditions` are the fields it changes, as they were shown: with others, it is asked again. `content` of
    PUT_BACK and MAKE_AGAIN names what goes back, by digest; `values` are the same in words, "" if not shown.
    """

    change: Change
    target: Resource
    replicas: tuple[int, int] | None = None
    images: tuple[str, ...] = ()
    preconditions: tuple[Precondition, ...] = ()
    content: str = ""
    values: str = ""

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
                now = f" ({self.preconditions[0].value} now)" if self.preconditions else ""
                return f"scale {where} to between {low} and {high} replicas{now}"
            case Change.SET_IMAGE:
                return f"set the image of {where} to {' or '.join(self.images)}"
            case Change.WRITE:
                return f"change {where}"
            case Change.DELETE:
                return f"delete {where}"
            case Change.PUT_BACK:
                values = f" ({self.values})" if self.values else ""
                return f"put {where} back as it was{values}, where nobody else has changed it since"
            case Change.MAKE_AGAIN:
                values = f" ({self.values})" if self.values else ""
                return f"make {where} again{values}, which is more than putting it back"


@dataclass(frozen=True, slots=True)
class Write:
    """What a line makes of one part of one object, as `core.writes` tells it: the API server is held to `value`."""

    target: Resource
    part: str
    value: str


@dataclass(frozen=True, slots=True)
class PermittedLine:
    """One exact line that was approved: it runs once.

    `line` is as shown, `stages` are what runs, in `namespace` where the line names none. `targets` are all objects it
    changes, with their uid; an object that the line makes has none. `files` are (name, SHA-256 of the bytes that were
    judged). `diff`, `check` and `undo` are words for people, of a plan's step; `undo` also says what cannot be undone.
    `writes` are the values that a credential for it is held to; none where nobody issues credentials, or where its
    effects say it all.
    """

    line: str
    stages: tuple[tuple[str, ...], ...]
    verdict: RiskLevel
    rule: str
    namespace: str
    targets: tuple[Resource, ...]
    preconditions: tuple[Precondition, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    diff: str = ""
    check: str = ""
    undo: str = ""
    writes: tuple[Write, ...] = ()

    def covers(self, judged: Judged, targets: tuple[Resource, ...]) -> bool:
        """Whether `judged` is this very line, no higher than approved, and `targets` are among those approved.

        Targets are the same only with the same uid; a list that grew is not covered, one that shrank is. The present
        values of `preconditions` are the caller's to compare, right before it runs.
        """
        return (
            not judged.is_denied
            and judged.risk is not None
            and judged.risk <= self.verdict
            and judged.stages == self.stages
            and judged.aim is not None
            and judged.aim.namespace == self.namespace
            and tuple((one.name, one.digest) for one in judged.files or ()) == self.files
            and bool(targets)
            and {_identity(one) for one in targets} <= {_identity(one) for one in self.targets}
        )

    def sentence(self) -> str:
        named = ", ".join(str(one) for one in self.targets[:5])
        more = f" and {len(self.targets) - 5} more" if len(self.targets) > 5 else ""  # noqa: PLR2004  as many as above
        return f"run once, exactly: {self.line} (on {named}{more})"


@dataclass(frozen=True, slots=True)
class Permit:
    """What may be done, by rules of named objects and by exact lines; reading (LOW) is always allowed.

    No rules and no lines is a permit to read. `ends_at` bounds the start of an execution; `highest_risk` is the highest
    verdict of a line it covers, and the level the card shows.
    """

    action_type: ActionType
    cluster: str
    namespace: str
    rules: tuple[PermitRule, ...]
    highest_risk: RiskLevel
    token_limit: int
    ends_at: datetime
    policy_version: str = "default"
    lines: tuple[PermittedLine, ...] = ()
    revision: int = 1
    """Counts what was put to people under one question; an older answer has another digest and fits no newer one."""

    @property
    def targets(self) -> tuple[Resource, ...]:
        """Every object it allows to change, of rules and of lines."""
        return (*(rule.target for rule in self.rules), *(one for line in self.lines for one in line.targets))

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over everything that changes the effect: cluster, names, uids, values, policy, end time."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, default=_plain).encode()).hexdigest()

    def covers(self, effects: tuple[Effect, ...]) -> bool:
        """Whether each effect is allowed by some rule. No effects is not covered: nothing to judge is not a yes."""
        return bool(effects) and all(any(rule.covers(effect) for rule in self.rules) for effect in effects)

    def shares_target(self, other: "Permit") -> bool:
        """Whether both may change the same object."""
        return bool(set(self.targets) & set(other.targets))

    def line_for(self, judged: Judged, targets: tuple[Resource, ...]) -> PermittedLine | None:
        """The exact line that allows it, None where there is none. That it runs once only, its caller sees to."""
        return next((one for one in self.lines if one.covers(judged, targets)), None)

    def covers_line(self, judged: Judged, targets: tuple[Resource, ...]) -> bool:
        """Whether exactly this line was approved for these targets (resolved now, with uid)."""
        return self.line_for(judged, targets) is not None

    def rule_for(self, effect: Effect) -> PermitRule | None:
        return next((rule for rule in self.rules if rule.covers(effect)), None)

    def sentences(self) -> tuple[str, ...]:
        """What the agent may do, in words for the card."""
        reads = "read anything in the cluster except Secrets' values"
        return (reads, *(rule.sentence() for rule in self.rules), *(line.sentence() for line in self.lines))

    def until(self, ends_at: datetime) -> "Permit":
        return replace(self, ends_at=ends_at)


def _identity(one: Resource) -> tuple[str, str, str | None, str | None]:
    return (one.kind, one.name, one.namespace, one.uid)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (ActionType, Change, RiskLevel)):
        return str(value.value)
    raise TypeError(f"{type(value).__name__} has no place in a digest")
