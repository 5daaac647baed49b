"""Writes: what a line makes of its objects, part by part, in the words Roles and admission policies share. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.errors import NotAllowedError
from core.permit import Write
from core.redaction import redact
from core.resources import Resource
from core.snapshot import Manifest, Touched

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
OBJECTS = frozenset({"ConfigMap", "CronJob", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service"})
MADE = frozenset({"ConfigMap", "HorizontalPodAutoscaler", "PodDisruptionBudget"})
"""Kinds that a grant may also make, by server-side apply: its request carries the name, so that a Role can hold it."""
CONTAINER_KEYS = frozenset(
    {"args", "command", "env", "envFrom", "image", "imagePullPolicy", "livenessProbe", "ports", "readinessProbe"}
    | {"resizePolicy", "resources", "startupProbe", "terminationMessagePath", "terminationMessagePolicy"}
)
POD_KEYS = frozenset(
    {"affinity", "nodeSelector", "terminationGracePeriodSeconds", "tolerations", "topologySpreadConstraints"}
)
LONGEST = 100_000
"""Characters of all writes of one line: they stand in the approval and in a Role."""
_API_VERSIONS = {
    **dict.fromkeys(WORKLOADS, "apps/v1"),
    **dict.fromkeys(("ConfigMap", "Service"), "v1"),
    "CronJob": "batch/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
}
_SERVER_SET = frozenset(
    {"creationTimestamp", "generation", "managedFields", "name", "namespace", "resourceVersion", "selfLink", "uid"}
)
_COUNTED = "deprecated.daemonset.template.generation"
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
CONFINEMENT = "container.apparmor.security.beta.kubernetes.io/"
"""What begins a pod annotation that says how a container is confined."""
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_SHORT = 0x10000


def writes_of(touched: Sequence[Touched]) -> tuple[Write, ...]:
    """Of objects as they are and as the dry run says they would be.

    NotAllowedError names what no admission policy of ours holds to a value: such a change gets no credential.
    """
    found = [one for each in touched for one in _of_object(each)]
    if sum(len(one.value) for one in found) > LONGEST:
        raise _unheld(f"it writes more than {LONGEST:,} characters")
    return tuple(found)


def _of_object(one: Touched) -> Iterator[Write]:
    target, before, after = one.target, one.before or {}, one.proposed
    if after is None or not one.is_tried:
        raise _unheld(f"what it makes of {target} is not told by a dry run")
    if target.kind == "Secret":
        raise _unheld("the values of a Secret must not stand in a Role")
    if target.kind not in WORKLOADS | OBJECTS:
        raise _unheld(f"no policy holds a {target.kind} to approved values")
    if after.get("apiVersion") != _API_VERSIONS[target.kind]:
        raise _unheld(f"a {target.kind} is held as {_API_VERSIONS[target.kind]}; write it as that")
    parts = _workload if target.kind in WORKLOADS else _plain
    for part, value in (*_metadata(target, before, after), *parts(target, before, after)):
        if redact(text := json.dumps(value, ensure_ascii=False)) != text:
            raise _unheld(f"its {part} of {target} holds what looks like a secret, which must not stand in a Role")
        yield Write(target, part, policy_text(value))


Parts = Iterator[tuple[str, list[Any]]]


def _metadata(target: Resource, before: Manifest, after: Manifest) -> Parts:
    old, new = _at(before, "metadata"), _at(after, "metadata")
    _check_same(target, "metadata", _without(old, "labels", "annotations"), _without(new, "labels", "annotations"))
    yield from _delta("labels", _at(old, "labels"), _at(new, "labels"))
    yield from _delta(
        "annotations", _without(_at(old, "annotations"), _COUNTED), _without(_at(new, "annotations"), _COUNTED)
    )


def _workload(target: Resource, before: Manifest, after: Manifest) -> Parts:
    old, new = _at(before, "spec"), _at(after, "spec")
    yield from _delta("spec", _without(old, "template"), _without(new, "template"))
    old, new = _at(old, "template"), _at(new, "template")
    _check_same(target, "spec.template", _without(old, "metadata", "spec"), _without(new, "metadata", "spec"))
    notes, new_notes = _at(old, "metadata"), _at(new, "metadata")
    named = ("labels", "annotations")
    _check_same(target, "spec.template.metadata", _without(notes, *named), _without(new_notes, *named))
    yield from _delta("template.labels", _at(notes, "labels"), _at(new_notes, "labels"))
    if _at(notes, "annotations").get(_RESTARTED) != _at(new_notes, "annotations").get(_RESTARTED):
        raise _unheld("it writes the time of a restart; use kubectl rollout restart")
    for part, value in _delta("template.annotations", _at(notes, "annotations"), _at(new_notes, "annotations")):
        if any(key.startswith(CONFINEMENT) for each in value for key in each):
            raise _unheld(f"it changes how a container of {target} is confined; a person must do that")
        yield part, value
    pod, new_pod = _at(old, "spec"), _at(new, "spec")
    for part, value in _delta("template.spec", _without(pod, "containers"), _without(new_pod, "containers")):
        _check_keys(target, "spec.template.spec", value, POD_KEYS)
        yield part, value
    yield from _containers(target, pod.get("containers") or [], new_pod.get("containers") or [])


def _containers(target: Resource, old: list[Any], new: list[Any]) -> Parts:
    if [one["name"] for one in old] != [one["name"] for one in new]:
        raise _unheld(f"it adds, removes or reorders containers of {target}")
    found = []
    for before, after in zip(old, new, strict=True):
        for _, (changed, removed) in _delta("", before, after):
            _check_keys(target, f"container {after['name']}", [changed, removed], CONTAINER_KEYS)
            _check_no_secret(target, before, after)
            _check_no_host_port(target, before, after)
            told = {"env": _variables(target, before.get("env") or [], after["env"])} if "env" in changed else {}
            found.append([after["name"], changed | told, removed])
    if found:
        yield "containers", found


def _variables(target: Resource, old: list[Any], new: list[Any]) -> list[Any]:
    """All names in their order, and what is new or has another value: the others' values are nobody's business."""
    for names in ([one["name"] for one in old], [one["name"] for one in new]):
        if len(set(names)) != len(names):
            raise _unheld(f"a container of {target} has an environment variable twice")
    return [[one["name"] for one in new], [one for one in new if not _has(old, one)]]


def _check_no_secret(target: Resource, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    added = [one for key in ("env", "envFrom") for one in after.get(key) or [] if not _has(before.get(key) or [], one)]
    if any("secretRef" in one or "secretKeyRef" in (one.get("valueFrom") or {}) for one in added):
        raise _unheld(f"it hands a Secret to a container of {target}; a person must do that")


def _check_no_host_port(target: Resource, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    if any(one.get("hostPort") and not _has(before.get("ports") or [], one) for one in after.get("ports") or []):
        raise _unheld(f"it opens a port of the node to a container of {target}; a person must do that")


def picked(touched: Sequence[Touched]) -> set[str]:
    """The ports of nodes that a Service would have and has not: those the line does not name, the API server picks.

    It picks others when the line runs than when it was tried.
    """
    services = [one for one in touched if one.target.kind == "Service"]
    return {port for one in services for port in _node_ports(one.proposed) - _node_ports(one.before)}


def _node_ports(manifest: Manifest | None) -> set[str]:
    spec = _at(manifest or {}, "spec")
    found = [spec.get("healthCheckNodePort"), *(one.get("nodePort") for one in spec.get("ports") or [])]
    return {str(one) for one in found if one}


def _plain(target: Resource, before: Manifest, after: Manifest) -> Parts:
    named = ("metadata", "spec", "status", "data", "binaryData", "apiVersion", "kind")
    _check_same(target, "object", _without(before, *named), _without(after, *named))
    old, new = _at(before, "spec"), _at(after, "spec")
    _check_same(target, "spec.jobTemplate", _at(old, "jobTemplate"), _at(new, "jobTemplate"))
    yield from _delta("spec", old, new)
    yield from _delta("data", _at(before, "data"), _at(after, "data"))
    yield from _delta("binaryData", _at(before, "binaryData"), _at(after, "binaryData"))


def _delta(part: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Parts:
    """[what is new or another value, the keys that go], as the policies compute it; nothing where nothing differs."""
    changed = {key: value for key, value in new.items() if key not in old or not _is_same(old[key], value)}
    removed = dict.fromkeys((key for key in old if key not in new), True)
    if changed or removed:
        yield part, [changed, removed]


def _check_same(target: Resource, where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    for _, (changed, removed) in _delta("", _without(old, *_SERVER_SET), _without(new, *_SERVER_SET)):
        raise _unheld(f"it changes {', '.join(sorted([*changed, *removed]))} in {where} of {target}")


def _check_keys(target: Resource, where: str, value: list[Any], allowed: frozenset[str]) -> None:
    others = sorted({key for each in value for key in each} - allowed)
    if others:
        raise _unheld(f"it changes {', '.join(others)} in {where} of {target}")


def _unheld(why: str) -> NotAllowedError:
    return NotAllowedError(f"No credential can be made that allows exactly this line: {why}.")


def _at(manifest: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = manifest.get(key)
    return found if isinstance(found, Mapping) else {}


def _without(manifest: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in manifest.items() if key not in keys}


def _has(values: Sequence[Any], wanted: object) -> bool:
    return any(_is_same(one, wanted) for one in values)


def _is_same(one: object, other: object) -> bool:
    """As JSON: true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def policy_text(value: object) -> str:
    """JSON as CEL's `'%s'.format([value])` writes it inside a list, strings quoted as in Go, keys sorted by bytes.

    No two values have the same text.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _quoted(value)
        case Mapping():
            pairs = sorted(((_quoted(str(key)), policy_text(one)) for key, one in value.items()), key=_bytes_of_key)
            return "{" + ", ".join(f"{key}:{one}" for key, one in pairs) + "}"
        case list() | tuple():
            return "[" + ", ".join(policy_text(one) for one in value) + "]"
        case _:
            raise _unheld(f"it writes {value!r}, which the policies cannot compare")


def _bytes_of_key(pair: tuple[str, str]) -> bytes:
    return pair[0].encode("utf-8", "replace")


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(one) for one in text) + '"'


def _escaped(one: str) -> str:
    if one in {'"', "\\"}:
        return f"\\{one}"
    if one in _ESCAPES:
        return _ESCAPES[one]
    if one.isprintable():
        return one
    if ord(one) < 0x80:  # noqa: PLR2004  ASCII
        return f"\\x{ord(one):02x}"
    return f"\\u{ord(one):04x}" if ord(one) < _SHORT else f"\\U{ord(one):08x}"
