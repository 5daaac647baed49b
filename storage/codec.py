"""Our values to JSON and back, by their own types."""

import json
import re
from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

T = TypeVar("T")
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""The escape itself, not the text of one: a log line may hold backslash, u, 0, 0, 0, 0."""


def to_json(value: object, kind: type[Any] | None = None) -> str | None:
    """JSON text that PostgreSQL's jsonb accepts; None stays None. `kind` where type(value) does not say it all."""
    if value is None:
        return None
    adapter: TypeAdapter[Any] = _adapter(cast("Hashable", kind or type(value)))
    return to_text(adapter.dump_python(value, mode="json"))


def to_text(plain: object) -> str:
    """Canonical JSON: sorted keys, no blanks, valid UTF-8; NUL and lone surrogates become U+FFFD."""
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return _NUL.sub("\\1\ufffd", text.encode("utf-8", "replace").decode())


def plain(text: str | None) -> str | None:
    """What a text column takes: NUL and lone surrogates become U+FFFD and "?"."""
    return None if text is None else text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def from_json(kind: type[T], text: str | None) -> T | None:
    return None if text is None else read(kind, text)


def read(kind: type[T], text: str) -> T:
    """As from_json where the column is not null."""
    value: T = _adapter(cast("Hashable", kind)).validate_json(text)
    return value


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast("type[Any]", kind))
