"""The local Slack as one object: what a test or the demo holds, and what the page's control routes call."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp

from bot.demo.slack.courier import Answer, ChosenCourier
from bot.demo.slack.doorway import Doorway
from bot.demo.slack.faults import Fault, FaultKind, Faults
from bot.demo.slack.journal import Journal
from bot.demo.slack.people_acts import PeopleActs
from bot.demo.slack.refusal import SlackRefusal
from bot.demo.slack.signed_requests import SignedRequests
from bot.demo.slack.socket_mode import DisconnectReason, SocketMode
from bot.demo.slack.workspace import Json, Message, Workspace

Found = TypeVar("Found")


class LocalSlack:
    """A workspace with one app installed. Every method takes effect before it returns.

    What a person may not do (an element no longer on the message, a channel they are not in, an incomplete modal)
    raises SlackRefusal.
    """

    def __init__(  # noqa: PLR0913 - all by name, each used once
        self,
        workspace: Workspace,
        *,
        tokens: tuple[str, str],
        signing_secret: str,
        session: aiohttp.ClientSession,
        sockets: SocketMode,
        courier: ChosenCourier,
        journal: Journal,
        faults: Faults,
        acts: PeopleActs,
        doorway: Doorway,
    ) -> None:
        self.workspace = workspace
        self.bot_token, self.app_token = tokens
        self.signing_secret = signing_secret
        self.journal = journal
        self.sockets = sockets
        self._session = session
        self._courier = courier
        self._faults = faults
        self._acts = acts
        self._doorway = doorway
        self.api_url = f"{workspace.url}/api/"
        self.page_url = f"{workspace.url}/"
        self.channel_id = "C0INCIDENTS"
        self.bot_user_id = workspace.bot.id
        self.usergroup_id = "S0ONCALL01"
        self.incidents: list[dict[str, str]] = []
        self.on_play: Callable[[str], None] = lambda _: None

    @property
    def people(self) -> dict[str, str]:
        """Ids by first name: ada, linus and grace are members, gus a guest, zoe from elsewhere, deploybot a bot."""
        return {person.name: person.id for person in self.workspace.people.values()}

    # What people do

    async def say(self, user: str, text: str, *, channel: str = "", thread_ts: str = "") -> str:
        """Posts as this person and returns the message's ts; the app hears of it in its own time."""
        return self._acts.say(user, text, channel=channel or self.channel_id, thread_ts=thread_ts).ts

    async def command(self, user: str, command: str, text: str = "", *, channel: str = "") -> Answer:
        return await self._acts.command(user, command, text, channel=channel or self.channel_id)

    async def play(self, user: str, name: str) -> Answer:
        """One of `incidents`: breaks its workload (`on_play`) and types its command as this person."""
        for one in self.incidents:
            if one["name"] == name:
                self.on_play(name)
                command, _, text = one["command"].partition(" ")
                return await self.command(user, command, text)
        raise SlackRefusal("incident_not_found", f"there is no incident {name!r}")

    async def click(
        self,
        user: str,
        ts: str,
        action_id: str,
        *,
        block_id: str | None = None,
        value: Any = None,  # noqa: ANN401 - what a person enters depends on the element
    ) -> Answer:
        return await self._acts.click(user, ts, action_id, block_id=block_id, value=value)

    async def click_in_view(
        self,
        user: str,
        action_id: str,
        *,
        value: Any = None,  # noqa: ANN401 - as above
        values: Json | None = None,
    ) -> Answer:
        return await self._acts.click_in_view(user, action_id, value=value, values=values)

    async def submit_view(self, user: str, values: Json | None = None) -> Answer:
        return await self._acts.submit(user, values or {})

    async def close_view(self, user: str, *, everything: bool = False) -> Answer:
        return await self._acts.close(user, everything=everything)

    async def stop_stream(self, user: str, ts: str) -> None:
        self._acts.stop_stream(user, ts)

    # What can be seen

    def messages(self, channel: str = "") -> list[Json]:
        """The channel as everybody sees it, oldest first, replies left out; metadata included."""
        found = [one for one in self._public(channel) if not one.thread_ts or one.is_broadcast]
        return [self.workspace.message_json(one, with_metadata=True) for one in found]

    def message(self, ts: str) -> Json:
        for one in self.workspace.messages:
            if one.ts == ts:
                return self.workspace.message_json(one, with_metadata=True)
        raise SlackRefusal("message_not_found")

    def thread(self, ts: str, channel: str = "") -> list[Json]:
        """The replies to this message, oldest first, without the message itself."""
        found = [one for one in self._public(channel) if one.thread_ts == ts]
        return [self.workspace.message_json(one, with_metadata=True) for one in found]

    def ephemerals(self, user: str) -> list[Json]:
        found = [one for one in self.workspace.messages if one.ephemeral_to == user]
        return [self.workspace.message_json(one) for one in found]

    def view(self, user: str) -> Json | None:
        """The modal on top of this person's screen, with `errors` by block_id."""
        stack = self.workspace.views.get(user)
        return {**self.workspace.view_json(stack[-1]), "errors": stack[-1].errors} if stack else None

    def notice(self, user: str) -> str:
        """What the client told this person when the app did not answer."""
        return self.workspace.notices.get(user, "")

    async def until(self, condition: Callable[[], Found], *, seconds: float = 10) -> Found:
        """Waits until the condition is true after some change and returns what it gave. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not (found := condition()):
                await self.workspace.changed.wait()
        return found

    # What the operator of Slack can do

    async def connected(self, *, seconds: float = 10) -> None:
        """Waits until the app has a socket open."""
        async with asyncio.timeout(seconds):
            await self.sockets.connected()

    async def disconnect(self, reason: DisconnectReason = "refresh_requested") -> None:
        await self.sockets.disconnect(reason)

    async def drop_sockets(self) -> int:
        return self.sockets.drop()

    def fault(
        self, method: str, kind: FaultKind, value: str | float = "", *, times: int = 1, after_effect: bool = False
    ) -> None:
        """Lets a method ("*": any) fail the next few times; `value`: the error, or seconds for 429 and delay."""
        self._faults.add(Fault(method, kind, str(value), times, after_effect))

    def clear_faults(self) -> None:
        self._faults.clear()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Refuses every connection until the block ends; those that are open are cut."""
        self.sockets.drop()
        await self._doorway.shut()
        try:
            yield
        finally:
            await self._doorway.open()

    def advance(self, seconds: float) -> None:
        """Lets Slack's clock jump: trigger ids, response URLs and streams grow old."""
        self.workspace.advance(seconds)

    def reset(self) -> None:
        self.workspace.reset()
        self._faults.clear()
        self.journal.entries.clear()

    def deliver_by_http(self, request_url: str) -> SignedRequests:
        """From now on sends signed requests to this URL on this machine. What it returns can also send false ones."""
        way = SignedRequests(
            self._session,
            url=request_url,
            signing_secret=self.signing_secret,
            now=self.workspace.now,
            journal=self.journal,
        )
        self._courier.way = way
        return way

    def deliver_by_socket(self) -> None:
        self._courier.way = self.sockets

    def _public(self, channel: str) -> list[Message]:
        found = self.workspace.channel(channel or self.channel_id)
        return [one for one in self.workspace.messages if one.channel == found.id and not one.ephemeral_to]
