"""What a caller sent to a method: query, form and JSON merged, read with Slack's own errors."""

import json
from typing import Any

from aiohttp import web

from bot.demo.slack.refusal import SlackRefusal
from bot.demo.slack.workspace import Json

TRUE_WORDS = {"1", "true", "True", "yes"}


async def read_arguments(request: web.Request) -> Json:
    """Query, form and JSON body as one; the body wins. Raises SlackRefusal for a body that cannot be read."""
    merged: Json = dict(request.query)
    if request.method == "POST" and request.can_read_body:
        if request.content_type == "application/json":
            try:
                body = json.loads(await request.text() or "{}")
            except ValueError as error:
                raise SlackRefusal("invalid_json") from error
            if not isinstance(body, dict):
                raise SlackRefusal("json_not_object")
            merged |= body
        elif request.content_type in {"application/x-www-form-urlencoded", "multipart/form-data"}:
            merged |= dict(await request.post())
        else:
            raise SlackRefusal("invalid_post_type")
    return merged


class Arguments:
    """Typed access to a call's arguments."""

    def __init__(self, values: Json) -> None:
        self.values = values

    def text(self, name: str, default: str = "") -> str:
        value = self.values.get(name)
        return default if value is None else str(value)

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise SlackRefusal("invalid_arguments", f"[ERROR] missing required field: {name}")
        return value

    def flag(self, name: str) -> bool:
        value = self.values.get(name)
        return value is True or value == 1 or value in TRUE_WORDS

    def number(self, name: str, default: int) -> int:
        value = self.text(name, str(default))
        if not value.isdecimal():
            raise SlackRefusal("invalid_arguments", f"[ERROR] must be a number: {name}")
        return int(value)

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None

    def json(self, name: str, refusal: str) -> Any:  # noqa: ANN401 - any JSON; who asks checks the shape
        """JSON that may have been sent as a string, as forms do. Raises SlackRefusal(refusal) if it is not JSON."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise SlackRefusal(refusal) from error
