"""Foreign text made safe for Slack: nothing in it can mention, link, hide or break out of its place."""

import re
import unicodedata

from core.redaction import redact

CUT = "… (truncated)"
_NO_TICK = "\u02cb"
"""Looks like a backtick and closes nothing."""
_KEPT = frozenset("\n\t")


def escaped(text: str, limit: int = 2_900) -> str:
    """For mrkdwn: `& < >` as entities, so that `<!channel>` and `<@U…>` are only text; cut at `limit` characters."""
    return cut(_visible(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"), limit)


def unescaped(text: str) -> str:
    """What a person typed into a message: Slack sends `& < >` of it as entities."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def one_line(text: str, limit: int = 300) -> str:
    """Escaped, line breaks as spaces: it cannot look like more than one entry of a list."""
    return escaped(" ".join(text.split()), limit)


def plain(text: str, limit: int = 2_900) -> str:
    """For plain_text: as it is, without control characters; cut at `limit` characters."""
    return cut(_visible(text, limit), limit)


def code(text: str, limit: int = 2_500) -> str:
    """A code block that its content cannot close."""
    inside = escaped(text.strip("\n"), limit).replace("`", _NO_TICK)
    return f"```{inside}```"


def inline_code(text: str, limit: int = 300) -> str:
    """One line as code; a line break becomes a space."""
    return f"`{one_line(text, limit).replace('`', _NO_TICK)}`"


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, an entity never cut in two, saying so where something is missing."""
    if len(text) <= limit:
        return text
    kept = text[: limit - len(CUT)]
    return re.sub(r"&[a-z]{0,3}\Z", "", kept) + CUT


def _visible(text: str, limit: int) -> str:
    """Control and format characters (bidi overrides, zero-width) shown as their code point instead of acting.

    What `limit` cuts off in any case is not looked at: outputs are long. Redacted here once more, whoever wrote it.
    """
    shown = redact(text[: 2 * limit + 1])
    return "".join(
        character
        if character in _KEPT or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
        else f"[U+{ord(character):04X}]"
        for character in shown[: limit + 1]
    )
