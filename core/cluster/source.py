"""Kubernetes as a context source: what is failing in the request's namespace, and why it says so."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from core.cluster import evidence, inventory, kinds
from core.cluster.api import KubernetesApi
from core.cluster.client import KubernetesCluster
from core.cluster.evidence import Log
from core.cluster.inventory import Inventory, Object
from core.errors import InvalidInputError, NotAllowedError, NotFoundError, ResolverError, first_of
from core.findings import Finding, Gap, SourceAnswer
from core.ports import Clock
from core.resolution import Request
from core.resources import PodState, Workload

MAX_LOGGED_PODS = 6
MAX_PODS_PER_WORKLOAD = 2
LOG_LINES = 40
LOG_BYTES = 8_000
MAX_EVENTS = 1_000


class KubernetesSource:
    """Looks at one namespace only; nodes and kube-system's uid are the two things beyond it, and may be refused."""

    name = "kubernetes"
    off_reason: str | None = None

    def __init__(self, cluster: KubernetesCluster, *, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock

    async def look(self, request: Request) -> SourceAnswer:
        """NotAllowedError where the namespace's pods may not be listed; whatever else is refused is a Gap."""
        try:
            async with asyncio.TaskGroup() as group:
                read = group.create_task(inventory.read_inventory(self._api, request.namespace))
                events = group.create_task(self._events(request))
                nodes = group.create_task(self._nodes())
                uid = group.create_task(self._cluster.uid())
                exists = group.create_task(self._exists(request.namespace))
        except ExceptionGroup as failures:
            raise first_of(failures) from failures
        seen = read.result()
        found = inventory.workloads(seen)
        failing = tuple(one for one in found if one.is_failing)
        logs = await self._logs(seen, failing)
        recent, refused_events = events.result()
        not_ready, refused_nodes = nodes.result()
        findings = [
            *exists.result(),
            *(evidence.of_workload(one, seen) for one in failing),
            *evidence.of_ended_pods(seen),
            *evidence.of_logs(logs),
            *evidence.of_events(recent),
            *evidence.of_nodes(not_ready),
            evidence.overall(found),
        ]
        return SourceAnswer(
            findings=tuple(findings),
            workloads=found,
            nodes_not_ready=not_ready,
            cluster_name=self._cluster.name,
            cluster_uid=uid.result(),
            gaps=tuple(Gap(self.name, why) for why in (*seen.refused, *refused_events, *refused_nodes)),
        )

    @property
    def _api(self) -> KubernetesApi:
        return self._cluster.api

    async def _exists(self, namespace: str) -> tuple[Finding, ...]:
        try:
            await self._api.get(kinds.NAMESPACE, None, namespace)
        except NotFoundError:
            return (Finding(self.name, "No such namespace", f"The cluster has no namespace {namespace}."),)
        except NotAllowedError:
            return ()
        return ()

    async def _events(self, request: Request) -> tuple[tuple[Object, ...], tuple[str, ...]]:
        since = self._clock() - timedelta(hours=request.time_window_hours)
        try:
            listed = await self._api.list(kinds.EVENT, request.namespace, limit=MAX_EVENTS)
        except NotAllowedError as error:
            return (), (str(error),)
        return tuple(one for one in listed if (at := evidence.event_time(one)) is not None and at >= since), ()

    async def _nodes(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        try:
            listed = await self._api.list(kinds.NODE, None, limit=5_000)
        except NotAllowedError as error:
            return (), (str(error),)
        return tuple(sorted(evidence.nodes_not_ready(listed))), ()

    async def _logs(self, seen: Inventory, failing: Sequence[Workload]) -> tuple[Log, ...]:
        chosen = [pod for one in failing for pod in _failing_pods(one)[:MAX_PODS_PER_WORKLOAD]][:MAX_LOGGED_PODS]
        names = {pod.resource.name for pod in chosen}
        pods = [pod for pod in seen.of(kinds.POD) if (pod.get("metadata") or {}).get("name") in names]
        wanted = [log for pod in pods for log in evidence.wanted_logs(pod)]
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._log(seen.namespace, log)) for log in wanted]
        return tuple(task.result() for task in asked)

    async def _log(self, namespace: str, log: Log) -> Log:
        query = [("container", log.container), ("tailLines", str(LOG_LINES)), ("limitBytes", str(LOG_BYTES))]
        if log.is_previous:
            query.append(("previous", "true"))
        path = f"{kinds.POD.path(namespace, log.pod)}/log"
        try:
            text = await self._api.text("GET", kinds.POD_LOG, path=path, namespace=namespace, query=query)
        except NotAllowedError as error:
            return log.answered(f"(not readable: {error})")
        except (NotFoundError, InvalidInputError):
            return log.answered("")  # a container that has not started has no log: nothing is missing
        except ResolverError as error:
            return log.answered(f"(not readable: {error})")
        return log.answered(text)


def _failing_pods(workload: Workload) -> list[PodState]:
    return [pod for pod in workload.pods if pod.reason or not pod.is_ready]
