"""A graph that is off, wrong, away or silent: told, never an accident."""

import asyncio

import pytest

from core.context import ContextGatherer
from core.errors import InvalidInputError, UnavailableError
from core.findings import Gap
from core.sources import graph as queries
from core.sources.graph import Graph, open_graph
from tests.graph.examples import CHECKOUT, asked, ended
from tests.servers.graph.server import GraphServer
from tests.servers.processes import free_ports


async def gaps(graph: Graph, seconds: float) -> tuple[Gap, ...]:
    gatherer = ContextGatherer([graph], seconds_per_source=seconds, choose=lambda _request, _workloads: ())
    return (await gatherer.gather(asked("Restart checkout"))).gaps


async def test_without_an_address_it_is_off_and_says_so():
    async with open_graph(None, user="neo4j", password="") as graph:
        assert await gaps(graph, 1) == (Gap("graph", "NEO4J_URI is not set", is_off=True),)
        await graph.remember(ended(CHECKOUT))


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:7474", "127.0.0.1:7687", "", "bolt://127.0.0.1:seven", "bolt://[::1"]
)
async def test_what_is_no_address_of_a_graph_is_refused_at_the_start(uri: str):
    with pytest.raises(InvalidInputError, match="NEO4J_URI"):
        async with open_graph(uri, user="neo4j", password="secret"):
            pass


async def test_a_graph_that_is_away_is_a_gap():
    (port,) = free_ports(1)
    async with open_graph(f"bolt://127.0.0.1:{port}", user="neo4j", password="secret") as graph:
        assert await gaps(graph, 8) == (Gap("graph", "Neo4j does not answer (ServiceUnavailable)."),)


async def test_an_end_that_cannot_be_written_is_said():
    (port,) = free_ports(1)
    async with open_graph(f"bolt://127.0.0.1:{port}", user="neo4j", password="secret") as graph:
        with pytest.raises(UnavailableError, match="Neo4j does not answer"):
            await graph.remember(ended(CHECKOUT))


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x00", b"\x00\x00\x04\x05garbage", b"\xff" * 64, b""],
    ids=["http", "no version", "broken frames", "noise", "closed at once"],
)
async def test_what_is_no_neo4j_is_a_gap(answer: bytes):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(20)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, open_graph(_address(server), user="neo4j", password="secret") as graph:
        (gap,) = await gaps(graph, 8)

    assert gap.reason.startswith("Neo4j does not answer (")


async def test_a_graph_that_is_silent_costs_no_more_than_the_sources_limit():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, open_graph(_address(server), user="neo4j", password="secret") as graph:
        assert await gaps(graph, 0.5) == (Gap("graph", "no answer in 0.5 s"),)


async def test_a_graph_that_is_silent_does_not_hold_the_end_of_a_resolution_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queries, "SECONDS", 0.3)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, open_graph(_address(server), user="neo4j", password="secret") as graph:
        with pytest.raises(UnavailableError, match=r"Neo4j does not answer \(TimeoutError\)"):
            await graph.remember(ended(CHECKOUT))


async def test_a_wrong_password_is_told_without_it(graph_server: GraphServer):
    async with open_graph(graph_server.uri, user="neo4j", password="wrong-password") as graph:
        assert await gaps(graph, 8) == (Gap("graph", "Neo4j refuses NEO4J_USER or NEO4J_PASSWORD."),)


async def test_after_a_look_that_was_cut_short_the_next_one_is_answered(graph_server: GraphServer):
    async with open_graph(graph_server.uri, user=graph_server.user, password=graph_server.password) as graph:
        for seconds in (0.0001, 0.001, 0.003, 0.01, 0.03):
            await gaps(graph, seconds)
        assert await gaps(graph, 8) == ()


def _address(server: asyncio.Server) -> str:
    return f"bolt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
