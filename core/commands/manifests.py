"""What is written in manifests and patches, as far as it raises the risk: kinds, namespaces, privileged fields.

Text that this reader and kubectl could understand differently is not understood here, and judged as it may be worst.
"""

from collections.abc import Iterator
from typing import Any

import yaml
from typing_extensions import override

from core.commands.kinds import CLUSTER_KINDS, kind_in_manifest
from core.commands.verdicts import Reason, Reasons
from core.resources import SYSTEM_NAMESPACES, Resource
from core.risk_levels import RiskLevel

MAX_BYTES = 256 * 1024
MAX_DEPTH = 40
MAX_DOCUMENTS = 100
ORDINARY_KINDS = frozenset(
    {
        *("ConfigMap", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod"),
        *("Service", "Ingress", "PodDisruptionBudget"),
    }
)
_SafeLoader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CRITICAL_IF_ON = {
    "privileged": "runs a container with all the node's rights",
    "hostnetwork": "joins the node's network",
    "hostpid": "sees the node's processes",
    "hostipc": "joins the node's IPC",
    "hostprocess": "runs on the node itself",
    "hostpath": "mounts a path of the node",
    "allowprivilegeescalation": "lets a process gain rights",
}
_CRITICAL_IF_NAMED = {
    "finalizers": "changes finalizers: objects may vanish without their clean-up",
    "ownerreferences": "changes owner references: objects may be orphaned or deleted with another owner",
    "$patch": "replaces or deletes a whole part of the object",
}
_HIGH_IF_NAMED = {
    "replicas": ("R7", "sets the number of replicas"),
    "minreplicas": ("R7", "sets an autoscaler's bounds"),
    "maxreplicas": ("R7", "sets an autoscaler's bounds"),
    "serviceaccountname": ("R6", "changes whose rights a pod has"),
    "serviceaccount": ("R6", "changes whose rights a pod has"),
    "nodename": ("R6", "puts a pod on a node past the scheduler"),
    "runasuser": ("R6", "changes the user a container runs as"),
    "runasnonroot": ("R6", "changes the user a container runs as"),
    "roleref": ("R6", "changes permissions"),
    "subjects": ("R6", "changes permissions"),
}
_WHOLE_PARTS = frozenset({"metadata", "spec", "template", "containers"})
_OPAQUE = frozenset({"data", "binaryData", "stringData"})


class UnreadableError(Exception):
    """The text is not understood to the letter; the sentence says where it ends."""


class _StrictLoader(_SafeLoader):  # type: ignore[misc]  # the C loader has no types
    @override
    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if len(keys) != len(set(map(str, keys))):
            raise UnreadableError("a key stands twice")
        return dict(super().construct_mapping(node, deep=deep))


def documents(content: bytes) -> list[Any]:
    """All documents of a YAML or JSON text; UnreadableError for whatever is not plain."""
    if len(content) > MAX_BYTES:
        raise UnreadableError(f"it is larger than {MAX_BYTES} bytes")
    try:
        text = content.decode("utf-8")
        _check_plain(text)
        found = [one for one in yaml.load_all(text, Loader=_StrictLoader) if one is not None]
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UnreadableError("it is no plain YAML") from error
    if len(found) > MAX_DOCUMENTS:
        raise UnreadableError(f"it holds more than {MAX_DOCUMENTS} documents")
    return found


def _check_plain(text: str) -> None:
    """No alias, anchor, tag or directive, bounded depth, and document marks alone on their lines."""
    for line in text.splitlines():
        if line.startswith(("%", "...")) or (line.startswith("---") and line.rstrip() != "---"):
            raise UnreadableError("it holds a directive or a document mark that is not alone on its line")
    depth = 0
    for event in yaml.parse(text, Loader=_SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise UnreadableError(f"it is nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise UnreadableError("it holds aliases, anchors or tags")


def judge_manifest(content: bytes, reasons: Reasons, *, verb: str) -> int:
    """Adds what the objects in it are; returns how many. UnreadableError as `documents`."""
    count = 0
    for one in _objects(documents(content)):
        count += 1
        _judge_object(one, reasons, verb=verb)
    if count > 1:
        reasons.add(RiskLevel.HIGH, "R7", f"It {verb}s {count} objects at once.")
    return count


def _objects(found: list[Any]) -> Iterator[dict[str, Any]]:
    for one in found:
        if not isinstance(one, dict) or not isinstance(one.get("kind"), str):
            raise UnreadableError("it holds something that is no Kubernetes object")
        if one["kind"].endswith("List") and isinstance(one.get("items"), list):
            yield from _objects(one["items"])
        else:
            yield one


def _judge_object(one: dict[str, Any], reasons: Reasons, *, verb: str) -> None:
    kind = kind_in_manifest(one["kind"], str(one.get("apiVersion", "")))
    metadata = one.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    namespace = metadata.get("namespace")
    named = Resource(
        one["kind"],
        str(metadata.get("name") or ""),
        str(namespace) if namespace else None,
        str(one.get("apiVersion", "")),
    )
    reasons.objects.append(named)
    reasons.kinds.add(kind or "unknown")
    if kind is None or kind in CLUSTER_KINDS:
        word = "cluster-wide" if kind else "unknown"
        reasons.add(RiskLevel.CRITICAL, "R8", f"The file holds a {word} kind, {one['kind']}.")
    elif kind in ORDINARY_KINDS:
        reasons.add(RiskLevel.MEDIUM, "R6", f"The file holds one {kind} to {verb}.")
    else:
        reasons.add(RiskLevel.HIGH, "R6", f"The file holds a {kind}, which is more than an ordinary object.")
    if namespace in SYSTEM_NAMESPACES:
        reasons.add(RiskLevel.CRITICAL, "R8", f"The file changes {namespace}, the cluster itself.")
    looked_at = {key: value for key, value in one.items() if kind not in {"ConfigMap", "Secret"} or key not in _OPAQUE}
    reasons.found += field_reasons(looked_at)


def field_reasons(value: object) -> list[Reason]:
    """What the fields of an object, a merge patch or a JSON patch raise."""
    if isinstance(value, list) and value and all(isinstance(one, dict) and "op" in one for one in value):
        return [reason for one in value for reason in _operation_reasons(one)]
    return list(_walk(value))


def check_operations(value: object) -> None:
    """UnreadableError unless it is a JSON patch as RFC 6902 has it: anything else is understood by nobody the same."""
    operations = value if isinstance(value, list) else [value]
    for one in operations:
        if (
            value is one
            or not isinstance(one, dict)
            or not all(isinstance(one.get(key), str) for key in ("op", "path"))
        ):
            raise UnreadableError("it is no list of JSON patch operations")


def _operation_reasons(operation: dict[str, Any]) -> Iterator[Reason]:
    nested: object = operation.get("value")
    for where in (operation.get("from"), operation.get("path")):
        segments = [part.replace("~1", "/").replace("~0", "~") for part in str(where or "").split("/")[1:]]
        for part in reversed(segments):
            nested = {part: nested if nested is not None else "named"}
        if operation.get("op") != "test" and (not segments or segments[-1] in _WHOLE_PARTS) and where is not None:
            yield Reason(RiskLevel.CRITICAL, "R8", "The patch replaces or removes a whole part of the object.")
    yield from _walk(nested)


def _walk(value: object) -> Iterator[Reason]:
    waiting: list[object] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            for key, inner in one.items():
                yield from _key_reasons(str(key), inner)
                waiting.append(inner)


def _key_reasons(key: str, value: object) -> Iterator[Reason]:
    name = key.lower()
    plain = name.rpartition("/")[2] if name.startswith("$") else name
    if plain in _CRITICAL_IF_NAMED:
        yield Reason(RiskLevel.CRITICAL, "R8", f"It {_CRITICAL_IF_NAMED[plain]}.")
    elif name in _CRITICAL_IF_ON and value not in (None, False):
        yield Reason(RiskLevel.CRITICAL, "R8", f"It {_CRITICAL_IF_ON[name]} ({key}).")
    elif name == "capabilities" and isinstance(value, dict) and value.get("add"):
        yield Reason(RiskLevel.CRITICAL, "R8", "It adds capabilities to a container.")
    elif name == "procmount" or (isinstance(value, str) and value.lower() == "unconfined"):
        yield Reason(RiskLevel.CRITICAL, "R8", f"It loosens a container's confinement ({key}).")
    elif name in _HIGH_IF_NAMED:
        rule, sentence = _HIGH_IF_NAMED[name]
        yield Reason(RiskLevel.HIGH, rule, f"It {sentence} ({key}).")
    elif value is None and key in _WHOLE_PARTS:
        yield Reason(RiskLevel.CRITICAL, "R8", f"It removes a whole part of the object ({key}).")
