"""Where connections to the local Slack come in: one port, which may be shut for a while."""

import socket
from typing import Self

from aiohttp import web


class Doorway:
    """The port is this one's from the start to the end of a `with` block, but for the time that it is shut."""

    def __init__(self, port: int) -> None:
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listening.getsockname()[1]
        self._runner: web.AppRunner | None = None
        self._site: web.SockSite | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    async def serve(self, runner: web.AppRunner) -> None:
        """Lets this application answer; it is set up already, and whoever made it cleans it up."""
        self._runner = runner
        self._site = web.SockSite(runner, self._listening)
        await self._site.start()

    async def shut(self) -> None:
        """Connections are refused from now on, and those that are open are cut."""
        if self._site is None or self._runner is None or self._runner.server is None:
            return
        await self._site.stop()
        self._listening.close()
        for one in self._runner.server.connections:
            one.force_close()

    async def open(self) -> None:
        """Takes the same port again. OSError where somebody else has taken it meanwhile."""
        if self._runner is not None:
            self._listening = socket.create_server(("127.0.0.1", self.port))
            await self.serve(self._runner)
