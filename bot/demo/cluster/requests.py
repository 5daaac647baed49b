"""What a request to the simulator means, and the plain answers."""

import json

from aiohttp import web

from bot.demo.cluster import patches
from bot.demo.cluster.kinds import BY_PATH, Served
from bot.demo.cluster.objects import Object, RefusedError, is_selected

_PATCHES = {
    "application/merge-patch+json": patches.merge_patch,
    "application/strategic-merge-patch+json": patches.strategic_patch,
    "application/json-patch+json": patches.json_patch,
}


def served_kind(request: web.Request) -> Served:
    found = BY_PATH.get((group_version(request), request.match_info["plural"]))
    if found is None:
        raise web.HTTPNotFound
    return found


def group_version(request: web.Request) -> str:
    group = request.match_info.get("group")
    return f"{group}/{request.match_info['version']}" if group else "v1"


def is_wanted(request: web.Request, one: Object) -> bool:
    return is_selected(
        one, labels=request.query.get("labelSelector", ""), fields=request.query.get("fieldSelector", "")
    )


def is_dry_run(request: web.Request) -> bool:
    return "dryRun" in request.query


async def read_object(request: web.Request) -> Object:
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError as error:
        told = (
            "the simulator reads JSON only: give kubectl a file (kubectl apply -f FILE) instead of kubectl create KIND"
        )
        raise RefusedError(415, "UnsupportedMediaType", told) from error
    if not isinstance(body, dict):
        raise RefusedError(400, "BadRequest", "the body must be an object")
    return body


async def patched(request: web.Request, base: Object) -> Object:
    change = _PATCHES.get(request.content_type)
    if change is None:
        raise RefusedError(415, "UnsupportedMediaType", f"the simulator does not know {request.content_type}")
    try:
        patched: Object = change(base, json.loads(await request.read()))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise RefusedError(422, "Invalid", f"the patch does not apply: {error}") from error
    return patched


def scale_of(one: Object) -> Object:
    metadata = {key: one["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
    replicas = one["spec"].get("replicas", 1)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": replicas},
        "status": {"replicas": replicas},
    }


def log_answer(request: web.Request, pod: Object) -> web.Response:
    text = pod["metadata"].get("annotations", {}).get("simulator/log", "listening on :8080")
    if pod["status"].get("phase") == "Pending":
        raise RefusedError(400, "BadRequest", "container is waiting to start")
    lines = str(text).splitlines()
    tail = request.query.get("tailLines", "")
    return web.Response(text="\n".join(lines[-int(tail) :] if tail.isdigit() else lines) + "\n")


def failure(code: int, reason: str, message: str) -> web.Response:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return web.json_response(body, status=code)
