"""The lease of what is held outlives a blocked event loop, and no longer than two leases."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from core.resolution import Resolution
from storage.database import connected
from storage.heartbeat import Heartbeat
from storage.store import PostgresStorage, open_storage
from tests.integration.storage.test_store import added, claimed
from tests.postgres import SNAPSHOT_KEY

LEASE_SECONDS = 2.0


@pytest.fixture
async def store(database_url) -> AsyncIterator[PostgresStorage]:
    async with open_storage(database_url, snapshot_key=SNAPSHOT_KEY, lease_seconds=LEASE_SECONDS) as opened:
        yield opened


@asynccontextmanager
async def beating(database_url: str) -> AsyncIterator[Heartbeat]:
    heartbeat = Heartbeat(database_url, lease_seconds=LEASE_SECONDS)
    task = asyncio.create_task(heartbeat.run())
    try:
        yield heartbeat
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def held(store: PostgresStorage) -> Resolution:
    await added(store)
    return await claimed(store)


async def test_what_is_held_stays_ours_for_many_leases_and_what_is_let_go_does_not(store, database_url):
    one = await held(store)
    async with beating(database_url) as heartbeat:
        with heartbeat.hold(one):
            await asyncio.sleep(2 * LEASE_SECONDS)
            assert await store.is_held(one)
            assert await store.claim("another", limit=1) == []
        await asyncio.sleep(LEASE_SECONDS * 1.5)

        assert not await store.is_held(one)
        assert [found.id for found in await store.claim("another", limit=1)] == [one.id]


async def test_a_loop_blocked_for_longer_than_the_lease_does_not_lose_it(store, database_url):
    one = await held(store)
    async with beating(database_url) as heartbeat:
        with heartbeat.hold(one):
            await asyncio.sleep(LEASE_SECONDS / 2)
            time.sleep(1.6 * LEASE_SECONDS)

            assert await store.is_held(one)


async def test_a_loop_blocked_for_much_longer_than_two_leases_loses_it(store, database_url):
    one = await held(store)
    async with beating(database_url) as heartbeat:
        with heartbeat.hold(one):
            await asyncio.sleep(LEASE_SECONDS / 2)
            time.sleep(4 * LEASE_SECONDS)

            assert not await store.is_held(one)


async def test_an_epoch_that_another_took_over_is_not_renewed(store, database_url):
    one = await held(store)
    async with connected(store.engine) as connection:
        await connection.execute(text("UPDATE resolution SET lease_until = now() - interval '1 second'"))
    (taken,) = await store.claim("another", limit=1)
    async with beating(database_url) as heartbeat:
        with heartbeat.hold(one):
            await asyncio.sleep(1.5 * LEASE_SECONDS)

        assert not await store.is_held(one)
        assert not await store.is_held(taken)


async def test_a_dropped_connection_is_opened_again_within_the_lease(store, database_url):
    one = await held(store)
    async with beating(database_url) as heartbeat:
        with heartbeat.hold(one):
            for _ in range(3):
                await asyncio.sleep(LEASE_SECONDS / 2)
                async with connected(store.engine) as connection:
                    await connection.execute(
                        text(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                        )
                    )
            await asyncio.sleep(LEASE_SECONDS)

            assert await store.is_held(one)
