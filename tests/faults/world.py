"""What outlives every replica: cluster, model and Slack in the test's process, and the database."""

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from sqlalchemy import text

from bot.demo.cluster.holds import Hold
from bot.demo.cluster.scenarios import SCENARIOS
from bot.demo.cluster.server import Change, Simulator, open_simulator
from bot.demo.model.scripts import demo_script
from bot.demo.model.server import ScriptedModel, open_scripted_model
from bot.demo.slack.local_slack import LocalSlack
from bot.demo.slack.server import open_local_slack
from core.history import Happened, RecordedEntry
from core.overview import Overview
from core.ports import HistoryFilter
from core.resolution import ResolutionId, State
from storage.database import connected
from storage.store import PostgresStorage, open_storage
from tests.faults.moments import Moment
from tests.faults.replica import Maker, Replica, open_replica
from tests.postgres import SNAPSHOT_KEY

LEASE_SECONDS = 2.0
_numbers = itertools.count(1)


@dataclass(slots=True)
class World:
    """`settings` go to every replica that is started from now on."""

    folder: Path
    maker: Maker
    store: PostgresStorage
    simulator: Simulator
    model: ScriptedModel
    slack: LocalSlack
    settings: dict[str, object]
    replicas: AsyncExitStack
    started: list[Replica] = field(default_factory=list)

    async def start(self, moment: Moment | None = None) -> Replica:
        """One more replica, its socket to Slack open; it stands still at `moment`."""
        number = next(_numbers)
        values = self.settings | {"data": str(self.folder / f"data-{number}")}
        replica = await self.replicas.enter_async_context(
            open_replica(self.maker, values, log=self.folder / f"replica-{number}.log", moment=moment)
        )
        self.started.append(replica)
        await self.until(lambda: "slack_connected" in replica.log.read_text(), "connected to Slack")
        return replica

    async def start_two(self) -> list[Replica]:
        async with asyncio.TaskGroup() as group:
            starting = [group.create_task(self.start()) for _ in range(2)]
        return [one.result() for one in starting]

    def moment(self, recording: str, *, line: str) -> Moment:
        """For `start`: right before this is recorded, the first time after such a line was started."""
        return Moment(recording, line, str(self.folder / f"{recording}.reached"))

    async def die(self, *, leases_end: bool = True) -> None:
        """kill -9 of every replica that runs; what they held, and were sending to Slack, may be taken over at once.

        That leases end by themselves is what test_freeze shows.
        """
        for one in self.started:
            if one.is_alive:
                await one.kill()
        await self.forget_senders()
        if leases_end:
            async with connected(self.store.engine) as connection:
                await connection.execute(text("UPDATE resolution SET lease_until = now() WHERE lease_until > now()"))

    async def forget_senders(self) -> None:
        """Lets the leases of cards run out now, not in half a minute."""
        async with connected(self.store.engine) as connection:
            await connection.execute(text("UPDATE card SET lease_until = now() WHERE lease_until IS NOT NULL"))

    # --- holding the world still ---------------------------------------------------------------------------------

    def hold(self, method: str, path: str, *, agent: str = "", is_after_effect: bool = False) -> Hold:
        """The next request to the cluster with this method and part of its path; `agent` begins its User-Agent."""

        def is_wanted(request: web.Request) -> bool:
            caller = request.headers.get("User-Agent", "")
            is_dry = "dryRun" in request.query
            return request.method == method and path in request.path and caller.startswith(agent) and not is_dry

        return self.simulator.holds.add(Hold(is_wanted, is_after_effect=is_after_effect))

    async def reached(self, hold: Hold, *, seconds: float = 30) -> None:
        try:
            async with asyncio.timeout(seconds):
                await hold.reached.wait()
        except TimeoutError:
            raise AssertionError(f"the request was never made; {await self.told()}") from None

    # --- what people do ------------------------------------------------------------------------------------------

    @property
    def ada(self) -> str:
        return self.slack.people["ada"]

    async def ask(self, name: str) -> None:
        scenario = next(one for one in SCENARIOS if one.name == name)
        line = f"resolve {scenario.action_type} {scenario.namespace} {scenario.description}"
        answer = await self.slack.command(self.ada, "/incident", line)
        assert answer.is_acked, answer

    async def card(self, *words: str, seconds: float = 20) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            cards = (one for one in reversed(self.slack.messages()) if all(word in header_of(one) for word in words))
            return next(cards, None)

        try:
            return await self.slack.until(found, seconds=seconds)
        except TimeoutError:
            raise AssertionError(f"no card with {words}; {await self.told()}") from None

    async def approve(self) -> None:
        card = await self.card("Approval needed")
        answer = await self.slack.click(self.ada, card["ts"], "approve")
        assert answer.is_acked, answer

    async def roll_back(self, card: dict[str, Any]) -> None:
        """By the card's button and the preview it opens."""
        assert (await self.slack.click(self.ada, card["ts"], "rollback")).is_acked
        try:
            await self.slack.until(lambda: "would be put back" in str(self.slack.view(self.ada)), seconds=20)
        except TimeoutError:
            raise AssertionError(f"nothing would be put back: {self.slack.view(self.ada)}") from None
        assert (await self.slack.submit_view(self.ada)).is_acked

    # --- what can be seen ----------------------------------------------------------------------------------------

    async def the_only(self) -> Overview:
        found = await self.store.history(HistoryFilter())
        if len(found) != 1:
            known = [(one.resolution, await self.happened(one.resolution.id)) for one in found]
            heard = [one for one in self.slack.journal.entries if one.direction == "delivery"]
            raise AssertionError(f"not one resolution: {known}; what Slack delivered: {heard}; {await self.told()}")
        return found[0]

    async def one(self, resolution_id: ResolutionId) -> Overview:
        found = await self.store.overview(resolution_id)
        assert found is not None
        return found

    async def until_state(self, state: State, *, of: ResolutionId | None = None, seconds: float = 40) -> Overview:
        """Of this resolution, or of the only one."""
        look = self.the_only if of is None else partial(self.one, of)
        try:
            async with asyncio.timeout(seconds):
                while (seen := await look()).resolution.state is not state:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not {state}; {await self.told()}") from None
        return seen

    async def until(self, is_so: Callable[[], object], what: str, *, seconds: float = 30) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not is_so():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"never {what}; {await self.told()}") from None

    def changes(self, method: str = "") -> list[Change]:
        """What took effect in the cluster."""
        return [
            one
            for one in self.simulator.journal
            if not one.is_dry_run and one.status < 300 and "accessreviews" not in one.path
            if method in {"", one.method}
        ]

    async def entries(self, resolution_id: ResolutionId) -> list[RecordedEntry]:
        return list(await self.store.entries(resolution_id))

    async def happened(self, resolution_id: ResolutionId) -> list[Happened]:
        return [one.entry.what for one in await self.entries(resolution_id)]

    async def slack_tells_all(self, *, seconds: float = 20) -> list[str]:
        """Waits until the only card shows the newest state; its thread's messages, checked: each entry once, in order.

        The metadata of a message names the newest history entry in it.
        """
        one = await self.the_only()
        await self._until_sent(one, seconds=seconds)
        cards = [found for found in self.slack.messages() if header_of(found)]
        assert len(cards) == 1, [header_of(found) for found in cards]
        replies = self.slack.thread(cards[0]["ts"])
        told = [reply["metadata"]["event_payload"]["seq"] for reply in replies if "metadata" in reply]
        assert told == sorted(set(told)), f"a reply twice or out of order: {told}"
        newest = (await self.entries(one.resolution.id))[-1].seq
        assert told[-1] == newest, f"the thread ends at {told[-1]}, history at {newest}"
        lines = [line for reply in replies for line in _lines(reply)]
        assert len(lines) == len(await self.entries(one.resolution.id)), lines
        return lines

    async def _until_sent(self, one: Overview, *, seconds: float) -> None:
        sql = text("SELECT sent_seq >= :seq FROM card WHERE resolution_id = CAST(:id AS uuid)")
        try:
            async with asyncio.timeout(seconds):
                while True:
                    async with connected(self.store.engine) as connection:
                        values = {"seq": one.history_seq, "id": one.resolution.id}
                        if await connection.scalar(sql, values):
                            return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"Slack was not told; {await self.told()}") from None

    async def told(self) -> str:
        """For a failed test: where everything stands."""
        found = await self.store.history(HistoryFilter())
        lines = [f"{one.resolution.state.value}: {one.resolution.summary}" for one in found[:5]]
        logs = [replica.log.read_text()[-2500:] for replica in self.started]
        return "\n".join([*lines, *(header_of(one) for one in self.slack.messages()[:5]), *logs])


@asynccontextmanager
async def open_world(database_url: str, folder: Path, *, maker: Maker, **settings: object) -> AsyncIterator[World]:
    """No replica runs yet; `settings` replace those of every replica."""
    key = base64.b64encode(SNAPSHOT_KEY).decode()
    async with AsyncExitStack() as using:
        store = await using.enter_async_context(open_storage(database_url, snapshot_key=SNAPSHOT_KEY))
        simulator = await using.enter_async_context(open_simulator())
        model = await using.enter_async_context(open_scripted_model(demo_script))
        slack = await using.enter_async_context(open_local_slack(events=["app_mention"]))
        values = {
            "host": "127.0.0.1",
            "port": 0,
            "database_url": database_url,
            "snapshot_key": key,
            "signing_key": key,
            "kubeconfig": str(simulator.write_kubeconfig(folder / "kubeconfig")),
            "anthropic_api_key": "the-scripted-model-takes-any-key",
            "anthropic_base_url": model.url,
            "slack_bot_token": slack.bot_token,
            "slack_app_token": slack.app_token,
            "slack_api_url": slack.api_url,
            "slack_channel": slack.channel_id,
            "approvers": ",".join(slack.people[name] for name in ("ada", "linus", "grace")),
            "lease_seconds": LEASE_SECONDS,
            "verify_seconds": 20.0,
        }
        replicas = await using.enter_async_context(AsyncExitStack())
        world = World(folder, maker, store, simulator, model, slack, values | settings, replicas)
        yield world
        async with asyncio.TaskGroup() as group:
            for one in world.started:
                group.create_task(one.stop())


def header_of(message: dict[str, Any]) -> str:
    return next((one["text"]["text"] for one in message.get("blocks", []) if one["type"] == "header"), "")


def _lines(reply: dict[str, Any]) -> list[str]:
    """One for each history entry: an end's message is one, of its other blocks none begins an entry."""
    sections = [one["text"]["text"] for one in reply["blocks"] if one["type"] == "section" and "text" in one]
    is_end = any(one["type"] == "context" for one in reply["blocks"])
    return [reply["text"]] if is_end else sections
