"""Keeps leases alive from a thread and a connection of its own, so that a blocked loop does not lose its work."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator

import asyncpg
import structlog
from sqlalchemy.engine import make_url

from core.resolution import Resolution
from storage.database import LOST

log = structlog.get_logger()
_RENEW = """
UPDATE resolution SET lease_until = now() + make_interval(secs => $3)
WHERE (id, epoch) IN (SELECT * FROM unnest($1::uuid[], $2::bigint[]))
"""


class Heartbeat:
    """Renews the leases of what is held every sixth of a lease; stops once the loop has not ticked for two leases."""

    def __init__(self, url: str, *, lease_seconds: float) -> None:
        self._url = url
        self._lease_seconds = lease_seconds
        self._held: dict[str, int] = {}
        self._guard = threading.Lock()
        self._ticked = time.monotonic()
        self._over = threading.Event()

    @contextlib.contextmanager
    def hold(self, resolution: Resolution) -> Iterator[None]:
        """While inside, the lease of this epoch is renewed."""
        with self._guard:
            self._held[resolution.id] = resolution.epoch
        try:
            yield
        finally:
            with self._guard:
                if self._held.get(resolution.id) == resolution.epoch:
                    del self._held[resolution.id]

    async def run(self) -> None:
        """Starts the thread and ticks until cancelled."""
        thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            while True:
                self._ticked = time.monotonic()
                await asyncio.sleep(min(1.0, self._lease_seconds / 6))
        finally:
            self._over.set()

    def _beat(self) -> None:
        while not self._over.is_set():
            try:
                asyncio.run(self._renew_until_broken())
            except LOST as error:
                log.warning("heartbeat_failed", error=type(error).__name__)
            self._over.wait(min(1.0, self._lease_seconds / 6))

    async def _renew_until_broken(self) -> None:
        connection = await asyncpg.connect(**connection_arguments(self._url), timeout=5, command_timeout=5)
        try:
            while not self._over.is_set():
                await self._renew(connection)
                await asyncio.sleep(self._lease_seconds / 6)
        finally:
            connection.terminate()

    async def _renew(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        if time.monotonic() - self._ticked > min(60.0, 2 * self._lease_seconds):
            return
        with self._guard:
            held = dict(self._held)
        if held:
            await connection.execute(_RENEW, list(held), list(held.values()), self._lease_seconds)


def connection_arguments(url: str) -> dict[str, object]:
    """Asyncpg's arguments for an SQLAlchemy address, Unix socket folders included."""
    address = make_url(url)
    host = address.query.get("host", address.host)
    given = {
        "host": host,
        "port": address.port,
        "user": address.username,
        "password": address.password,
        "database": address.database,
    }
    ssl = address.query.get("ssl") or address.query.get("sslmode")
    return {name: value for name, value in (given | {"ssl": ssl}).items() if value is not None}
