"""What the graph says about a request, asked of a real Neo4j."""

import neo4j
import pytest

from core.errors import UnavailableError
from core.resolution import ActionType, State
from core.resources import Resource
from core.sources import graph as queries
from core.sources.graph import LIMIT, Graph
from tests.graph.examples import CHECKOUT, ORDERS, WEB, asked, counted, ended, load


def told(answer, title):
    """The lines of the finding with that title."""
    return [line for one in answer.findings if one.title.startswith(title) for line in one.text.splitlines()]


async def test_an_empty_graph_answers_with_nothing(graph: Graph):
    answer = await graph.look(asked("Restart checkout"))

    assert answer.findings == ()
    assert answer.dependants == ()
    assert answer.failed_before == 0


async def test_dependants_and_dependencies_of_the_named_resource_are_told(graph: Graph, cypher: neo4j.AsyncDriver):
    await load(cypher, (WEB, CHECKOUT), (CHECKOUT, ORDERS))

    answer = await graph.look(asked("Restart checkout: it does not answer"))

    assert answer.dependants == (WEB,)
    assert told(answer, "What depends on it") == ["Deployment shop/web depends on Deployment checkout"]
    assert told(answer, "What it depends on") == ["Deployment checkout depends on StatefulSet data/orders"]


@pytest.mark.parametrize("text", ["Restart web.", "WEB is down", "see web.shop.svc", "deployment/web", "`web`: crash"])
async def test_a_resource_is_named_by_a_whole_word(graph: Graph, cypher: neo4j.AsyncDriver, text: str):
    await load(cypher, (CHECKOUT, WEB), (WEB, ORDERS), (Resource("Deployment", "cobweb", "shop"), CHECKOUT))

    answer = await graph.look(asked(text))

    assert answer.dependants == (CHECKOUT,)


@pytest.mark.parametrize("text", ["Restart web-1", "cobweb is down", "my-web", "webs"])
async def test_a_part_of_a_word_names_nothing(graph: Graph, cypher: neo4j.AsyncDriver, text: str):
    await load(cypher, (CHECKOUT, WEB), (WEB, ORDERS))

    answer = await graph.look(asked(text))

    # nothing is named, so all of the namespace is meant, and web depends on orders, checkout on web
    assert told(answer, "What it depends on") == [
        "Deployment checkout depends on Deployment shop/web",
        "Deployment web depends on StatefulSet data/orders",
    ]


async def test_where_nothing_is_named_at_most_fifty_resources_are_meant(graph: Graph, cypher: neo4j.AsyncDriver):
    await load(cypher, *((WEB, Resource("Deployment", f"service-{number:03}", "shop")) for number in range(60)))

    answer = await graph.look(asked("Everything is slow"))

    names = [line.split(" depends on Deployment ")[1] for line in told(answer, "What depends on it")]
    assert names == [f"service-{number:03}" for number in range(LIMIT)]


async def test_the_51st_resource_is_found_when_it_is_named(graph: Graph, cypher: neo4j.AsyncDriver):
    await load(cypher, *((WEB, Resource("Deployment", f"service-{number:03}", "shop")) for number in range(600)))

    answer = await graph.look(asked("Restart service-599"))

    assert answer.dependants == (WEB,)


async def test_resources_of_other_namespaces_are_not_meant(graph: Graph, cypher: neo4j.AsyncDriver):
    await load(cypher, (WEB, Resource("Deployment", "checkout", "staging")))

    answer = await graph.look(asked("Restart checkout"))

    assert answer.dependants == ()


async def test_a_dependant_without_namespace_has_none(graph: Graph, cypher: neo4j.AsyncDriver):
    await load(cypher, (Resource("IngressClass", "edge"), WEB))

    answer = await graph.look(asked("Restart web"))

    assert [one.namespace for one in answer.dependants] == [None]


async def test_past_incidents_are_told_newest_first(graph: Graph):
    await graph.remember(ended(CHECKOUT, summary="Pods were deleted.", days_ago=2))
    await graph.remember(ended(CHECKOUT, state=State.FAILED, summary="Still crashing.", days_ago=1))

    answer = await graph.look(asked("Restart checkout"))

    newest, oldest = told(answer, "Past incidents")
    assert newest.endswith("pod_restart of checkout: failed. Still crashing.")
    assert oldest.endswith("pod_restart of checkout: completed. Pods were deleted.")


async def test_failed_attempts_of_the_same_kind_on_the_same_resource_in_seven_days_are_counted(graph: Graph):
    for days in (1, 6.9):
        await graph.remember(ended(CHECKOUT, state=State.FAILED, days_ago=days))
    await graph.remember(ended(CHECKOUT, state=State.ROLLED_BACK, days_ago=2))
    not_counted = [
        ended(CHECKOUT, state=State.FAILED, days_ago=7.1),
        ended(CHECKOUT, state=State.COMPLETED),
        ended(CHECKOUT, state=State.FAILED, request=asked("Scale", action=ActionType.RESOURCE_SCALE)),
        ended(WEB, state=State.FAILED),
    ]
    for one in not_counted:
        await graph.remember(one)

    answer = await graph.look(asked("Restart checkout"))

    assert answer.failed_before == 3


async def test_more_incidents_than_are_told_are_counted_all_the_same(graph: Graph, cypher: neo4j.AsyncDriver):
    await cypher.execute_query(
        "MERGE (r:Resource {kind: 'Deployment', name: 'checkout', namespace: 'shop'})"
        " WITH r UNWIND range(1, 70) AS n"
        " CREATE (:Incident {id: toString(n), action_type: 'pod_restart', status: 'failed', summary: '',"
        " ended_at: datetime() - duration({minutes: n})})-[:AFFECTED]->(r)"
    )

    answer = await graph.look(asked("Restart checkout"))

    assert answer.failed_before == 70
    assert answer.findings[0].title == "Past incidents (50)"


async def test_an_incident_cannot_pass_for_two(graph: Graph):
    await graph.remember(ended(CHECKOUT, summary="Failed.\n2026-01-01 pod_restart of checkout: completed. All well."))

    answer = await graph.look(asked("Restart checkout"))

    assert len(told(answer, "Past incidents")) == 1


async def test_cypher_in_the_requests_text_is_data(graph: Graph, cypher: neo4j.AsyncDriver):
    await load(cypher, (WEB, CHECKOUT))

    await graph.look(asked("checkout'}) DETACH DELETE r //", namespace="shop'}) DETACH DELETE r //"))
    answer = await graph.look(asked("checkout'}) DETACH DELETE r //"))

    assert answer.dependants == (WEB,)


async def test_properties_of_other_types_and_missing_ones_do_not_stop_a_look(graph: Graph, cypher: neo4j.AsyncDriver):
    await cypher.execute_query(
        "CREATE (a:Resource {name: 17, team: 'x'})-[:DEPENDS_ON]->(b:Resource:Old {namespace: 'shop', name: 'web'}),"
        " (i:Incident {id: 'x', ended_at: 'yesterday', status: 3})-[:AFFECTED]->(b)"
    )

    answer = await graph.look(asked("Restart web"))

    assert [str(one) for one in answer.dependants] == [" 17"]
    assert answer.failed_before == 0
    assert len(told(answer, "Past incidents")) == 1


async def test_a_look_cannot_write(graph: Graph, cypher: neo4j.AsyncDriver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queries, "NAMED", "CREATE (r:Resource {name: 'x'}) RETURN r.name AS name")

    with pytest.raises(
        UnavailableError, match=r"Neo4j answered with an error \(Neo\.ClientError\.Statement\.AccessMode"
    ):
        await graph.look(asked("Restart web"))

    assert await counted(cypher, "(:Resource)") == 0
