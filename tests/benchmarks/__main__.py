"""Times of the main job, each as a ratio to a bare baseline of the same run: `make bench`."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable

import aiohttp
import asyncpg
from claude_agent_sdk import ClaudeAgentOptions, query
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.demo.cluster.scenarios import SCENARIOS
from bot.demo.model.server import ScriptedModel, Turn, open_scripted_model
from bot.demo.slack.server import open_local_slack
from core.resolution import State
from storage.heartbeat import connection_arguments
from tests.benchmarks.database import bench_database
from tests.benchmarks.undo import undo_lines
from tests.benchmarks.verdicts import verdict_lines
from tests.scenario.conftest import Play, playing

ROUNDS = 7
BUTTON = {
    "type": "actions",
    "elements": [{"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}, "value": "1"}],
}


async def timed(act: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await act()
    return time.perf_counter() - started


async def bare_transactions(url: str) -> list[float]:
    """One insert and its commit, synchronously on disk."""
    connection = await asyncpg.connect(**connection_arguments(url))
    await connection.execute("CREATE TABLE IF NOT EXISTS bare (id int)")

    async def insert() -> None:
        async with connection.transaction():
            await connection.execute("INSERT INTO bare VALUES (1)")

    times = [await timed(insert) for _ in range(50)]
    await connection.close()
    return times


async def bare_acks() -> list[float]:
    """A bolt app in Socket Mode that does nothing but acknowledge a click."""
    async with open_local_slack() as slack, aiohttp.ClientSession() as session:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, session=session)
        app = AsyncApp(client=client, signing_secret="x")

        async def acknowledge(ack):
            await ack()

        app.action("go")(acknowledge)
        handler = AsyncSocketModeHandler(app, slack.app_token, web_client=client)
        await handler.connect_async()
        await slack.connected()
        sent = await client.chat_postMessage(channel=slack.channel_id, text="go", blocks=[BUTTON])
        times = [await timed(lambda: slack.click(slack.people["ada"], sent["ts"], "go")) for _ in range(ROUNDS * 3)]
        await handler.close_async()
        return times


async def bare_queries() -> list[float]:
    """The SDK's own query() with nothing of ours, until its request reaches the Messages API."""
    times = []
    async with open_scripted_model(lambda body: Turn("done")) as model:
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as home:
                environment = {"ANTHROPIC_BASE_URL": model.url, "ANTHROPIC_API_KEY": "x", "HOME": home}
                options = ClaudeAgentOptions(env=environment, cwd=home, tools=[], setting_sources=[])
                before, started = len(model.bodies), time.perf_counter()
                async with asyncio.TaskGroup() as group:
                    watch = group.create_task(first_request(model, before))
                    async for _message in query(prompt="go", options=options):
                        pass
                    times.append(await watch - started)
    return times


async def first_request(model: ScriptedModel, before: int) -> float:
    while len(model.bodies) <= before:
        await asyncio.sleep(0.002)
    return time.perf_counter()


async def main_job(play: Play) -> tuple[float, float, float]:
    """Seconds: request to card, click to acknowledgement, click to the agent's first request."""
    play.stage.simulator.install(SCENARIOS[0])
    seen = {one["ts"] for one in play.slack.messages()}
    body = {"client_id": "b", "namespace": "shop", "action_type": "pod_restart", "action_description": "checkout"}
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        group.create_task(play.post("/api/v1/incident/resolve", body))
        card = await play.slack.until(lambda: new_question(play, seen))
    to_card = time.perf_counter() - started
    model = play.stage.model
    before, started = len(model.bodies), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(first_request(model, before))
        await play.click(card, "approve")
        to_ack = time.perf_counter() - started
        to_agent = await watch - started
    await play.until_state((await play.newest()).resolution.id, State.COMPLETED)
    return to_card, to_ack, to_agent


def new_question(play: Play, seen: set[str]):
    for message in play.slack.messages():
        if message["ts"] not in seen and "Approval needed" in message["text"]:
            return message
    return None


def line(name: str, times: list[float], baseline_name: str, baseline: list[float]) -> str:
    ours, bare = statistics.median(times), statistics.median(baseline)
    return f"{name:<34} {ours * 1000:8.1f} ms  {ours / bare:8.1f} times {baseline_name} ({bare * 1000:.1f} ms)"


async def bench(url: str) -> None:
    transactions, acks, queries = await bare_transactions(url), await bare_acks(), await bare_queries()
    async with playing(url) as play:
        rounds = [await main_job(play) for _ in range(ROUNDS)]
    cards, clicks, agents = (list(column) for column in zip(*rounds, strict=True))
    print(f"medians of {ROUNDS} rounds")
    print(line("request → card", cards, "a bare transaction", transactions))
    print(line("click → acknowledged", clicks, "a bare bolt ack", acks))
    print(line("click → the agent's first request", agents, "a bare SDK query", queries))


if __name__ == "__main__":
    print("\n".join(verdict_lines()))
    with bench_database() as database:
        print("\n".join(undo_lines(database)))
    with bench_database() as database:  # without the runs that the undo's rounds leave at work
        asyncio.run(bench(database))
