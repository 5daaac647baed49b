"""Socket Mode: one-use tickets, up to ten sockets, each envelope to exactly one of them."""

import asyncio
import json
import secrets
from contextlib import suppress
from itertools import count
from typing import Literal

from aiohttp import WSMsgType, web
from typing_extensions import override

from bot.demo.slack.courier import Answer, Courier, EnvelopeKind
from bot.demo.slack.journal import Journal
from bot.demo.slack.workspace import Json

SOCKET_LIMIT = 10
ACK_SECONDS = 3.0
DisconnectReason = Literal["refresh_requested", "warning", "link_disabled", "too_many_websockets"]


class SocketMode(Courier):
    """The sockets of the app."""

    def __init__(self, *, app_id: str, journal: Journal, ack_seconds: float = ACK_SECONDS) -> None:
        self._app_id = app_id
        self._journal = journal
        self._ack_seconds = ack_seconds
        self._tickets: set[str] = set()
        self._sockets: dict[web.WebSocketResponse, web.Request] = {}
        self._waiting: dict[str, tuple[web.WebSocketResponse, asyncio.Future[Answer]]] = {}
        self._turn = count()
        self._connected = asyncio.Event()

    @property
    def connections(self) -> int:
        return len(self._sockets)

    def new_ticket(self) -> str:
        ticket = secrets.token_urlsafe(24)
        self._tickets.add(ticket)
        return ticket

    async def connected(self) -> None:
        """Returns as soon as the app has a socket."""
        await self._connected.wait()

    async def accept(self, request: web.Request) -> web.WebSocketResponse:
        """The handler of the socket's URL: serves one socket until it ends."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            raise web.HTTPForbidden(text="This ticket is unknown or was used; ask apps.connections.open for a new URL.")
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if len(self._sockets) >= SOCKET_LIMIT:
            await self._say_goodbye(socket, "too_many_websockets")
            return socket
        await socket.send_json(self._hello())
        self._sockets[socket] = request
        self._connected.set()
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    self._take_ack(frame.data)
        finally:
            self._forget(socket)
        return socket

    @override
    async def deliver(
        self, kind: EnvelopeKind, payload: Json, *, retry_number: int = 0, retry_reason: str = ""
    ) -> Answer:
        answer = await self._deliver(kind, payload, retry_number, retry_reason)
        heard = {"acked": answer.is_acked, "payload": answer.payload, "reason": answer.reason}
        self._journal.record("delivery", kind, {"payload": payload, "retry": retry_number}, heard)
        return answer

    async def _deliver(self, kind: EnvelopeKind, payload: Json, retry_number: int, retry_reason: str) -> Answer:
        if not self._sockets:
            return Answer(is_acked=False, reason="the app is not connected", is_reachable=False)
        socket = list(self._sockets)[next(self._turn) % len(self._sockets)]
        envelope: Json = {
            "envelope_id": secrets.token_hex(16),
            "type": kind,
            "payload": payload,
            "accepts_response_payload": kind != "events_api",
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": retry_number, "retry_reason": retry_reason}
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[envelope["envelope_id"]] = (socket, answer)
        try:
            async with asyncio.timeout(self._ack_seconds):
                await socket.send_json(envelope)
                return await answer
        except TimeoutError:
            return Answer(is_acked=False, reason="timeout")
        except ConnectionError:
            return Answer(is_acked=False, reason="connection_lost")
        finally:
            self._waiting.pop(envelope["envelope_id"], None)

    async def disconnect(self, reason: DisconnectReason = "refresh_requested") -> None:
        """Asks every socket to go, as Slack does before it closes them; the app is to reconnect."""
        for socket in list(self._sockets):
            await self._say_goodbye(socket, reason)

    def drop(self) -> int:
        """Cuts every connection without a word; returns how many."""
        sockets = dict(self._sockets)
        for socket, request in sockets.items():
            self._forget(socket)
            if request.transport is not None:
                request.transport.abort()
        return len(sockets)

    async def close(self) -> None:
        for socket in list(self._sockets):
            self._forget(socket)
            with suppress(ConnectionError):
                await socket.close()

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self._sockets) + 1,
            "connection_info": {"app_id": self._app_id},
            "debug_info": {"host": "local-slack", "approximate_connection_time": 18060},
        }

    def _take_ack(self, text: str) -> None:
        try:
            frame = json.loads(text)
        except ValueError:
            return
        if not isinstance(frame, dict):
            return
        _, answer = self._waiting.get(str(frame.get("envelope_id")), (None, None))
        if answer is not None and not answer.done():
            payload = frame.get("payload")
            answer.set_result(Answer(is_acked=True, payload=payload if isinstance(payload, dict) else {}))

    def _forget(self, socket: web.WebSocketResponse) -> None:
        self._sockets.pop(socket, None)
        if not self._sockets:
            self._connected.clear()
        for carrier, answer in self._waiting.values():
            if carrier is socket and not answer.done():
                answer.set_result(Answer(is_acked=False, reason="connection_lost"))

    @staticmethod
    async def _say_goodbye(socket: web.WebSocketResponse, reason: DisconnectReason) -> None:
        with suppress(ConnectionError):
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "local-slack"}})
            if reason != "warning":
                await socket.close()
