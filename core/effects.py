"""What a command line would do to the cluster, in the words permits are written in."""

import enum
import hashlib
from dataclasses import dataclass

from core.resources import Resource
from core.risk_levels import RiskLevel

FieldPath = tuple[str, ...]
"""Keys from an object's root; a step into a list takes the item of that name."""
WHOLE: FieldPath = ("metadata", "generation")
"""Stands for a change whose fields are not told one by one."""


class Change(enum.Enum):
    """The changes a permit can allow.

    WRITE and DELETE are what a line does that was approved word by word: a rule cannot say more of it. PUT_BACK and
    MAKE_AGAIN are what an undo does; no line is covered by them.
    """

    DELETE_POD = "delete_pod"
    RESTART = "restart"
    UNDO = "undo"
    SCALE = "scale"
    SET_IMAGE = "set_image"
    WRITE = "write"
    DELETE = "delete"
    PUT_BACK = "put_back"
    MAKE_AGAIN = "make_again"


@dataclass(frozen=True, slots=True)
class Effect:
    """One change to one named object. `kind` is the Kubernetes kind ("Deployment"), never an alias.

    `replicas` belongs to SCALE, `images` ((container, image) pairs, container "*" for all) to SET_IMAGE,
    `to_revision` to UNDO (None: the previous one).
    """

    change: Change
    kind: str
    name: str
    namespace: str
    replicas: int | None = None
    images: tuple[tuple[str, str], ...] = ()
    to_revision: int | None = None


@dataclass(frozen=True, slots=True)
class JudgedFile:
    """A local file as it was read once: what was judged is what runs. `name` is relative."""

    name: str
    content: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Aim:
    """Which objects a line above LOW means, in the line's own words; which those are now, only the API server knows.

    `pairs` are (kind, name), the name "" where a kind stands alone; the kind is the line's own lower-case word where
    the gate does not know it. `objects` are named in full, by files or because the line makes them; with `may_be_new`
    they need not exist. `releases` are helm's: all objects of each are meant, and where the line `rolls_back` those of
    `to_revision` (None: the previous one) too. `fields` are what the line changes of each. `unclear` says why targets
    cannot be told at all.
    """

    namespace: str
    pairs: tuple[tuple[str, str], ...] = ()
    objects: tuple[Resource, ...] = ()
    may_be_new: bool = False
    selector: str = ""
    field_selector: str = ""
    is_everywhere: bool = False
    drains: bool = False
    releases: tuple[str, ...] = ()
    rolls_back: bool = False
    to_revision: int | None = None
    fields: tuple[FieldPath, ...] = ()
    unclear: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A command line after parsing and judging: exactly what would run, and how dangerous it is.

    `risk` is None for DENY. `rule` is the id of the rule sheet ("R4"), `reason` a sentence the agent can act on.
    `stages` are argument vectors: one program, then the text filters its output is piped through; empty for DENY.
    `effects` are the changes, empty for LOW. Above LOW they are empty where the line does more than an Effect can say:
    it is judged, and only a permit of exactly this line covers it. `aim` says which objects it means, None for LOW, for
    DENY and where no objects were told. `files` are the local files it names, as they were judged; None where it
    names none. `verb` ("kubectl delete"), `namespaces` and `kinds` are what policies raise by.
    """

    line: str
    risk: RiskLevel | None
    rule: str
    reason: str
    stages: tuple[tuple[str, ...], ...] = ()
    effects: tuple[Effect, ...] = ()
    files: tuple[JudgedFile, ...] | None = None
    verb: str = ""
    namespaces: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    aim: Aim | None = None

    @property
    def is_denied(self) -> bool:
        return self.risk is None

    @property
    def verdict(self) -> str:
        """The risk level's word, or DENY."""
        return self.risk.value if self.risk else "DENY"
