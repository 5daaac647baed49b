"""The Messages API on loopback: streams scripted turns as server-sent events, counts tokens, fails when told to."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer: words, then tool calls as (name, input). `usage` overrides what is reported."""

    text: str = ""
    tools: tuple[tuple[str, dict[str, Any]], ...] = ()
    usage: dict[str, int] = field(default_factory=dict)
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do instead of answering: an HTTP status, or a stall after the stream has begun."""

    status: int = 0
    is_stall: bool = False


Script = Callable[[Body], Turn]


class ScriptedModel:
    """Asks the script for each turn; `bodies` keeps every request, `fault` replaces answers while it is set."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.bodies: list[Body] = []
        self.keys: list[str] = []
        self.fault: Fault | None = None
        self.url = ""
        self._ids = itertools.count(1)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_post("/v1/messages/count_tokens", self._count)
        return app

    async def _count(self, request: web.Request) -> web.Response:
        return web.json_response({"input_tokens": len(await request.read()) // 4})

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.keys.append(request.headers.get("x-api-key", ""))
        if self.fault is not None and self.fault.status:
            return web.json_response(
                {"type": "error", "error": {"type": "api_error", "message": "told to fail"}}, status=self.fault.status
            )
        turn = self.script(body)
        await asyncio.sleep(turn.delay_seconds)
        message = self._message(turn, body)
        if not body.get("stream"):
            return web.json_response(message)
        return await self._stream(request, message)

    def _message(self, turn: Turn, body: Body) -> Body:
        content: list[Body] = [{"type": "text", "text": turn.text}] if turn.text else []
        content += [
            {"type": "tool_use", "id": f"toolu_{next(self._ids):06d}", "name": name, "input": given}
            for name, given in turn.tools
        ]
        size = len(json.dumps(body))
        usage = {
            "input_tokens": size // 4,
            "output_tokens": len(json.dumps(content)) // 4,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        }
        return {
            "id": f"msg_{next(self._ids):06d}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model"),
            "content": content,
            "stop_reason": "tool_use" if turn.tools else "end_turn",
            "stop_sequence": None,
            "usage": usage | turn.usage,
        }

    async def _stream(self, request: web.Request, message: Body) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)

        async def event(kind: str, **data: object) -> None:
            await response.write(f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode())

        usage = message["usage"] | {"output_tokens": 1}
        await event("message_start", message=message | {"content": [], "stop_reason": None, "usage": usage})
        if self.fault is not None and self.fault.is_stall:
            await asyncio.sleep(3_600)
        for index, block in enumerate(message["content"]):
            is_text = block["type"] == "text"
            empty = {"type": "text", "text": ""} if is_text else block | {"input": {}}
            delta = (
                {"type": "text_delta", "text": block["text"]}
                if is_text
                else {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            )
            await event("content_block_start", index=index, content_block=empty)
            await event("content_block_delta", index=index, delta=delta)
            await event("content_block_stop", index=index)
        ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        await event("message_delta", delta=ending, usage=message["usage"])
        await event("message_stop")
        await response.write_eof()
        return response


@asynccontextmanager
async def open_scripted_model(script: Script, *, port: int = 0) -> AsyncIterator[ScriptedModel]:
    """Listens on 127.0.0.1 until left; its address is `url`."""
    model = ScriptedModel(script)
    runner = web.AppRunner(model.app(), access_log=None, shutdown_timeout=0.5, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        model.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield model
    finally:
        await runner.cleanup()
