"""The simulator's API server: aiohttp on 127.0.0.1, JSON in and out, a bearer token required."""

import asyncio
import base64
import copy
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from bot.demo.cluster import controllers, installing, kinds, openapi, requests, tables
from bot.demo.cluster.certificates import server_certificate
from bot.demo.cluster.holds import Holds
from bot.demo.cluster.kinds import Served
from bot.demo.cluster.objects import Object, Objects, RefusedError
from bot.demo.cluster.scenarios import Scenario

VERSION = "v1.37.0-simulator"
TICK_SECONDS = 0.2


def utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  the demo's own clock


@dataclass(frozen=True, slots=True)
class Change:
    """A changing request the simulator took."""

    method: str
    path: str
    is_dry_run: bool
    status: int


class Simulator:
    """Objects, controllers and the HTTP side; `journal` holds every changing request, `holds` those that wait."""

    def __init__(self) -> None:
        self.objects = Objects(utc_now)
        self.token = secrets.token_urlsafe(24)
        self.journal: list[Change] = []
        self.holds = Holds()
        self.url = ""
        self.authority, self.tls = server_certificate(utc_now())

    def write_kubeconfig(self, file: Path) -> Path:
        authority = base64.b64encode(self.authority).decode()
        server = {"server": self.url, "certificate-authority-data": authority}
        cluster = {"name": "simulator", "cluster": server}
        user = {"name": "demo", "user": {"token": self.token}}
        context = {"name": "demo", "context": {"cluster": "simulator", "user": "demo"}}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "demo",
            "clusters": [cluster],
            "users": [user],
            "contexts": [context],
        }
        file.touch(mode=0o600)
        file.write_text(json.dumps(config, indent=1), encoding="utf-8")
        return file

    # --- scenarios -----------------------------------------------------------------------------------------------

    def install(self, scenario: Scenario) -> None:
        """Puts the scenario's namespace into its broken state, whatever it was before."""
        installing.install(self.objects, scenario, now=utc_now())

    def install_all(self) -> None:
        installing.install_all(self.objects, now=utc_now())

    async def live(self) -> None:
        """Lets the controllers work until cancelled."""
        while True:
            controllers.tick(self.objects, utc_now())
            await asyncio.sleep(TICK_SECONDS)

    # --- HTTP ----------------------------------------------------------------------------------------------------

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=16 * 2**20)
        app.router.add_get("/version", self._version)
        app.router.add_get("/openapi/v3", self._openapi)
        app.router.add_get("/openapi/v3/{root:.+}", self._openapi)
        app.router.add_get("/api", self._api)
        app.router.add_get("/apis", self._apis)
        app.router.add_get("/api/v1", self._resources)
        app.router.add_get("/apis/{group}/{version}", self._resources)
        for root in ("/api/v1", "/apis/{group}/{version}"):
            for place in ("/namespaces/{namespace}", ""):
                app.router.add_route("*", f"{root}{place}/{{plural}}", self._collection)
                app.router.add_route("*", f"{root}{place}/{{plural}}/{{name}}", self._object)
                app.router.add_route("*", f"{root}{place}/{{plural}}/{{name}}/{{sub}}", self._object)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:  # noqa: ANN401  aiohttp's
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            return requests.failure(401, "Unauthorized", "Unauthorized")
        status = 500
        try:
            await self.holds.strike(request, is_after_effect=False)
            response: web.StreamResponse = await handler(request)
            status = response.status
            await self.holds.strike(request, is_after_effect=True)
        except RefusedError as error:
            status = error.status
            return requests.failure(error.status, error.reason, str(error))
        except web.HTTPNotFound:
            status = 404
            return requests.failure(404, "NotFound", "the server could not find the requested resource")
        finally:
            if request.method not in {"GET", "HEAD"}:
                is_dry = "dryRun" in request.query
                self.journal.append(Change(request.method, request.path, is_dry, status))
        return response

    async def _version(self, request: web.Request) -> web.Response:  # noqa: ARG002  a handler's signature
        return web.json_response({"major": "1", "minor": "37", "gitVersion": VERSION, "platform": "linux/amd64"})

    async def _openapi(self, request: web.Request) -> web.Response:
        root = request.match_info.get("root")
        found = openapi.index() if root is None else openapi.description(root)
        if found is None:
            raise web.HTTPNotFound
        return web.json_response(found)

    async def _api(self, request: web.Request) -> web.Response:  # noqa: ARG002  a handler's signature
        return web.json_response({"kind": "APIVersions", "versions": ["v1"]})

    async def _apis(self, request: web.Request) -> web.Response:  # noqa: ARG002  a handler's signature
        return web.json_response(kinds.group_list())

    async def _resources(self, request: web.Request) -> web.Response:
        found = kinds.resource_list(requests.group_version(request))
        if found is None:
            raise web.HTTPNotFound
        return web.json_response(found)

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        served, namespace = requests.served_kind(request), request.match_info.get("namespace", "")
        if request.method == "POST":
            return await self._create(request, served, namespace)
        if request.method != "GET":
            raise RefusedError(405, "MethodNotAllowed", "the simulator does not do this to collections")
        if request.query.get("watch") in {"true", "1"}:
            return await self._watch(request, served, namespace)
        found = [one for one in self._listed(served, namespace) if requests.is_wanted(request, one)]
        if "as=Table" in request.headers.get("Accept", ""):
            return web.json_response(tables.table(served.kind, found, now=utc_now(), version=self.objects.version))
        return web.json_response(
            {
                "kind": f"{served.kind}List",
                "apiVersion": served.group_version,
                "metadata": {"resourceVersion": str(self.objects.version)},
                "items": found,
            }
        )

    def _listed(self, served: Served, namespace: str) -> list[Object]:
        if served.kind in {"PodMetrics", "NodeMetrics"}:
            return self._metrics(served, namespace)
        return list(self.objects.of(served.kind, namespace))

    def _metrics(self, served: Served, namespace: str) -> list[Object]:
        source = "Pod" if served.kind == "PodMetrics" else "Node"
        now = self.objects.now()
        found = []
        for one in self.objects.of(source, namespace):
            usage = {"cpu": "485m", "memory": "201Mi"}
            metadata = {key: one["metadata"][key] for key in ("name", "namespace") if key in one["metadata"]}
            entry: Object = {
                "kind": served.kind,
                "apiVersion": served.group_version,
                "metadata": {**metadata, "labels": one["metadata"].get("labels", {})},
                "timestamp": now,
                "window": "15s",
            }
            if source == "Node":
                entry["usage"] = usage
            else:
                entry["containers"] = [{"name": one["spec"]["containers"][0]["name"], "usage": usage}]
            found.append(entry)
        return found

    async def _create(self, request: web.Request, served: Served, namespace: str) -> web.Response:
        if served.kind == "SelfSubjectAccessReview":
            return web.json_response({**await requests.read_object(request), "status": {"allowed": True}}, status=201)
        given = await requests.read_object(request)
        given["kind"], given["apiVersion"] = served.kind, served.group_version
        metadata = given.setdefault("metadata", {})
        if namespace:
            metadata["namespace"] = namespace
        name = metadata.get("name")
        if not name:
            raise RefusedError(422, "Invalid", "metadata.name: Required value")
        if self.objects.get(served.kind, namespace, name) is not None:
            raise RefusedError(409, "AlreadyExists", f'{served.plural} "{name}" already exists')
        if served.kind == "Pod":
            given.setdefault("status", {"phase": "Pending"})
        if requests.is_dry_run(request):
            return web.json_response(given, status=201)
        return web.json_response(self.objects.put(given), status=201)

    async def _object(self, request: web.Request) -> web.StreamResponse:
        served, namespace = requests.served_kind(request), request.match_info.get("namespace", "")
        name, sub = request.match_info["name"], request.match_info.get("sub", "")
        live = next((one for one in self._listed(served, namespace) if one["metadata"]["name"] == name), None)
        if live is None:
            raise RefusedError(404, "NotFound", f'{served.plural} "{name}" not found')
        if sub and sub not in served.subresources:
            raise web.HTTPNotFound
        if sub == "log":
            return requests.log_answer(request, live)
        match request.method:
            case "GET":
                return self._shown(request, served, live, sub)
            case "PUT" | "PATCH":
                return await self._changed(request, live, sub)
            case "DELETE":
                return await self._delete(request, served, live)
            case _:
                raise RefusedError(405, "MethodNotAllowed", "the simulator does not do this")

    def _shown(self, request: web.Request, served: Served, live: Object, sub: str) -> web.Response:
        if sub == "scale":
            return web.json_response(requests.scale_of(live))
        if "as=Table" in request.headers.get("Accept", ""):
            return web.json_response(tables.table(served.kind, [live], now=utc_now(), version=self.objects.version))
        return web.json_response(live)

    async def _changed(self, request: web.Request, live: Object, sub: str) -> web.Response:
        base = requests.scale_of(live) if sub == "scale" else live
        if request.method == "PUT":
            wanted = await requests.read_object(request)
        else:
            wanted = await requests.patched(request, base)
        version = wanted.get("metadata", {}).get("resourceVersion")
        if version and version != live["metadata"]["resourceVersion"]:
            raise RefusedError(
                409, "Conflict", "the object has been modified; please apply your changes to the latest version"
            )
        uid = wanted.get("metadata", {}).get("uid")
        if uid and uid != live["metadata"]["uid"]:
            raise RefusedError(409, "Conflict", "the uid in the precondition does not match")
        changed = copy.deepcopy(live)
        if sub == "scale":
            changed["spec"]["replicas"] = int(wanted["spec"].get("replicas", 0))
        else:
            changed = {
                **wanted,
                "kind": live["kind"],
                "apiVersion": live["apiVersion"],
                "status": live.get("status", {}),
            }
            changed["metadata"] = {**wanted["metadata"], "namespace": live["metadata"].get("namespace", "")}
        if not requests.is_dry_run(request):
            changed = self.objects.put(changed)
        return web.json_response(requests.scale_of(changed) if sub == "scale" else changed)

    async def _delete(self, request: web.Request, served: Served, live: Object) -> web.Response:
        options = await requests.read_object(request) if request.can_read_body else {}
        wanted = (options.get("preconditions") or {}).get("uid")
        if wanted and wanted != live["metadata"]["uid"]:
            raise RefusedError(409, "Conflict", "the uid in the precondition does not match")
        if not requests.is_dry_run(request) and not options.get("dryRun"):
            namespace = live["metadata"].get("namespace", "")
            self.objects.remove(served.kind, namespace, live["metadata"]["name"])
            if served.kind == "Namespace":
                self.objects.clear(live["metadata"]["name"])
        return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    async def _watch(self, request: web.Request, served: Served, namespace: str) -> web.StreamResponse:
        if "sendInitialEvents" in request.query:
            raise RefusedError(422, "Invalid", "sendInitialEvents is not supported by the simulator")
        since = int(request.query.get("resourceVersion") or self.objects.version)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(float(request.query.get("timeoutSeconds", "300"))):
                while True:
                    for version, what, one in list(self.objects.changes):
                        is_ours = one["kind"] == served.kind and namespace in {"", one["metadata"].get("namespace")}
                        if version > since and is_ours and requests.is_wanted(request, one):
                            await response.write(json.dumps({"type": what, "object": one}).encode() + b"\n")
                    since = max(since, self.objects.version)
                    await asyncio.sleep(0.1)
        return response


@asynccontextmanager
async def open_simulator(*, port: int = 0, scenarios: Sequence[Scenario] | None = None) -> AsyncIterator[Simulator]:
    """Listens on 127.0.0.1 until left, with the given scenarios installed (all by default) and controllers at work."""
    simulator = Simulator()
    if scenarios is None:
        simulator.install_all()
    else:
        for scenario in scenarios:
            simulator.install(scenario)
    runner = web.AppRunner(simulator.app(), access_log=None, shutdown_timeout=0.5, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=simulator.tls).start()
        simulator.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        async with asyncio.TaskGroup() as group:
            living = group.create_task(simulator.live())
            try:
                yield simulator
            finally:
                living.cancel()
    finally:
        await runner.cleanup()
