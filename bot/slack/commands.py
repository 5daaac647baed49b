"""What people type after /incident or a mention, as values. Pure."""

import re
from dataclasses import dataclass

from core.errors import InvalidInputError
from core.resolution import ActionType, Request

HELP = """*What I understand* (as `/incident …`, or mention me):
• `resolve ACTION NAMESPACE what is wrong` — ACTION is pod_restart, config_fix, resource_scale or investigation. \
Options before the words: `event=ID` `client=ID` `hours=2`
• `status [ID]` — one resolution, or the latest ones
• `pending` — what waits for an answer
• `history [N]` — the last N resolutions
• `interrupt ID [reason]` — stop it now; before it runs, cancel it
• `rollback ID` — put back what it changed; the command shows first what that would do, a mention does it at once
• `pause REASON` / `resume` — start nothing new, anywhere, until resumed
• `help`
ID may be shortened to its first 6 or more characters. In a thread of mine it can be left out."""
DEFAULT_CLIENT = "slack"
SHORTEST_ID = 6
_ID = re.compile(r"[0-9a-f-]{6,36}\Z")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_OPTION = re.compile(r"(event|client|hours)=(\S*)\Z")
_COUNT = re.compile(r"[0-9]{1,4}\Z")
_TEXT_LIMIT = 4_000
_LONGEST = {"event": 256, "client": 128, "hours": 30}
_MOST_HOURS = 168
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Resolve:
    """A request for a resolution."""

    request: Request


@dataclass(frozen=True, slots=True)
class Status:
    """One resolution, or the latest ones where none is named."""

    id: str | None


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits for an answer."""


@dataclass(frozen=True, slots=True)
class History:
    """The last `count` resolutions."""

    count: int


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop or cancel."""

    id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Rollback:
    """Put back."""

    id: str | None


@dataclass(frozen=True, slots=True)
class PauseAll:
    """Start nothing new."""

    reason: str


@dataclass(frozen=True, slots=True)
class ResumeAll:
    """End the pause."""


@dataclass(frozen=True, slots=True)
class Help:
    """What there is."""


Asked = Resolve | Status | Pending | History | Interrupt | Rollback | PauseAll | ResumeAll | Help


def parse_command(text: str, *, token_limit: int) -> Asked:
    """InvalidInputError says what is wrong and how it is written."""
    word, _, rest = " ".join(text.split()).partition(" ")
    match word.lower():
        case "" | "help":
            return Help()
        case "resolve":
            return Resolve(_request(rest, token_limit))
        case "status":
            return Status(_id(rest) if rest else None)
        case "pending":
            return Pending()
        case "history":
            return History(_count(rest))
        case "interrupt" | "stop" | "cancel":
            id_, reason = _id_and_reason(rest)
            return Interrupt(id_, reason)
        case "rollback":
            return Rollback(_id(rest) if rest else None)
        case "pause":
            if not rest:
                raise InvalidInputError("Say why: `pause REASON`. It stands on every card.")
            return PauseAll(rest[:500])
        case "resume":
            return ResumeAll()
        case other:
            raise InvalidInputError(f"There is no command {other[:40]!r}; try `help`.")


def _request(rest: str, token_limit: int) -> Request:
    action, _, rest = rest.partition(" ")
    namespace, _, rest = rest.partition(" ")
    how = "Write: `resolve ACTION NAMESPACE what is wrong`."
    try:
        action_type = ActionType(action.lower())
    except ValueError as error:
        known = ", ".join(one.value for one in ActionType)
        wrong = f"There is no action {action[:40]!r}" if action else "Say which action"
        raise InvalidInputError(f"{wrong}; there are {known}. {how}") from error
    if not _NAMESPACE.match(namespace):
        wrong = f"{namespace[:70]!r} is not the name of a namespace" if namespace else "Say in which namespace"
        raise InvalidInputError(f"{wrong}. {how}")
    options, description = _options(rest)
    if not description:
        raise InvalidInputError(f"Say what is wrong, in words; name the workload if you know it. {how}")
    if len(description) > _TEXT_LIMIT:
        raise InvalidInputError(f"The description may have at most {_TEXT_LIMIT:,} characters.")
    return Request(
        client_id=options.get("client", DEFAULT_CLIENT),
        namespace=namespace,
        action_type=action_type,
        action_description=description,
        event_id=options.get("event"),
        time_window_hours=_hours(options.get("hours", "2")),
        token_limit=token_limit,
    )


def _options(rest: str) -> tuple[dict[str, str], str]:
    """Leading name=value words, and what follows them."""
    options: dict[str, str] = {}
    while rest:
        word, _, after = rest.partition(" ")
        found = _OPTION.match(word)
        if found is None:
            break
        name, value = found.groups()
        if not 1 <= len(value) <= _LONGEST[name]:
            raise InvalidInputError(
                f"{name}={value[:20]}: 1 to {_LONGEST[name]} characters, without a space before them."
            )
        options[name] = value
        rest = after
    return options, rest


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError as error:
        raise InvalidInputError(f"hours={text[:20]}: a number of hours, at most {_MOST_HOURS}.") from error
    if not 0 < hours <= _MOST_HOURS:
        raise InvalidInputError(f"hours={text[:20]}: more than 0 and at most {_MOST_HOURS}.")
    return hours


def _id(text: str) -> str:
    word = text.split(" ", 1)[0].strip("`").lower()
    if not _ID.match(word):
        raise InvalidInputError(
            f"{word[:50]!r} is not an id; it stands at the foot of the card (6 or more characters)."
        )
    return word


def _id_and_reason(rest: str) -> tuple[str | None, str]:
    """The first word is the id if it looks like one; without it all is the reason."""
    word, _, reason = rest.partition(" ")
    plain = word.strip("`").lower()
    return (plain, reason) if _ID.match(plain) and any(one.isdigit() for one in plain) else (None, rest)


def _count(rest: str) -> int:
    if not rest:
        return 10
    if not _COUNT.match(rest) or not 1 <= int(rest) <= _MOST_SHOWN:
        raise InvalidInputError(f"history N: a whole number from 1 to {_MOST_SHOWN}.")
    return int(rest)
