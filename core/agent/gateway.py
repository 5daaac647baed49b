"""The loopback gateway between the agent's CLI and the Messages API.

It holds the real model key; a run has a token of its own. Tokens are reserved before a call is forwarded, the answer's
length is bounded by what is left, and usage is settled from the stream.
"""

import asyncio
import hmac
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from math import ceil
from typing import Any

import aiohttp
from aiohttp import web

from core.agent.metering import Meter, estimated_input
from core.agent.prices import price_of
from core.budget import TokenBudgetManager
from core.errors import BudgetExceededError, UnavailableError
from core.ports import Limits, Reservation
from core.resolution import ResolutionId

LEAST_ANSWER = 256
MOST_ANSWER = 8_192
_BODY_LIMIT = 8 * 1024 * 1024
_PASSED = ("anthropic-version", "anthropic-beta", "content-type", "accept")
_LAST_WORDS = (
    "The token budget is spent. Do not use any tool. Answer now, in at most five sentences: what was wrong, what you "
    "changed, what you could not do."
)


@dataclass(slots=True)
class Run:
    """What the gateway knows about one agent run. `spent` says which limit ended it, None while there is room."""

    resolution_id: ResolutionId
    agent: str
    token_limit: int
    model: str
    agent_tokens: int | None = None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    spent: str | None = None
    had_last_word: bool = False
    last_status: int | None = None
    """The Messages API's newest status, 0 where it did not answer, for a sentence when the run fails."""
    problem: str | None = None
    """Why the newest call could not even be forwarded: ours, not the Messages API's."""
    tokens_per_estimated: float = 1.0
    """How many input tokens the model has counted at most for one that we had estimated; never less than one."""
    most_counted: int = 0
    """The most input tokens it has counted for one call, of those for which it counted more than we had estimated."""
    silent_since: float | None = None
    """By the loop's clock: when an answer that is still awaited was asked for, or last heard of."""
    is_over: bool = False
    """Set when the run may do no more: then no further call is forwarded, whatever its process still asks."""
    open_calls: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the last of the open calls was settled."""

    @contextmanager
    def call(self) -> Iterator[None]:
        """One call of the run, or its count: until it is over, the run is not settled."""
        self.open_calls += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.open_calls -= 1
            if not self.open_calls:
                self.idle.set()

    async def settled(self, *, seconds: float) -> None:
        """Until no call is open any more, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.open_calls:
                    await self.idle.wait()

    def expected_input(self, body: bytes) -> int:
        """Our estimate, but never less than what a model that counts otherwise has counted already."""
        return max(ceil(estimated_input(body) * self.tokens_per_estimated), self.most_counted)

    def learn(self, body: bytes, counted: int) -> None:
        """Takes the model's count of the input of one call."""
        estimated = estimated_input(body)
        if counted > estimated:
            self.tokens_per_estimated = max(self.tokens_per_estimated, counted / estimated)
            self.most_counted = max(self.most_counted, counted)


class Gateway:
    """`open_gateway` starts one. Only POST /v1/messages and its count_tokens pass, only with a run's token."""

    def __init__(self, session: aiohttp.ClientSession, *, upstream: str, key: str, budget: TokenBudgetManager) -> None:
        self._session = session
        self._upstream = upstream.rstrip("/")
        self._key = key
        self._budget = budget
        self._runs: dict[str, Run] = {}
        self.url = ""

    @contextmanager
    def run(self, run: Run) -> Iterator[Run]:
        """While inside, the run's token is valid."""
        self._runs[run.token] = run
        try:
            yield run
        finally:
            del self._runs[run.token]

    def app(self) -> web.Application:
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_post("/v1/messages/count_tokens", self._count)
        return app

    def _known(self, request: web.Request) -> Run | None:
        given = request.headers.get("x-api-key", "").encode()
        return next((run for token, run in self._runs.items() if hmac.compare_digest(token.encode(), given)), None)

    async def _count(self, request: web.Request) -> web.StreamResponse:
        if self._known(request) is None:
            return _problem(HTTPStatus.UNAUTHORIZED, "authentication_error", "This run's token is not valid.")
        return web.json_response({"input_tokens": estimated_input(await request.read())})

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        run = self._known(request)
        if run is None:
            return _problem(HTTPStatus.UNAUTHORIZED, "authentication_error", "This run's token is not valid.")
        if run.is_over:
            return _problem(HTTPStatus.BAD_REQUEST, "invalid_request_error", "This run is over.")
        with run.call():
            return await self._message(request, run)

    async def _message(self, request: web.Request, run: Run) -> web.StreamResponse:
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
            return _problem(HTTPStatus.BAD_REQUEST, "invalid_request_error", "This is no request for messages.")
        body["model"] = run.model
        try:
            reservation, body = await self._reserve(run, body)
        except BudgetExceededError as error:
            run.spent = str(error)
            return _problem(HTTPStatus.BAD_REQUEST, "invalid_request_error", f"Token budget: {error}")
        except UnavailableError as error:
            run.problem = str(error)
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "api_error", str(error))
        run.problem = None
        return await self._forward(request, run, reservation, body)

    async def _reserve(self, run: Run, body: dict[str, Any]) -> tuple[Reservation, dict[str, Any]]:
        """The reservation and the body to send: as it came with a bounded answer, or as a request for last words."""
        if run.spent is None:
            try:
                return await self._reserve_once(run, body, self._limits(run))
            except BudgetExceededError as error:
                run.spent = str(error)
        if run.had_last_word:
            raise BudgetExceededError(run.spent or "the tokens are spent")
        run.had_last_word = True
        return await self._reserve_once(run, _last_words(body), self._limits(run, is_last_word=True))

    def _limits(self, run: Run, *, is_last_word: bool = False) -> Limits:
        return self._budget.limits(run.token_limit, agent_tokens=run.agent_tokens, is_last_word=is_last_word)

    async def _reserve_once(self, run: Run, body: dict[str, Any], limits: Limits) -> tuple[Reservation, dict[str, Any]]:
        needed = run.expected_input(json.dumps(body).encode())
        room = await self._budget.room(run.resolution_id, limits=limits) - limits.reserve_tokens
        asked = body.get("max_tokens")
        answer = min(asked if isinstance(asked, int) else MOST_ANSWER, MOST_ANSWER, max(room - needed, 0))
        answer = max(answer, min(LEAST_ANSWER, asked) if isinstance(asked, int) and asked > 0 else LEAST_ANSWER)
        price = price_of(run.model)
        cost = price.of(fresh=0, cache_read=0, cache_write=needed, output=answer)
        reservation = await self._budget.reserve(
            run.resolution_id, agent=run.agent, tokens=needed + answer, cost_usd=cost, limits=limits
        )
        return reservation, body | {"max_tokens": answer}

    async def _forward(
        self, request: web.Request, run: Run, reservation: Reservation, body: dict[str, Any]
    ) -> web.StreamResponse:
        raw = json.dumps(body).encode()
        meter = Meter(run.model, len(raw))
        is_answered = False
        run.silent_since = asyncio.get_running_loop().time()
        try:
            headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
            url = f"{self._upstream}/v1/messages"
            async with self._session.post(
                url, data=raw, headers=headers | {"x-api-key": self._key}, allow_redirects=False
            ) as answer:
                is_answered = answer.status == HTTPStatus.OK
                run.last_status = answer.status
                relayed = await _relay(request, answer, run, meter)
                run.silent_since = None
                return relayed
        except (aiohttp.ClientError, TimeoutError, OSError):
            run.last_status = run.last_status if is_answered else 0
            run.silent_since = None
            return _problem(HTTPStatus.BAD_GATEWAY, "api_error", "The Messages API does not answer.")
        finally:
            tokens, cost = (meter.tokens, meter.cost_usd) if is_answered else (0, meter.cost_usd * 0)
            if is_answered:
                run.learn(raw, meter.input_tokens)
            # The process may be killed, and this handler cancelled, while the count is written.
            await asyncio.shield(self._settle(run, reservation, tokens=tokens, cost_usd=cost))

    async def _settle(self, run: Run, reservation: Reservation, *, tokens: int, cost_usd: Decimal) -> None:
        with run.call():
            await self._budget.settle(run.resolution_id, reservation, tokens=tokens, cost_usd=cost_usd)


async def _relay(request: web.Request, answer: aiohttp.ClientResponse, run: Run, meter: Meter) -> web.StreamResponse:
    headers = {
        name: answer.headers[name] for name in ("content-type", "retry-after", "request-id") if name in answer.headers
    }
    if "event-stream" not in answer.headers.get("content-type", ""):
        whole = await answer.read()
        meter.feed_whole(whole)
        return web.Response(status=answer.status, body=whole, headers=headers)
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    async for chunk in answer.content.iter_any():
        meter.feed(chunk)
        run.silent_since = asyncio.get_running_loop().time()
        await response.write(chunk)
    await response.write_eof()
    return response


def _last_words(body: dict[str, Any]) -> dict[str, Any]:
    """The newest exchange cut down to a request for a summary, without tools that could be called."""
    messages = [one for one in body["messages"] if isinstance(one, dict) and one.get("role") != "system"]
    shortened = messages[:1] + messages[-2:] if len(messages) > 3 else messages  # noqa: PLR2004  first and newest
    text = json.dumps(shortened, ensure_ascii=False)[-4_000:]
    plain = {name: body[name] for name in ("model", "stream", "max_tokens") if name in body}
    question = f"{_LAST_WORDS}\n\nThe end of the conversation so far, as data:\n{text}"
    return plain | {"messages": [{"role": "user", "content": question}]}


def _problem(status: HTTPStatus, kind: str, message: str) -> web.Response:
    return web.json_response({"type": "error", "error": {"type": kind, "message": message}}, status=status.value)


@asynccontextmanager
async def open_gateway(
    *, upstream: str, key: str, budget: TokenBudgetManager, proxy: str | None = None
) -> AsyncIterator[Gateway]:
    """Listens on a free loopback port until left."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=90)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), proxy=proxy) as session:
        gateway = Gateway(session, upstream=upstream, key=key, budget=budget)
        runner = web.AppRunner(gateway.app(), access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield gateway
        finally:
            await runner.cleanup()
