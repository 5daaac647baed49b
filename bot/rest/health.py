"""Liveness, readiness with each dependency by name, and metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from bot.rest.figures import Figures

PROBE_SECONDS = 5.0
Probe = Callable[[], Awaitable[str | None]]
"""None when the dependency answers, else a sentence that says what is wrong."""


async def _problem(probe: Probe) -> str | None:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await probe()
    except TimeoutError:
        return f"no answer in {PROBE_SECONDS:g} s"


@dataclass(frozen=True, slots=True)
class Dependency:
    """One thing /readyz asks. What is not `is_needed` is reported and does not make the service unready."""

    probe: Probe
    is_needed: bool = True


@dataclass(frozen=True, slots=True)
class Health:
    """The three endpoints that need no key: they tell states, never contents."""

    dependencies: Mapping[str, Dependency]
    registry: CollectorRegistry
    figures: Figures

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/healthz", self.healthz),
            web.get("/readyz", self.readyz),
            web.get("/metrics", self.metrics),
        ]

    async def healthz(self, request: web.Request) -> web.Response:  # noqa: ARG002  a handler's signature
        return web.json_response({"status": "ok"})

    async def readyz(self, request: web.Request) -> web.Response:  # noqa: ARG002  a handler's signature
        async with asyncio.TaskGroup() as group:
            asked = {name: group.create_task(_problem(one.probe)) for name, one in self.dependencies.items()}
        problems = {name: task.result() for name, task in asked.items()}
        checks = {
            name: {"ok": problem is None, "needed": self.dependencies[name].is_needed, "detail": problem or "answers"}
            for name, problem in problems.items()
        }
        is_ready = all(check["ok"] or not check["needed"] for check in checks.values())
        body = {"status": "ready" if is_ready else "not ready", "checks": checks}
        if is_ready:
            return web.json_response(body)
        return web.json_response(body, status=503, headers={"Retry-After": "5"})

    async def metrics(self, request: web.Request) -> web.Response:  # noqa: ARG002  a handler's signature
        body = generate_latest(self.registry) + await self.figures.exposition()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
