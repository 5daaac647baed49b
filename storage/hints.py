"""NOTIFY as a hint: wakes whoever waits; the poll stays the truth."""

import asyncio
import contextlib
from collections.abc import Callable

import asyncpg

from core.resolution import ResolutionId
from storage.database import CHANNEL, LOST, STOP
from storage.heartbeat import connection_arguments

RETRY_SECONDS = 1.0


Stop = Callable[[ResolutionId], None]


async def listen(url: str, wake: Callable[[], None], stop: Stop) -> None:
    """Until cancelled: calls `wake` at each notification, and once after every reconnect.

    `stop` is called first where the notification says that an interrupt of this resolution was recorded.
    """
    while True:
        with contextlib.suppress(*LOST):
            await _listen_once(url, wake, stop)
        await asyncio.sleep(RETRY_SECONDS)


async def _listen_once(url: str, wake: Callable[[], None], stop: Stop) -> None:
    connection = await asyncpg.connect(**connection_arguments(url), timeout=5)
    gone = asyncio.Event()

    def heard(*notification: object) -> None:
        word, _, resolution_id = str(notification[-1]).partition(" ")
        if word == STOP:
            stop(ResolutionId(resolution_id))
        wake()

    try:
        connection.add_termination_listener(lambda _: gone.set())
        await connection.add_listener(CHANNEL, heard)
        wake()
        await gone.wait()
    finally:
        connection.terminate()
