"""The database dies, comes back, or drops every connection: the service lives on, says so, and loses nothing."""

import asyncio
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest

from core.history import Happened
from core.ports import HistoryFilter
from core.resolution import State
from storage.database import open_engine
from storage.embedded import open_embedded
from storage.heartbeat import connection_arguments
from storage.schema import upgrade
from tests.faults.world import LEASE_SECONDS, World, open_world

ENDS = {State.COMPLETED, State.INTERRUPTED, State.FAILED}
RESTART = {
    "client_id": "loc-01",
    "namespace": "shop",
    "action_type": "pod_restart",
    "action_description": "checkout: 1 of 2 pods is in CrashLoopBackOff",
}


class Server:
    """A PostgreSQL of this test's own, which it may kill and start again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._using = ExitStack()
        self.url = self._using.enter_context(open_embedded(folder))

    async def die(self) -> None:
        pid = int((self._folder / "postgresql/data/postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)

    async def start(self) -> None:
        await asyncio.to_thread(self._using.enter_context, open_embedded(self._folder))

    def close(self) -> None:
        self._using.close()


@pytest.fixture
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="ir-test-"))
    server = Server(folder)
    yield server
    server.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def fragile(server, tmp_path, maker) -> AsyncIterator[World]:
    """A world on the server that may die."""
    engine = open_engine(server.url)
    await upgrade(engine)
    await engine.dispose()
    async with open_world(server.url, tmp_path, maker=maker) as opened:
        yield opened


async def test_an_outage_longer_than_the_lease_is_told_with_503_and_loses_nothing(fragile, server):
    world = fragile
    replica = await world.start()
    await world.ask("crashloop")
    card = await world.card("Approval needed")
    held = world.hold("GET", "/namespaces/payments/pods", agent="kubectl")
    await world.ask("investigation")
    await world.reached(held)
    waiting = next(
        one for one in await world.store.history(HistoryFilter()) if one.resolution.state is State.AWAITING_APPROVAL
    )
    key = str(uuid.uuid4())

    await server.die()
    end = asyncio.get_running_loop().time() + 2 * LEASE_SECONDS
    while asyncio.get_running_loop().time() < end:
        status, problem, headers = await replica.post("/resolve", RESTART, **{"Idempotency-Key": key})
        assert (status, problem["detail"]) == (503, "The database does not answer.")
        assert int(headers["Retry-After"]) > 0
        status, _, headers = await replica.get(f"/api/v1/incident/status/{waiting.resolution.id}")
        assert status == 503
        assert "Retry-After" in headers
        assert (await replica.get("/healthz"))[0] == 200
        status, ready, _ = await replica.get("/readyz")
        assert (status, ready["checks"]["database"]["ok"]) == (503, False)
        await asyncio.sleep(0.3)
    lost = await world.slack.click(world.ada, card["ts"], "approve")
    assert lost.is_acked
    assert "database does not answer" in world.slack.ephemerals(world.ada)[-1]["text"]
    held.released.set()
    await server.start()

    await until_ready(world, replica)
    assert (await world.slack.click(world.ada, card["ts"], "approve")).is_acked
    status, first, _ = await replica.post("/resolve", RESTART, **{"Idempotency-Key": key})
    assert status in {200, 202}
    assert (await replica.post("/resolve", RESTART, **{"Idempotency-Key": key}))[1]["resolution_id"] == (
        first["resolution_id"]
    )
    found = await ended(world, besides=first["resolution_id"])
    assert len(found) == 3
    assert found[waiting.resolution.id].resolution.state is State.COMPLETED
    assert len(world.changes()) == 1
    for one in found.values():
        assert (await world.happened(one.resolution.id)).count(Happened.EXECUTION_STARTED) <= 1
    assert (await world.store.verify_history()).broken_at is None


async def test_connections_dropped_again_and_again_change_nothing_twice_and_the_service_lives_on(fragile, server):
    world = fragile
    replica = await world.start()
    await world.ask("crashloop")
    await world.approve()
    for _ in range(15):
        await drop_connections(server.url)
        await asyncio.sleep(0.2)

    await until_ready(world, replica)
    found = await ended(world)
    (one,) = found.values()
    assert len(world.changes()) <= 1
    assert (await world.happened(one.resolution.id)).count(Happened.EXECUTION_STARTED) == 1
    assert replica.is_alive
    await world.forget_senders()
    await world.slack_tells_all()
    await world.ask("investigation")
    assert len(await ended(world)) == 2


async def until_ready(world: World, replica) -> None:
    async with asyncio.timeout(30):
        while (await replica.get("/readyz"))[0] != 200:
            await asyncio.sleep(0.1)


async def ended(world: World, *, besides: str = "") -> dict:
    """Every resolution by id, once all but one have come to an end."""
    try:
        async with asyncio.timeout(40):
            while True:
                found = {one.resolution.id: one for one in await world.store.history(HistoryFilter())}
                if all(one.resolution.state in ENDS for id_, one in found.items() if id_ != besides):
                    return found
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(await world.told()) from None


async def drop_connections(url: str) -> None:
    connection = await asyncpg.connect(**connection_arguments(url))
    try:
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    finally:
        await connection.close()
