"""HTTP mode: envelopes as signed requests to the app's request URL."""

import hashlib
import hmac
import json
from collections.abc import Callable
from ipaddress import ip_address
from typing import assert_never
from urllib.parse import urlencode

import aiohttp
from typing_extensions import override
from yarl import URL

from bot.demo.slack.courier import Answer, Courier, EnvelopeKind
from bot.demo.slack.journal import Journal
from bot.demo.slack.workspace import Json

ACK_SECONDS = 3.0


def signature(secret: str, timestamp: str, body: str) -> str:
    """Slack's v0 signature of a request."""
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256)
    return f"v0={digest.hexdigest()}"


class SignedRequests(Courier):
    """Posts to one request URL, on this machine only."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        signing_secret: str,
        now: Callable[[], float],
        journal: Journal,
        ack_seconds: float = ACK_SECONDS,
    ) -> None:
        self.url = _loopback(url)
        self._session = session
        self._signing_secret = signing_secret
        self._now = now
        self._journal = journal
        self._limit = aiohttp.ClientTimeout(total=ack_seconds)

    @override
    async def deliver(
        self, kind: EnvelopeKind, payload: Json, *, retry_number: int = 0, retry_reason: str = ""
    ) -> Answer:
        headers = {}
        if retry_number:
            headers = {"X-Slack-Retry-Num": str(retry_number), "X-Slack-Retry-Reason": retry_reason}
        answer = await self._ask(kind, payload, headers)
        heard = {"acked": answer.is_acked, "payload": answer.payload, "reason": answer.reason}
        self._journal.record("delivery", kind, {"payload": payload, "retry": retry_number}, heard)
        return answer

    async def _ask(self, kind: EnvelopeKind, payload: Json, headers: dict[str, str]) -> Answer:
        try:
            status, content_type, text = await self.send(kind, payload, headers=headers)
        except TimeoutError:
            return Answer(is_acked=False, reason="http_timeout")
        except aiohttp.ClientError:
            return Answer(is_acked=False, reason="connection_failed")
        if status != 200:  # noqa: PLR2004 - the one status that Slack takes for yes
            return Answer(is_acked=False, reason="http_error")
        return Answer(is_acked=True, payload=_parsed(content_type, text))

    async def send(
        self,
        kind: EnvelopeKind,
        payload: Json,
        *,
        headers: dict[str, str] | None = None,
        seconds_old: float = 0,
        secret: str | None = None,
    ) -> tuple[int, str, str]:
        """One request as Slack sends it, or with another age or secret; returns status, content type and body."""
        match kind:
            case "events_api":
                content_type, body = "application/json", json.dumps(payload)
            case "slash_commands":
                content_type, body = "application/x-www-form-urlencoded", urlencode(payload)
            case "interactive":
                content_type = "application/x-www-form-urlencoded"
                body = urlencode({"payload": json.dumps(payload)})
            case _:
                assert_never(kind)
        timestamp = str(int(self._now() - seconds_old))
        signed = {
            "Content-Type": content_type,
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature(secret or self._signing_secret, timestamp, body),
            **(headers or {}),
        }
        async with self._session.post(self.url, data=body.encode(), headers=signed, timeout=self._limit) as response:
            return response.status, response.content_type, await response.text()


def _parsed(content_type: str, text: str) -> Json:
    if content_type == "application/json" and text:
        payload = json.loads(text)
        return payload if isinstance(payload, dict) else {}
    return {"text": text} if text.strip() else {}


def _loopback(url: str) -> str:
    host = URL(url).host or ""
    try:
        is_here = ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost"
    if not is_here:
        raise ValueError(f"The local Slack sends requests to this machine only; {url} is elsewhere.")
    return url
