"""The SRE platform's six APIs, each a source of its own; what it answers is kept as text, unknown fields included."""

import json
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeGuard
from urllib.parse import urlsplit

import aiohttp

from core.errors import InvalidInputError, NotFoundError, UnavailableError
from core.findings import Finding, Gap, SourceAnswer
from core.resolution import Request
from core.resources import Resource
from core.sources.platform_client import PlatformClient
from core.sources.quoting import LIMIT, quoted

DEPENDANTS_LIMIT = 50
NAMES_LIMIT = 3
OFF = "PLATFORM_URL is not set"
_NO_EVENT = "not asked: the request carries no event_id"
_NO_NAME = "not asked: the request's text names no resource"
_KINDS = {"service": "Service", "deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z")
_KIND_WORDS = "deploy|deployment|statefulset|daemonset|job|pod|pods|service|workload"
_VERBS = "restart|scale|fix|investigate|check|of"
_NAMED = (
    re.compile(rf"(?<![a-z0-9.-])([a-z0-9][a-z0-9.-]*)(?= +(?:{_KIND_WORDS})\b)"),
    re.compile(rf"\b(?:{_KIND_WORDS}|{_VERBS})(?:/| +)(?:the +)?(?=[`'\"]?([a-z0-9][a-z0-9.-]*))"),
)
_NO_NAMES = frozenset({"the", "a", "all", "this", *_KIND_WORDS.split("|"), *_VERBS.split("|")})

Paths = Callable[[Request], tuple[tuple[str, ...], ...]]
"""Path segments below /api/v1, in the order to be tried; none where the request does not hold what the API needs."""


@dataclass(frozen=True, slots=True)
class PlatformSource:
    """One API. `client` is None where the platform is off. `has_dependants`: its answer names what depends on it.

    `not_asked` is why the API is not asked where `paths` are none.
    """

    name: str
    title: str
    paths: Paths
    client: PlatformClient | None
    has_dependants: bool = False
    not_asked: str = ""

    @property
    def off_reason(self) -> str | None:
        return OFF if self.client is None else None

    async def look(self, request: Request) -> SourceAnswer:
        """UnavailableError where the API fails. What it does not know is said in a finding, and no gap."""
        if self.client is None:
            raise UnavailableError(OFF)
        unknown = None
        for path in self.paths(request):
            try:
                return self._told(await self.client.get(path), request)
            except NotFoundError as error:
                unknown = str(error)
        if unknown is None:
            return SourceAnswer(gaps=(Gap(self.name, self.not_asked, is_off=True),))
        return SourceAnswer(findings=(Finding(self.name, self.title, unknown),))

    def _told(self, answer: object, request: Request) -> SourceAnswer:
        if not answer:
            return SourceAnswer()
        dependants = _dependants(answer, request) if self.has_dependants else ()
        return SourceAnswer(findings=(Finding(self.name, self.title, _as_text(answer)),), dependants=dependants)


@asynccontextmanager
async def open_platform(url: str | None, *, proxy: str | None = None) -> AsyncIterator[tuple[PlatformSource, ...]]:
    """The six sources; all off without a URL. InvalidInputError where it is no http(s) address."""
    if url is None:
        yield _sources(None)
        return
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        is_address = False
    if not is_address or "?" in url or "#" in url:
        raise InvalidInputError(
            "PLATFORM_URL must be an http:// or https:// address without a query.", field="PLATFORM_URL"
        )
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), proxy=proxy) as session:
        yield _sources(PlatformClient(session, url))


def _sources(client: PlatformClient | None) -> tuple[PlatformSource, ...]:
    def of_client(*api: str) -> Paths:
        return lambda request: ((*api, request.client_id),)

    def of_event(*api: str) -> Paths:
        return lambda request: ((*api, request.event_id),) if request.event_id else ()

    def topology(request: Request) -> tuple[tuple[str, ...], ...]:
        place = ("catalog", "topology", request.client_id, request.namespace)
        return tuple((*place, name) for name in named_resources(request))

    return (
        PlatformSource("root causes", "Root causes the platform found", of_client("rca", "root-causes"), client),
        PlatformSource(
            "causal chain", "What led to the event", of_event("rca", "causal-chain"), client, not_asked=_NO_EVENT
        ),
        PlatformSource(
            "blast radius",
            "What the event touches",
            of_event("rca", "blast-radius"),
            client,
            has_dependants=True,
            not_asked=_NO_EVENT,
        ),
        PlatformSource("topology", "What it is connected to", topology, client, not_asked=_NO_NAME),
        PlatformSource("health", "Health as the platform sees it", of_client("health", "status"), client),
        PlatformSource("incidents", "Active incidents", of_client("health", "incidents"), client),
    )


def named_resources(request: Request) -> tuple[str, ...]:
    """Words of the description that may be a resource's name, at most NAMES_LIMIT, the likeliest first.

    The topology API wants a name before Kubernetes has been asked, so this is a guess: words with a dash, words that
    end in a colon ("checkout: …"), then what stands beside a kind or after a verb ("deployment checkout").
    """
    text = request.action_description.lower()
    likely = [word.strip(",.;:()\"'`") for word in text.replace("/", " ").split() if "-" in word or word.endswith(":")]
    named = [found[1].rstrip(".-") for pattern in _NAMED for found in pattern.finditer(text)]
    named = [one for one in named if one not in _NO_NAMES]
    names = [one for one in (*likely, *named) if _NAME.match(one) and any(character.isalpha() for character in one)]
    return tuple(dict.fromkeys(names))[:NAMES_LIMIT]


def _as_text(answer: object) -> str:
    """The answer as indented JSON, its beginning only: of a long or deeply nested one the rest is never written."""
    parts, size = [], 0
    for part in json.JSONEncoder(ensure_ascii=False, indent=1).iterencode(answer):
        parts.append(part)
        size += len(part)
        if size > 4 * LIMIT:
            break
    return quoted("".join(parts))


def _dependants(answer: object, request: Request) -> tuple[Resource, ...]:
    """Every object in the answer that has a known kind and a name, wherever it stands; not what the request names."""
    named = named_resources(request)
    found: dict[Resource, None] = {}
    waiting: deque[object] = deque([answer])
    while waiting and len(found) < DEPENDANTS_LIMIT:
        one = waiting.popleft()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += [value for value in one.values() if isinstance(value, (dict, list))]
            kind = _KINDS.get(str(one.get("kind") or one.get("type") or "").lower())
            name, where = one.get("name"), one.get("namespace") or request.namespace
            if kind is not None and _is_name(name) and _is_name(where) and name not in named:
                found[Resource(kind, name, where)] = None
    return tuple(found)


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _NAME.match(value) is not None
