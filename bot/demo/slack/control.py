"""The routes that the page uses: what people do, the state that one of them sees, and faults on order."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from bot.demo.slack.arguments import Arguments
from bot.demo.slack.courier import Answer
from bot.demo.slack.local_slack import LocalSlack
from bot.demo.slack.refusal import SlackRefusal
from bot.demo.slack.workspace import Json, Message

Act = Callable[[LocalSlack, Arguments], Awaitable[Any]]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
KEEP_ALIVE_SECONDS = 15
NO_PAGE = "The page was not built; the Python API and /control/ work without it."


class Control:
    """Serves the page and carries out what is done on it."""

    def __init__(self, slack: LocalSlack, page: Path | None) -> None:
        self._slack = slack
        self._page = page
        self._is_closing = False

    def close(self) -> None:
        self._is_closing = True
        self._slack.workspace.note_change()

    async def act(self, request: web.Request) -> web.Response:
        name = request.match_info["act"]
        act = ACTS.get(name)
        if act is None:
            raise web.HTTPNotFound(text=f"There is no act {name!r}; there are {', '.join(ACTS)}.")
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="Send JSON (Content-Type: application/json).")
        values: Json = {}
        try:
            values = await _body(request)
            self._slack.workspace.notices.pop(str(values.get("user")), None)
            answer = {"ok": True, **_told(await act(self._slack, Arguments(values)))}
        except SlackRefusal as refusal:
            answer = {"ok": False, "error": refusal.code, "messages": list(refusal.messages)}
        self._slack.journal.record("control", name, values, answer)
        return web.json_response(answer, status=200 if answer["ok"] else 400)

    async def journal(self, _: web.Request) -> web.Response:
        return web.json_response({"entries": self._slack.journal.as_json()})

    async def state(self, request: web.Request) -> web.Response:
        return web.json_response(seen_by(self._slack, self._user(request)))

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: the whole state that this person sees, at once and after every change of it."""
        user = self._user(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        try:
            async for line in self._lines(user):
                await response.write(line.encode())
        except ConnectionError:
            pass
        return response

    async def _lines(self, user: str) -> AsyncIterator[str]:
        sent = ""
        while not self._is_closing:
            change = self._slack.workspace.changed
            state = json.dumps(seen_by(self._slack, user), ensure_ascii=False)
            yield f"data: {state}\n\n" if state != sent else ": nothing new\n\n"
            sent = state
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    await change.wait()
            except TimeoutError:
                continue

    async def page(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("file", "index.html")
        if self._page is None:
            raise web.HTTPServiceUnavailable(text=NO_PAGE)
        file = self._page / name
        if file.parent != self._page or not file.is_file():
            raise web.HTTPNotFound
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return web.FileResponse(file, headers=headers)

    def _user(self, request: web.Request) -> str:
        user = request.query.get("user") or self._slack.people["ada"]
        if user not in self._slack.workspace.people:
            raise web.HTTPBadRequest(text=f"There is nobody with the id {user!r}.")
        return user


def seen_by(slack: LocalSlack, user: str) -> Json:
    """All that this person's client shows."""
    workspace = slack.workspace
    channels = [one for one in workspace.channels.values() if user in one.members]
    return {
        "me": user,
        "app": {"id": workspace.app_id, "user_id": workspace.bot.id, "name": workspace.bot.real_name},
        "team": workspace.team_domain,
        "people": [
            {"id": one.id, "name": one.name, "real_name": one.real_name, "standing": one.standing}
            for one in workspace.people.values()
        ],
        "usergroups": list(workspace.usergroups),
        "channels": [{"id": one.id, "name": one.name, "is_im": one.is_im} for one in channels],
        "home": slack.channel_id,
        "incidents": slack.incidents,
        "messages": [
            _seen_message(slack, one)
            for one in workspace.messages
            if one.ephemeral_to in {"", user} and any(one.channel == channel.id for channel in channels)
        ],
        "view": slack.view(user),
        "views": len(workspace.views.get(user, [])),
        "notice": slack.notice(user),
        "connections": slack.sockets.connections,
    }


def _seen_message(slack: LocalSlack, message: Message) -> Json:
    is_streaming = message.stream == "open" and message.stream_until > slack.workspace.now()
    return slack.workspace.message_json(message) | {
        "channel": message.channel,
        "is_ephemeral": bool(message.ephemeral_to),
        "is_streaming": is_streaming,
        "is_broken": message.stream == "open" and not is_streaming,
    }


def _told(result: object) -> Json:
    match result:
        case Answer():
            return {"acked": result.is_acked, "reason": result.reason}
        case str():
            return {"ts": result}
        case int():
            return {"count": result}
        case _:
            return {}


async def _body(request: web.Request) -> Json:
    try:
        body = json.loads(await request.text() or "{}")
    except ValueError as error:
        raise SlackRefusal("invalid_json") from error
    if not isinstance(body, dict):
        raise SlackRefusal("json_not_object")
    return body


async def _say(slack: LocalSlack, given: Arguments) -> str:
    thread_ts = given.text("thread_ts")
    return await slack.say(
        given.required("user"), given.required("text"), channel=given.text("channel"), thread_ts=thread_ts
    )


async def _command(slack: LocalSlack, given: Arguments) -> Answer:
    return await slack.command(
        given.required("user"), given.required("command"), given.text("text"), channel=given.text("channel")
    )


async def _play(slack: LocalSlack, given: Arguments) -> Answer:
    return await slack.play(given.required("user"), given.required("name"))


async def _click(slack: LocalSlack, given: Arguments) -> Answer:
    block_id = given.text("block_id") or None
    user, ts, action_id = given.required("user"), given.required("ts"), given.required("action_id")
    return await slack.click(user, ts, action_id, block_id=block_id, value=given.values.get("value"))


async def _click_in_view(slack: LocalSlack, given: Arguments) -> Answer:
    user, action_id, values = given.required("user"), given.required("action_id"), _values(given)
    return await slack.click_in_view(user, action_id, value=given.values.get("value"), values=values)


async def _submit(slack: LocalSlack, given: Arguments) -> Answer:
    return await slack.submit_view(given.required("user"), _values(given))


async def _close(slack: LocalSlack, given: Arguments) -> Answer:
    return await slack.close_view(given.required("user"), everything=given.flag("everything"))


async def _stop_stream(slack: LocalSlack, given: Arguments) -> None:
    await slack.stop_stream(given.required("user"), given.required("ts"))


async def _fault(slack: LocalSlack, given: Arguments) -> None:
    kind = given.required("kind")
    match kind:
        case "error" | "429" | "503" | "drop" | "delay":
            slack.fault(
                given.required("method"),
                kind,
                given.text("value"),
                times=given.number("times", 1),
                after_effect=given.flag("after_effect"),
            )
        case _:
            raise SlackRefusal("invalid_arguments", f"a fault is an error, 429, 503, drop or delay, not {kind!r}")


async def _disconnect(slack: LocalSlack, given: Arguments) -> None:
    reason = given.text("reason", "refresh_requested")
    match reason:
        case "refresh_requested" | "warning" | "link_disabled" | "too_many_websockets":
            await slack.disconnect(reason)
        case _:
            raise SlackRefusal("invalid_arguments", f"Slack never disconnects because of {reason!r}")


async def _drop_sockets(slack: LocalSlack, _: Arguments) -> int:
    return await slack.drop_sockets()


async def _advance(slack: LocalSlack, given: Arguments) -> None:
    slack.advance(given.number("seconds", 0))


async def _reload(slack: LocalSlack, given: Arguments) -> None:
    slack.workspace.forget_ephemerals(given.required("user"))


async def _clear_faults(slack: LocalSlack, _: Arguments) -> None:
    slack.clear_faults()


async def _reset(slack: LocalSlack, _: Arguments) -> None:
    slack.reset()


def _values(given: Arguments) -> Json:
    values = given.values.get("values") or {}
    if not isinstance(values, dict):
        raise SlackRefusal("invalid_arguments", "values must be an object: action_id to what was entered")
    return values


ACTS: dict[str, Act] = {
    "say": _say,
    "command": _command,
    "play": _play,
    "click": _click,
    "click_in_view": _click_in_view,
    "submit": _submit,
    "close_view": _close,
    "stop_stream": _stop_stream,
    "fault": _fault,
    "clear_faults": _clear_faults,
    "disconnect": _disconnect,
    "drop_sockets": _drop_sockets,
    "advance": _advance,
    "reload": _reload,
    "reset": _reset,
}
