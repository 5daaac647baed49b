"""The verdict: LOW, MEDIUM, HIGH, CRITICAL or DENY, with the rule that said so and what the line would change.

One function, `judge`, for everybody who asks. What cannot be understood is DENY.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from core.commands.filters import check_filter
from core.commands.grammar import Refused, parse_line
from core.commands.kinds import kind_of
from core.commands.kubectl import Invocation, parse_kubectl
from core.effects import Change, Effect, Judged
from core.risk_levels import RiskLevel

SYSTEM_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_IMAGE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._/:@-]{0,500}")
_NUMBER = re.compile(r"0|[1-9]\d{0,8}")
"""Without leading zeros: kubectl reads 010 as eight."""
_FORMATS = frozenset({"", "wide", "name", "yaml", "json"})
_TEMPLATES = ("jsonpath=", "jsonpath-as-json=", "custom-columns=", "go-template=")
_READ_FLAGS: dict[str, str] = {
    "get": "all-namespaces output selector field-selector show-labels label-columns no-headers sort-by "
    "ignore-not-found show-kind chunk-size server-print subresource show-managed-fields allow-missing-template-keys",
    "describe": "all-namespaces selector show-events chunk-size",
    "logs": "all-containers all-pods container ignore-errors limit-bytes max-log-requests pod-running-timeout prefix "
    "previous selector since since-time tail timestamps",
    "top pod": "all-namespaces containers field-selector no-headers selector show-swap sort-by sum "
    "use-protocol-buffers",
    "top node": "no-headers selector show-capacity show-swap sort-by use-protocol-buffers",
    "events": "all-namespaces for no-headers output types chunk-size show-managed-fields",
    "explain": "api-version max-depth output recursive",
    "api-resources": "api-group cached categories namespaced no-headers output sort-by verbs",
    "api-versions": "",
    "version": "client output",
    "cluster-info": "",
    "wait": "all all-namespaces field-selector for output selector timeout",
    "auth can-i": "all-namespaces list no-headers quiet subresource",
    "auth whoami": "output",
    "rollout status": "revision selector timeout watch",
    "rollout history": "output revision selector",
}
_READ_ANYWHERE = frozenset({"namespace", "request-timeout"})
_TYPED_READS = frozenset({"get", "describe", "wait", "rollout status", "rollout history"})
_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_SCALABLE = frozenset({"Deployment", "StatefulSet"})


def judge(line: str, namespace: str) -> Judged:
    """Never raises. `namespace` is the one a line without -n means."""
    try:
        stages = parse_line(line)
        for stage in stages[1:]:
            check_filter(stage)
        return replace(_judge_first(stages[0], namespace), line=line, stages=stages)
    except Refused as refused:
        return Judged(line, None, refused.rule, refused.reason)
    except RecursionError:
        return Judged(line, None, "R1h", "The line is nested too deeply.")


def _judge_first(argv: tuple[str, ...], namespace: str) -> Judged:
    if argv[0] != "kubectl":
        raise Refused("R1f", f"Only kubectl can be run, and text filters after it; {argv[0]!r} is neither.")
    invocation = parse_kubectl(argv[1:])
    if invocation.verb in _READ_FLAGS:
        return _judge_read(invocation)
    change = _CHANGES[invocation.verb]
    risk, effects = change(invocation, _namespace(invocation, namespace))
    where = effects[0].namespace
    if _is_dry_run(invocation):
        return Judged("", RiskLevel.LOW, "R9", "An effective dry run changes nothing.")
    if where in SYSTEM_NAMESPACES:
        return Judged("", RiskLevel.CRITICAL, "R8", f"A change in {where} touches the cluster itself.", (), effects)
    rule = "R7" if risk is RiskLevel.HIGH else "R6"
    words = "Scaling" if risk is RiskLevel.HIGH else "A change of one ordinary object"
    return Judged("", risk, rule, f"{words}: {effects[0].kind} {where}/{effects[0].name}.", (), effects)


def _judge_read(invocation: Invocation) -> Judged:
    verb = invocation.verb
    allowed = _READ_ANYWHERE | set(_READ_FLAGS[verb].split())
    for name in invocation.flags:
        if name not in allowed:
            raise Refused(*_why_not(verb, name))
    _check_namespace_flag(invocation)
    _check_format(invocation.last("output") or "")
    kinds = _kinds(invocation)
    if "Secret" in kinds and _looks_into_values(invocation):
        raise Refused("R4", "Secrets are listed by name only; their values are nobody's to read here.")
    if verb == "cluster-info" and invocation.words:
        raise Refused("R3", "cluster-info takes no further word here.")
    return Judged("", RiskLevel.LOW, "R3", "It only reads.")


def _why_not(verb: str, name: str) -> tuple[str, str]:
    if name in {"watch", "watch-only", "follow", "output-watch-events"}:
        return "R3", f"--{name} never ends; run {verb} again instead."
    if name == "raw":
        return "R3", "Raw API paths are not read here; use get."
    if name in {"filename", "kustomize", "recursive", "template", "local"}:
        return "R4", f"--{name} reads local files or hides what is meant; name the resources, use -o jsonpath=…"
    if name in {"v", "vmodule"}:
        return "R4", "Verbose output would print whole requests and answers."
    return "R3", f"--{name} is not in the present command set for {verb}."


def _looks_into_values(invocation: Invocation) -> bool:
    """Prints fields, orders by them, or waits until one has a value: each tells what a field holds."""
    prints = (invocation.last("output") or "") not in {"", "wide", "name"}
    return prints or "sort-by" in invocation.flags or (invocation.last("for") or "").startswith("jsonpath")


def _check_format(given: str) -> None:
    if given in _FORMATS or given.startswith(_TEMPLATES):
        return
    if given.partition("=")[0].endswith("-file"):
        raise Refused("R4", "Output templates from files would print local files.")
    raise Refused("R3", f"-o {given!r} is not known; there are wide, name, yaml, json, jsonpath=…, custom-columns=….")


def _kinds(invocation: Invocation) -> set[str]:
    """The kinds a read names; Refused for an unknown one, since an unknown kind may hold anything."""
    words = invocation.words
    if invocation.verb == "logs":
        words = tuple(word for word in words[:1] if "/" in word)
    elif invocation.verb not in _TYPED_READS:
        return set()
    elif words and not any("/" in word for word in words):
        words = words[:1]
    kinds: set[str] = set()
    for word in words:
        for one in word.split("/")[0].split(","):
            if one.lower() == "all":
                continue
            kind = kind_of(one)
            if kind is None:
                raise Refused("R12", f"{one!r} is not a kind this gate knows.")
            kinds.add(kind)
    if not words and invocation.verb in _TYPED_READS:
        raise Refused("R12", f"{invocation.verb} needs a kind.")
    return kinds


# --- changes -----------------------------------------------------------------------------------------------------


def _namespace(invocation: Invocation, default: str) -> str:
    _check_namespace_flag(invocation)
    return invocation.last("namespace") or default


def _check_namespace_flag(invocation: Invocation) -> None:
    for given in invocation.flags.get("namespace", ()):
        if not _NAMESPACE.fullmatch(given):
            raise Refused("R1g", f"{given!r} is no namespace.")


def _only(invocation: Invocation, allowed: str) -> None:
    known = _READ_ANYWHERE | set(allowed.split())
    for name in invocation.flags:
        if name not in known:
            raise Refused("R7", f"--{name} is not in the present command set for {invocation.verb}: name one object.")
    _check_format(invocation.last("output") or "")


def _one_object(words: tuple[str, ...]) -> tuple[str, str]:
    """Kind and name from `KIND NAME` or `KIND/NAME`; Refused for several or none."""
    parts = tuple(words[0].split("/")) if len(words) == 1 else tuple(words)
    if len(parts) != 2 or any("/" in part or "," in part for part in parts):  # noqa: PLR2004  a kind and a name
        raise Refused("R7", "Name exactly one object, as KIND/NAME; several are changed one line after the other.")
    kind, name = kind_of(parts[0]), parts[1]
    if kind is None:
        raise Refused("R12", f"{parts[0]!r} is not a kind this gate knows.")
    if not _NAME.fullmatch(name):
        raise Refused("R1g", f"{name!r} is no name of an object.")
    return kind, name


Changed = tuple[RiskLevel, tuple[Effect, ...]]


def _delete(invocation: Invocation, namespace: str) -> Changed:
    _only(invocation, "dry-run wait timeout grace-period ignore-not-found output")
    kind, name = _one_object(invocation.words)
    if kind != "Pod":
        raise Refused("R8", f"Only single pods can be deleted; deleting a {kind} is not in the present command set.")
    grace = invocation.last("grace-period")
    if grace is not None and (not grace.isdigit() or int(grace[:6]) == 0):
        raise Refused("R7", "A forced deletion is not in the present command set; leave --grace-period out.")
    return RiskLevel.MEDIUM, (Effect(Change.DELETE_POD, kind, name, namespace),)


def _restart(invocation: Invocation, namespace: str) -> Changed:
    _only(invocation, "output")
    kind, name = _workload(invocation.words, _WORKLOADS)
    return RiskLevel.MEDIUM, (Effect(Change.RESTART, kind, name, namespace),)


def _undo(invocation: Invocation, namespace: str) -> Changed:
    _only(invocation, "dry-run to-revision output")
    kind, name = _workload(invocation.words, _WORKLOADS)
    revision = invocation.last("to-revision")
    if revision is not None and not _NUMBER.fullmatch(revision):
        raise Refused("R1h", "--to-revision takes a number.")
    to_revision = int(revision) if revision is not None and int(revision) > 0 else None
    return RiskLevel.MEDIUM, (Effect(Change.UNDO, kind, name, namespace, to_revision=to_revision),)


def _scale(invocation: Invocation, namespace: str) -> Changed:
    _only(invocation, "dry-run replicas current-replicas timeout output")
    kind, name = _workload(invocation.words, _SCALABLE)
    replicas = invocation.last("replicas")
    if replicas is None or len(replicas) > 5 or not _NUMBER.fullmatch(replicas):  # noqa: PLR2004  nobody runs 100,000
        raise Refused("R1h", "--replicas takes a number.")
    return RiskLevel.HIGH, (Effect(Change.SCALE, kind, name, namespace, replicas=int(replicas)),)


def _set_image(invocation: Invocation, namespace: str) -> Changed:
    _only(invocation, "dry-run output")
    pairs = [word.partition("=") for word in invocation.words if "=" in word]
    kind, name = _workload(tuple(word for word in invocation.words if "=" not in word), _WORKLOADS)
    if not pairs or any(not _NAME.fullmatch(left) and left != "*" for left, _, _ in pairs):
        raise Refused("R1h", "Write set image as KIND/NAME CONTAINER=IMAGE.")
    if any(not _IMAGE.fullmatch(image) for _, _, image in pairs):
        raise Refused("R1g", "An image is written registry/name:tag or name@digest.")
    images = tuple((container, image) for container, _, image in pairs)
    return RiskLevel.MEDIUM, (Effect(Change.SET_IMAGE, kind, name, namespace, images=images),)


def _workload(words: tuple[str, ...], kinds: frozenset[str]) -> tuple[str, str]:
    kind, name = _one_object(words)
    if kind not in kinds:
        raise Refused("R6", f"This works on {', '.join(sorted(kinds))}, not on {kind}.")
    return kind, name


def _is_dry_run(invocation: Invocation) -> bool:
    """The last value counts; bare and "true" mean client, "none" and "false" run for real."""
    given = invocation.last("dry-run")
    if given is None or given in {"none", "false"}:
        return False
    if given not in {"", "true", "client", "server"}:
        raise Refused("R9", f"--dry-run={given!r} is not known; there are client, server and none.")
    return True


_CHANGES: dict[str, Callable[[Invocation, str], Changed]] = {
    "delete": _delete,
    "rollout restart": _restart,
    "rollout undo": _undo,
    "scale": _scale,
    "set image": _set_image,
}
