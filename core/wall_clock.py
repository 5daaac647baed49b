"""A WallClock: how long a run may take, without the time in which it waits for a person."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class WallClock:
    """Limits one block of a coroutine to `seconds`; stands still inside `stopped`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._limit: asyncio.Timeout | None = None

    @asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """TimeoutError once the time is used up."""
        async with asyncio.timeout(self.seconds) as self._limit:
            yield

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Nothing of the time is used inside. One block at a time."""
        ends_at = self._limit.when() if self._limit is not None else None
        if self._limit is None or ends_at is None or self._limit.expired():
            yield
            return
        loop = asyncio.get_running_loop()
        left = ends_at - loop.time()
        self._limit.reschedule(None)
        try:
            yield
        finally:
            self._limit.reschedule(loop.time() + left)
