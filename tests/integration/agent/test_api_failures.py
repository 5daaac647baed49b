"""However the Messages API fails, the run ends soon, says what to do, and leaves no tokens reserved."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from aiohttp import web

from core.agent.gateway import open_gateway
from core.agent.runs import ClaudeAgents
from core.budget import TokenBudgetManager
from core.errors import UnavailableError
from tests.fakes.ledger import MemoryLedger
from tests.integration.agent.test_runs import RecordingToolbox, clis, task

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
STARTED = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant",'
    b'"model":"x","content":[],"stop_reason":null,"stop_sequence":null,'
    b'"usage":{"input_tokens":10,"output_tokens":1}}}\n\n'
)
OVERLOADED = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
FOR_GOOD = 3_600


def refusing(status: int, **headers: str) -> Handler:
    error = {"type": "error", "error": {"type": "api_error", "message": "told to fail"}}

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(error, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return answer


def saying(body: bytes, kind: str) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=kind)

    return answer


async def started(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    await response.write(STARTED)
    return response


async def cut_off(request: web.Request) -> web.StreamResponse:
    response = await started(request)
    request.transport.abort()
    return response


async def stalled(request: web.Request) -> web.StreamResponse:
    response = await started(request)
    await asyncio.sleep(FOR_GOOD)
    return response


async def silent(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(FOR_GOOD)
    return web.Response()


@asynccontextmanager
async def agents(
    handler: Handler, ledger: MemoryLedger, *, is_behind_proxy: bool = False
) -> AsyncIterator[ClaudeAgents]:
    app = web.Application()
    app.router.add_post("/v1/messages", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        upstream, proxy = ("http://models.invalid", url) if is_behind_proxy else (url, None)
        budget = TokenBudgetManager(ledger=ledger)
        async with open_gateway(upstream=upstream, key="k", budget=budget, proxy=proxy) as gateway:
            yield ClaudeAgents(gateway)
    finally:
        await runner.cleanup()


async def test_a_proxy_carries_what_the_agent_asks_the_messages_api(tmp_path):
    asked = []

    async def proxy(request):
        asked.append(str(request.url))
        return web.Response(status=403)

    async with agents(proxy, MemoryLedger(), is_behind_proxy=True) as runner:
        outcome = await runner.run(task(tmp_path, wall_clock_seconds=60), RecordingToolbox())

    assert "may not use this model (403)" in outcome.output
    assert set(asked) == {"http://models.invalid/v1/messages"}


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        pytest.param(refusing(400), "refused the request (400)", id="400"),
        pytest.param(refusing(403), "may not use this model (403)", id="403"),
        pytest.param(refusing(413), "too long for the Messages API (413)", id="413"),
        pytest.param(refusing(302, location="http://127.0.0.1:1/"), "refused the request (302)", id="redirect"),
        pytest.param(refusing(429, retry_after="600"), "wait a minute and ask again", id="429, ten minutes"),
        pytest.param(refusing(429, retry_after="1"), "wait a minute and ask again", id="429, a second"),
        pytest.param(saying(b"<html>Log in</html>", "text/html"), "sent something that is none", id="another page"),
        pytest.param(saying(b"", "application/json"), "sent something that is none", id="nothing"),
        pytest.param(saying(b"data: {broken\n\n", "text/event-stream"), "sent something that is none", id="garbage"),
        pytest.param(saying(STARTED, "text/event-stream"), "broke its answer off", id="ended early"),
        pytest.param(saying(STARTED + OVERLOADED, "text/event-stream"), "broke its answer off", id="error mid-way"),
        pytest.param(cut_off, "broke its answer off", id="cut off"),
    ],
)
async def test_the_run_fails_with_what_to_do_and_nothing_stays_reserved(tmp_path, handler, told):
    ledger = MemoryLedger()
    toolbox = RecordingToolbox()
    async with agents(handler, ledger) as runner:
        outcome = await runner.run(task(tmp_path, wall_clock_seconds=60), toolbox)

    assert outcome.ending == "failed"
    assert told in outcome.output
    assert ledger.settled
    assert ledger.reserved == {}
    assert toolbox.lines == []


@pytest.mark.parametrize("handler", [stalled, silent], ids=["after the start", "before the headers"])
async def test_a_stall_ends_at_the_wall_clock_and_is_told_as_the_apis(tmp_path, handler):
    ledger = MemoryLedger()
    async with agents(handler, ledger) as runner:
        began = time.monotonic()
        outcome = await runner.run(task(tmp_path, wall_clock_seconds=4), RecordingToolbox())
        took = time.monotonic() - began
        async with asyncio.timeout(5):
            while ledger.reserved:
                await asyncio.sleep(0.05)

    assert outcome.ending == "timeout"
    assert "Stopped after 4 s: the Messages API had not answered for" in outcome.output
    assert took < 4 + 5
    assert not clis()


async def test_a_failure_before_a_success_is_not_told_as_the_cause_of_another(tmp_path):
    answers = iter([refusing(529), saying(b"<html>Log in</html>", "text/html")])
    last = saying(b"<html>Log in</html>", "text/html")

    async def answer(request: web.Request) -> web.StreamResponse:
        return await next(answers, last)(request)

    async with agents(answer, MemoryLedger()) as runner:
        outcome = await runner.run(task(tmp_path), RecordingToolbox())

    assert "sent something that is none" in outcome.output
    assert "overloaded" not in outcome.output


async def test_a_database_that_is_away_is_told_as_that_and_the_model_is_not_asked(tmp_path):
    class Away(MemoryLedger):
        async def reserve(self, resolution_id, *, agent, tokens, cost_usd: Decimal, limits):
            raise UnavailableError("The database does not answer.")

    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response()

    async with agents(answer, Away()) as runner:
        outcome = await runner.run(task(tmp_path), RecordingToolbox())

    assert outcome.ending == "failed"
    assert "The model could not be asked: The database does not answer." in outcome.output
    assert asked == []
