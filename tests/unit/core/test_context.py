"""Context is gathered from all sources at once; a source that fails is a gap, and costs no more than its limit."""

import pytest

from core.context import ContextGatherer
from core.errors import NotAllowedError, UnavailableError
from core.findings import Finding, Gap, SourceAnswer
from core.permits import choose_affected
from core.resources import Resource
from tests.fakes.sources import ScriptedSource
from tests.unit.core import examples

REQUEST = examples.request()
WEB, API = examples.workload("web", ready=1), examples.workload("api")
FOUND = Finding("logs", "panic", "it panics")


def gatherer(*sources, seconds=10, choose=choose_affected):
    return ContextGatherer(sources, seconds_per_source=seconds, choose=choose)


async def gather(*sources, **given):
    return await gatherer(*sources, **given).gather(REQUEST)


@pytest.mark.looptime
async def test_a_slow_source_becomes_a_gap_and_costs_no_more_than_its_limit(looptime):
    context = await gather(ScriptedSource("logs", delay=60), seconds=10)

    assert context.gaps == (Gap("logs", "no answer in 10 s"),)
    assert looptime == 10


@pytest.mark.looptime
async def test_all_sources_are_asked_at_once(looptime):
    await gather(*[ScriptedSource(name, delay=4) for name in "abcde"])

    assert looptime == 4


@pytest.mark.looptime
async def test_a_slow_source_does_not_cost_the_others_their_answers(looptime):
    context = await gather(ScriptedSource("slow", delay=60), ScriptedSource("logs", SourceAnswer((FOUND,)), delay=9))

    assert (context.findings, context.gaps) == ((FOUND,), (Gap("slow", "no answer in 10 s"),))


@pytest.mark.parametrize(
    "error", [UnavailableError("Neo4j does not answer."), NotAllowedError("The API server refused.")]
)
async def test_a_source_that_fails_is_a_gap_with_its_reason(error):
    context = await gather(ScriptedSource("graph", error=error), ScriptedSource("logs", SourceAnswer((FOUND,))))

    assert context.gaps == (Gap("graph", str(error)),)
    assert context.findings == (FOUND,)


async def test_a_bug_in_a_source_is_no_gap():
    class Broken(ScriptedSource):
        async def look(self, request):
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        await gather(Broken("graph"))

    assert caught.group_contains(ZeroDivisionError)


async def test_a_source_that_is_switched_off_is_not_asked_and_is_said_to_be_off():
    source = ScriptedSource("graph", error=UnavailableError("asked"), off_reason="NEO4J_URI is not set")

    assert (await gather(source)).gaps == (Gap("graph", "NEO4J_URI is not set", is_off=True),)


async def test_what_a_source_was_refused_is_a_gap_beside_its_answer():
    partly = SourceAnswer((FOUND,), gaps=(Gap("kubernetes", "events were refused"),))
    context = await gather(ScriptedSource("kubernetes", partly), ScriptedSource("graph", off_reason="off"))

    assert context.gaps == (Gap("graph", "off", is_off=True), Gap("kubernetes", "events were refused"))
    assert context.findings == (FOUND,)


async def test_the_answers_are_put_together_in_the_order_of_the_sources():
    service = Resource("Service", "web", "shop")
    kubernetes = SourceAnswer(
        findings=(FOUND,),
        workloads=(WEB, API),
        dependants=(service,),
        nodes_not_ready=("node-1",),
        cluster_name="east",
        cluster_uid="uid-1",
        failed_before=1,
    )
    graph = SourceAnswer(findings=(Finding("graph", "t", "x"),), dependants=(service,), failed_before=3)
    context = await gather(ScriptedSource("kubernetes", kubernetes), ScriptedSource("graph", graph))

    assert context.findings == (FOUND, Finding("graph", "t", "x"))
    assert context.affected == (WEB,)
    assert context.dependants == (service,)
    assert (context.nodes_not_ready, context.failed_before) == (("node-1",), 3)
    assert (context.cluster_name, context.cluster_uid) == ("east", "uid-1")
    assert context.sources == ("kubernetes", "graph")


async def test_without_any_answer_there_is_still_a_context():
    context = await gather(ScriptedSource("kubernetes", error=UnavailableError("down")))

    assert (context.affected, context.cluster_name, context.cluster_uid) == ((), "the cluster", None)
    assert (await gather()).gaps == ()
