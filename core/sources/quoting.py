"""Text from outside made fit to be a finding: bounded, redacted, without characters that storage refuses."""

import re

from core.redaction import redact

LIMIT = 4_000
_REFUSED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]|\\u0000")
"""NUL, other control characters and lone surrogates, and NUL as JSON writes it; tab and newline stay."""


def quoted(text: str, *, limit: int = LIMIT) -> str:
    """At most about `limit` characters. Only four times that is looked at, however long the text is."""
    clean = redact(_REFUSED.sub("\ufffd", text[: 4 * limit]))
    return clean if len(clean) <= limit and len(text) <= 4 * limit else f"{clean[:limit]}\n… (cut)"


def in_one_line(text: str, *, limit: int) -> str:
    """As `quoted`, in a line of its own: what it quotes cannot pass for another line."""
    return " ".join(redact(_REFUSED.sub("\ufffd", text[: 4 * limit])).split())[:limit]
