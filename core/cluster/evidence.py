"""Findings made from Kubernetes objects: pure, bounded in size, redacted, never more than what the objects say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from core.cluster import inventory, kinds
from core.cluster.inventory import Inventory, Object
from core.findings import Finding
from core.redaction import redact
from core.resources import PodState, Workload

SOURCE = "kubernetes"
MAX_TEXT = 4_000
MAX_PODS = 10
MAX_EVENTS = 30
MAX_REVISIONS = 5
MAX_NAMES = 40


@dataclass(frozen=True, slots=True)
class Log:
    """The last lines of one container, of its present run or of the one before."""

    pod: str
    container: str
    is_previous: bool = False
    text: str = ""

    def answered(self, text: str) -> "Log":
        return replace(self, text=text)


def finding(title: str, text: str, *, at: datetime | None = None, keep_end: bool = False) -> Finding:
    """Cuts and redacts; `keep_end` keeps the last characters, as of a log."""
    clean = redact(text.replace("\0", ""))
    if len(clean) > MAX_TEXT:
        clean = f"(cut) {clean[-MAX_TEXT:]}" if keep_end else f"{clean[:MAX_TEXT]} (cut)"
    return Finding(SOURCE, redact(title)[:200], clean, at)


def of_workload(workload: Workload, seen: Inventory) -> Finding:
    lines = [f"{workload.ready_replicas} of {workload.desired_replicas} replicas are ready."]
    lines += [_pod_line(pod) for pod in workload.pods[:MAX_PODS]]
    if len(workload.pods) > MAX_PODS:
        lines.append(f"... and {len(workload.pods) - MAX_PODS} more pods.")
    lines += [f"Container {name} runs {image}." for name, image in workload.images]
    history = inventory.revisions(seen, workload.resource)[:MAX_REVISIONS]
    lines += [f"Revision {number} ({_when(created)}): {_images(images)}" for number, created, images in history]
    if workload.hpa_range is not None:
        lines.append(f"A HorizontalPodAutoscaler keeps it between {workload.hpa_range[0]} and {workload.hpa_range[1]}.")
    if workload.disruptions_allowed is not None:
        lines.append(f"Its PodDisruptionBudget allows {workload.disruptions_allowed} disruptions now.")
    if workload.managed_by is not None:
        lines.append(f"It is managed by {workload.managed_by}, which may overwrite a change made here.")
    lines += _conditions(seen, workload)
    return finding(f"{workload.resource.kind} {workload.resource.name} is failing", "\n".join(lines))


def _pod_line(pod: PodState) -> str:
    state = "ready" if pod.is_ready else "not ready"
    reason = f", {pod.reason}" if pod.reason else ""
    node = f" on {pod.node}" if pod.node else ", on no node"
    return f"Pod {pod.resource.name}: {pod.phase}, {state}{reason}, {pod.restarts} restarts{node}."


def _conditions(seen: Inventory, workload: Workload) -> list[str]:
    """What the controller, and pods that wait, say of themselves (quota refusals, unschedulable pods)."""
    lines = []
    names = {pod.resource.name for pod in workload.pods}
    for kind in (*inventory.CONTROLLERS, kinds.POD):
        for one in seen.of(kind):
            name = str((one.get("metadata") or {}).get("name"))
            is_it = kind.name == workload.resource.kind and name == workload.resource.name
            if is_it or (kind is kinds.POD and name in names):
                lines += [f"{kind.name} {name}: {text}" for text in _complaints(one)]
    return lines[:MAX_PODS]


def _complaints(one: Object) -> Iterable[str]:
    for condition in (one.get("status") or {}).get("conditions") or []:
        is_bad = condition.get("status") == "False" or condition.get("type") in {"ReplicaFailure", "Failed"}
        if is_bad and condition.get("message"):
            yield f"{condition.get('type')} is {condition.get('status')}: {condition['message']}"
    for status in (one.get("status") or {}).get("containerStatuses") or []:
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("message"):
            yield f"container {status.get('name')}: {waiting['message']}"
        last = (status.get("lastState") or {}).get("terminated") or {}
        if last:
            yield (
                f"container {status.get('name')} ended before with {last.get('reason', 'no reason')}, "
                f"exit code {last.get('exitCode')}"
            )


def of_ended_pods(seen: Inventory) -> tuple[Finding, ...]:
    """Pods that are leaving or were evicted: no part of their workload any more, yet a sign."""
    lines = []
    for pod in seen.of(kinds.POD):
        metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
        if metadata.get("deletionTimestamp"):
            lines.append(f"Pod {metadata.get('name')} is terminating since {metadata['deletionTimestamp']}.")
        elif status.get("phase") == "Failed" and inventory.controller_reference(pod) is not None:
            lines.append(
                f"Pod {metadata.get('name')} failed: {status.get('reason') or ''} {status.get('message') or ''}"
            )
    return (finding("Pods that ended or are leaving", "\n".join(lines[:MAX_EVENTS])),) if lines else ()


def wanted_logs(pod: Object) -> tuple[Log, ...]:
    """The logs worth reading: of each container that is not well, and of its run before where it restarted."""
    name = str((pod.get("metadata") or {}).get("name"))
    status = pod.get("status") or {}
    wanted = []
    for one in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        state = one.get("state") or {}
        has_ended_well = (state.get("terminated") or {}).get("exitCode") == 0
        if (one.get("ready") and "running" in state) or has_ended_well:
            continue
        container = str(one.get("name"))
        wanted.append(Log(name, container))
        if int(one.get("restartCount") or 0) > 0:
            wanted.append(Log(name, container, is_previous=True))
    return tuple(wanted[:4])


def of_logs(logs: Sequence[Log]) -> tuple[Finding, ...]:
    return tuple(
        finding(
            f"Log of {log.pod}/{log.container}{' before its last restart' if log.is_previous else ''}",
            log.text,
            keep_end=True,
        )
        for log in logs
        if log.text.strip()
    )


def of_events(events: Sequence[Object]) -> tuple[Finding, ...]:
    """Warnings first, newest first within each; one Finding for all, with the newest time."""
    if not events:
        return ()
    ordered = sorted(events, key=lambda one: (one.get("type") == "Warning", _stamp(one)), reverse=True)
    lines = [_event_line(one) for one in ordered[:MAX_EVENTS]]
    if len(ordered) > MAX_EVENTS:
        lines.append(f"... and {len(ordered) - MAX_EVENTS} more events.")
    return (
        finding("Events", "\n".join(lines), at=max((at for one in events if (at := event_time(one))), default=None)),
    )


def _event_line(one: Object) -> str:
    about = one.get("involvedObject") or one.get("regarding") or {}
    count = int(one.get("count") or (one.get("series") or {}).get("count") or 1)
    times = f" ({count} times)" if count > 1 else ""
    message = " ".join(str(one.get("message") or one.get("note") or "").split())[:300]
    at = _when(event_time(one))
    return f"{at} {one.get('type')} {about.get('kind')} {about.get('name')} {one.get('reason')}: {message}{times}"


def event_time(one: Object) -> datetime | None:
    """When it was last seen."""
    metadata, series = one.get("metadata") or {}, one.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        one.get("lastTimestamp"),
        one.get("eventTime"),
        metadata.get("creationTimestamp"),
    )
    return next((at for text in times if (at := inventory.parse_time(text)) is not None), None)


def nodes_not_ready(nodes: Sequence[Object]) -> Iterable[str]:
    for node in nodes:
        conditions = {one.get("type"): one.get("status") for one in (node.get("status") or {}).get("conditions") or []}
        if conditions.get("Ready") != "True":
            yield str((node.get("metadata") or {}).get("name"))


def of_nodes(not_ready: Sequence[str]) -> tuple[Finding, ...]:
    return (finding("Nodes not ready", ", ".join(not_ready[:MAX_NAMES])),) if not_ready else ()


def overall(found: Sequence[Workload]) -> Finding:
    lines = [
        f"{one.resource.kind} {one.resource.name}: {one.ready_replicas}/{one.desired_replicas} ready"
        f"{', failing' if one.is_failing else ''}"
        for one in sorted(found, key=lambda one: (not one.is_failing, one.resource))
    ]
    more = [f"... and {len(lines) - MAX_NAMES} more."] if len(lines) > MAX_NAMES else []
    return finding("Workloads of the namespace", "\n".join([*lines[:MAX_NAMES], *more]) or "There are none.")


def _images(images: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(image for _, image in images) or "no images"


def _when(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%SZ") if at is not None else "at an unknown time"


def _stamp(one: Object) -> float:
    at: Any = event_time(one)
    return at.timestamp() if at is not None else 0.0
