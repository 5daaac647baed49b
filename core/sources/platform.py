"""The SRE platform's six APIs, each a source of its own; what it answers is kept as text, unknown fields included."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp

from core.errors import InvalidInputError, UnavailableError
from core.findings import Finding, SourceAnswer
from core.resolution import Request
from core.resources import Resource

ATTEMPTS = 3
FIRST_PAUSE_SECONDS = 0.3
MAX_BYTES = 1_000_000
TEXT_LIMIT = 4_000
DEPENDANTS_LIMIT = 50
OFF = "PLATFORM_URL is not set"
_RETRIED = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
_KINDS = {"service": "Service", "deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z")

Path = Callable[[Request], list[str] | None]
"""Path segments below /api/v1; None where the request does not hold what the API needs."""


@dataclass(frozen=True, slots=True)
class PlatformSource:
    """One API. `client` is None where the platform is off. `has_dependants`: its answer names what depends on it."""

    name: str
    title: str
    path: Path
    client: "PlatformClient | None"
    has_dependants: bool = False

    @property
    def off_reason(self) -> str | None:
        return OFF if self.client is None else None

    async def look(self, request: Request) -> SourceAnswer:
        """UnavailableError where the API fails; nothing where the request does not concern it."""
        segments = self.path(request)
        if self.client is None or segments is None:
            return SourceAnswer()
        answer = await self.client.get(segments)
        if answer in (None, [], {}):
            return SourceAnswer()
        text = json.dumps(answer, ensure_ascii=False, indent=1)
        cut = text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}\n… ({len(text):,} characters in all)"
        dependants = _dependants(answer, request.namespace) if self.has_dependants else ()
        return SourceAnswer(findings=(Finding(self.name, self.title, cut),), dependants=dependants)


class PlatformClient:
    """GETs of JSON. 502, 503 and 504 are tried again with growing, jittered pauses; nothing else is."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def get(self, segments: list[str]) -> Any:  # noqa: ANN401  whatever the platform answers
        """The answer's JSON, None for 404; UnavailableError says which path and what was seen."""
        path = "/api/v1/" + "/".join(quote(one, safe="") for one in segments)
        attempt = 0
        while True:
            attempt += 1
            status, raw = await self._ask(path)
            if status == HTTPStatus.OK:
                return _parsed(raw, path)
            if status == HTTPStatus.NOT_FOUND:
                return None
            if status not in _RETRIED or attempt == ATTEMPTS:
                raise UnavailableError(f"The platform answered {status} to {path}.")
            pause = FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  jitter, no secret

    async def _ask(self, path: str) -> tuple[int, bytes]:
        try:
            async with self._session.get(self._url + path, allow_redirects=False) as response:
                raw = await response.content.read(MAX_BYTES + 1)
                while len(raw) <= MAX_BYTES and not response.content.at_eof():
                    raw += await response.content.read(MAX_BYTES + 1 - len(raw))
                if len(raw) > MAX_BYTES:
                    raise UnavailableError(f"The platform answered more than 1 MB to {path}.")
                return response.status, raw
        except (aiohttp.ClientError, OSError) as error:
            raise UnavailableError(f"The platform does not answer ({type(error).__name__}): {path}.") from error


@asynccontextmanager
async def open_platform(url: str | None) -> AsyncIterator[tuple[PlatformSource, ...]]:
    """The six sources; all off without a URL. InvalidInputError where it is no http(s) address."""
    if url is None:
        yield _sources(None)
        return
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidInputError("PLATFORM_URL must be an http:// or https:// address.", field="PLATFORM_URL")
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield _sources(PlatformClient(session, url))


def _sources(client: PlatformClient | None) -> tuple[PlatformSource, ...]:
    def of_client(*segments: str) -> Path:
        return lambda request: [*segments, request.client_id]

    def of_event(*segments: str) -> Path:
        return lambda request: None if request.event_id is None else [*segments, request.event_id]

    def topology(request: Request) -> list[str] | None:
        name = named_resource(request)
        return None if name is None else ["catalog", "topology", request.client_id, request.namespace, name]

    return (
        PlatformSource("root causes", "Root causes the platform found", of_client("rca", "root-causes"), client),
        PlatformSource("causal chain", "What led to the event", of_event("rca", "causal-chain"), client),
        PlatformSource(
            "blast radius", "What the event touches", of_event("rca", "blast-radius"), client, has_dependants=True
        ),
        PlatformSource("topology", "What it is connected to", topology, client),
        PlatformSource("health", "Health as the platform sees it", of_client("health", "status"), client),
        PlatformSource("incidents", "Active incidents", of_client("health", "incidents"), client),
    )


def named_resource(request: Request) -> str | None:
    """The first word of the description that can be a resource's name and has a dash or ends in a colon; else None.

    The topology API wants a name before Kubernetes has been asked.
    """
    words = request.action_description.split()
    for word in words:
        plain = word.strip(",.;:()\"'`").lower()
        is_name = _NAME.match(plain) is not None and any(character.isalpha() for character in plain)
        if is_name and ("-" in plain or word.endswith(":")):
            return plain
    return None


def _parsed(raw: bytes, path: str) -> Any:  # noqa: ANN401  whatever the platform answers
    try:
        return json.loads(raw or b"null")
    except (ValueError, RecursionError) as error:
        raise UnavailableError(f"The platform answered something that is not JSON to {path}.") from error


def _dependants(answer: object, namespace: str) -> tuple[Resource, ...]:
    """Every object in the answer that has a known kind and a name, wherever it stands."""
    found: dict[Resource, None] = {}
    waiting: list[object] = [answer]
    while waiting and len(found) < DEPENDANTS_LIMIT:
        one = waiting.pop(0)
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += [value for value in one.values() if isinstance(value, (dict, list))]
            kind = _KINDS.get(str(one.get("kind") or one.get("type") or "").lower())
            name = one.get("name")
            if kind is not None and isinstance(name, str) and _NAME.match(name):
                where = one.get("namespace")
                found[Resource(kind, name, where if isinstance(where, str) else namespace)] = None
    return tuple(found)
