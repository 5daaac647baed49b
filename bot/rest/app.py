"""The aiohttp application: routes, the error fallback, and the server that stops cleanly."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from uuid import uuid4

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram

from bot.rest.bodies import BODY_LIMIT
from bot.rest.problems import problem, problem_of
from core.errors import ResolverError

log = structlog.get_logger()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def rest_app(routes: Sequence[web.RouteDef], *, registry: CollectorRegistry) -> web.Application:
    """An application over these routes; every error leaves as problem details."""
    seen = Counter("incident_resolver_requests_total", "REST requests", ["route", "status"], registry=registry)
    took = Histogram("incident_resolver_request_seconds", "REST answer time", ["route"], registry=registry)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        response = await _answered(request, handler)
        route = request.match_info.route.resource
        name = route.canonical if route is not None else "unknown"
        took.labels(name).observe(time.perf_counter() - started)
        seen.labels(name, str(response.status)).inc()
        return response

    app = web.Application(middlewares=[guard], client_max_size=BODY_LIMIT)
    app.add_routes(routes)
    return app


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        if request.content_length is not None and request.content_length > BODY_LIMIT:
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body may have at most {BODY_LIMIT} bytes.")
        return await handler(request)
    except ResolverError as error:
        return problem_of(error)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return _refused(request, error)
    except Exception:
        number = uuid4().hex
        log.exception("request_failed", error_id=number, route=request.path)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, f"Something went wrong here. Quote {number} to the operator.")


def _refused(request: web.Request, error: web.HTTPException) -> web.Response:
    """The framework's own refusals in sentences."""
    detail, allowed = error.text or error.reason, error.headers.get("Allow")
    if isinstance(error, web.HTTPNotFound):
        detail = f"There is nothing at {request.path}. What there is stands at /docs and /openapi.json."
    elif isinstance(error, web.HTTPRequestEntityTooLarge):
        detail = f"The body may have at most {BODY_LIMIT} bytes."
    elif allowed is not None:
        detail = f"{request.method} is not possible here; use {allowed}."
    answer = problem(HTTPStatus(error.status), detail)
    if allowed is not None:
        answer.headers["Allow"] = allowed
    return answer


@asynccontextmanager
async def serve_rest(app: web.Application, *, host: str, port: int) -> AsyncIterator[str]:
    """Listens until left; yields the URL. A port in use is an error that says so."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0, keepalive_timeout=15.0, auto_decompress=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise ResolverError(
                f"Cannot listen on {host}:{port}: {error.strerror}. Choose another port: "
                "INCIDENT_RESOLVER_PORT, or --port for the demo (0: any free one)."
            ) from error
        bound = runner.addresses[0][1]
        yield f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"
    finally:
        await runner.cleanup()
