"""The HTTP door to the SRE platform: GETs of JSON, bounded in size, tried again only where that may help."""

import asyncio
import json
import random
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp

from core.errors import NotFoundError, UnavailableError

ATTEMPTS = 3
FIRST_PAUSE_SECONDS = 0.3
MAX_BYTES = 1_000_000
_RETRIED = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
_EMPTY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT})


class PlatformClient:
    """502, 503 and 504 are tried again with growing, jittered pauses; nothing else is. Redirects are not followed.

    How long all attempts may take together is the caller's to limit.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def get(self, segments: Sequence[str]) -> Any:  # noqa: ANN401  whatever the platform answers
        """The answer's JSON. The first two segments are the API's name and stand in errors; the others are data.

        NotFoundError where the API itself says that it knows no such thing; UnavailableError for every other failure.
        """
        api = "/".join(segments[:2])
        if {".", ".."} & set(segments):
            raise UnavailableError(f"The platform cannot be asked for an id of dots ({api}).")
        path = "/api/v1/" + "/".join(quote(one, safe="") for one in segments)
        status, raw = await self._ask(path, api)
        for earlier in range(ATTEMPTS - 1):
            if status not in _RETRIED:
                break
            await asyncio.sleep(FIRST_PAUSE_SECONDS * 2**earlier * random.uniform(0.5, 1.5))  # noqa: S311  jitter
            status, raw = await self._ask(path, api)
        if status in _RETRIED:
            raise UnavailableError(f"The platform answered {status}, asked {ATTEMPTS} times ({api}).")
        return _parsed(status, raw, api)

    async def _ask(self, path: str, api: str) -> tuple[int, bytes]:
        try:
            async with self._session.get(self._url + path, allow_redirects=False) as response:
                return response.status, await _limited(response, api)
        except (aiohttp.ClientError, OSError) as error:
            raise UnavailableError(f"The platform does not answer ({api}, {type(error).__name__}).") from error


async def _limited(response: aiohttp.ClientResponse, api: str) -> bytes:
    chunks, size = [], 0
    async for chunk in response.content.iter_chunked(65_536):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BYTES:
            response.close()
            raise UnavailableError(f"The platform answered more than 1 MB ({api}).")
    return b"".join(chunks)


def _parsed(status: int, raw: bytes, api: str) -> Any:  # noqa: ANN401  whatever the platform answers
    if status in _EMPTY:
        return None
    if status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
        redirect = ", a redirect, which is not followed" if status in range(300, 400) else ""
        raise UnavailableError(f"The platform answered {status}{redirect} ({api}).")
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError) as error:
        if status == HTTPStatus.NOT_FOUND:
            raise UnavailableError(f"There is no such API at PLATFORM_URL, it answered 404 ({api}).") from error
        raise UnavailableError(f"The platform answered something that is not JSON ({api}).") from error
    if status == HTTPStatus.NOT_FOUND:
        raise NotFoundError(f"The platform answered 404: it knows nothing of this ({api}).")
    return answer
