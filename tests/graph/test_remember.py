"""What is written back when a resolution ends, read with a login beside the product's."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import neo4j

from core.resolution import State
from core.resources import Resource
from core.sources import graph as queries
from core.sources.graph import Graph
from tests.graph.examples import CHECKOUT, NOW, ORDERS, WEB, asked, counted, ended, in_state, load

DOCUMENT = Path(__file__).parents[2] / "docs" / "graph.md"


async def test_the_end_is_written_with_what_it_affected(graph: Graph, cypher: neo4j.AsyncDriver):
    overview = ended(CHECKOUT, WEB, state=State.FAILED, summary="Still crashing.")

    await graph.remember(overview)

    found = await cypher.execute_query(
        "MATCH (i:Incident)-[:AFFECTED]->(r) WITH i, r ORDER BY r.name RETURN i, collect(r.name) AS names"
    )
    (row,) = found.records
    incident = dict(row["i"])
    assert row["names"] == ["checkout", "web"]
    assert abs(incident.pop("ended_at").to_native() - NOW) < timedelta(milliseconds=1)
    assert incident == {
        "id": overview.resolution.id,
        "action_type": "pod_restart",
        "status": "failed",
        "summary": "Still crashing.",
        "description": "Restart checkout",
        "risk_level": "MEDIUM",
        "client_id": "loc-01",
    }


async def test_the_same_end_written_twice_changes_nothing(graph: Graph, cypher: neo4j.AsyncDriver):
    await load(cypher, (WEB, CHECKOUT))
    overview = ended(CHECKOUT)
    everything = "MATCH (n) OPTIONAL MATCH (n)-[e]->(m) RETURN properties(n), type(e), m.name ORDER BY n.name, n.id"

    await graph.remember(overview)
    once = (await cypher.execute_query(everything)).records
    await graph.remember(overview)
    twice = (await cypher.execute_query(everything)).records

    assert once == twice


async def test_a_later_end_replaces_the_earlier(graph: Graph, cypher: neo4j.AsyncDriver):
    overview = ended(CHECKOUT)

    await graph.remember(overview)
    await graph.remember(in_state(overview, State.ROLLED_BACK))

    assert await counted(cypher, "(:Incident)") == 1
    assert await counted(cypher, "(:Incident {status: 'rolled_back'})") == 1


async def test_a_resource_that_was_loaded_is_not_added_again(graph: Graph, cypher: neo4j.AsyncDriver):
    await load(cypher, (WEB, CHECKOUT))

    await graph.remember(ended(CHECKOUT))

    assert await counted(cypher, "(:Resource {name: 'checkout'})") == 1
    assert await counted(cypher, "(:Incident)-[:AFFECTED]->(:Resource)<-[:DEPENDS_ON]-()") == 1


async def test_pods_of_a_controller_are_left_out_and_a_bare_pod_is_written(graph: Graph, cypher: neo4j.AsyncDriver):
    await graph.remember(ended(CHECKOUT, Resource("Pod", "checkout-5d9-x", "shop")))
    await graph.remember(ended(Resource("Pod", "debug", "shop")))

    found = await cypher.execute_query("MATCH (r:Resource) RETURN r.name AS name ORDER BY name")
    assert [row["name"] for row in found.records] == ["checkout", "debug"]


async def test_an_end_that_affected_nothing_is_written_all_the_same(graph: Graph, cypher: neo4j.AsyncDriver):
    await graph.remember(ended())

    assert await counted(cypher, "(:Incident)") == 1
    assert await counted(cypher, "(:Resource)") == 0


async def test_secrets_are_not_written(graph: Graph, cypher: neo4j.AsyncDriver):
    request = asked("Restart checkout, its password=hunter2-hunter2")
    await graph.remember(ended(CHECKOUT, request=request, summary="token: ghp_0123456789abcdef0123 was refused"))

    (row,) = (await cypher.execute_query("MATCH (i:Incident) RETURN i.summary + i.description AS text")).records
    assert "hunter2" not in row["text"]
    assert "ghp_" not in row["text"]
    assert "[redacted]" in row["text"]


async def test_what_the_document_says_can_be_loaded_and_asked(graph: Graph, cypher: neo4j.AsyncDriver):
    constraints, loading, _ = _cypher_blocks()
    for statement in (constraints + loading + loading).split(";"):
        if statement.strip():
            await cypher.execute_query(statement)

    answer = await graph.look(asked("Restart checkout"))

    assert answer.dependants == (WEB,)
    assert [one.text for one in answer.findings if "it depends on" in one.title] == [f"{CHECKOUT_LINE} {ORDERS}"]


async def test_two_replicas_writing_at_once_add_a_resource_once(graph: Graph, cypher: neo4j.AsyncDriver):
    constraints = _cypher_blocks()[0]
    for statement in constraints.split(";")[:-1]:
        await cypher.execute_query(statement)

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(graph.remember(ended(CHECKOUT)))

    assert await counted(cypher, "(:Resource)") == 1
    assert await counted(cypher, "(:Incident)-[:AFFECTED]->(:Resource)") == 20


def test_the_document_shows_the_cypher_that_is_sent():
    assert _cypher_blocks()[2].split() == queries.REMEMBER.split()
    for name in re.findall(r"^\| `([A-Z_]+)`: ", DOCUMENT.read_text(), re.MULTILINE):
        assert isinstance(getattr(queries, name), str)


CHECKOUT_LINE = "Deployment checkout depends on"


def _cypher_blocks() -> list[str]:
    return re.findall(r"```cypher\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
