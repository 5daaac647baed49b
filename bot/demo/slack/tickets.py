"""What is good for a short time or a few uses only: trigger ids and response URLs."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from bot.demo.slack.refusal import SlackRefusal

TRIGGER_SECONDS = 3
RESPONSE_URL_SECONDS = 30 * 60
RESPONSE_URL_USES = 5


@dataclass(slots=True)
class Trigger:
    """Lets the app open one modal for the person who has just acted."""

    user: str
    issued_at: float
    is_used: bool = False


class Triggers:
    """Trigger ids: one use, three seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._issued: dict[str, Trigger] = {}

    def issue(self, user: str) -> str:
        trigger_id = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._issued[trigger_id] = Trigger(user, self._now())
        return trigger_id

    def use(self, trigger_id: str) -> str:
        """The user whose action it was; it cannot be used again."""
        trigger = self._issued.get(trigger_id)
        if trigger is None:
            raise SlackRefusal("invalid_trigger_id")
        if trigger.is_used:
            raise SlackRefusal("exchanged_trigger_id")
        if self._now() - trigger.issued_at > TRIGGER_SECONDS:
            raise SlackRefusal("expired_trigger_id")
        trigger.is_used = True
        return trigger.user


@dataclass(slots=True)
class ResponseUrl:
    """Where the app may answer one action; `message_ts` is empty for a command."""

    channel: str
    user: str
    message_ts: str
    issued_at: float
    uses: int = 0


class ResponseUrls:
    """Response URLs: five uses, thirty minutes."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._issued: dict[str, ResponseUrl] = {}

    def issue(self, *, channel: str, user: str, message_ts: str = "") -> str:
        name = secrets.token_urlsafe(18)
        self._issued[name] = ResponseUrl(channel, user, message_ts, self._now())
        return name

    def use(self, name: str) -> ResponseUrl:
        found = self._issued.get(name)
        if found is None:
            raise SlackRefusal("invalid_url")
        if self._now() - found.issued_at > RESPONSE_URL_SECONDS:
            raise SlackRefusal("expired_url")
        if found.uses >= RESPONSE_URL_USES:
            raise SlackRefusal("used_url")
        found.uses += 1
        return found
