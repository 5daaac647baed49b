"""Errors as problem details (RFC 9457)."""

import json
from http import HTTPStatus

from aiohttp import web

from core.errors import (
    InvalidInputError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    ResolverError,
    RollbackFailedError,
    StaleError,
    TooManyError,
    UnavailableError,
    UnprocessableError,
)

_STATUS: tuple[tuple[type[ResolverError], HTTPStatus], ...] = (
    (InvalidInputError, HTTPStatus.BAD_REQUEST),
    (NotAuthenticatedError, HTTPStatus.UNAUTHORIZED),
    (NotAllowedError, HTTPStatus.FORBIDDEN),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (StaleError, HTTPStatus.CONFLICT),
    (RollbackFailedError, HTTPStatus.CONFLICT),
    (UnprocessableError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TooManyError, HTTPStatus.TOO_MANY_REQUESTS),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
)


def problem(
    status: HTTPStatus, detail: str, *, field: str | None = None, retry_after: int | None = None
) -> web.Response:
    """`field` names what is wrong in the body; `retry_after` is in seconds."""
    body: dict[str, object] = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    if field:
        body["field"] = field
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="incident-resolver"'
    return web.Response(
        status=status.value,
        body=json.dumps(body).encode(),
        headers=headers,
        content_type="application/problem+json",
    )


def problem_of(error: ResolverError) -> web.Response:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    field = error.field if isinstance(error, InvalidInputError) else None
    retry_after = None
    if isinstance(error, TooManyError):
        retry_after = error.retry_after_seconds
    elif isinstance(error, UnavailableError):
        retry_after = 5
    return problem(status, str(error), field=field, retry_after=retry_after)
