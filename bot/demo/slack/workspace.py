"""What the local Slack knows: people, channels, messages and open modals. Everything else reads or changes this."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bot.demo.slack import blocks
from bot.demo.slack.refusal import SlackRefusal
from bot.demo.slack.tickets import ResponseUrls, Triggers

Json = dict[str, Any]
Clock = Callable[[], float]
Standing = Literal["member", "guest", "stranger", "bot"]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the workspace; a stranger belongs to another company and shares the channel."""

    id: str
    name: str
    real_name: str
    standing: Standing = "member"
    team_id: str = "T0LOCAL01"
    bot_id: str = ""

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "deleted": False,
            "real_name": self.real_name,
            "tz": "Etc/UTC",
            "tz_offset": 0,
            "is_admin": False,
            "is_owner": False,
            "is_bot": self.standing == "bot",
            "is_app_user": False,
            "is_restricted": self.standing == "guest",
            "is_ultra_restricted": False,
            "is_stranger": self.standing == "stranger",
            "updated": 0,
            "profile": {
                "real_name": self.real_name,
                "display_name": self.name,
                "team": self.team_id,
                **({"bot_id": self.bot_id} if self.bot_id else {"email": f"{self.name}@example.com"}),
            },
        }


@dataclass(slots=True)
class Channel:
    """A channel, or the direct messages between the app and some people."""

    id: str
    name: str
    members: list[str]
    is_im: bool = False

    def as_json(self, *, seen_by: str) -> Json:
        """As the person or bot `seen_by` sees it."""
        return {
            "id": self.id,
            "name": self.name,
            "is_channel": not self.is_im,
            "is_im": self.is_im,
            "is_private": False,
            "is_archived": False,
            "is_member": seen_by in self.members,
            "num_members": len(self.members),
            "topic": {"value": "", "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
        }


@dataclass(slots=True)
class Message:
    """One message; `ephemeral_to` names the only person who sees it, `stream` its state while it is streamed."""

    channel: str
    ts: str
    user: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    thread_ts: str = ""
    metadata: Json | None = None
    is_broadcast: bool = False
    edited_ts: str = ""
    ephemeral_to: str = ""
    stream: Literal["", "open", "closed", "stopped"] = ""
    stream_until: float = 0
    reactions: dict[str, list[str]] = field(default_factory=dict)
    inputs: dict[str, Json] = field(default_factory=dict)
    """Per person, what was chosen in this message's selects: block_id to action_id to value."""


@dataclass(slots=True)
class View:
    """A modal on somebody's screen; `errors` are what the app said of the last submission, by block_id."""

    id: str
    body: Json
    hash: str
    opened_by: str
    root_id: str
    previous_id: str | None = None
    errors: dict[str, str] = field(default_factory=dict)


class Workspace:
    """One team with one installed app, its people and its channels."""

    def __init__(self, *, clock: Clock, app_name: str, url: str) -> None:
        self._clock = clock
        self._ahead = 0.0
        self._last = 0
        self.url = url
        self.team_id = "T0LOCAL01"
        self.team_domain = "local"
        self.app_id = "A0LOCAL01"
        self.bot_id = "B0LOCAL01"
        self.bot = Person("U0APPBOT1", app_name.lower().replace(" ", "-"), app_name, "bot", bot_id=self.bot_id)
        self.version = 0
        self.changed = asyncio.Event()
        self.events: asyncio.Queue[Json] = asyncio.Queue()
        """Events that the app is subscribed to and has yet to be told."""
        self.reset()

    def reset(self) -> None:
        """Back to the first minute: the same people and channels, no messages, no modals."""
        self.people = {person.id: person for person in [*_people(), self.bot]}
        everybody = list(self.people)
        self.channels = {
            "C0INCIDENTS": Channel("C0INCIDENTS", "incidents", everybody),
            "C0GENERAL1": Channel("C0GENERAL1", "general", [one for one in everybody if one != "U0GUSGUEST"]),
        }
        self.usergroups: dict[str, list[str]] = {"S0ONCALL01": ["U0ADAONCAL"]}
        self.messages: list[Message] = []
        self.views: dict[str, list[View]] = {}
        self.triggers = Triggers(self.now)
        self.response_urls = ResponseUrls(self.now)
        self.notices: dict[str, str] = {}
        while not self.events.empty():
            self.events.get_nowait()
        self.note_change()

    def now(self) -> float:
        return self._clock() + self._ahead

    def advance(self, seconds: float) -> None:
        """Lets the workspace's clock jump ahead: triggers, response URLs and streams grow old at once."""
        self._ahead += seconds
        self.note_change()

    def new_ts(self) -> str:
        """A message's name: its second and microsecond, never the same twice."""
        self._last = max(int(self.now() * 1_000_000), self._last + 1)
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def note_change(self) -> None:
        self.version += 1
        self.changed.set()
        self.changed = asyncio.Event()

    def person(self, user: str) -> Person:
        if user not in self.people:
            raise SlackRefusal("user_not_found")
        return self.people[user]

    def channel(self, channel: str) -> Channel:
        name = channel.removeprefix("#")
        for one in self.channels.values():
            if channel == one.id or name == one.name:
                return one
        if channel in self.people:
            return self.direct_channel([channel])
        raise SlackRefusal("channel_not_found")

    def direct_channel(self, users: Sequence[str]) -> Channel:
        for user in users:
            self.person(user)
        channel_id = "D" + "".join(sorted(users))[1:]
        made = Channel(channel_id, channel_id.lower(), [*users, self.bot.id], is_im=True)
        return self.channels.setdefault(channel_id, made)

    def message(self, channel: str, ts: str) -> Message:
        """A message that everybody in the channel sees; ephemeral ones are not found this way."""
        for message in self.messages:
            if message.ts == ts and message.channel == channel and not message.ephemeral_to:
                return message
        raise SlackRefusal("message_not_found")

    def visible_message(self, ts: str, user: str) -> Message:
        for message in self.messages:
            if message.ts == ts and message.ephemeral_to in {"", user}:
                return message
        raise SlackRefusal("message_not_found", f"{user} sees no message {ts}")

    def replies(self, channel: str, ts: str) -> list[Message]:
        return [one for one in self.messages if one.channel == channel and one.thread_ts == ts and not one.ephemeral_to]

    def add(self, message: Message) -> Message:
        if message.thread_ts:
            parent = self.message(message.channel, message.thread_ts)
            message.thread_ts = parent.thread_ts or parent.ts
        self.messages.append(message)
        self.note_change()
        return message

    def remove(self, message: Message) -> None:
        self.messages.remove(message)
        self.note_change()

    def forget_ephemerals(self, user: str) -> None:
        """What reloading the page does to the messages that only this person saw."""
        self.messages = [one for one in self.messages if one.ephemeral_to != user]
        self.note_change()

    def message_json(self, message: Message, *, with_metadata: bool = False) -> Json:
        """As the Web API and interaction payloads show it."""
        sender = self.people[message.user]
        shown: Json = {"type": "message", "user": sender.id, "ts": message.ts, "team": sender.team_id}
        shown["text"] = message.text
        if message.blocks:
            shown["blocks"] = message.blocks
        if sender.bot_id:
            shown |= {"bot_id": sender.bot_id, "app_id": self.app_id, "bot_profile": self._bot_profile(sender)}
        if message.thread_ts:
            shown |= {"thread_ts": message.thread_ts, "parent_user_id": self._parent_user(message)}
        if message.is_broadcast:
            shown["subtype"] = "thread_broadcast"
        if message.edited_ts:
            shown["edited"] = {"user": sender.id, "ts": message.edited_ts}
        if message.reactions:
            shown["reactions"] = [{"name": n, "users": u, "count": len(u)} for n, u in message.reactions.items()]
        if message.metadata and with_metadata:
            shown["metadata"] = message.metadata
        return shown | self._thread_facts(message)

    def _bot_profile(self, sender: Person) -> Json:
        return {"id": sender.bot_id, "app_id": self.app_id, "name": sender.real_name, "team_id": self.team_id}

    def _parent_user(self, message: Message) -> str:
        return next((one.user for one in self.messages if one.ts == message.thread_ts), "USLACKBOT")

    def _thread_facts(self, message: Message) -> Json:
        replies = self.replies(message.channel, message.ts)
        if message.ephemeral_to or not replies:
            return {}
        users = list(dict.fromkeys(one.user for one in replies))
        return {
            "thread_ts": message.ts,
            "reply_count": len(replies),
            "reply_users": users,
            "reply_users_count": len(users),
            "latest_reply": replies[-1].ts,
        }

    def view_json(self, view: View, values: Json | None = None) -> Json:
        return {
            **view.body,
            "id": view.id,
            "team_id": self.team_id,
            "app_id": self.app_id,
            "app_installed_team_id": self.team_id,
            "bot_id": self.bot_id,
            "hash": view.hash,
            "root_view_id": view.root_id,
            "previous_view_id": view.previous_id,
            "state": {"values": values or {}},
        }

    def view(self, view_id: str) -> View:
        for stack in self.views.values():
            for view in stack:
                if view.id == view_id:
                    return view
        raise SlackRefusal("not_found", f"no open view {view_id}")


def checked_blocks(given: object, surface: blocks.Surface = "message") -> list[Json]:
    """The blocks with a block_id on each, as Slack stores them; refused where Slack refuses them."""
    if not isinstance(given, list):
        raise SlackRefusal("invalid_blocks_format")
    size = blocks.payload_size(given)
    if surface == "message" and size > blocks.PAYLOAD_LIMIT:
        raise SlackRefusal("msg_blocks_too_long", f"{size} characters, at most {blocks.PAYLOAD_LIMIT}")
    faults = blocks.check_blocks(given, surface)
    if faults:
        raise SlackRefusal("invalid_blocks", *faults)
    return [named_block(block) for block in given]


def named_block(block: Json) -> Json:
    """The block with a block_id, and an action_id on each element that can be acted on, made up where missing."""
    named: Json = {**block, "block_id": block.get("block_id") or secrets.token_urlsafe(4)}
    for _, element in blocks.walk(named):
        if element.get("type") == "button" and not element.get("action_id"):
            element["action_id"] = secrets.token_urlsafe(4)
    return named


def _people() -> list[Person]:
    return [
        Person("U0ADAONCAL", "ada", "Ada (on call)"),
        Person("U0LINUSDEV", "linus", "Linus"),
        Person("U0GRACELEA", "grace", "Grace (team lead)"),
        Person("U0GUSGUEST", "gus", "Gus (guest)", "guest"),
        Person("U0ZOEOTHER", "zoe", "Zoe (other company)", "stranger", team_id="T0OTHER01"),
        Person("U0DEPLOYBO", "deploybot", "Deploy Bot", "bot", bot_id="B0DEPLOY1"),
    ]
