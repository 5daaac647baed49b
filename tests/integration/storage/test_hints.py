"""NOTIFY wakes whoever waits; a lost connection is opened again, and what was missed meanwhile is made good."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import text

from core.history import Entry, Happened
from core.resolution import State
from storage import hints
from storage.database import connected
from storage.store import PostgresStorage
from tests.integration.storage.backends import terminate_unseen
from tests.integration.storage.test_store import ADA, added

LISTENERS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"


@asynccontextmanager
async def listening(url: str, stop: hints.Stop = lambda _: None) -> AsyncIterator[asyncio.Event]:
    """The event is set at each waking; it is clear when this is entered."""
    woken = asyncio.Event()
    task = asyncio.create_task(hints.listen(url, woken.set, stop))
    try:
        await heard(woken)
        yield woken
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def heard(woken: asyncio.Event, *, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        await woken.wait()
    woken.clear()


async def drop_listeners(store: PostgresStorage) -> int:
    async with connected(store.engine) as connection:
        found = await connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) AS l"))
        return len(found.all())


async def test_what_was_recorded_wakes_the_listener_at_once(store, database_url):
    async with listening(database_url) as woken:
        assert not woken.is_set()
        await added(store)

        await heard(woken, seconds=1)


async def test_an_interrupt_and_a_cancellation_are_heard_by_their_ids_and_nothing_else_is(store, database_url):
    stopped = []
    async with listening(database_url, stopped.append) as woken:
        one, two = await added(store), await added(store)
        await heard(woken)
        assert stopped == []

        async with store.transaction() as tx:
            assert await tx.ask_interrupt(one.id, by=ADA, reason="")
        await heard(woken)

        async with store.transaction() as tx:
            cancelled = Entry(Happened.CANCELLED, two.id, ADA)
            assert await tx.move(two, to=State.CANCELLED, because=cancelled)
        await heard(woken)

    assert stopped == [one.id, two.id]


async def test_after_a_lost_connection_it_wakes_once_and_listens_again(store, database_url):
    async with listening(database_url) as woken:
        assert await drop_listeners(store) == 1
        await heard(woken)

        await added(store)
        await heard(woken, seconds=1)


async def test_connections_dropped_again_and_again_do_not_end_the_listening(store, database_url):
    async with listening(database_url) as woken:
        async with asyncio.timeout(8):
            for _ in range(4):
                while not await drop_listeners(store):
                    await asyncio.sleep(0.02)
        await heard(woken)
        await asyncio.sleep(1.5)
        woken.clear()

        await added(store)
        await heard(woken, seconds=1)


async def test_a_connection_lost_just_before_listen_is_sent_is_opened_again(database_url, monkeypatch):
    """Where the server's last word is read and its end not yet, asyncpg raises InternalClientError."""
    connect, lost = asyncpg.connect, []

    async def connect_and_lose(**arguments):
        connection = await connect(**arguments)
        if len(lost) < 6:
            lost.append(connection.get_server_pid())
            terminate_unseen(database_url, lost[-1])
            for _ in range(len(lost) - 1):
                await asyncio.sleep(0)
        return connection

    monkeypatch.setattr(hints.asyncpg, "connect", connect_and_lose)
    monkeypatch.setattr(hints, "RETRY_SECONDS", 0.0)
    async with listening(database_url):
        assert len(lost) == 6
