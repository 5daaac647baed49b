"""The figures of /metrics beside the counters of REST, in Prometheus' words."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from core.errors import UnavailableError
from core.resolution import State

PREFIX = "incident_resolver_"
Counts = Callable[[], Awaitable[Mapping[str, Mapping[str, float]]]]
"""By word: "state" of resolutions, "verdict" of command lines, "" for single figures; UnavailableError in time."""
SINGLE = {
    "questions_open": "Questions that wait for people",
    "question_oldest_seconds": "Age of the oldest question that waits, 0 where none does",
    "executions": "Executions now, over all replicas",
    "leases_overdue": "Resolutions whose worker let the lease run out and that nobody has taken over",
    "tokens_today": "Tokens used or set aside since midnight UTC",
    "cost_usd_today": "USD used or set aside since midnight UTC",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """`pass_age_seconds` is the time since this replica's worker last looked for work."""

    counts: Counts
    pass_age_seconds: Callable[[], float]

    async def exposition(self) -> bytes:
        """With the database down, all that is known without it."""
        found: list[Metric] = [_gauge("worker_pass_age_seconds", "Since the last worker pass", self.pass_age_seconds())]
        try:
            counts = await self.counts()
        except UnavailableError:
            found.append(_gauge("database_up", "Whether the database answered this scrape", 0))
        else:
            found += [_gauge("database_up", "Whether the database answered this scrape", 1), *_counted(counts)]
        registry = CollectorRegistry()
        registry.register(_Found(found))
        return generate_latest(registry)


class _Found(Collector):
    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    @override
    def collect(self) -> Iterable[Metric]:
        return self._found


def _counted(counts: Mapping[str, Mapping[str, float]]) -> list[Metric]:
    states = GaugeMetricFamily(f"{PREFIX}resolutions", "Resolutions by state", labels=["state"])
    for state in State:
        states.add_metric([state.value], counts["state"].get(state.value, 0))
    verdicts = CounterMetricFamily(f"{PREFIX}commands", "Command lines by verdict", labels=["verdict"])
    for word, count in sorted(counts["verdict"].items()):
        verdicts.add_metric([word], count)
    failed = _gauge("rollback_failed", "Rollbacks that failed and wait", counts["state"].get("rollback_failed", 0))
    return [states, verdicts, failed, *(_gauge(name, told, counts[""][name]) for name, told in SINGLE.items())]


def _gauge(name: str, told: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}{name}", told, value=value)
