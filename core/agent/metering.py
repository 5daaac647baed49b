"""Counting tokens of one model call: an estimate before, the model's own count and our lower bound after. Pure."""

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from core.agent.prices import price_of

BYTES_PER_TOKEN = 3
"""Cautious: English has about 4 bytes a token, JSON fewer."""
LEAST_BYTES_PER_TOKEN = 12
"""No text has more; what a model reports below this is not believed."""


def estimated_input(body: bytes) -> int:
    return len(body) // BYTES_PER_TOKEN + 16


@dataclass(slots=True)
class Meter:
    """Reads the usage out of a stream of server-sent events, or out of one JSON answer, as bytes pass by."""

    model: str
    request_bytes: int
    answer_bytes: int = 0
    text_bytes: int = 0
    usage: dict[str, int] = field(default_factory=dict)
    _rest: bytes = b""

    def feed(self, chunk: bytes) -> None:
        self.answer_bytes += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self._event(line[5:].strip())
        if len(self._rest) > 4_000_000:  # noqa: PLR2004  a line that never ends
            self._rest = b""

    def feed_whole(self, answer: bytes) -> None:
        """A JSON answer that was not streamed."""
        self.answer_bytes += len(answer)
        parsed = _parsed(answer)
        self._merge(parsed.get("usage"))
        self.text_bytes += sum(len(json.dumps(one)) for one in parsed.get("content", []) if isinstance(one, dict))

    def _event(self, data: bytes) -> None:
        event = _parsed(data)
        match event.get("type"):
            case "message_start":
                message = event.get("message")
                self._merge(message.get("usage") if isinstance(message, dict) else None)
            case "message_delta":
                self._merge(event.get("usage"))
            case "content_block_delta":
                delta = event.get("delta")
                if isinstance(delta, dict):
                    self.text_bytes += sum(len(str(value)) for key, value in delta.items() if key != "type")
            case _:
                return

    def _merge(self, usage: object) -> None:
        if isinstance(usage, dict):
            for name, value in usage.items():
                if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                    self.usage[name] = value

    @property
    def output_tokens(self) -> int:
        return max(self.usage.get("output_tokens", 0), self.text_bytes // LEAST_BYTES_PER_TOKEN)

    @property
    def input_tokens(self) -> int:
        reported = sum(
            self.usage.get(name, 0)
            for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        )
        return max(reported, self.request_bytes // LEAST_BYTES_PER_TOKEN)

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def cost_usd(self) -> Decimal:
        cache_read = self.usage.get("cache_read_input_tokens", 0)
        cache_write = self.usage.get("cache_creation_input_tokens", 0)
        fresh = max(0, self.input_tokens - cache_read - cache_write)
        price = price_of(self.model)
        return price.of(fresh=fresh, cache_read=cache_read, cache_write=cache_write, output=self.output_tokens)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
