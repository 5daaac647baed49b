"""NOTIFY as a hint: wakes whoever waits; the poll stays the truth."""

import asyncio
import contextlib
from collections.abc import Callable

import asyncpg

from storage.database import CHANNEL, LOST
from storage.heartbeat import connection_arguments

RETRY_SECONDS = 1.0


async def listen(url: str, wake: Callable[[], None]) -> None:
    """Until cancelled: calls `wake` at each notification, and once after every reconnect."""
    while True:
        with contextlib.suppress(*LOST):
            await _listen_once(url, wake)
        await asyncio.sleep(RETRY_SECONDS)


async def _listen_once(url: str, wake: Callable[[], None]) -> None:
    connection = await asyncpg.connect(**connection_arguments(url), timeout=5)
    gone = asyncio.Event()
    try:
        connection.add_termination_listener(lambda _: gone.set())
        await connection.add_listener(CHANNEL, lambda *_: wake())
        wake()
        await gone.wait()
    finally:
        connection.terminate()
