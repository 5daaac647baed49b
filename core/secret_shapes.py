"""Secrets known by their shape alone: tokens of well-known services, JWTs, key blocks, and base64 of any of these."""

import base64
import binascii
import re
from bisect import bisect_left
from collections.abc import Callable

MARK = "[redacted]"
_LONGEST_KEY = 20_000
_LONGEST_BASE64 = 400_000
_FOLDED_BASE64 = 40
"""Lines of base64 that was folded are at least so long."""
_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BEFORE_END = re.compile(r"(?:[A-Za-z0-9+/=]|\\[nr]|\s)*+\Z")
_SHAPES = re.compile(
    r"gh[oprsu]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|gl[a-z]{2,6}-[\w-]{16,}"
    r"|xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}|(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}"
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}|\dQ~[\w.~-]{20,}"
    r"|[sr]k_(?:live|test)_\w{16,}|whsec_[\w+/=]{16,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}|hf_[A-Za-z0-9]{30,}"
    r"|dckr_[a-z]{3}_[\w-]{20,}|SG\.[\w-]{16,32}\.[\w-]{16,}|hv[brs]\.[\w-]{20,}|AGE-SECRET-KEY-1[0-9A-Z]{40,}"
    r"|\bsk-[\w-]{16,}|\bir_[\w-]{40,60}|\$(?:apr1|1|2[aby]|5|6|y)\$[\w./$]{8,}"
    r"|hooks\.slack\.com/services/[\w/]{10,}|discord(?:app)?\.com/api/webhooks/[\w/-]{10,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"
)
_TELEGRAM = re.compile(r"\b\d{8,10}:AA[\w-]{30,}")
_RUN = re.compile(r"[\w$.+/=~%-]{16,}+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{20,}+={0,2}|[A-Za-z0-9_-]{20,}+={0,2}")
_LINE_OF_ONE = r"[ \t]*+[\"']?[\w.+/=~-]++[\"',]{0,2}[ \t]*+"
_FOLDED = re.compile(rf"(?m)(?<![\w.+/=~-])[\w.+/=~-]{{3,}}+(?:\r?\n{_LINE_OF_ONE}(?=\r?\n|\Z))++")
"""A word that ends its line, and lines below it that hold one word and nothing else."""
_PLAIN = str.maketrans("-_", "+/")
_HEX = re.compile(r"[0-9a-f.-]+|[0-9A-F.-]+")
Redact = Callable[[str, int], str]
"""Redacts what base64 held, so many levels deep at most."""


def without_keys(text: str) -> str:
    """Private key blocks, also where one end of the block was cut off."""
    if "PRIVATE KEY" not in text:
        return text
    ends = [found.span() for found in _END.finditer(text)]
    parts: list[str] = []
    done = 0
    for begin in _BEGIN.finditer(text):
        if begin.start() < done:
            continue
        place = bisect_left(ends, begin.span())
        closing = ends[place][1] if place < len(ends) else len(text)
        parts += [text[done : begin.start()], MARK]
        done = closing if closing - begin.start() <= _LONGEST_KEY else min(begin.start() + _LONGEST_KEY, len(text))
    return _without_tails("".join([*parts, text[done:]]))


def _without_tails(text: str) -> str:
    """What stands before an end without a beginning."""
    pieces = _END.split(text)
    heads = [_KEY_BEFORE_END.sub(f" {MARK}", _tail_marked(piece)) for piece in pieces[:-1]]
    return "".join([*heads, pieces[-1]]) if heads else text


def _tail_marked(piece: str) -> str:
    """Bounded: only the end of the piece can belong to the key."""
    head, tail = piece[:-_LONGEST_KEY], piece[-_LONGEST_KEY:]
    found = re.search(r"[^A-Za-z0-9+/=\s\\]", tail[::-1])
    start = len(tail) - found.start() if found else 0
    return head + tail[:start]


def without_tokens(text: str, redact: Redact, depth: int) -> str:
    if ":AA" in text:
        text = _TELEGRAM.sub(MARK, text)
    text = _FOLDED.sub(lambda found: _unfolded(found[0], redact, depth), text)
    return _RUN.sub(lambda found: _in_run(found[0], redact, depth), text)


def _in_run(run: str, redact: Redact, depth: int) -> str:
    if _HEX.fullmatch(run):
        return run
    shown = _SHAPES.sub(MARK, run)
    if shown == run and depth > 0:
        return _BASE64.sub(lambda found: MARK if _hides(found[0], redact, depth) else found[0], run)
    return shown


def _hides(word: str, redact: Redact, depth: int) -> bool:
    """Whether it is base64 of a text with something to redact."""
    plain = decoded(word)
    return plain is not None and redact(plain, depth - 1) != plain


def decoded(word: str) -> str | None:
    """The text that base64 holds; None where it holds none. A cut end is left out."""
    body = word[:_LONGEST_BASE64].rstrip("=").translate(_PLAIN)
    whole = body[: len(body) - 1] if len(body) % 4 == 1 else body
    try:
        raw = base64.b64decode(whole + "=" * (-len(whole) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    text = raw.decode("utf-8", errors="replace")
    is_text = text.rstrip("\ufffd").isascii() and all(sign.isprintable() or sign in "\n\r\t" for sign in text[:200])
    return text if is_text else None


def _unfolded(block: str, redact: Redact, depth: int) -> str:
    """A secret that was folded: where joining two lines shows one that neither shows alone, both go."""
    lines = block.split("\n")
    words = [line.strip(" \t\r\"',") for line in lines]
    whole = "".join(words)
    if _HEX.fullmatch(whole):
        return block
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word))
    hidden = set(_places(whole, starts))
    if not hidden and depth > 0 and min(map(len, words[:-1])) >= _FOLDED_BASE64 and _hides(whole, redact, depth):
        hidden = set(range(len(words)))
    return "\n".join(
        _marked(lines[place], words[place]) if place in hidden else lines[place] for place in range(len(words))
    )


def _places(whole: str, starts: list[int]) -> list[int]:
    """The lines that a secret across a fold touches. What is whole in one line is left to the line itself."""
    places: list[int] = []
    for found in _SHAPES.finditer(whole):
        first = max(place for place, start in enumerate(starts) if start <= found.start())
        last = max(place for place, start in enumerate(starts) if start < found.end())
        if last > first:
            places += range(first, last + 1)
    return places


def _marked(line: str, word: str) -> str:
    return line.replace(word, MARK, 1) if word else line
