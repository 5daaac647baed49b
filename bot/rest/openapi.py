"""The description of the REST interface: OpenAPI 3.1 made from the models, and a page to read it on."""

import html
import json
from typing import Any

from aiohttp import web
from pydantic.json_schema import models_json_schema

from bot.rest.endpoints import BASE
from bot.rest.models import ApproveBody, InterruptBody, ResolveBody, RollbackBody
from core.plan import StepState
from core.resolution import ActionType, State

_REF = "#/components/schemas/"
_TIME = {"type": "string", "format": "date-time"}
_TEXT = {"type": "string"}


def openapi_document(version: str) -> dict[str, Any]:
    """Paths, parameters, bodies and answers of every endpoint but the page of itself."""
    _, models = models_json_schema(
        [(one, "validation") for one in (ResolveBody, ApproveBody, RollbackBody, InterruptBody)],
        ref_template=_REF + "{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Incident Resolver", "version": version},
        "security": [{"key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "an API key"}},
            "schemas": models.get("$defs", {}) | _answers(),
        },
    }


def _paths() -> dict[str, Any]:
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    }
    return {
        f"{BASE}/resolve": {
            "post": _operation(
                "Ask for a resolution", body="ResolveBody", answer="Resolve", also=(202, 422), extra=(key,)
            )
        },
        BASE + "/approve/{approval_id}": {
            "post": _operation(
                "Approve or reject",
                body="ApproveBody",
                answer="Approve",
                also=(404, 409),
                extra=(_path("approval_id"),),
            )
        },
        f"{BASE}/rollback": {
            "post": _operation("Put changes back", body="RollbackBody", answer="Rollback", also=(202, 404, 409))
        },
        BASE + "/status/{resolution_id}": {
            "get": _operation("One resolution", answer="Status", also=(404,), extra=(_path("resolution_id"),))
        },
        BASE + "/interrupt/{resolution_id}": {
            "post": _operation(
                "Stop or cancel",
                body="InterruptBody",
                answer="Interrupt",
                also=(202, 404, 409),
                extra=(_path("resolution_id"),),
            )
        },
        f"{BASE}/pending-approvals": {
            "get": _operation("Open questions", answer="Pending", extra=(_query("client_id", _TEXT),))
        },
        f"{BASE}/history": {"get": _operation("Resolutions, newest first", answer="History", extra=_history_queries())},
        "/healthz": {"get": _open_operation("The process is alive", (200,))},
        "/readyz": {"get": _open_operation("Each dependency by name", (200, 503))},
        "/metrics": {"get": _open_operation("Prometheus metrics", (200,))},
    }


def _history_queries() -> tuple[dict[str, Any], ...]:
    return (
        _query("client_id", _TEXT),
        _query("status", {"enum": [one.value for one in State]}),
        _query("action_type", {"enum": [one.value for one in ActionType]}),
        _query("namespace", _TEXT),
        _query("since", _TIME),
        _query("until", _TIME),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
        _query("cursor", _TEXT),
    )


def _operation(
    summary: str, *, answer: str, body: str | None = None, also: tuple[int, ...] = (), extra: tuple[Any, ...] = ()
) -> dict[str, Any]:
    codes = sorted({400, 401, 403, 503, *also})
    problem = {"description": "problem details", "content": {"application/problem+json": {"schema": _ref("Problem")}}}
    responses: dict[str, Any] = {str(code): problem for code in codes}
    responses["200"] = {"description": "done", "content": {"application/json": {"schema": _ref(answer)}}}
    if 202 in also:  # noqa: PLR2004  the status
        responses["202"] = responses["200"] | {"description": "not finished; Location names its status"}
    if body is not None:
        responses |= {"408": problem, "413": problem, "415": problem}
    operation: dict[str, Any] = {
        "summary": summary,
        "parameters": list(extra),
        "responses": dict(sorted(responses.items())),
    }
    if body is not None:
        content = {"application/json": {"schema": _ref(body)}}
        operation["requestBody"] = {"required": body != "InterruptBody", "content": content}
    return operation


def _open_operation(summary: str, codes: tuple[int, ...]) -> dict[str, Any]:
    return {"summary": summary, "security": [], "responses": {str(code): {"description": summary} for code in codes}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF + name}


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _object(required: tuple[str, ...], **properties: object) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _maybe(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _answers() -> dict[str, Any]:
    status = {"enum": [one.value for one in State]}
    resource = _object(("kind", "name", "namespace"), kind=_TEXT, name=_TEXT, namespace=_maybe(_TEXT))
    texts = {"type": "array", "items": _TEXT}
    planned = _object(
        ("command", "risk", "rule", "targets", "diff", "check", "undo", "state"),
        command=_TEXT,
        risk={"enum": ["MEDIUM", "HIGH", "CRITICAL"]},
        rule=_TEXT,
        targets={"type": "array", "items": resource},
        diff=_TEXT,
        check=_TEXT,
        undo=_TEXT,
        state={"enum": [one.value for one in StepState]},
    )
    fields = {"revision": {"type": "integer"}, "approval_id": _TEXT, "steps": {"type": "array", "items": planned}}
    one_plan = _object(tuple(fields), **fields)
    plan = _object((*fields, "earlier"), **fields, earlier={"type": "array", "items": one_plan})
    resolve = {
        "resolution_id": _TEXT,
        "status": status,
        "approval_id": _maybe(_TEXT),
        "requires_approval": {"type": "boolean"},
        "risk_level": _maybe({"enum": ["LOW", "MEDIUM", "HIGH", "CRITICAL"]}),
        "risk_factors": texts,
        "estimated_impact": _maybe(_TEXT),
        "mitigation_steps": texts,
        "affected_resources": {"type": "array", "items": resource},
        "plan": _maybe(plan),
    }
    usage = _object(
        ("total_tokens", "cost_usd", "percent_used"),
        total_tokens={"type": "integer"},
        cost_usd={"type": "number"},
        percent_used={"type": "number"},
    )
    result = _object(
        ("success", "output", "commands_executed"), success={"type": "boolean"}, output=_TEXT, commands_executed=texts
    )
    state = resolve | {
        "client_id": _TEXT,
        "namespace": _TEXT,
        "action_type": {"enum": [one.value for one in ActionType]},
        "created_at": _TIME,
        "token_usage": usage,
        "snapshot_id": _maybe(_TEXT),
        "execution_result": _maybe(result),
        "rollback_approval": _maybe({"type": "object"}),
        "waiting_for": _maybe({"enum": ["approval", "rollback"]}),
    }
    step = _object(("command", "status", "output"), command=_TEXT, status=_TEXT, output=_TEXT)
    return {
        "Problem": _object(("title", "status", "detail"), title=_TEXT, status={"type": "integer"}, detail=_TEXT),
        "Resolve": _object(tuple(resolve), **resolve),
        "Status": _object(tuple(state), **state),
        "Approve": _object(
            ("resolution_id", "approval_id", "status", "message"),
            resolution_id=_TEXT,
            approval_id=_TEXT,
            status={"enum": ["approved", "rejected", "pending"]},
            message=_TEXT,
        ),
        "Rollback": _object(
            ("snapshot_id", "dry_run", "success", "commands_executed", "results", "errors"),
            snapshot_id=_TEXT,
            dry_run={"type": "boolean"},
            success={"type": "boolean"},
            commands_executed={"type": "integer"},
            results={"type": "array", "items": step},
            errors=texts,
            status={"enum": [State.AWAITING_APPROVAL.value]},
            approval_id=_TEXT,
        ),
        "Interrupt": _object(("resolution_id", "status", "message"), resolution_id=_TEXT, status=status, message=_TEXT),
        "Pending": _object(
            ("pending_approvals", "count"),
            pending_approvals={"type": "array", "items": _ref("Status")},
            count={"type": "integer"},
        ),
        "History": _object(
            ("history", "count", "next_cursor"),
            history={"type": "array", "items": _ref("Status")},
            count={"type": "integer"},
            next_cursor=_maybe(_TEXT),
        ),
    }


def docs_routes(version: str) -> list[web.RouteDef]:
    """/openapi.json and /docs; neither needs a key, since both tell only what the README tells."""
    document = openapi_document(version)
    text, page = json.dumps(document), docs_page(document)

    async def openapi(request: web.Request) -> web.Response:  # noqa: ARG001  a handler's signature
        return web.Response(text=text, content_type="application/json")

    async def docs(request: web.Request) -> web.Response:  # noqa: ARG001  a handler's signature
        return web.Response(text=page, content_type="text/html")

    return [web.get("/openapi.json", openapi), web.get("/docs", docs)]


def docs_page(document: dict[str, Any]) -> str:
    """The document as one HTML page without scripts."""
    sections = []
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            sections.append(_section(f"{verb.upper()} {path}", operation, schemas))
    title = html.escape(f"{document['info']['title']} {document['info']['version']}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>"
        f"<body><h1>{title}</h1><p>Send <code>Authorization: Bearer KEY</code>; make a key with "
        "<code>incident-resolver api-keys create</code> (the demo needs none). Bodies are JSON, sent as "
        "<code>Content-Type: application/json</code>. Errors are problem details (RFC 9457). "
        f'The whole description: <a href="/openapi.json">/openapi.json</a>.</p>{"".join(sections)}</body></html>'
    )


def _section(title: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    rows = [
        (one["name"], one["in"], _type(one["schema"]), "yes" if one["required"] else "")
        for one in operation.get("parameters", [])
    ]
    body = operation.get("requestBody")
    if body is not None:
        model = schemas[body["content"]["application/json"]["schema"]["$ref"].removeprefix(_REF)]
        needed = model.get("required", [])
        rows += [
            (name, "body", _type(schema), "yes" if name in needed else "")
            for name, schema in model["properties"].items()
        ]
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    table = f"<table><tr><th>name</th><th>in</th><th>type</th><th>required</th></tr>{cells}</table>" if rows else ""
    codes = ", ".join(operation["responses"])
    return (
        f"<section><h2><code>{html.escape(title)}</code></h2><p>{html.escape(operation['summary'])}. "
        f"Answers: {html.escape(codes)}.</p>{table}</section>"
    )


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(schema["enum"])
    limits = [f"{name} {schema[name]}" for name in ("minimum", "maximum", "maxLength", "default") if name in schema]
    return " ".join([schema.get("type", "any"), *limits])


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1d1c1d}"
    "h2{margin-top:2rem;font-size:1.1rem}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;border-bottom:1px solid #ddd;padding:.25rem .5rem}"
    "code{background:#f4f4f4;padding:.1rem .3rem}"
)
