"""Work that is stopped when somebody asks to, or when another worker holds the resolution."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TypeVar

from core.errors import UnavailableError
from core.ports import Store
from core.resolution import Resolution

WATCH_SECONDS = 0.3
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Watcher:
    """Looks at the rows while something runs."""

    store: Store

    async def run(
        self,
        resolution: Resolution,
        work: Coroutine[object, object, T],
        *,
        at_stop: Callable[[], Awaitable[object]] | None = None,
    ) -> T | None:
        """What `work` comes to; None once it was stopped and is gone. `resolution` is as the row is meanwhile.

        `at_stop` starts while the work is being stopped, not after it.
        """
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            run = group.create_task(work)
            watch = group.create_task(self._watch(resolution, stop))
            await asyncio.wait({run, watch}, return_when=asyncio.FIRST_COMPLETED)
            if at_stop is not None and not run.done():
                group.create_task(_done(at_stop))
            run.cancel()
            result = await _result(run)
            stop.set()
        return result

    async def _watch(self, resolution: Resolution, stop: asyncio.Event) -> None:
        """Returns when somebody asked to stop, when the lease is lost, or once `stop` is set."""
        while not stop.is_set():
            if await self.must_stop(resolution):
                return
            try:
                async with asyncio.timeout(WATCH_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def must_stop(self, resolution: Resolution) -> bool:
        """A database that does not answer is no order to stop: the lease runs out by itself, and no change starts."""
        try:
            return await self.store.stop_asked(resolution.id) is not None or not await self.store.is_held(resolution)
        except UnavailableError:
            return False


async def _done(what: Callable[[], Awaitable[object]]) -> None:
    await what()


async def _result(run: "asyncio.Task[T]") -> T | None:
    """None if it was stopped."""
    try:
        return await run
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        return None
