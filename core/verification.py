"""Verification: are the affected workloads healthy within a limit, and do they stay so."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from core.errors import ResolverError
from core.ports import Cluster
from core.resources import Workload

STOP_SECONDS = 0.3
Stop = Callable[[], Awaitable[object]]
"""Answers something that is not None once somebody asked to stop."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence per workload."""

    is_healthy: bool
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verifier:
    """Looks every `seconds_between` until all are healthy and stay so for `steady_seconds`, or the limit has passed."""

    cluster: Cluster
    limit_seconds: float = 120.0
    seconds_between: float = 1.0
    steady_seconds: float = 2.0

    async def verify(self, targets: Sequence[Workload], *, stop: Stop) -> Verdict:
        """Healthy: the spec was seen, all replicas ready, no container restarting any more.

        Ends early, as not healthy, when `stop` says so.
        """
        verdict = Verdict(is_healthy=False, sentences=("Nothing was looked at.",))
        try:
            async with asyncio.timeout(self.limit_seconds):
                while True:
                    verdict = await self._settled(targets, stop)
                    if verdict.is_healthy or await self._is_stopped(stop, self.seconds_between):
                        return verdict
        except TimeoutError:
            return verdict

    async def _settled(self, targets: Sequence[Workload], stop: Stop) -> Verdict:
        """Healthy twice, `steady_seconds` apart, with the same number of restarts."""
        first, restarts = await self._look(targets)
        if not first.is_healthy:
            return first
        if await self._is_stopped(stop, self.steady_seconds):
            return Verdict(is_healthy=False, sentences=("It was stopped before it had been healthy for long enough.",))
        second, later = await self._look(targets)
        if second.is_healthy and later > restarts:
            return Verdict(is_healthy=False, sentences=("Containers keep restarting.",))
        return second

    async def _is_stopped(self, stop: Stop, seconds: float) -> bool:
        """Waits, looking often: a stop is promised within two seconds."""
        waited = 0.0
        while await stop() is None:
            if waited >= seconds:
                return False
            pause = min(STOP_SECONDS, seconds - waited)
            await asyncio.sleep(pause)
            waited += pause
        return True

    async def _look(self, targets: Sequence[Workload]) -> tuple[Verdict, int]:
        sentences, is_healthy, restarts = [], True, 0
        for target in targets:
            try:
                live = await self.cluster.workload(target.resource)
            except ResolverError as error:
                sentences.append(f"{target.resource}: {error}")
                is_healthy = False
                continue
            if live is None:
                sentences.append(f"{target.resource} does not exist any more.")
                is_healthy = False
                continue
            restarts += sum(pod.restarts for pod in live.pods)
            sentences.append(_sentence(live))
            is_healthy = is_healthy and live.ready_replicas >= live.desired_replicas and not live.is_failing
        return Verdict(is_healthy, tuple(sentences)), restarts


def _sentence(live: Workload) -> str:
    reasons = sorted({pod.reason for pod in live.pods if pod.reason})
    why = f" ({', '.join(reasons)})" if reasons else ""
    return f"{live.resource}: {live.ready_replicas} of {live.desired_replicas} replicas ready{why}."
