"""Rights: what the API server is told to allow for a permit, as RBAC rules over named objects and values. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from core.commands.flags import Invocation
from core.commands.grammar import Refused
from core.commands.kubectl import parse_kubectl
from core.commands.kubectl_effects import effects_of
from core.effects import Change, Effect
from core.errors import NotAllowedError
from core.permit import Permit, PermittedLine
from core.resources import Resource
from core.snapshot import Touched
from core.writes import MADE, OBJECTS, WORKLOADS, picked, writes_of

VALUES_GROUP = "grants.incident-resolver"
"""No such API exists: the admission policy asks RBAC about its resources to learn which values a grant may write."""

_RESOURCES = {
    "Pod": ("", "pods"),
    "Deployment": ("apps", "deployments"),
    "StatefulSet": ("apps", "statefulsets"),
    "DaemonSet": ("apps", "daemonsets"),
    "ConfigMap": ("", "configmaps"),
    "Service": ("", "services"),
    "CronJob": ("batch", "cronjobs"),
    "HorizontalPodAutoscaler": ("autoscaling", "horizontalpodautoscalers"),
    "PodDisruptionBudget": ("policy", "poddisruptionbudgets"),
}
_KINDS = {
    Change.DELETE_POD: ("Pod",),
    Change.RESTART: ("Deployment", "StatefulSet", "DaemonSet"),
    Change.UNDO: ("Deployment", "StatefulSet", "DaemonSet"),
    Change.SET_IMAGE: ("Deployment", "StatefulSet", "DaemonSet"),
    Change.SCALE: ("Deployment", "StatefulSet"),
}
_WRITING = frozenset(
    {"annotate", "apply", "label", "patch", "replace", "rollout pause", "rollout resume"}
    | {"set env", "set image", "set resources", "set selector"}
)
"""Verbs that read an object and write it back by its name, so that a policy can compare both."""
_POSTING = ("create", "autoscale", "expose", "run")
_POSTED = "An object is made by kubectl apply --server-side, whose request carries the name a Role can hold."


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One rule of a Role in `namespace`. `resource` is the plural, a subresource after a slash.

    ValueError for a rule without names or with an empty one: RBAC reads no names as all.
    """

    namespace: str
    group: str
    resource: str
    verbs: tuple[str, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.namespace or not self.verbs or not self.names or not all(self.names):
            raise ValueError("A right names its namespace, its verbs and its objects.")
        if "*" in {self.group, self.resource, *self.verbs}:
            raise ValueError("A right has no wildcard.")

    def as_rule(self) -> dict[str, list[str]]:
        """As it stands in a Role."""
        return {
            "apiGroups": [self.group],
            "resources": [self.resource],
            "verbs": list(self.verbs),
            "resourceNames": list(self.names),
        }


def rights(permit: Permit) -> tuple[Right, ...]:
    """What a grant for this permit may do, and nothing else. NotAllowedError for what no Role can say."""
    asked: list[Right] = []
    for rule in permit.rules:
        low, high = rule.replicas or (1, 0)
        asked += rights_of(rule.change, rule.target, replicas=range(low, high + 1), images=rule.images)
    for line in permit.lines:
        asked += rights_of_line(line)
    return merged(asked)


def held_line(line: PermittedLine, touched: Sequence[Touched]) -> PermittedLine:
    """The line with the values that a credential for it is held to; `touched` is what it would do by a dry run.

    NotAllowedError, with the reason, where no credential could be held to what it does.
    """
    invocation = _parsed(line)
    if not _effects(invocation, line):
        if invocation.verb.split()[0] in _POSTING:
            raise _unheld(line, _POSTED)
        if invocation.verb not in _WRITING or {"subresource", "force", "prune"} & invocation.flags.keys():
            raise _unheld(line, _TOLD)
        if "server-side" not in invocation.flags and any(one.before is None for one in touched):
            raise _unheld(line, _POSTED)
        line = replace(line, writes=writes_of(touched))
        if not line.writes:
            raise _unheld(line, "By the API server's dry run it would change nothing.")
        told = " ".join(word for stage in line.stages for word in stage)
        if not {"filename", "patch-file"} & invocation.flags.keys() and any(one not in told for one in picked(touched)):
            raise _unheld(line, "The API server would pick ports of the nodes: write each as nodePort.")
    rights_of_line(line)
    return line


def rights_of_line(line: PermittedLine) -> list[Right]:
    """NotAllowedError unless its every effect or value can be told: a Role cannot say what another line writes."""
    invocation = _parsed(line)
    effects = _effects(invocation, line)
    if not effects and not line.writes:
        raise _unheld(line, _TOLD)
    changed = [Resource(one.kind, one.name, one.namespace) for one in effects] or [one.target for one in line.writes]
    for named in changed:
        if named not in line.targets:
            raise NotAllowedError(f"The approved line changes {named}, which is none of its targets.")
    if not effects:
        return list(_rights_of_writes(invocation, line))
    asked: list[Right] = []
    for effect in effects:
        replicas = () if effect.replicas is None else (effect.replicas,)
        named = Resource(effect.kind, effect.name, effect.namespace)
        asked += rights_of(effect.change, named, replicas=replicas, images=[image for _, image in effect.images])
    return asked


def _rights_of_writes(invocation: Invocation, line: PermittedLine) -> Iterator[Right]:
    for target in dict.fromkeys(one.target for one in line.writes):
        is_new = next(one.uid for one in line.targets if one == target) is None
        if target.kind not in (MADE if is_new else WORKLOADS | OBJECTS) or not target.namespace:
            raise _unheld(line, f"A grant makes no {target.kind}." if is_new else f"A grant writes no {target}.")
        group, resource = _RESOURCES[target.kind]
        verbs = ("get", "update" if invocation.verb == "replace" else "patch", *(["create"] if is_new else []))
        yield Right(target.namespace, group, resource, verbs, (target.name,))
        named = [f"{resource}/{target.name} {one.part} {one.value}" for one in line.writes if one.target == target]
        yield Right(target.namespace, VALUES_GROUP, "changes", ("use",), tuple(named))


def _parsed(line: PermittedLine) -> Invocation:
    program, *arguments = line.stages[0]
    if program != "kubectl":
        raise NotAllowedError(f"No credential can be made for a line of {program}.")
    try:
        return parse_kubectl(tuple(arguments))
    except Refused as refused:
        raise NotAllowedError(f"The approved line is not understood: {refused.reason}") from refused


def _effects(invocation: Invocation, line: PermittedLine) -> tuple[Effect, ...]:
    try:
        return effects_of(invocation, invocation.last("namespace") or line.namespace)
    except Refused as refused:
        raise NotAllowedError(f"The approved line is not understood: {refused.reason}") from refused


_TOLD = (
    "The API server can be told of deletions of pods, restarts, undone rollouts and replica counts of single named "
    "objects, and of values that annotate, label, patch, apply, replace and set write into workloads, ConfigMaps, "
    "Services, CronJobs, autoscalers and disruption budgets."
)


def _unheld(line: PermittedLine, why: str) -> NotAllowedError:
    return NotAllowedError(f"No credential can be made that allows exactly this line: {line.line} {why}")


def rights_of(
    change: Change, target: Resource, *, replicas: Sequence[int] = (), images: Sequence[str] = ()
) -> list[Right]:
    """What kubectl needs for one change of one object: `replicas` are the counts, `images` those it may write."""
    if target.kind not in _KINDS.get(change, ()) or not target.namespace or not target.name:
        raise NotAllowedError(f"No credential can be made that allows {change.value} of {target}.")
    group, resource = _RESOURCES[target.kind]
    named = f"{resource}/{target.name}"

    def right(of: str, *verbs: str) -> Right:
        return Right(str(target.namespace), group, of, verbs, (target.name,))

    def value(of: str, *names: str) -> list[Right]:
        return [Right(str(target.namespace), VALUES_GROUP, of, ("use",), names)] if names else []

    match change:
        case Change.DELETE_POD:  # kubectl waits for its end: a list and a watch of this name
            return [right("pods", "get", "list", "watch", "delete"), right("pods/eviction", "create")]
        case Change.RESTART:
            return [right(resource, "get", "patch"), *value("restarts", named)]
        case Change.UNDO:
            allowed = value("images", *(f"{named}={image}" for image in images))
            return [right(resource, "get", "patch"), *value("revisions", named), *allowed]
        case Change.SET_IMAGE:
            return [right(resource, "get", "patch"), *value("images", *(f"{named}={image}" for image in images))]
        case Change.SCALE:
            counts = value("replicas", *(f"{named}={count}" for count in replicas))
            return [right(resource, "get"), right(f"{resource}/scale", "get", "patch"), *counts]
        case Change.WRITE | Change.DELETE | Change.PUT_BACK | Change.MAKE_AGAIN:
            raise NotAllowedError(f"No credential can be made that allows {change.value} of {target}.")


def merged(asked: Iterable[Right]) -> tuple[Right, ...]:
    """The same with the names of like rules together: nothing is allowed that no single one allows."""
    names: dict[tuple[str, str, str, tuple[str, ...]], dict[str, None]] = {}
    for one in asked:
        key = (one.namespace, one.group, one.resource, one.verbs)
        names.setdefault(key, {}).update(dict.fromkeys(one.names))
    return tuple(sorted(Right(*key, tuple(sorted(found))) for key, found in names.items()))


def ceiling() -> frozenset[tuple[str, str, str]]:
    """(group, resource, verb) of all that any permit can ask for: what the issuer must hold, and no more."""
    by_rules = [
        one
        for change, kinds in _KINDS.items()
        for kind in kinds
        for one in rights_of(change, Resource(kind, "any", "any"), replicas=(1,), images=("any",))
    ]
    of_rules = {(one.group, one.resource, verb) for one in by_rules for verb in one.verbs}
    writing = {kind: ("get", "patch", "update", *(["create"] if kind in MADE else [])) for kind in WORKLOADS | OBJECTS}
    of_writes = {(*_RESOURCES[kind], verb) for kind, verbs in writing.items() for verb in verbs}
    return frozenset(of_rules | of_writes | {(VALUES_GROUP, "changes", "use")})
