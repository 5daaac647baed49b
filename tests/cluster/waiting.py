"""Waiting for what controllers do in their own time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from core.cluster.client import KubernetesCluster
from core.resources import Resource, Workload

Seen = TypeVar("Seen")


async def eventually(
    look: Callable[[], Awaitable[Seen]], is_it: Callable[[Seen], bool], *, seconds: float = 30
) -> Seen:
    """What `look` sees once `is_it` says yes; AssertionError with the last sight when time is over."""
    end = time.monotonic() + seconds
    while True:
        seen = await look()
        if is_it(seen):
            return seen
        assert time.monotonic() < end, f"not within {seconds:g} s; last seen: {seen}"
        await asyncio.sleep(0.1)


async def workload_when(cluster: KubernetesCluster, resource: Resource, is_it: Callable[[Workload], bool]) -> Workload:
    seen = await eventually(
        lambda: cluster.workload(resource), lambda workload: workload is not None and is_it(workload)
    )
    assert seen is not None
    return seen


async def ready_workload(cluster: KubernetesCluster, resource: Resource, *, replicas: int = 2) -> Workload:
    """The workload once exactly `replicas` pods are there and all of them are ready."""
    return await workload_when(
        cluster,
        resource,
        lambda one: one.ready_replicas == one.desired_replicas == replicas == len(one.pods) and not one.is_failing,
    )
