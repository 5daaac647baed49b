"""What the API server must allow for one exact line, by name: the words of a Role. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.commands.flags import Invocation
from core.commands.grammar import Refused
from core.commands.kinds import plural_of
from core.commands.kubectl import parse_kubectl
from core.permit import PermittedLine
from core.resources import Resource


@dataclass(frozen=True, slots=True)
class AccessRule:
    """`names` is never empty: RBAC reads that as all. `namespace` is None for kinds of the whole cluster."""

    verbs: tuple[str, ...]
    api_group: str
    resource: str
    names: tuple[str, ...]
    namespace: str | None
    subresource: str = ""


_PATCHING = frozenset(
    {
        *("rollout restart", "rollout undo", "rollout pause", "rollout resume", "label", "annotate", "taint"),
        *("set image", "set env", "set resources", "set serviceaccount", "set selector", "set subject"),
        *("cordon", "uncordon"),
    }
)
_VERBS = {
    **dict.fromkeys(_PATCHING, ("get", "patch")),
    "delete": ("get", "delete", "list", "watch"),
    "replace": ("get", "update"),
}
"""`list` and `watch` of a deletion ask for one object by its name, which RBAC can tell apart."""


def access_rules(line: PermittedLine) -> tuple[AccessRule, ...] | None:
    """The rules that let exactly this line change what was approved; what it reads beside its targets is not in them.

    None where no Role can say it: an object without uid is yet to be made, and RBAC cannot name what POST creates; a
    kind that is not known here; a program or verb whose requests are not told here.
    """
    program, *arguments = line.stages[0]
    if program != "kubectl":
        return None
    try:
        invocation = parse_kubectl(tuple(arguments))
    except Refused:
        return None
    if any(one.uid is None for one in line.targets) and not _applies_on_the_server(invocation):
        return None
    return _rules(invocation, line.targets)


def _rules(invocation: Invocation, targets: Sequence[Resource]) -> tuple[AccessRule, ...] | None:
    match invocation.verb:
        case "scale":
            return _together(_grouped(("get",), targets), _grouped(("get", "patch", "update"), targets, "scale"))
        case "patch":
            part = invocation.last("subresource") or ""
            return _together(_grouped(("get", "patch"), targets, part), _grouped(("get",), targets) if part else ())
        case "exec":
            return _together(_grouped(("get",), targets), _grouped(("create", "get"), targets, "exec"))
        case "drain":
            nodes = [one for one in targets if one.kind == "Node"]
            pods = [one for one in targets if one.kind == "Pod"]
            evicted = _together(_grouped(("get",), pods), _grouped(("create",), pods, "eviction"))
            return _together(_grouped(("get", "patch"), nodes), evicted)
        case "apply":
            makes = any(one.uid is None for one in targets)
            return _grouped(("get", "create", "patch") if makes else ("get", "patch"), targets)
        case "delete" | "replace" if invocation.is_on("force"):
            return None
        case verb if verb in _VERBS:
            return _grouped(_VERBS[verb], targets)
        case _:
            return None


def _applies_on_the_server(invocation: Invocation) -> bool:
    """The one way to make an object whose name RBAC sees."""
    return invocation.verb == "apply" and invocation.is_on("server-side")


def _grouped(
    verbs: tuple[str, ...], targets: Sequence[Resource], subresource: str = ""
) -> tuple[AccessRule, ...] | None:
    """One rule per kind and namespace; None where a kind is not known."""
    names: dict[tuple[str, str, str | None], list[str]] = {}
    for one in targets:
        group = one.api_version.rpartition("/")[0]
        plural = plural_of(one.kind, group)
        if plural is None or not one.api_version:
            return None
        names.setdefault((group, plural, one.namespace), []).append(one.name)
    return tuple(
        AccessRule(verbs, group, plural, tuple(sorted(found)), namespace, subresource)
        for (group, plural, namespace), found in names.items()
    )


def _together(
    one: tuple[AccessRule, ...] | None, other: tuple[AccessRule, ...] | None
) -> tuple[AccessRule, ...] | None:
    return None if one is None or other is None else (*one, *other)
