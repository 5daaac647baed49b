"""Objects as the tables kubectl prints. Pure."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]


def table(kind: str, objects: Sequence[Object], *, now: datetime, version: int) -> Object:
    """A meta.k8s.io/v1 Table; kinds without columns of their own show name and age."""
    names, row = _TABLES.get(kind, (("Name", "Age"), lambda one, age: [one["metadata"]["name"], age]))
    columns = [
        {"name": name, "type": "string", "format": "name" if name == "Name" else "", "priority": int(name in _WIDE)}
        for name in names
    ]
    rows = [
        {
            "cells": row(one, _age(one, now)),
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": one["metadata"],
            },
        }
        for one in objects
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": str(version)},
        "columnDefinitions": columns,
        "rows": rows,
    }


def _age(one: Object, now: datetime) -> str:
    made = one["metadata"].get("creationTimestamp")
    if not made:
        return "<unknown>"
    return _span(now - datetime.fromisoformat(made).astimezone(UTC))


def _span(passed: Any) -> str:  # noqa: ANN401  a timedelta
    seconds = max(int(passed.total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def pod_status(pod: Object) -> str:
    """The STATUS column: the reason of a container that waits or ended, else the phase."""
    for one in pod["status"].get("containerStatuses", []):
        for state in ("waiting", "terminated"):
            reason = one.get("state", {}).get(state, {}).get("reason")
            if reason:
                return str(reason)
    return str(pod["status"].get("phase", "Unknown"))


def _pod(pod: Object, age: str) -> list[Any]:
    statuses = pod["status"].get("containerStatuses", [])
    ready = sum(bool(one.get("ready")) for one in statuses)
    restarts = sum(int(one.get("restartCount", 0)) for one in statuses)
    ip, node = pod["status"].get("podIP", "<none>"), pod["spec"].get("nodeName", "<none>")
    return [pod["metadata"]["name"], f"{ready}/{len(statuses)}", pod_status(pod), str(restarts), age, ip, node]


def _images(one: Object) -> tuple[str, str]:
    containers = one["spec"]["template"]["spec"]["containers"]
    return ",".join(each["name"] for each in containers), ",".join(each["image"] for each in containers)


def _deployment(one: Object, age: str) -> list[Any]:
    status = one.get("status", {})
    ready = f"{status.get('readyReplicas', 0)}/{one['spec'].get('replicas', 1)}"
    counts = [status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    return [one["metadata"]["name"], ready, *map(str, counts), age, *_images(one)]


def _replica_set(one: Object, age: str) -> list[Any]:
    status = one.get("status", {})
    counts = [one["spec"].get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [one["metadata"]["name"], *map(str, counts), age, *_images(one)]


def _stateful_set(one: Object, age: str) -> list[Any]:
    ready = f"{one.get('status', {}).get('readyReplicas', 0)}/{one['spec'].get('replicas', 1)}"
    return [one["metadata"]["name"], ready, age, *_images(one)]


def _event(one: Object, age: str) -> list[Any]:
    target = one["involvedObject"]
    return [age, one["type"], one["reason"], f"{target['kind'].lower()}/{target['name']}", one["message"]]


def _hpa(one: Object, age: str) -> list[Any]:
    target, spec = one["spec"]["scaleTargetRef"], one["spec"]
    current = one.get("status", {}).get("currentReplicas", 0)
    limits = [str(spec["minReplicas"]), str(spec["maxReplicas"]), str(current)]
    return [one["metadata"]["name"], f"{target['kind']}/{target['name']}", "cpu: 97%/70%", *limits, age]


def _node(one: Object, age: str) -> list[Any]:
    ready = next((each["status"] for each in one["status"]["conditions"] if each["type"] == "Ready"), "Unknown")
    return [one["metadata"]["name"], "Ready" if ready == "True" else "NotReady", "<none>", age, "v1.37.0-simulator"]


_WIDE = frozenset({"IP", "Node", "Containers", "Images"})
_TABLES: dict[str, tuple[tuple[str, ...], Callable[[Object, str], list[Any]]]] = {
    "Pod": (("Name", "Ready", "Status", "Restarts", "Age", "IP", "Node"), _pod),
    "Deployment": (("Name", "Ready", "Up-to-date", "Available", "Age", "Containers", "Images"), _deployment),
    "ReplicaSet": (("Name", "Desired", "Current", "Ready", "Age", "Containers", "Images"), _replica_set),
    "StatefulSet": (("Name", "Ready", "Age", "Containers", "Images"), _stateful_set),
    "Event": (("Last Seen", "Type", "Reason", "Object", "Message"), _event),
    "HorizontalPodAutoscaler": (("Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"), _hpa),
    "Node": (("Name", "Status", "Roles", "Age", "Version"), _node),
}
