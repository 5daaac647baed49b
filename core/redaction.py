"""Takes secrets out of text before it goes to the model, Slack, REST, logs or history.

Known shapes go, and whatever a name that says "secret" stands in front of. Digests, uids and pod-template hashes stay
readable. Every pass is linear: no text however long takes more than a moment for each hundred thousand characters.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from core.secret_shapes import MARK, decoded, without_keys, without_tokens

__all__ = ["MARK", "is_secret", "redact", "redact_tree"]

_DEPTH = 2
"""How often base64 may hold base64."""
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NAMES = re.compile(
    r"passw(?:or)?d|passphrase|passcode|passwort|secret|token|credential|authorization|dockercfg|dockerconfigjson|htpasswd"
    r"|(?:^|[^a-z])(?:pass|pwd|passwd|cookie|_auth|api[_.-]?auth)(?:$|[^a-z])"
    r"|(?:api|access|private|signing|signature|encryption|account|master|auth|client|session|shared|storage|ssh|license)"
    r"[_.-]?key(?!s?[_.-]?(?:id|ref))|connection[_.-]?string|signature$|^sig$|key[_.-]?data$"
)
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_TELLS_ABOUT = re.compile(
    r"(?:names?|refs?|files?|paths?|dirs?|seconds|count|length|size|policy|type|kind|version|expir\w*|ttl|urls?|uris?"
    r"|endpoints?|enabled|mounts?|requests?|hash|issuer|audiences?|id|ids|format|provider|store|class|rotation"
    r"|automount\w*|required|selector|algorithm|limits?|usage|budget|modes?|refresher|rotator|manager|operator|controller"
    r"|injector|reloader|generator|validator|webhook|service|svc|server|worker|proxy|agent|sidecar|driver|broker|jobs?)$"
    r"|automount"
)
"""Endings of names that speak of a secret without holding it, or of what works with secrets (`token-refresher`)."""
_POD_ENDING = re.compile(r"(?:-[a-z0-9]{8,10})?-[a-z0-9]{5}$")
_NUMBERS_STAY = re.compile(r"token|cookie|credential|secret|key|session")
_KEYED = re.compile(r"(?<![\w.-])([\w.-]++)(\\{0,8}[\"']|)[ \t]*+(:=|=>|[:=])(?![:=/])")
_FLAG = re.compile(
    r"(?<![\w-])--?([\w.-]++)"
    r"(?:[ \t]++\\{0,8}(?=\"[^\"\n]{0,2000}\"|'[^'\n]{0,2000}')[\"'](?![-=\"'])[^\"'\n\\]++"
    r"|(?:[ \t]++|\\{0,8}[\"'][ \t]*+,\s*+\\{0,8}[\"']|\\{0,8}[\"']?\r?\n[ \t]*+-[ \t]++\\{0,8}[\"']?)(?![-\s=])"
    r"[^\s\"'\\]++"
    r"|\r?\n[ \t]++(?![-\s=])[^\s\"'\\:]++(?=[ \t]*+(?:\r?\n|\Z)))"
)
_NAMED = re.compile(
    r"(\\{0,8}[\"']?(?:name|key|path)\\{0,8}[\"']?[ \t]*+:[ \t]*+\\{0,8}[\"']?)([\w./~-]++)(\\{0,8}[\"']?)"
    r"(?:[ \t]*+,)?\s*+(\\{0,8}[\"']?value\\{0,8}[\"']?[ \t]*+:[ \t]*+)(?=\S)"
)
_VALUE_FIRST = re.compile(
    r"(?m)((?:^[ \t-]*+|[{,]\s*+)\\{0,8}[\"']?value\\{0,8}[\"']?[ \t]*+:[ \t]*+)"
    r"(\\{0,8}\"[^\"\n]*+\"|[^\s,\"][^\n\"]*+)"
    r"(?=\s*+,?\s*+\\{0,8}[\"']?name\\{0,8}[\"']?[ \t]*+:[ \t]*+\\{0,8}[\"']?([\w./-]++))"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)(?: |%20){1,3}(?!authenticat|authoriz|credentials)[\w.~+/=-]{8,}+")
_ADDRESS = re.compile(r"://([^\s\"'<>`\\]++)")
_PORT = re.compile(r"\d{1,5}(?:/|$)")
_QUERY = re.compile(r"([?&](?:key|sig|signature|x-amz-[\w-]++|code|auth|pass|pw)=)[^&\s\"'<>#]{6,}+", re.IGNORECASE)
_DATABASE = re.compile(r"([\w.-]++):([^\s:@/]++)@(?=(?:tcp|unix)\()")
_ORACLE = re.compile(r"(\bjdbc:oracle:\w++:[^\s/@]{1,80}/)[^\s@/]{1,200}+@")
_LITERAL = re.compile(r"(--from-literal(?:=|[ \t]++)[\"']?[\w.-]++=)([^\s\"']++|(?<=[\"'])[^\"'\n]++)")
_PEOPLE = re.compile(r"(\bcurl\b[^\n]{0,200}? (?:-u|--user)[ =]?[\"']?[^\s:\"']{1,80}:)[^\s\"']++")
_MYSQL = re.compile(r"(\bmysql\w{0,10} [^\n]{0,100}?-p)(?=[^\s-])[^\s\"']++")
_ELEMENT = re.compile(r"<([\w.-]++)>([^<>\n]++)</")
_KIND_SECRET = re.compile(r"(?:\b|(?<=\\n))kind\\{0,8}[\"']?[ \t]*+:[ \t]*+\\{0,8}[\"']?Secret(?:List)?\b(?![\w.-])")
_BREAK = re.compile(r"(\r?\n|\\{1,8}n)")
_ENTRY = re.compile(r"([ \t]*+(?:- )?[\"']?[\w.-]++[\"']?[ \t]*+:)[ \t]*+(?=\S)")
_HARMLESS = frozenset(
    {"true", "false", "null", "none", "~", "<none>", "<unset>", "nil", "map[]", "{}", "[]", "''", '""'}
)
_LONGEST_VALUE = 20_000
_LONG_NAME = 16
_WIDEST = 400


def redact(text: str) -> str:
    """The text with every secret that is recognised replaced by `[redacted]`."""
    return _redact(text, _DEPTH)


def is_secret(value: str, *names: str) -> bool:
    """Whether the value of a field is one by its own shape, or because one of the field's names says so."""
    return any(redact(known) != known for known in (value, *(f"{name}={value}" for name in names)))


def redact_tree(value: object, *, name: str = "") -> object:
    """Texts inside of lists and mappings, too; what a name says is a secret goes whatever it looks like."""
    if isinstance(value, str):
        return MARK if name and redact(f"{name}={value}") == f"{name}={MARK}" else redact(value)
    if isinstance(value, Mapping):
        return {str(key): redact_tree(inner, name=str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_tree(inner, name=name) for inner in value]
    return value if value is None or isinstance(value, bool | int | float) else redact(str(value))


def _redact(text: str, depth: int) -> str:
    if "\x1b" in text:
        text = _ANSI.sub("", text).replace("\x1b", "")
    text = without_keys(text)
    if "Secret" in text and _KIND_SECRET.search(text):
        text = _without_data(text)
    text = _without_named_values(text)
    text = _without_addresses(text)
    return without_tokens(_without_headers(text), _redact, depth)


@lru_cache(4_096)
def _names_secret(name: str) -> bool:
    plain = _HUMPS.sub("_", name[-120:]).lower().strip(".-")
    if _NAMES.search(plain) is None or _TELLS_ABOUT.search(plain) is not None:
        return False
    return _TELLS_ABOUT.search(_POD_ENDING.sub("", plain)) is None


# --- values behind names ---------------------------------------------------------------------------------------------


def _without_named_values(text: str) -> str:
    text = _replaced(text, _KEYED, _keyed_value)
    if "-" in text:
        text = _FLAG.sub(_flag_value, text)
    if "value" in text:
        text = _replaced(text, _NAMED, _named_value)
        text = _VALUE_FIRST.sub(lambda one: f"{one[1]}{MARK}" if _names_secret(_last(one[3])) else one[0], text)
    if "</" in text:
        text = _ELEMENT.sub(lambda one: f"<{one[1]}>{MARK}</" if _names_secret(one[1]) else one[0], text)
    return text


Span = Callable[[str, re.Match[str]], tuple[int, int, str]]
"""Where the value behind a match stands, and the mark for it; an empty span where it stays."""


def _replaced(text: str, pattern: re.Pattern[str], span_of: Span) -> str:
    """The spans that `span_of` says, each behind a match of the pattern, become marks."""
    parts: list[str] = []
    done = 0
    for found in pattern.finditer(text):
        if found.start() < done:
            continue
        start, end, mark = span_of(text, found)
        if end > start:
            parts += [text[done:start], mark]
            done = end
    return "".join([*parts, text[done:]]) if parts else text


def _keyed_value(text: str, found: re.Match[str]) -> tuple[int, int, str]:
    key, quote, sign = found.groups()
    if not _names_secret(key):
        if key not in {"auth", "_auth"}:
            return 0, 0, ""
        start, end, mark = _value(text, found.end(), key, is_line=False)
        plain = decoded(text[start:end].strip("\"'\\ ")) or ""
        return (start, end, mark) if re.fullmatch(r"[^\s:]{0,200}:\S+", plain) else (0, 0, "")
    lead = _line_before(text, found.start())
    if _is_reference(text[found.end() : found.end() + _WIDEST], found, lead):
        return 0, 0, ""
    return _value(text, found.end(), key, is_line=sign == ":" and not quote and not lead.strip(" \t-"))


def _is_reference(rest: str, found: re.Match[str], lead: str) -> bool:
    """Whether the name is that of an image, a volume or a container, and what follows is no value of it."""
    key, quote, sign = found.groups()
    if quote:
        return _VOLUME.search(lead) is not None
    if sign == "=":
        return _SETS_IMAGE.search(lead) is not None and _IMAGE.match(rest) is not None
    if "-" in key and _TAG.match(rest):
        return lead.endswith("/") or _VERSION.match(rest) is not None
    return lead.strip() in {"Image pull", "Mountable"} or _BYTES.match(rest) is not None


def _named_value(text: str, found: re.Match[str]) -> tuple[int, int, str]:
    if not _names_secret(_last(found[2])):
        return 0, 0, ""
    return _value(text, found.end(), found[2], is_line="\n" in found[0] and '"' not in found[4])


def _line_before(text: str, place: int) -> str:
    """What stands in the line before this place, as far as it matters."""
    return text[max(0, place - _WIDEST) : place].rpartition("\n")[2]


def _last(path: str) -> str:
    return path.rpartition("/")[2]


_VOLUME = re.compile(r"volume \\{0,8}\"$")
_SETS_IMAGE = re.compile(r"\bset\W{1,6}image\W")
_IMAGE = re.compile(r"[a-z0-9][\w./:-]{0,250}[:@]\w[\w.:-]{0,127}(?=[\s\"'\\,)\]`]|$)")
_TAG = re.compile(r"\w[\w.-]{0,127}(?=[\s\"'\\,@)\]}`]|$)")
_VERSION = re.compile(r"(?:v?\d{1,6}(?:\.\d{1,6}){1,3}[\w.-]{0,20}|latest)(?=[\s\"'\\,@)\]}`]|$)")
_BYTES = re.compile(r"[ \t]*+\d{1,9} bytes[ \t]*+(?:\\{1,8}n|\r?\n|$)")
"""How describe tells of a value without showing it."""
_QUOTE = re.compile(r"\\{0,8}[\"']")
_BLANKS = re.compile(r"[ \t]*+")
_RULED = re.compile(r"[ \t]*+-{3,}+[ \t]*+\r?\n((?:(?!\r?\n|[\w.-]++:\r?\n----)[^\n]++\n?)++)")
"""As kubectl describes a ConfigMap: the key, a rule below it, then the value."""
_BLOCK = re.compile(r"[|>][-+0-9]{0,2}[ \t]*+(?=\r?\n)")
_WORD = re.compile(r"(?:[^\s,;\"'&<>(){}\[\]\\]|[,&;](?=[^\s,;\"'&{}\[\]=]++(?:\s|$))|\\(?![\"'nrt]))++")
_LINE = re.compile(r"[^\r\n]*+")
_AUTHORIZATION = re.compile(r"(?:authorization|cookie)$")
_TO_QUOTE = re.compile(r"[^\r\n\"'\\]*+")


def _value(text: str, start: int, key: str, *, is_line: bool) -> tuple[int, int, str]:
    """From where to where the value stands, and the mark in its place."""
    start = _BLANKS.match(text, start).end()  # type: ignore[union-attr]  # matches the empty text, too
    if start >= len(text) or text.startswith((MARK, f'"{MARK}', f"'{MARK}", "<set to "), start):
        return 0, 0, ""
    if quote := _QUOTE.match(text, start):
        return _quoted(text, start, quote[0])
    if text[start] in "\r\n" or _BLOCK.match(text, start):
        return _below(text, start, is_block=text[start] not in "\r\n")
    if text[start] == "[":
        end = text.find("]", start, start + _LONGEST_VALUE)
        return (start, end + 1, f"[{MARK}]") if end > start + 1 else (0, 0, "")
    if text[start] == "{":
        return 0, 0, ""
    lowered = key.lower()
    is_header = _AUTHORIZATION.search(lowered) is not None
    pattern = _TO_QUOTE if is_header and not is_line else _LINE if is_line or is_header else _WORD
    found = pattern.match(text, start)
    plain = found[0].strip().rstrip(",") if found else ""
    if not found or plain.lower() in _HARMLESS or (plain.isdigit() and _NUMBERS_STAY.search(lowered)):
        return 0, 0, ""
    end = start + len(found[0].rstrip())
    return start, _folded_end(text, start, end) if is_line else end, MARK


def _folded_end(text: str, start: int, end: int) -> int:
    """Where a plain YAML value ends that goes on in lines further to the right."""
    key_line = _line_before(text, start)
    indent = len(key_line) - len(key_line.lstrip(" "))
    while text.startswith("\n", end):
        line = _LINE.match(text, end + 1)[0]  # type: ignore[index]  # matches the empty text, too
        depth = len(line) - len(line.lstrip(" "))
        if depth <= indent or not line.strip() or line.lstrip().startswith("- ") or _is_mapping(line):
            break
        end += 1 + len(line)
    return end


def _quoted(text: str, start: int, quote: str) -> tuple[int, int, str]:
    """To the closing quote of the same depth of escapes; to the end of the line where there is none."""
    at = start + len(quote)
    while True:
        at = text.find(quote, at, start + _LONGEST_VALUE)
        if at < 0:
            line = _LINE.match(text, start)
            return start, line.end() if line else start, MARK
        if quote == "'" and text.startswith("''", at) and at > start + 1:
            at += 2
        elif text[at - 1] != "\\" or at == start + len(quote):
            break
        else:
            at += 1
    inner = text[start + len(quote) : at]
    if not inner or inner.lower() in _HARMLESS:
        return 0, 0, ""
    return start, at + len(quote), f"{quote}{MARK}{quote}" if '"' in quote else MARK


def _below(text: str, start: int, *, is_block: bool) -> tuple[int, int, str]:
    """A block scalar, a list or one plain line below its key: all lines that stand further to the right."""
    key_line = _line_before(text, start)
    indent = len(key_line) - len(key_line.lstrip(" "))
    first = text.find("\n", start) + 1
    if ruled := _RULED.match(text, first):
        return ruled.start(1), ruled.end(1), MARK
    at = first
    while 0 < at < len(text):
        line_end = text.find("\n", at)
        line = text[at : line_end if line_end >= 0 else len(text)]
        depth = len(line) - len(line.lstrip(" "))
        is_inside = (
            depth > indent or not line.strip() or (not is_block and depth == indent and line.lstrip().startswith("- "))
        )
        if not is_inside or (not is_block and _is_mapping(line)):
            break
        at = line_end + 1 if line_end >= 0 else len(text)
    if first == 0 or at <= first or not text[first:at].strip():
        return 0, 0, ""
    lead = text[first:at]
    body = first + len(lead) - len(lead.lstrip())
    return body, at - (1 if text[at - 1 : at] == "\n" else 0), MARK


def _is_mapping(line: str) -> bool:
    return re.match(r"[ \t-]*+[\w.\"'-]++(?: [\w.-]++){0,3}[ \t]*+:(?:[ \t]|\r?$)", line) is not None


def _flag_value(found: re.Match[str]) -> str:
    if not _names_secret(found[1]):
        return found[0]
    head = re.match(r"(?s)[^\"'\s]*+[\s\"',-]*", found[0])
    return f"{head[0] if head else ''}{MARK}"


# --- whole Secrets, headers and addresses ----------------------------------------------------------------------------


def _without_data(text: str) -> str:
    """The values of every data and stringData map of a text that holds a Secret."""
    pieces = _BREAK.split(_without_json_data(text))
    inside = -1
    for place in range(0, len(pieces), 2):
        line = pieces[place]
        depth = len(line) - len(line.lstrip(" "))
        if inside >= 0 and line.strip() and depth > inside:
            entry = _ENTRY.match(line)
            pieces[place] = f"{entry[1]} {MARK}" if entry else line if line.rstrip().endswith(":") else MARK
        elif line.strip():
            head = line.strip().removeprefix("- ")
            inside = depth if head in {"data:", "stringData:"} else -1
    return "".join(pieces)


_OPEN = re.compile(r"(\b(?:data|stringData)\\{0,8}[\"'][ \t]*+:\s*+)\{([^{}]*+)\}")
_PAIR = re.compile(r"(\\{0,8}[\"'][\w.-]++\\{0,8}[\"']\s*+:\s*+)(\\{0,8}[\"'])[^\"']*+[\"']")


def _without_json_data(text: str) -> str:
    def blank(found: re.Match[str]) -> str:
        return f"{found[1]}{{{_PAIR.sub(lambda one: f'{one[1]}{one[2]}{MARK}{one[2]}', found[2])}}}"

    return _OPEN.sub(blank, text)


def _without_headers(text: str) -> str:
    text = _BEARER.sub(rf"\1 {MARK}", text)
    if "jdbc:" in text:
        text = _ORACLE.sub(rf"\1{MARK}@", text)
    if "@tcp(" in text or "@unix(" in text:
        text = _DATABASE.sub(rf"\1:{MARK}@", text)
    if "create secret" in text:
        text = _LITERAL.sub(rf"\1{MARK}", text)
    if "curl" in text:
        text = _PEOPLE.sub(rf"\1{MARK}", text)
    if "mysql" in text:
        text = _MYSQL.sub(rf"\1{MARK}", text)
    return text


def _without_addresses(text: str) -> str:
    if "://" in text:
        text = _ADDRESS.sub(_address, text)
    return _QUERY.sub(rf"\1{MARK}", text) if "=" in text else text


def _address(found: re.Match[str]) -> str:
    """The password, or the token that stands alone, of user:password@host."""
    whole = found[1]
    people, at, host = whole.rpartition("@")
    name, colon, word = people.partition(":")
    if not at or word == MARK:
        return found[0]
    if not colon:
        return f"://{MARK}@{host}" if len(people) >= _LONG_NAME and "/" not in people else found[0]
    if "/" in name or (_PORT.match(word) and "/" in word):
        return found[0]
    return f"://{name}:{MARK}@{host}"
