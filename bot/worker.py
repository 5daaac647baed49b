"""The one worker loop: claims resolutions whose time has come and lets the flow advance each by one state."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import structlog

from core.errors import LeaseLostError, ResolverError, UnavailableError
from core.flow import Flow
from core.ports import Store
from core.resolution import Resolution

log = structlog.get_logger()
POLL_SECONDS = 1.0
ATTEMPTS = 5
AT_ONCE = 32

Hold = Callable[[Resolution], AbstractContextManager[None]]
"""Keeps the lease of a claimed resolution alive while inside."""


@dataclass(slots=True)
class Worker:
    """`hint` wakes the loop early; the poll is the truth. `owner` names this process in leases."""

    flow: Flow
    store: Store
    hold: Hold
    owner: str
    monotonic: Callable[[], float] = time.monotonic
    hint: asyncio.Event = field(default_factory=asyncio.Event)
    _looked_at: float | None = None
    _busy: int = 0

    def wake(self) -> None:
        """Something was written: the loop and whoever waits for an answer look at once."""
        self.hint.set()
        self.flow.executor.hint()

    def pass_age_seconds(self) -> float:
        """Since it last looked for work and was answered; since always, before the first time."""
        return self.monotonic() - self._looked_at if self._looked_at is not None else float("inf")

    async def run(self) -> None:
        """Until cancelled. Cancelling leaves each resolution where its last committed move put it."""
        async with asyncio.TaskGroup() as group:
            while True:
                for resolution in await self._claim():
                    self._busy += 1
                    group.create_task(self._advance(resolution))
                await self._wait()

    async def _claim(self) -> list[Resolution]:
        if self._busy >= AT_ONCE:
            self._looked_at = self.monotonic()
            return []
        try:
            claimed = list(await self.store.claim(self.owner, limit=AT_ONCE - self._busy))
        except UnavailableError as error:
            log.warning("claim_failed", error=str(error))
            return []
        self._looked_at = self.monotonic()
        return claimed

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self.hint.wait()
        self.hint.clear()

    async def _advance(self, resolution: Resolution) -> None:
        with structlog.contextvars.bound_contextvars(resolution_id=resolution.id, state=resolution.state.value):
            try:
                with self.hold(resolution):
                    await self._advance_safely(resolution)
                    await self.store.release(resolution)
            except ResolverError as error:
                log.warning("release_failed", error=str(error))
            finally:
                self._busy -= 1
                self.hint.set()

    async def _advance_safely(self, resolution: Resolution) -> None:
        try:
            await self.flow.advance(resolution)
        except LeaseLostError as error:
            log.info("lease_lost", reason=str(error))
        except Exception as error:  # one of the three places: a broken step must not stop the loop
            log.exception("advance_failed", attempts=resolution.attempts)
            await self._later(resolution, error)

    async def _later(self, resolution: Resolution, error: Exception) -> None:
        """Tries again with growing gaps; after five attempts the flow gives up with a sentence."""
        sentence = str(error) if isinstance(error, ResolverError) else "An unexpected error; the log has it."
        try:
            if resolution.attempts + 1 >= ATTEMPTS:
                await self.flow.give_up(resolution, f"Gave up after {ATTEMPTS} attempts: {sentence}")
            else:
                await self.store.retry_later(resolution, seconds=2.0**resolution.attempts)
        except ResolverError as later:
            log.warning("retry_failed", error=str(later))
