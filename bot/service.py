"""The service: everything that runs, started together and stopped together."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from core.errors import first_of

Part = Callable[[], Awaitable[None]]
"""Something that runs until cancelled."""


@dataclass(frozen=True, slots=True)
class Service:
    """What wiring put together. `url` is the REST server's."""

    url: str
    parts: Sequence[Part]

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. A part that fails stops the others and its error is raised as it is."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_forever(part)) for part in self.parts]
                await stop.wait()
                for task in tasks:
                    task.cancel()
        except ExceptionGroup as failures:
            raise first_of(failures) from failures


async def _forever(part: Part) -> None:
    await part()


def stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM or SIGINT; for the main thread's loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop.set)
    return stop
