"""The Web API at /api/METHOD, and the response URLs."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from bot.demo.slack import chat, directory, streams, views
from bot.demo.slack.arguments import Arguments, read_arguments
from bot.demo.slack.faults import Faults
from bot.demo.slack.journal import Journal
from bot.demo.slack.people_acts import PeopleActs
from bot.demo.slack.refusal import SlackRefusal
from bot.demo.slack.workspace import Json, Workspace

Method = Callable[[Workspace, Arguments], Json]

METHODS: Mapping[str, Method] = {
    "api.test": lambda _, given: {"args": given.values},
    "auth.test": directory.auth_test,
    "chat.appendStream": streams.append,
    "chat.delete": chat.delete,
    "chat.getPermalink": chat.get_permalink,
    "chat.postEphemeral": chat.post_ephemeral,
    "chat.postMessage": chat.post_message,
    "chat.startStream": streams.start,
    "chat.stopStream": streams.stop,
    "chat.update": chat.update,
    "conversations.history": directory.history,
    "conversations.info": directory.conversation_info,
    "conversations.join": directory.join_conversation,
    "conversations.list": directory.list_conversations,
    "conversations.members": directory.conversation_members,
    "conversations.open": directory.open_conversation,
    "conversations.replies": directory.replies,
    "reactions.add": chat.add_reaction,
    "usergroups.users.list": directory.list_group_users,
    "users.info": directory.user_info,
    "users.list": directory.list_users,
    "users.lookupByEmail": directory.look_up_by_email,
    "views.open": views.open_view,
    "views.push": views.push_view,
    "views.update": views.update_view,
}
CONNECT = "apps.connections.open"
SCOPES = (
    "app_mentions:read",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "groups:history",
    "groups:read",
    "im:write",
    "reactions:write",
    "usergroups:read",
    "users:read",
    "users:read.email",
)


class WebApi:
    """Answers the app's calls."""

    def __init__(
        self, workspace: Workspace, *, tokens: tuple[str, str], faults: Faults, journal: Journal, acts: PeopleActs
    ) -> None:
        self._workspace = workspace
        self._bot_token, self._app_token = tokens
        self._faults = faults
        self._journal = journal
        self._acts = acts
        self.new_socket_url: Callable[[], str] = lambda: ""

    async def call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        spoiled = await self._faults.strike(method, request, after_effect=False)
        if spoiled is not None:
            self._journal.record("call", method, {}, {"ok": False, "fault": spoiled.status})
            return spoiled
        values: Json = {}
        try:
            values = await read_arguments(request)
            answer = {"ok": True, **self._answer(method, Arguments(values), request)}
        except SlackRefusal as refusal:
            answer = {"ok": False, "error": refusal.code}
            if refusal.messages:
                answer["response_metadata"] = {"messages": list(refusal.messages)}
        self._journal.record("call", method, values, answer)
        spoiled = await self._faults.strike(method, request, after_effect=True)
        return spoiled or _json(answer, headers={"x-oauth-scopes": ",".join(SCOPES)})

    def _answer(self, method: str, given: Arguments, request: web.Request) -> Json:
        bearer = request.headers.get("Authorization", "")
        token = bearer.removeprefix("Bearer ").strip() or given.text("token")
        if not token:
            raise SlackRefusal("not_authed")
        if token not in {self._bot_token, self._app_token}:
            raise SlackRefusal("invalid_auth")
        if method != CONNECT and method not in METHODS:
            raise SlackRefusal("unknown_method")
        if (method == CONNECT) is not (token == self._app_token):
            raise SlackRefusal("not_allowed_token_type")
        if method == CONNECT:
            return {"url": self.new_socket_url()}
        return METHODS[method](self._workspace, given)

    async def respond(self, request: web.Request) -> web.Response:
        """The handler of response URLs."""
        try:
            payload = await read_arguments(request)
            to = self._workspace.response_urls.use(request.match_info["name"])
            self._acts.respond(to, payload)
        except SlackRefusal as refusal:
            answer = {"ok": False, "error": refusal.code, "messages": list(refusal.messages)}
            self._journal.record("call", "response_url", {}, answer)
            return web.json_response(answer, status=404)
        self._journal.record("call", "response_url", payload, {"ok": True})
        return web.Response(text="ok")


def _json(answer: Json, headers: dict[str, str]) -> web.Response:
    return web.json_response(answer, headers=headers, dumps=_compact)


def _compact(answer: Any) -> str:  # noqa: ANN401 - aiohttp's own signature
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
