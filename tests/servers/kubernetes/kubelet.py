"""A kubelet that runs nothing: keeps nodes Ready, writes what becomes of pods, and serves their logs.

Run as `python -m tests.servers.kubernetes.kubelet SERVER FOLDER PORT NODE…`; FOLDER holds the certificates.
"""

import asyncio
import hashlib
import itertools
import json
import ssl
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.servers.kubernetes import fates
from tests.servers.kubernetes.fates import Fate, Object, Phase, Surroundings, stamp

AGENT = {"User-Agent": "kubelet"}
"""Audit logs tell it by this from the service, which is the administrator, too."""
TICK_SECONDS = 0.2
HEARTBEAT_SECONDS = 1.0
LONGEST_STOP_SECONDS = 0.5
NOT_READY = "simulator/not-ready"
_JSON = "application/json"
_STRATEGIC = "application/strategic-merge-patch+json"
_GONE = (404, 409)


class ApiError(Exception):
    """The API server refused."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text[:500]}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Api:
    """The API server as a kubelet uses it: JSON over one client."""

    session: aiohttp.ClientSession
    server: str

    async def send(self, method: str, path: str, body: Object | None = None, *, content: str = _JSON) -> Object:
        headers = {"Content-Type": content, "Accept": _JSON}
        data = None if body is None else json.dumps(body)
        async with self.session.request(method, self.server + path, data=data, headers=headers) as response:
            text = await response.text()
            if response.status >= 300:
                raise ApiError(response.status, text)
            return json.loads(text)


@dataclass(slots=True)
class Life:
    """What the kubelet remembers of one pod."""

    pod: Object
    ip: str
    is_first: bool
    fate: Fate | None = None
    since: datetime | None = None
    restarts: int = 0
    written: Object | None = None
    warned: dict[str, int] = field(default_factory=dict)
    leaving_at: datetime | None = None


@dataclass(slots=True)
class Kubelet:
    """All nodes share one kubelet: the lives of pods, by uid."""

    api: Api
    nodes: tuple[str, ...]
    port: int
    lives: dict[str, Life] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def run(self) -> None:
        for node in self.nodes:
            await self._register(node)
        async with asyncio.TaskGroup() as group:
            for node in self.nodes:
                group.create_task(self._beat(node))
            group.create_task(self._watch())
            group.create_task(self._live())

    # --- Nodes

    async def _register(self, name: str) -> None:
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        with suppress(ApiError):
            await self.api.send("POST", "/api/v1/nodes", {"metadata": {"name": name, "labels": labels}})

    async def _beat(self, name: str) -> None:
        lease = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}"
        while True:
            with suppress(ApiError, aiohttp.ClientError, TimeoutError):
                node = await self.api.send("GET", f"/api/v1/nodes/{name}")
                is_ready = NOT_READY not in (node["metadata"].get("annotations") or {})
                conditions = {one["type"]: one["status"] for one in node.get("status", {}).get("conditions", [])}
                if conditions.get("Ready") != str(is_ready):
                    status = {"status": self._node_status(is_ready=is_ready)}
                    await self.api.send("PATCH", f"/api/v1/nodes/{name}/status", status, content=_STRATEGIC)
                spec = {
                    "holderIdentity": name,
                    "leaseDurationSeconds": 40,
                    "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                }
                body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec}
                body["metadata"] = {"name": name, "namespace": "kube-node-lease"}
                path = f"{lease}?fieldManager=kubelet&force=true"
                await self.api.send("PATCH", path, body, content="application/apply-patch+yaml")
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _node_status(self, *, is_ready: bool) -> Object:
        now = stamp(datetime.now(UTC))
        room = {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"}
        facts = {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": str(is_ready)}
        conditions = [
            {
                "type": kind,
                "status": status,
                "reason": "KubeletReady" if is_ready or kind != "Ready" else "KubeletNotReady",
                "message": "",
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }
            for kind, status in facts.items()
        ]
        return {
            "capacity": room,
            "allocatable": room,
            "conditions": conditions,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            "nodeInfo": dict.fromkeys(
                (
                    "machineID",
                    "systemUUID",
                    "bootID",
                    "kernelVersion",
                    "osImage",
                    "containerRuntimeVersion",
                    "kubeProxyVersion",
                    "operatingSystem",
                    "architecture",
                ),
                "none",
            )
            | {"kubeletVersion": "v1.36.3"},
        }

    # --- Pods

    async def _watch(self) -> None:
        while True:
            with suppress(ApiError, aiohttp.ClientError, TimeoutError):
                listed = await self.api.send("GET", "/api/v1/pods?fieldSelector=spec.nodeName!%3D")
                for uid in set(self.lives) - {pod["metadata"]["uid"] for pod in listed["items"]}:
                    del self.lives[uid]
                for pod in listed["items"]:
                    self._seen(pod)
                await self._follow(listed["metadata"]["resourceVersion"])
            await asyncio.sleep(TICK_SECONDS)

    async def _follow(self, version: str) -> None:
        path = f"/api/v1/pods?watch=1&fieldSelector=spec.nodeName!%3D&resourceVersion={version}"
        timeout = aiohttp.ClientTimeout(total=None)
        async with self.api.session.get(self.api.server + path, timeout=timeout) as response:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                if event["type"] == "DELETED":
                    self.lives.pop(event["object"]["metadata"]["uid"], None)
                else:
                    self._seen(event["object"])

    def _seen(self, pod: Object) -> None:
        if pod["spec"].get("nodeName") not in self.nodes:
            return
        metadata = pod["metadata"]
        life = self.lives.get(metadata["uid"])
        if life is None:
            number = next(self.numbers)
            is_first = self._siblings(pod) == 0
            life = self.lives[metadata["uid"]] = Life(pod, f"10.244.{number // 250}.{number % 250 + 1}", is_first)
        life.pod = pod
        if metadata.get("deletionTimestamp") and life.leaving_at is None:
            grace = min(metadata.get("deletionGracePeriodSeconds") or 0, LONGEST_STOP_SECONDS)
            life.leaving_at = datetime.now(UTC) + timedelta(seconds=grace)

    async def _live(self) -> None:
        while True:
            for life in list(self.lives.values()):
                try:
                    await self._step(life, datetime.now(UTC))
                except ApiError as error:
                    if error.status not in _GONE:
                        print(f"{life.pod['metadata']['name']}: {error}", flush=True)
                except (aiohttp.ClientError, TimeoutError) as error:
                    print(f"{type(error).__name__}: {error}", flush=True)
            await asyncio.sleep(TICK_SECONDS)

    async def _step(self, life: Life, now: datetime) -> None:
        if life.leaving_at is not None:
            if now >= life.leaving_at:
                await self._remove(life, now)
            return
        if life.pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
            return
        fate = fates.fate(life.pod, Surroundings(life.is_first, self._siblings(life.pod)))
        if life.since is None or (fate is not life.fate and {fate, life.fate} != {Fate.READY, Fate.UNREADY}):
            life.since, life.restarts = now, _restarts(life)
        life.fate = fate
        has_started = life.written is not None and life.written["phase"] == "Running"
        phase = fates.moment(
            life.pod, fate, since=life.since, now=now, restarts_before=life.restarts if has_started else None
        )
        status = _status(life, phase)
        if status != life.written:
            await self._write(life, status)
            if phase.warning is not None:
                await self._warn(life, *phase.warning)

    def _siblings(self, pod: Object) -> int:
        """The pods of its controller that are not leaving, itself included once it is known."""
        return sum(_controller(one.pod) == _controller(pod) and one.leaving_at is None for one in self.lives.values())

    async def _write(self, life: Life, status: Object) -> None:
        metadata = life.pod["metadata"]
        body = {"metadata": {"uid": metadata["uid"]}, "status": status}
        await self.api.send("PATCH", f"{_path(metadata)}/status", body, content=_STRATEGIC)
        life.written = status

    async def _remove(self, life: Life, now: datetime) -> None:
        """A Job counts its pods by their last phase, so there is one before the object goes."""
        if life.written is None or life.written["phase"] not in {"Succeeded", "Failed"}:
            await self._write(life, _status(life, Phase("Failed", fates.ended(now, 137))))
        metadata = life.pod["metadata"]
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        await self.api.send("DELETE", _path(metadata), body)
        self.lives.pop(metadata["uid"], None)

    async def _warn(self, life: Life, reason: str, message: str) -> None:
        """One Event object for each thing said, its count going up."""
        metadata = life.pod["metadata"]
        now = stamp(datetime.now(UTC))
        key = f"{reason} {message}"
        count = life.warned[key] = life.warned.get(key, 0) + 1
        name = f"{metadata['name']}.{metadata['uid'][:8]}.{hashlib.sha256(key.encode()).hexdigest()[:8]}"
        path = f"/api/v1/namespaces/{metadata['namespace']}/events"
        if count > 1:
            body = {"count": count, "lastTimestamp": now}
            await self.api.send("PATCH", f"{path}/{name}", body, content=_STRATEGIC)
            return
        about = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "namespace": metadata["namespace"]}
        event = {
            "metadata": {"name": name, "namespace": metadata["namespace"]},
            "involvedObject": about | {"uid": metadata["uid"]},
            "reason": reason,
            "message": message,
            "type": "Warning",
            "count": count,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": "kubelet", "host": life.pod["spec"]["nodeName"]},
        }
        await self.api.send("POST", path, event)

    # --- Logs

    async def logs(self, request: web.Request) -> web.Response:
        wanted = (request.match_info["namespace"], request.match_info["pod"])
        for life in self.lives.values():
            metadata = life.pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == wanted:
                return _log(life, request.query)
        return web.Response(status=404, text="no such pod here")


def _log(life: Life, query: Mapping[str, str]) -> web.Response:
    statuses = (life.written or {}).get("containerStatuses", [{}])
    if query.get("previous") == "true" and not statuses[0].get("restartCount"):
        return web.Response(status=400, text="previous terminated container not found")
    text = fates.log(life.pod)
    if "tailLines" in query:
        text = "".join(text.splitlines(keepends=True)[-int(query["tailLines"]) :])
    return web.Response(text=text[: int(query.get("limitBytes", len(text)))])


def _status(life: Life, phase: Phase) -> Object:
    """What the API server is told; a condition's time stays while its value does."""
    now = stamp(datetime.now(UTC))
    pod, written = life.pod, life.written or {}
    truth = "True" if phase.is_ready else "False"
    is_over = phase.phase == "Succeeded"
    conditions = []
    for kind, value in (("Initialized", "True"), ("Ready", truth), ("ContainersReady", truth)):
        old = next((one for one in written.get("conditions", []) if one["type"] == kind), {})
        since = old.get("lastTransitionTime", now) if old.get("status") == value else now
        one = {"type": kind, "status": value, "lastTransitionTime": since}
        if value == "False":
            one["reason"] = "PodCompleted" if is_over else "ContainersNotReady"
            one["message"] = "" if is_over else f"containers with unready status: {_names(pod)}"
        conditions.append(one)
    containers = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": phase.is_ready,
            "started": "running" in phase.container,
            "restartCount": phase.restarts,
            "state": {"waiting": None, "running": None, "terminated": None} | phase.container,
            "lastState": fates.ended(life.since or datetime.now(UTC), 1) if phase.restarts else {},
        }
        for container in pod["spec"]["containers"]
    ]
    return {
        "phase": phase.phase,
        "hostIP": "127.0.0.1",
        "podIP": life.ip,
        "podIPs": [{"ip": life.ip}],
        "startTime": pod.get("status", {}).get("startTime") or written.get("startTime") or now,
        "conditions": conditions,
        "containerStatuses": containers,
    }


def _restarts(life: Life) -> int:
    return int(life.written["containerStatuses"][0]["restartCount"]) if life.written else 0


def _names(pod: Object) -> str:
    return "[" + " ".join(container["name"] for container in pod["spec"]["containers"]) + "]"


def _controller(pod: Object) -> str:
    owners = pod["metadata"].get("ownerReferences") or []
    return next((owner["uid"] for owner in owners if owner.get("controller")), pod["metadata"]["uid"])


def _path(metadata: Object) -> str:
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"


async def _serve(server: str, folder: Path, port: int, nodes: tuple[str, ...]) -> None:
    towards_server = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    towards_server.load_cert_chain(folder / "admin.crt", folder / "admin.key")
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(folder / "kubelet.crt", folder / "kubelet.key")
    connector = aiohttp.TCPConnector(ssl=towards_server)
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=AGENT) as session:
        kubelet = Kubelet(Api(session, server), nodes, port)
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", kubelet.logs)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=ours).start()
        await kubelet.run()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), tuple(sys.argv[4:])))
