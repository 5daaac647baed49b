"""What the API server says about one namespace, and the workloads made from it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core import losses, owners
from core.cluster import kinds
from core.cluster.api import KubernetesApi
from core.cluster.kinds import Kind
from core.errors import NotAllowedError
from core.resources import PodState, Resource, Workload

Object = Mapping[str, Any]

CONTROLLERS = (kinds.DEPLOYMENT, kinds.STATEFUL_SET, kinds.DAEMON_SET, kinds.JOB)
_ALL = (*CONTROLLERS, kinds.POD, kinds.REPLICA_SET, kinds.CONTROLLER_REVISION, kinds.PDB, kinds.HPA)
_REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True, slots=True)
class Inventory:
    """Objects by kind; `refused` holds the sentence for each kind that may not be listed."""

    namespace: str
    objects: Mapping[str, tuple[Object, ...]]
    refused: tuple[str, ...] = ()

    def of(self, kind: Kind) -> tuple[Object, ...]:
        return self.objects.get(kind.name, ())


async def read_inventory(api: KubernetesApi, namespace: str) -> Inventory:
    """Asks for all kinds at once. NotAllowedError where pods may not be listed: without them nothing can be said."""
    refused: list[str] = []

    async def listed(kind: Kind) -> tuple[Object, ...]:
        try:
            return tuple(await api.list(kind, namespace))
        except NotAllowedError as error:
            if kind is kinds.POD:
                raise
            refused.append(str(error))
            return ()

    try:
        async with asyncio.TaskGroup() as group:
            asked = {kind.name: group.create_task(listed(kind)) for kind in _ALL}
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return Inventory(namespace, {name: task.result() for name, task in asked.items()}, tuple(refused))


def workloads(inventory: Inventory) -> tuple[Workload, ...]:
    """All controllers of the namespace and its bare pods; controllers of unknown kinds by what their pods say."""
    owners = _Owners(inventory)
    pods_of: dict[Resource, list[Object]] = {}
    bare: list[Object] = []
    for pod in inventory.of(kinds.POD):
        top = owners.top(pod)
        (pods_of.setdefault(top, []) if top else bare).append(pod)
    made = []
    for kind in CONTROLLERS:
        for one in inventory.of(kind):
            resource = resource_of(one, kind)
            if kind is kinds.JOB and owners.top(one) is not None and _is_over(one):
                continue
            made.append(_workload(inventory, one, resource, pods_of.pop(resource, [])))
    for one in inventory.of(kinds.REPLICA_SET):
        resource = resource_of(one, kinds.REPLICA_SET)
        if owners.top(one) is None:
            made.append(_workload(inventory, one, resource, pods_of.pop(resource, [])))
    made += [_workload(inventory, {}, resource, pods) for resource, pods in pods_of.items()]
    for pod in bare:
        if _at(pod, "status", "phase") != "Succeeded" and not _is_terminating(pod):
            made.append(_workload(inventory, pod, resource_of(pod, kinds.POD), [pod]))
    return tuple(sorted(made, key=lambda one: one.resource))


def resource_of(one: Object, kind: Kind) -> Resource:
    metadata = one.get("metadata") or {}
    return Resource(
        kind.name, str(metadata.get("name", "")), metadata.get("namespace"), kind.api_version, metadata.get("uid")
    )


class _Owners:
    """Follows controller references upwards; a Job's CronJob is not followed: the Job is what runs."""

    def __init__(self, inventory: Inventory) -> None:
        self._namespace = inventory.namespace
        self._parents = {
            str(_at(one, "metadata", "uid")): one for kind in (kinds.REPLICA_SET,) for one in inventory.of(kind)
        }

    def top(self, one: Object) -> Resource | None:
        owner = controller_reference(one)
        if owner is None:
            return None
        parent = self._parents.get(str(owner.get("uid")))
        above = self.top(parent) if parent is not None else None
        return above or Resource(
            str(owner.get("kind")),
            str(owner.get("name")),
            self._namespace,
            str(owner.get("apiVersion", "")),
            str(owner.get("uid")),
        )


def controller_reference(one: Object) -> Mapping[str, Any] | None:
    for owner in _at(one, "metadata", "ownerReferences") or []:
        if isinstance(owner, dict) and owner.get("controller") is True:
            return owner
    return None


def _workload(inventory: Inventory, one: Object, resource: Resource, pods: list[Object]) -> Workload:
    controller = None if resource.kind == "Pod" else resource
    is_over = resource.kind == "Job" and _is_over(one)
    living = [] if is_over else [pod for pod in pods if _counts(pod, resource.kind)]
    states = tuple(sorted((pod_state(pod, controller) for pod in living), key=lambda state: state.resource))
    desired, ready = _replicas(one, resource.kind, states)
    images = _images(_at(one, "spec") if resource.kind == "Pod" else _at(one, "spec", "template", "spec"))
    if not images and pods:
        images = _images(_at(pods[0], "spec"))
    return Workload(
        resource,
        desired,
        ready,
        is_stateful=resource.kind == "StatefulSet" or _has_claims(one, resource.kind),
        pods=states,
        disruptions_allowed=_disruptions_allowed(inventory, one, pods),
        images=images,
        image_history=_image_history(inventory, resource, {image for _, image in images}),
        hpa_range=_hpa_range(inventory, resource),
        managed_by=owners.managed_by(one),
        has_scratch=losses.has_scratch((_at(one, "spec", "template", "spec") or _at(one, "spec")) or {}),
        drops_claims=losses.drops_claims(_at(one, "spec") or {}),
        is_ending=_is_terminating(one),
    )


def _replicas(one: Object, kind: str, states: tuple[PodState, ...]) -> tuple[int, int]:
    status = one.get("status") or {}
    ready_pods = sum(state.is_ready for state in states)
    match kind:
        case "DaemonSet":
            return int(status.get("desiredNumberScheduled") or 0), int(status.get("numberReady") or 0)
        case "Job":
            if _has_condition(one, "Complete"):
                return 0, 0
            desired = 1 if _has_condition(one, "Failed") else int(status.get("active") or 0)
            return desired, min(desired, int(status.get("ready") or 0))
        case "Deployment" | "StatefulSet" | "ReplicaSet":
            wanted = _at(one, "spec", "replicas")
            return (1 if wanted is None else int(wanted)), int(status.get("readyReplicas") or 0)
        case _:
            return len(states), ready_pods


def pod_state(pod: Object, controller: Resource | None) -> PodState:
    status = pod.get("status") or {}
    phase = str(status.get("phase", "Unknown"))
    is_ready = phase == "Succeeded" or _condition(pod, "Ready").get("status") == "True"
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    restarts = sum(int(one.get("restartCount") or 0) for one in containers)
    reason = "" if phase == "Succeeded" else _reason(pod, containers, is_ready=is_ready)
    node = _at(pod, "spec", "nodeName")
    return PodState(
        resource_of(pod, kinds.POD), phase, reason, restarts, is_ready, str(node) if node else None, controller
    )


def _reason(pod: Object, containers: list[Any], *, is_ready: bool) -> str:
    for container in containers:
        for what in ("waiting", "terminated"):
            state = (container.get("state") or {}).get(what)
            is_done = what == "terminated" and (state or {}).get("exitCode") == 0
            if state and not is_done and state.get("reason"):
                return str(state["reason"])
    if is_ready:
        return ""
    for container in containers:
        last = (container.get("lastState") or {}).get("terminated") or {}
        if last.get("reason") and last.get("exitCode") != 0:
            return str(last["reason"])
    return str(_at(pod, "status", "reason") or _condition(pod, "PodScheduled").get("reason") or "")


def revisions(
    inventory: Inventory, resource: Resource
) -> list[tuple[int, datetime | None, tuple[tuple[str, str], ...]]]:
    """(revision, created, images) of every stored revision of this very object (by uid), newest first."""
    found = []
    for kind, spec in ((kinds.REPLICA_SET, ("spec",)), (kinds.CONTROLLER_REVISION, ("data", "spec"))):
        for one in inventory.of(kind):
            owner = controller_reference(one)
            if owner is None or owner.get("uid") != resource.uid or resource.uid is None:
                continue
            number = one.get("revision") or (_at(one, "metadata", "annotations") or {}).get(_REVISION) or 0
            created = parse_time(_at(one, "metadata", "creationTimestamp"))
            found.append((int(number), created, _images(_at(one, *spec, "template", "spec"))))
    return sorted(found, key=lambda revision: revision[0], reverse=True)


def parse_time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _image_history(inventory: Inventory, resource: Resource, present: set[str]) -> tuple[str, ...]:
    seen: dict[str, None] = {}
    for _, _, images in revisions(inventory, resource):
        seen.update((image, None) for _, image in images if image not in present)
    return tuple(seen)


def _images(spec: object) -> tuple[tuple[str, str], ...]:
    containers = spec.get("containers") if isinstance(spec, Mapping) else None
    return tuple((str(one.get("name")), str(one.get("image"))) for one in containers or [])


def _hpa_range(inventory: Inventory, resource: Resource) -> tuple[int, int] | None:
    for one in inventory.of(kinds.HPA):
        target = _at(one, "spec", "scaleTargetRef") or {}
        if (target.get("kind"), target.get("name")) == (resource.kind, resource.name):
            lowest = _at(one, "spec", "minReplicas")
            highest = int(_at(one, "spec", "maxReplicas") or 0)
            return (1 if lowest is None else int(lowest)), highest
    return None


def _disruptions_allowed(inventory: Inventory, one: Object, pods: list[Object]) -> int | None:
    labels = [_at(pod, "metadata", "labels") or {} for pod in pods]
    labels.append(_at(one, "spec", "template", "metadata", "labels") or {})
    allowed = [
        int(_at(budget, "status", "disruptionsAllowed") or 0)
        for budget in inventory.of(kinds.PDB)
        if any(_selects(_at(budget, "spec", "selector"), each) for each in labels if each)
    ]
    return min(allowed, default=None)


def _selects(selector: object, labels: Mapping[str, str]) -> bool:
    """policy/v1: an empty selector selects every pod, an absent one none."""
    if not isinstance(selector, Mapping):
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_meets(rule, labels) for rule in selector.get("matchExpressions") or [])


def _meets(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(str(rule.get("key"))), rule.get("values") or []
    match rule.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return True  # an operator we do not know: counting the budget is the careful side


def _has_claims(one: Object, kind: str) -> bool:
    spec = _at(one, "spec") if kind == "Pod" else _at(one, "spec", "template", "spec")
    volumes = spec.get("volumes") if isinstance(spec, Mapping) else None
    return any("persistentVolumeClaim" in volume for volume in volumes or [])


def _counts(pod: Object, kind: str) -> bool:
    """Whether a pod stands for its workload now: not leaving, and not an ended one that was replaced."""
    if _is_terminating(pod):
        return False
    return kind in {"Pod", "Job"} or _at(pod, "status", "phase") not in {"Failed", "Succeeded"}


def _is_terminating(one: Object) -> bool:
    return bool(_at(one, "metadata", "deletionTimestamp"))


def _is_over(job: Object) -> bool:
    return _has_condition(job, "Complete")


def _has_condition(one: Object, wanted: str) -> bool:
    return _condition(one, wanted).get("status") == "True"


def _condition(one: Object, wanted: str) -> Mapping[str, Any]:
    for condition in _at(one, "status", "conditions") or []:
        if condition.get("type") == wanted:
            return dict(condition)
    return {}


def _at(one: object, *path: str) -> Any:  # noqa: ANN401 (JSON)
    """The value at `path`, None where any part of it is missing."""
    for key in path:
        one = one.get(key) if isinstance(one, Mapping) else None
    return one
