"""ContextGatherer: asks all sources at once, each within its own time; a source that fails is a gap."""

import asyncio
from collections.abc import Callable, Sequence

from core.errors import ResolverError
from core.findings import Gap, IncidentContext, SourceAnswer
from core.ports import Source
from core.resolution import Request
from core.resources import Workload

Choose = Callable[[Request, Sequence[Workload]], tuple[Workload, ...]]


class ContextGatherer:
    """`choose` picks the workloads a request is about (`core.permits.choose_affected`)."""

    def __init__(self, sources: Sequence[Source], *, seconds_per_source: float, choose: Choose) -> None:
        self._sources = sources
        self._seconds_per_source = seconds_per_source
        self._choose = choose

    async def gather(self, request: Request) -> IncidentContext:
        """Takes no longer than one source's limit; what did not answer is a gap with its reason."""
        async with asyncio.TaskGroup() as group:
            looks = [group.create_task(self._look(source, request)) for source in self._sources]
        answers = [look.result() for look in looks]
        known = [answer for answer in answers if isinstance(answer, SourceAnswer)]
        missing = tuple(answer for answer in answers if isinstance(answer, Gap))
        return IncidentContext(
            findings=tuple(one for answer in known for one in answer.findings),
            gaps=(*missing, *(gap for answer in known for gap in answer.gaps)),
            affected=self._choose(request, [one for answer in known for one in answer.workloads]),
            dependants=tuple(dict.fromkeys(one for answer in known for one in answer.dependants)),
            nodes_not_ready=tuple(one for answer in known for one in answer.nodes_not_ready),
            failed_before=max((answer.failed_before for answer in known), default=0),
            cluster_name=next((answer.cluster_name for answer in known if answer.cluster_name), "the cluster"),
            cluster_uid=next((answer.cluster_uid for answer in known if answer.cluster_uid), None),
            sources=tuple(source.name for source in self._sources),
        )

    async def _look(self, source: Source, request: Request) -> SourceAnswer | Gap:
        if source.off_reason is not None:
            return Gap(source.name, source.off_reason, is_off=True)
        try:
            async with asyncio.timeout(self._seconds_per_source):
                return await source.look(request)
        except TimeoutError:
            return Gap(source.name, f"no answer in {self._seconds_per_source:g} s")
        except ResolverError as error:
            return Gap(source.name, str(error))
