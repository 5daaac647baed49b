"""The seven endpoints of the contract: each reads the form, passes it to intake and hands back the receipt."""

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from aiohttp import web

from bot.rest import auth, views
from bot.rest.bodies import read_body
from bot.rest.models import ApproveBody, InterruptBody, ResolveBody, RollbackBody, parse
from core.actor import Actor, Right
from core.approval import Answer
from core.errors import InvalidInputError, NotFoundError
from core.intake import Intake
from core.overview import Overview
from core.ports import HistoryFilter
from core.redaction import redact_tree
from core.resolution import ROLLBACK, ActionType, ApprovalId, ResolutionId, SnapshotId, State

WAIT_SECONDS = 10.0
KEY_LENGTH = 255
BASE = "/api/v1/incident"
E = TypeVar("E")
_RUNNING = frozenset({State.EXECUTING, State.VERIFYING})


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The clerk. `token_limit` is a request's that names none and its most, unless policy binds its caller to less."""

    intake: Intake
    door: auth.Door
    token_limit: int
    wait_seconds: float = WAIT_SECONDS

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(f"{BASE}/resolve", self.resolve),
            web.post(BASE + "/approve/{approval_id}", self.approve),
            web.post(f"{BASE}/rollback", self.rollback),
            web.get(BASE + "/status/{resolution_id}", self.status, allow_head=False),
            web.post(BASE + "/interrupt/{resolution_id}", self.interrupt),
            web.get(f"{BASE}/pending-approvals", self.pending, allow_head=False),
            web.get(f"{BASE}/history", self.history, allow_head=False),
        ]

    async def resolve(self, request: web.Request) -> web.Response:
        actor = await self._actor(request, Right.REQUEST)
        body = parse(ResolveBody, await read_body(request))
        key = request.headers.get("Idempotency-Key")
        if key is not None and not (1 <= len(key) <= KEY_LENGTH and key.isascii() and key.isprintable()):
            raise InvalidInputError(
                "Idempotency-Key must have 1 to 255 printable ASCII characters.", field="Idempotency-Key"
            )
        limit = self.intake.token_limit(actor.person, asked=body.token_limit, setting=self.token_limit)
        wanted = body.request(token_limit=limit)
        asked = await self.intake.request(wanted, by=actor.person, idempotency_key=key)
        overview = await self._until(asked, lambda seen: seen.resolution.state is not State.GATHERING)
        is_known = overview.resolution.state is not State.GATHERING
        answer: Mapping[str, object] = views.resolve_view(overview)
        if key is not None and is_known:
            answer = await self.intake.same_answer(wanted, answer, by=actor.person, idempotency_key=key)
        return self._answer(answer, overview, is_over=is_known)

    async def approve(self, request: web.Request) -> web.Response:
        actor = await self._actor(request, Right.APPROVE)
        approval_id = _uuid(request, "approval_id", "approval")
        body = parse(ApproveBody, await read_body(request))
        person = auth.decider(actor, body.approved_by)
        answer = Answer(
            approval_id=ApprovalId(approval_id),
            by=person,
            is_approval=body.decision == "approve",
            reason=body.reason or "",
            digest=body.digest,
        )
        overview = await self.intake.decide(answer, actor=replace(actor, person=person))
        return _json(views.approve_view(overview, approval_id))

    async def rollback(self, request: web.Request) -> web.Response:
        actor = await self._actor(request, Right.ROLLBACK)
        body = parse(RollbackBody, await read_body(request))
        snapshot_id = SnapshotId(_as_uuid(body.snapshot_id, "snapshot"))
        if body.dry_run:
            return _json(views.rollback_view(await self.intake.preview_rollback(snapshot_id)))
        asked = await self.intake.rollback(snapshot_id, by=actor.person)
        overview = await self._until(asked, _is_rolled_back)
        if overview.rollback_question is not None:
            return _json(views.rollback_question_view(overview.rollback_question, snapshot_id))
        if overview.undo is None or not _is_rolled_back(overview):
            return self._answer(views.resolve_view(overview), overview, is_over=False)
        return _json(views.rollback_view(overview.undo))

    async def status(self, request: web.Request) -> web.Response:
        await self._actor(request, Right.VIEW)
        found = await self.intake.overview(ResolutionId(_uuid(request, "resolution_id", "resolution")))
        return _json(views.status_view(found))

    async def interrupt(self, request: web.Request) -> web.Response:
        actor = await self._actor(request, Right.INTERRUPT)
        resolution_id = ResolutionId(_uuid(request, "resolution_id", "resolution"))
        raw = await read_body(request)
        body = parse(InterruptBody, raw) if raw.strip() else InterruptBody()
        asked = await self.intake.interrupt(resolution_id, by=actor.person, reason=body.reason or "")
        overview = await self._until(asked, lambda seen: seen.resolution.state not in _RUNNING)
        return self._answer(views.interrupt_view(overview), overview, is_over=overview.resolution.state not in _RUNNING)

    async def pending(self, request: web.Request) -> web.Response:
        await self._actor(request, Right.VIEW)
        _only(request, {"client_id"})
        found = await self.intake.pending(request.query.get("client_id"))
        items = [views.pending_view(one) for one in found]
        return _json({"pending_approvals": items, "count": len(items)})

    async def history(self, request: web.Request) -> web.Response:
        await self._actor(request, Right.VIEW)
        wanted = history_filter(request)
        found = await self.intake.history(wanted)
        items = [views.status_view(one) for one in found]
        cursor = _cursor(found[-1]) if len(found) == wanted.limit else None
        return _json({"history": items, "count": len(items), "next_cursor": cursor})

    async def _actor(self, request: web.Request, right: Right) -> Actor:
        actor = await self.door.actor(request)
        actor.require(right)
        return actor

    async def _until(self, overview: Overview, is_over: Callable[[Overview], bool]) -> Overview:
        """Looks again until it is over or the wait limit has passed; returns the newest look."""
        try:
            async with asyncio.timeout(self.wait_seconds):
                while not is_over(overview):
                    await asyncio.sleep(0.05)
                    overview = await self.intake.overview(overview.resolution.id)
        except TimeoutError:
            pass
        return overview

    def _answer(self, body: Mapping[str, object], overview: Overview, *, is_over: bool) -> web.Response:
        if is_over:
            return _json(body)
        headers = {"Location": f"{BASE}/status/{overview.resolution.id}"}
        return _json(body, status=202, headers=headers)


def _json(body: Mapping[str, object], *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """The last look before an answer leaves: lines, outputs and words of others pass the redactor here."""
    return web.json_response(redact_tree(body), status=status, headers=headers)


def _is_rolled_back(overview: Overview) -> bool:
    """Or asked about: nothing more happens without an answer."""
    return overview.resolution.state is not State.ROLLING_BACK and overview.resolution.waiting_for != ROLLBACK


def history_filter(request: web.Request) -> HistoryFilter:
    """The query of GET /history; InvalidInputError names the parameter that is wrong."""
    query = request.query
    _only(request, {"client_id", "status", "action_type", "namespace", "since", "until", "limit", "cursor"})
    return HistoryFilter(
        client_id=query.get("client_id"),
        status=_one_of(State, query.get("status"), "status"),
        action_type=_one_of(ActionType, query.get("action_type"), "action_type"),
        namespace=query.get("namespace"),
        since=_time(query.get("since"), "since"),
        until=_time(query.get("until"), "until"),
        before=_before(query.get("cursor")),
        limit=_limit(query.get("limit")),
    )


def _only(request: web.Request, known: set[str]) -> None:
    for name, value in request.query.items():
        if len(request.query.getall(name)) > 1:
            raise InvalidInputError(f"{name}: stands there more than once.", field=name)
        if not value.isprintable():
            raise InvalidInputError(f"{name}: holds a control character.", field=name)
        if name not in known:
            raise InvalidInputError(f"{name}: no such parameter; there are {', '.join(sorted(known))}.", field=name)


def _limit(text: str | None) -> int:
    if text is None:
        return 50
    if not text.isascii() or not text.isdigit() or len(text) > 3 or not 1 <= int(text) <= 500:  # noqa: PLR2004  the contract's
        raise InvalidInputError("limit: a whole number from 1 to 500.", field="limit")
    return int(text)


def _one_of(kind: Callable[[str], E], text: str | None, field: str) -> E | None:
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidInputError(f"{field}: there is no {text!r}.", field=field) from error


def _time(text: str | None, field: str) -> datetime | None:
    if text is None:
        return None
    try:
        return _as_utc(text.replace(" ", "+"))
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(f"{field}: an RFC 3339 time such as 2026-01-31T10:00:00Z.", field=field) from error


def _as_utc(text: str) -> datetime:
    """OverflowError for a time whose UTC lies outside the calendar."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _cursor(last: Overview) -> str:
    plain = json.dumps([last.resolution.created_at.isoformat(), last.resolution.id])
    return base64.urlsafe_b64encode(plain.encode()).decode()


def _before(cursor: str | None) -> tuple[datetime, str] | None:
    if cursor is None:
        return None
    try:
        at, resolution_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return _as_utc(at), str(UUID(resolution_id))
    except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error, RecursionError) as error:
        raise InvalidInputError("cursor: give back next_cursor as it came.", field="cursor") from error


def _uuid(request: web.Request, name: str, what: str) -> str:
    return _as_uuid(request.match_info[name], what)


def _as_uuid(text: str, what: str) -> str:
    """What is no UUID was never an id of ours."""
    try:
        return str(UUID(text))
    except ValueError as error:
        raise NotFoundError(f"There is no {what} {text!r}.") from error
