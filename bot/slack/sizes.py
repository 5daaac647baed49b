"""How large a message may be, and what is left out of one that is larger."""

import json
from collections.abc import Collection
from typing import Any

Block = dict[str, Any]
MESSAGE_LIMIT = 13_000
"""Characters of JSON in a message's blocks. Slack documents none and answers msg_blocks_too_long above about 13,200."""
SHORTENED = "_… shortened, see Details_"
_KEPT_LINES = 2


def size_of(node: object) -> int:
    """Characters of the JSON: quotes, backslashes and line breaks count twice."""
    return len(json.dumps(node, ensure_ascii=False, separators=(",", ":")))


def fit(blocks: list[Block], *, last: Collection[str] = ()) -> None:
    """Takes whole lines away from the end of the longest texts, in place, until Slack takes the message.

    Each text keeps its title and first line. `last` are texts that are shortened only when no other one can be.
    """
    while size_of(blocks) > MESSAGE_LIMIT:
        texts = [one for one in _texts(blocks) if len(_lines(one["text"])) > _KEPT_LINES]
        if not texts:
            return
        longest = max(texts, key=lambda one: (not one["text"].startswith(tuple(last)), size_of(one["text"])))
        longest["text"] = "\n".join([*_lines(longest["text"])[:-1], SHORTENED])


def _texts(blocks: list[Block]) -> list[Block]:
    return [
        text for one in blocks if one["type"] == "section" for text in [one.get("text"), *one.get("fields", ())] if text
    ]


def _lines(text: str) -> list[str]:
    return [one for one in text.split("\n") if one != SHORTENED]
