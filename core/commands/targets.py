"""Which objects the words of a kubectl line name."""

import re
from dataclasses import dataclass

from core.commands.flags import Invocation
from core.commands.grammar import Refused
from core.commands.kinds import kind_of

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SELECTORS = ("selector", "field-selector", "pod-selector")


@dataclass(frozen=True, slots=True)
class Targets:
    """`kinds` in the order named, None for an unknown one; `names` of single objects, "" where a type stands alone."""

    kinds: tuple[str | None, ...]
    names: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    @property
    def is_one(self) -> bool:
        return len(self.names) == len(self.kinds) == 1 and self.names[0] != ""


def targets_of(words: tuple[str, ...]) -> Targets:
    """`KIND NAME…`, `KIND/NAME…`, `KIND,KIND NAME…`, as kubectl's resource builder reads them."""
    if any("/" in word for word in words):
        halves = [word.partition("/")[::2] for word in words]
    else:
        types = words[0].split(",") if words else []
        halves = [(one, name) for one in types for name in words[1:] or ("",)]
    pairs = [(kind, name) for kind, several in halves for name in several.split(",")]
    kinds = tuple(kind_of(kind) for kind, _ in pairs)
    unknown = tuple(kind for kind, _ in pairs if kind_of(kind) is None)
    return Targets(kinds, tuple(name for _, name in pairs), unknown)


def without_pairs(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words that name objects, where KEY=VALUE and KEY- stand behind them (label, annotate, set, taint)."""
    return tuple(word for word in words if "=" not in word and not word.endswith("-"))


def namespace_of(invocation: Invocation, default: str) -> str:
    return invocation.last("namespace") or default


def namespaces_of(invocation: Invocation, default: str) -> frozenset[str]:
    """All that a line may reach, "*" where that is any: cp names one before the pod, a file holds its own."""
    if invocation.is_on("all-namespaces"):
        return frozenset({"*"})
    reached = {namespace_of(invocation, default)}
    if invocation.verb == "cp":
        reached |= {
            word.partition(":")[0].partition("/")[0] for word in invocation.words if "/" in word.partition(":")[0]
        }
    if {"filename", "kustomize"} & invocation.flags.keys() and "namespace" not in invocation.flags:
        reached.add("*")
    return frozenset(reached)


def is_namespace(name: str) -> bool:
    return _NAMESPACE.fullmatch(name) is not None


def refuse_odd_namespaces(invocation: Invocation, *, is_change: bool = False) -> None:
    """A change whose -n swallowed another flag is sent as it stands, so it is judged as what is sent."""
    for given in invocation.flags.get("namespace", ()):
        if not is_namespace(given) and not (is_change and given.startswith("--")):
            raise Refused("R1g", f"{given!r} is no namespace.")


def has_selector(invocation: Invocation) -> bool:
    return any(name in invocation.flags for name in _SELECTORS)


def check_names(targets: Targets) -> None:
    """Refused where the one name is none that an ordinary object has: a look-alike, or a word meant otherwise."""
    if targets.is_one and targets.kinds[0] is not None:
        kind, name = targets.kinds[0], targets.names[0]
        if not _NAME.fullmatch(name) and not _may_be_odd(kind, name):
            raise Refused("R1g", f"{name!r} is no name of an object.")


def _may_be_odd(kind: str, name: str) -> bool:
    """RBAC names hold colons and capitals."""
    return kind.endswith(("Role", "RoleBinding")) and re.fullmatch(r"[A-Za-z0-9:._-]+", name) is not None
