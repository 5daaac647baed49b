"""Verification: are the affected workloads healthy within a limit, do they stay so, and if not, is it worse now."""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from core.errors import ResolverError
from core.ports import Cluster
from core.resources import Workload

STOP_SECONDS = 0.3
Stop = Callable[[], Awaitable[object]]
"""Answers something that is not None once somebody asked to stop."""


class Health(enum.Enum):
    """How workloads are, against how they were before the change: the first that fits any of them, in this order."""

    WORSE = "worse"
    UNCHANGED = "unchanged"
    HEALING = "healing"
    HEALED = "healed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence per workload."""

    health: Health
    sentences: tuple[str, ...]

    @property
    def is_healthy(self) -> bool:
        return self.health is Health.HEALED


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a step's check holds, with a sentence per workload."""

    holds: bool
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verifier:
    """Looks every `seconds_between` until all are healthy and stay so for `steady_seconds`, or the limit has passed.

    What is healing when the limit has passed gets `healing_seconds` more: a ReplicaSet that was refused tries again
    only after minutes, so a right fix may show late.
    """

    cluster: Cluster
    limit_seconds: float = 120.0
    healing_seconds: float = 300.0
    seconds_between: float = 1.0
    steady_seconds: float = 2.0

    async def verify(self, targets: Sequence[Workload], *, stop: Stop) -> Verdict:
        """Healthy: the spec was seen, all replicas ready, no container restarting any more.

        Ends early, as not healthy, when `stop` says so.
        """
        verdict = Verdict(Health.UNCHANGED, ("Nothing was looked at.",))
        for seconds in (self.limit_seconds, self.healing_seconds):
            try:
                async with asyncio.timeout(seconds):
                    while True:
                        verdict = await self._settled(targets, stop)
                        if verdict.is_healthy or await self._is_stopped(stop, self.seconds_between):
                            return verdict
            except TimeoutError:
                if verdict.health is not Health.HEALING:
                    return verdict
        return verdict

    async def check(self, before: Sequence[Workload], *, is_whole: bool, stop: Stop) -> "Checked":
        """Between the steps of a plan: whether all are healthy (`is_whole`), or else none is worse than `before`."""
        if is_whole:
            verdict = await self.verify(before, stop=stop)
            return Checked(verdict.is_healthy, verdict.sentences)
        is_stopped = await self._is_stopped(stop, self.steady_seconds)
        verdict, _ = await self._look(before)
        return Checked(verdict.health is not Health.WORSE and not is_stopped, verdict.sentences)

    async def _settled(self, targets: Sequence[Workload], stop: Stop) -> Verdict:
        """Healthy twice, `steady_seconds` apart, with the same number of restarts."""
        first, restarts = await self._look(targets)
        if not first.is_healthy:
            return first
        if await self._is_stopped(stop, self.steady_seconds):
            return Verdict(Health.HEALING, ("It was stopped before it had been healthy for long enough.",))
        second, later = await self._look(targets)
        if second.is_healthy and later > restarts:
            return Verdict(Health.UNCHANGED, ("Containers keep restarting.",))
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
        sentences, seen, restarts = [], [], 0
        for target in targets:
            try:
                live = await self.cluster.workload(target.resource)
            except ResolverError as error:
                sentences.append(f"{target.resource}: {error}")
                seen.append(Health.UNCHANGED)
                continue
            if live is None:
                sentences.append(f"{target.resource} does not exist any more.")
                seen.append(Health.WORSE)
                continue
            restarts += sum(pod.restarts for pod in live.pods)
            sentences.append(_sentence(live))
            seen.append(health(target, live))
        return Verdict(min(seen, key=_ORDER.index, default=Health.HEALED), tuple(sentences)), restarts


_ORDER = list(Health)


def health(before: Workload, live: Workload) -> Health:
    """Worse: fewer pods ready than before, or more that fail. Healing: pods only start, or are not there yet.

    Scaling down on purpose is not worse: no more are counted on than are wanted now.
    """
    if live.ready_replicas >= live.desired_replicas and not live.is_failing:
        return Health.HEALED
    if live.ready_replicas < min(before.ready_replicas, live.desired_replicas) or _failing(live) > _failing(before):
        return Health.WORSE
    return Health.UNCHANGED if _failing(live) else Health.HEALING


def _failing(workload: Workload) -> int:
    """Pods that say why they fail; one that is starting says nothing, or that it is being made."""
    return sum(bool(pod.reason) and pod.reason not in _STARTING for pod in workload.pods)


_STARTING = frozenset({"ContainerCreating", "PodInitializing"})


def _sentence(live: Workload) -> str:
    reasons = sorted({pod.reason for pod in live.pods if pod.reason})
    why = f" ({', '.join(reasons)})" if reasons else ""
    return f"{live.resource}: {live.ready_replicas} of {live.desired_replicas} replicas ready{why}."
