"""The whole product on its stand-ins, in this process: everything real but Slack, the model and the cluster."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot import work
from bot.demo.cluster.scenarios import SCENARIOS
from bot.demo.play import Stage, Wanted, open_stage
from core.overview import Overview
from core.ports import HistoryFilter
from core.resolution import ResolutionId, State
from core.verification import Verifier
from tests.postgres import SNAPSHOT_KEY


@dataclass(frozen=True, slots=True)
class Play:
    """What a test does on the stage, in its words."""

    stage: Stage
    http: aiohttp.ClientSession

    @property
    def slack(self):
        return self.stage.slack

    @property
    def ada(self) -> str:
        return self.slack.people["ada"]

    async def ask(self, name: str, *, by: str = "ada", action: str = "") -> None:
        """Types the incident's line into the channel; `action` is another one than the incident's own."""
        scenario = next(one for one in SCENARIOS if one.name == name)
        text = f"resolve {action or scenario.action_type} {scenario.namespace} {scenario.description}"
        answer = await self.slack.command(self.slack.people[by], "/incident", text)
        assert answer.is_acked, answer

    async def card(self, *words: str, seconds: float = 15) -> dict[str, Any]:
        """The newest card whose header holds these words."""

        def found():
            for message in reversed(self.slack.messages()):
                header = header_of(message)
                if header and all(word in header for word in words):
                    return message
            return None

        try:
            return await self.slack.until(found, seconds=seconds)
        except TimeoutError:
            seen = [header_of(one) for one in self.slack.messages()]
            raise AssertionError(f"no card with {words}; there are {seen}") from None

    async def click(self, card: dict[str, Any], action: str, *, by: str = "ada"):
        return await self.slack.click(self.slack.people[by], card["ts"], action)

    def thread(self, card: dict[str, Any]) -> str:
        return "\n".join(one["text"] for one in self.slack.thread(card["ts"]))

    async def thread_with(self, card: dict[str, Any], words: str, *, seconds: float = 20) -> str:
        try:
            await self.slack.until(lambda: words in self.thread(card), seconds=seconds)
        except TimeoutError:
            raise AssertionError(f"{words!r} is not in the thread:\n{self.thread(card)}") from None
        return self.thread(card)

    async def overview(self, resolution_id: str) -> Overview:
        return await self.stage.assembled.intake.overview(ResolutionId(resolution_id))

    async def newest(self) -> Overview:
        found = await self.stage.assembled.intake.history(HistoryFilter(limit=1))
        return found[0]

    async def until_state(self, resolution_id: str, state: State, *, seconds: float = 30) -> Overview:
        try:
            async with asyncio.timeout(seconds):
                while (seen := await self.overview(resolution_id)).resolution.state is not state:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{seen.resolution.state}, not {state}: {seen.resolution.summary}") from None
        return seen

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
        async with self.http.post(f"{self.stage.assembled.service.url}{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        async with self.http.get(f"{self.stage.assembled.service.url}{path}") as answer:
            return answer.status, await answer.json()


def header_of(message: dict[str, Any]) -> str:
    return next((one["text"]["text"] for one in message.get("blocks", []) if one["type"] == "header"), "")


def buttons_of(message: dict[str, Any]) -> list[str]:
    return [
        one["action_id"]
        for block in message.get("blocks", [])
        if block["type"] == "actions"
        for one in block["elements"]
    ]


@asynccontextmanager
async def playing(
    database_url: str, *, page: Path | None = None, cluster: Path | None = None, **settings: object
) -> AsyncIterator[Play]:
    """A running stage; `settings` replace the demo's, `cluster` is a kubeconfig instead of the simulator."""
    stop = asyncio.Event()
    key = base64.b64encode(SNAPSHOT_KEY).decode()
    stores = {"database_url": database_url, "snapshot_key": key, "signing_key": key}
    wanted = Wanted(port=0, slack_port=0, page=page, kubeconfig=cluster, changed=stores | settings)
    async with open_stage(wanted) as stage, aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        group.create_task(stage.assembled.service.run(stop))
        try:
            await stage.slack.connected(seconds=30)
            yield Play(stage, http)
        finally:
            stop.set()


@pytest.fixture(autouse=True)
def soon_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Health is looked at again after half a second, not two: hundreds of runs end here, and few of them falter."""
    monkeypatch.setattr(work, "Verifier", partial(Verifier, steady_seconds=0.5))


@pytest.fixture
async def play(database_url) -> AsyncIterator[Play]:
    async with playing(database_url) as running:
        yield running
