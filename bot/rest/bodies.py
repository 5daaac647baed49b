"""What callers send, before it is understood: JSON only, bounded in time and size, unpacked here."""

import asyncio
import zlib
from collections.abc import Mapping

from aiohttp import web

from core.errors import InvalidInputError

BODY_LIMIT = 1024 * 1024
BODY_SECONDS = 10.0
_GZIP = 16 + zlib.MAX_WBITS


async def read_body(request: web.Request) -> bytes:
    """The body within 10 s; a promised body that never comes must not hold a connection.

    InvalidInputError where it is not said to be JSON: so no page of another site can send one without being asked. The
    server unpacks nothing by itself (`serve_rest`): what is packed to burst is stopped here.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text="The body did not come in time.") from error
    if raw and request.content_type != "application/json":
        raise InvalidInputError("Send JSON with the header 'Content-Type: application/json'.", field="Content-Type")
    return unpacked(raw, request.headers)


def unpacked(raw: bytes, headers: Mapping[str, str]) -> bytes:
    """Gzip is taken apart up to the limit of a body; 415 for any other Content-Encoding."""
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        return raw
    if encoding != "gzip":
        raise web.HTTPUnsupportedMediaType(text="Send the body as it is, or packed with gzip.")
    unpacking = zlib.decompressobj(_GZIP)
    try:
        body = unpacking.decompress(raw, BODY_LIMIT)
    except zlib.error as error:
        raise InvalidInputError("The body is not gzip, as its Content-Encoding says.") from error
    if unpacking.unconsumed_tail:
        raise web.HTTPRequestEntityTooLarge(BODY_LIMIT, len(raw))
    if not unpacking.eof or unpacking.unused_data:
        raise InvalidInputError("The body's gzip is cut off, or something follows it.")
    return body
