"""Requests held on order: one waits, before or after it takes effect, until it is let go or its caller is gone."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(slots=True)
class Hold:
    """Holds the first request that `is_wanted`; `reached` is set once there is one, `released` lets it go on.

    `is_after_effect`: the request has taken effect by then, only its answer is held back.
    """

    is_wanted: Callable[[web.Request], bool]
    is_after_effect: bool = False
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)


class Holds:
    """The holds that were ordered."""

    def __init__(self) -> None:
        self._ordered: list[Hold] = []

    def add(self, hold: Hold) -> Hold:
        self._ordered.append(hold)
        return hold

    async def strike(self, request: web.Request, *, is_after_effect: bool) -> None:
        """Waits if a hold wants this request at this moment."""
        for hold in self._ordered:
            if hold.is_after_effect is is_after_effect and not hold.reached.is_set() and hold.is_wanted(request):
                hold.reached.set()
                await hold.released.wait()
