"""One real Neo4j for the session, emptied before each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import neo4j
import pytest

from core.sources.graph import Graph, open_graph
from tests.servers.graph.server import GraphServer, find_or_fetch, open_graph_server
from tests.servers.parts import require

SECONDS_PER_TEST = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The limit is each test's own: the first one also pays for the fetch and the start, which have limits."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(SECONDS_PER_TEST, func_only=True))


@pytest.fixture(scope="session")
def graph_server() -> Iterator[GraphServer]:
    with open_graph_server(require(find_or_fetch)) as server:
        yield server


@pytest.fixture
async def cypher(graph_server: GraphServer) -> AsyncIterator[neo4j.AsyncDriver]:
    """A login beside the product's, to load and to look; the graph is empty."""
    auth = (graph_server.user, graph_server.password)
    async with neo4j.AsyncGraphDatabase.driver(graph_server.uri, auth=auth, telemetry_disabled=True) as driver:
        await driver.execute_query("MATCH (n) DETACH DELETE n")
        yield driver


@pytest.fixture
async def graph(graph_server: GraphServer, cypher: neo4j.AsyncDriver) -> AsyncIterator[Graph]:
    async with open_graph(graph_server.uri, user=graph_server.user, password=graph_server.password) as opened:
        yield opened
