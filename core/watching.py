"""Work that is stopped when somebody asks to, or when another worker holds the resolution."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from core.errors import UnavailableError
from core.ports import Store
from core.resolution import Resolution, ResolutionId

WATCH_SECONDS = 0.3
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Watcher:
    """Looks at the rows while something runs; who heard of an interrupt that was recorded calls `stop`."""

    store: Store
    _asked: dict[ResolutionId, asyncio.Event] = field(default_factory=dict)

    def stop(self, resolution_id: ResolutionId) -> None:
        """Stops its work here, if there is any, without another look at the rows."""
        if resolution_id in self._asked:
            self._asked[resolution_id].set()

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
        asked = self._asked[resolution.id] = asyncio.Event()
        over = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                run = group.create_task(work)
                looking = group.create_task(self._look(resolution, over))
                hearing = group.create_task(asked.wait())
                await asyncio.wait({run, looking, hearing}, return_when=asyncio.FIRST_COMPLETED)
                if at_stop is not None and not run.done():
                    group.create_task(_done(at_stop))
                run.cancel()
                hearing.cancel()
                result = await _result(run)
                over.set()
        finally:
            if self._asked.get(resolution.id) is asked:
                del self._asked[resolution.id]
        return result

    async def _look(self, resolution: Resolution, over: asyncio.Event) -> None:
        """Returns when somebody asked to stop or when the lease is lost, as the rows say; or once `over` is set."""
        while not over.is_set() and not await self.must_stop(resolution):
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_SECONDS):
                    await over.wait()

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
