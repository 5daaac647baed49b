"""Ends the server's side of a connection as an operator would."""

import asyncio
import threading

import asyncpg

from storage.heartbeat import connection_arguments

_connect = asyncpg.connect


def terminate_unseen(url: str, pid: int) -> None:
    """Blocks the caller's loop until the server has closed the connection, so that it has read nothing of it yet."""
    thread = threading.Thread(target=_terminate, args=(url, pid))
    thread.start()
    thread.join()


def _terminate(url: str, pid: int) -> None:
    async def run() -> None:
        connection = await _connect(**connection_arguments(url))
        await connection.execute("SELECT pg_terminate_backend($1, 5000)", pid)
        await connection.close()

    asyncio.run(run())
