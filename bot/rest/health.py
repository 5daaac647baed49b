"""Liveness, readiness with each dependency by name, and metrics."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Probe = Callable[[], Awaitable[str | None]]
"""None when the dependency answers, else a sentence that says what is wrong."""


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

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/healthz", self.healthz),
            web.get("/readyz", self.readyz),
            web.get("/metrics", self.metrics),
        ]

    async def healthz(self, request: web.Request) -> web.Response:  # noqa: ARG002  a handler's signature
        return web.json_response({"status": "ok"})

    async def readyz(self, request: web.Request) -> web.Response:  # noqa: ARG002  a handler's signature
        problems = {name: await one.probe() for name, one in self.dependencies.items()}
        checks = {
            name: {"ok": problem is None, "needed": self.dependencies[name].is_needed, "detail": problem or "answers"}
            for name, problem in problems.items()
        }
        is_ready = all(check["ok"] or not check["needed"] for check in checks.values())
        body = {"status": "ready" if is_ready else "not ready", "checks": checks}
        return web.json_response(body, status=200 if is_ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:  # noqa: ARG002  a handler's signature
        return web.Response(body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
