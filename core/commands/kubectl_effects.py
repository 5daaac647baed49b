"""The lines whose every effect can be told exactly: one named object, a value written out. Permits cover only these."""

import re
from collections.abc import Callable

from core.commands.flags import Invocation
from core.commands.grammar import Refused
from core.commands.kinds import WORKLOADS
from core.commands.targets import Targets, is_namespace, targets_of
from core.effects import Change, Effect

_SCALABLE = frozenset({"Deployment", "StatefulSet"})
_IMAGE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._/:@-]{0,500}")
_CONTAINER = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?|\*")
_NUMBER = re.compile(r"0|[1-9]\d{0,4}")
"""Without leading zeros: kubectl reads 010 as eight. Nobody runs 100,000 replicas."""
_REVISION = re.compile(r"0|[1-9]\d{0,8}")
_WAITING_GRACE = re.compile(r"[2-9]|[1-9]\d{1,5}")
_EVERYWHERE = frozenset({"namespace", "request-timeout", "output", "v", "warnings-as-errors"})
_WITH_EFFECTS = {
    "delete": frozenset({"wait", "timeout", "grace-period", "ignore-not-found"}),
    "rollout restart": frozenset(),
    "rollout undo": frozenset({"to-revision"}),
    "scale": frozenset({"replicas", "current-replicas", "timeout"}),
    "set image": frozenset[str](),
}


def effects_of(invocation: Invocation, namespace: str) -> tuple[Effect, ...]:
    """Empty where the line does more, or less clearly, than an Effect can say; Refused for values that are wrong."""
    allowed = _WITH_EFFECTS.get(invocation.verb)
    if allowed is None:
        return ()
    words = invocation.words
    if invocation.verb == "set image":
        words = tuple(word for word in words if "=" not in word)
    effect = _MAKERS[invocation.verb](invocation, targets_of(words), namespace)
    is_plain = invocation.flags.keys() - {"dry-run"} <= _EVERYWHERE | allowed
    return (effect,) if effect is not None and is_plain and is_namespace(namespace) else ()


def _delete(invocation: Invocation, targets: Targets, namespace: str) -> Effect | None:
    grace = invocation.last("grace-period")
    if grace is not None and not _WAITING_GRACE.fullmatch(grace):
        return None
    return _effect(Change.DELETE_POD, targets, frozenset({"Pod"}), namespace)


def _restart(_invocation: Invocation, targets: Targets, namespace: str) -> Effect | None:
    return _effect(Change.RESTART, targets, WORKLOADS, namespace)


def _undo(invocation: Invocation, targets: Targets, namespace: str) -> Effect | None:
    given = invocation.last("to-revision") or "0"
    if not _REVISION.fullmatch(given):
        raise Refused("R1h", "--to-revision takes a number.")
    found = _effect(Change.UNDO, targets, WORKLOADS, namespace)
    return found and Effect(found.change, found.kind, found.name, namespace, to_revision=int(given) or None)


def _scale(invocation: Invocation, targets: Targets, namespace: str) -> Effect | None:
    given = invocation.last("replicas")
    if given is None or not _NUMBER.fullmatch(given):
        raise Refused("R1h", "--replicas takes a number.")
    found = _effect(Change.SCALE, targets, _SCALABLE, namespace)
    return found and Effect(found.change, found.kind, found.name, namespace, replicas=int(given))


def _set_image(invocation: Invocation, targets: Targets, namespace: str) -> Effect | None:
    pairs = [word.partition("=") for word in invocation.words if "=" in word]
    if not pairs or any(not _CONTAINER.fullmatch(container) for container, _, _ in pairs):
        raise Refused("R1h", "Write set image as KIND/NAME CONTAINER=IMAGE.")
    if any(not _IMAGE.fullmatch(image) for _, _, image in pairs):
        raise Refused("R1g", "An image is written registry/name:tag or name@digest.")
    found = _effect(Change.SET_IMAGE, targets, WORKLOADS, namespace)
    images = tuple((container, image) for container, _, image in pairs)
    return found and Effect(found.change, found.kind, found.name, namespace, images=images)


def _effect(change: Change, targets: Targets, kinds: frozenset[str], namespace: str) -> Effect | None:
    if not targets.is_one or targets.kinds[0] not in kinds:
        return None
    return Effect(change, targets.kinds[0], targets.names[0], namespace)


_MAKERS: dict[str, Callable[[Invocation, Targets, str], Effect | None]] = {
    "delete": _delete,
    "rollout restart": _restart,
    "rollout undo": _undo,
    "scale": _scale,
    "set image": _set_image,
}
