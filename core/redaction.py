"""Takes secrets out of text before it goes to the model, Slack, REST, logs or history.

Digests, uids and pod-template hashes stay readable. Linear time: every pattern is bounded.
"""

import re

MARK = "[redacted]"
_EDGE = r"(?:\b|(?<=\\[nrt]))"
"""Where a word starts, also after an escaped line end, as in logs written as JSON."""
_NAMES = (
    r"(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?secret|credentials?"
    r"|authorization|\.dockerconfigjson)"
)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.{0,20000}?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        MARK,
    ),
    (re.compile(_EDGE + r"eyJ[\w-]{8,4000}\.[\w-]{8,4000}\.[\w-]{8,4000}"), MARK),
    (re.compile(_EDGE + r"(?:xox[abeprs]|xapp)-[\w-]{8,400}"), MARK),
    (re.compile(_EDGE + r"(?:gh[oprsu]_|github_pat_)\w{16,300}"), MARK),
    (re.compile(_EDGE + r"sk-(?:ant-|proj-)?[\w-]{16,300}"), MARK),
    (re.compile(_EDGE + r"glpat-[\w-]{16,100}"), MARK),
    (re.compile(_EDGE + r"(?:AKIA|ASIA)[0-9A-Z]{16}\b"), MARK),
    (re.compile(_EDGE + r"AIza[\w-]{35}"), MARK),
    (re.compile(_EDGE + r"ir_[\w-]{40,60}"), MARK),
    (re.compile(_EDGE + r"(?:LS0tLS1CRUdJTi|ZXlKaGJHY2lPa)[\w+/=-]{20,20000}"), MARK),
    (re.compile(r"(?i)\b(bearer|basic) {1,3}[\w.~+/=-]{8,4000}"), rf"\1 {MARK}"),
    (re.compile(r"\b([a-z][a-z0-9+.-]{1,20}://[^\s:/@]{0,200}):[^\s@/]{1,400}@"), rf"\1:{MARK}@"),
    (
        re.compile(rf"(?i)(\"[\w.-]{{0,60}}{_NAMES}[\w.-]{{0,20}}\" {{0,3}}: {{0,3}})\"(?:[^\"\\]|\\.){{1,20000}}\""),
        rf'\1"{MARK}"',
    ),
    (
        re.compile(
            rf"(?i)(\b[\w.-]{{0,60}}{_NAMES}[\w.-]{{0,20}} {{0,3}}[=:] {{0,80}})"
            r"(?![\[{\s\"]|<set to )[^\s,;\"'&]{3,4000}"
        ),
        rf"\1{MARK}",
    ),
    (
        re.compile(rf"(?i)(\b[\w.-]{{0,60}}{_NAMES}[\w.-]{{0,20}} {{0,3}}[=:] {{0,80}})[\"'][^\"'\n]{{1,4000}}[\"']"),
        rf"\1{MARK}",
    ),
    (
        re.compile(
            rf"(?i)(\"name\"\s{{0,3}}:\s{{0,3}}\"[\w.-]{{0,60}}{_NAMES}[\w.-]{{0,20}}\"\s{{0,3}},\s{{0,80}}\"value\"\s{{0,3}}:\s{{0,3}})"
            r"\"(?:[^\"\\]|\\.){1,20000}\""
        ),
        rf'\1"{MARK}"',
    ),
    (
        re.compile(
            rf"(?i)(name: {{0,3}}[\w.-]{{0,60}}{_NAMES}[\w.-]{{0,20}}\s{{1,40}}value: {{0,3}})\S[^\n]{{0,4000}}"
        ),
        rf"\1{MARK}",
    ),
)


def redact(text: str) -> str:
    """The text with every secret that is recognised replaced by `[redacted]`."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
