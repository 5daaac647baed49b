"""Every outside thing failing: what is seen is a clear sentence, and nothing is lost."""

import asyncio

import pytest
from aiohttp import web

from bot.demo.model.server import Fault, Turn
from core.resolution import State
from tests.scenario.conftest import Play, playing

BASE = "/api/v1/incident"
BODY = {"client_id": "loc-01", "namespace": "shop", "action_type": "pod_restart", "action_description": "checkout"}


async def approved(play: Play) -> str:
    status, answer = await play.post(f"{BASE}/resolve", BODY)
    assert (status, answer["status"]) == (200, "awaiting_approval"), answer
    await play.post(f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve"})
    return answer["resolution_id"]


def changes(play: Play) -> int:
    return len([one for one in play.stage.simulator.journal if not one.is_dry_run])


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(401), "set ANTHROPIC_API_KEY to a valid key"),
        (Fault(404), "INCIDENT_RESOLVER_HAIKU_MODEL"),
        (Fault(429), "wait a minute"),
        (Fault(500), "failed (500)"),
    ],
)
async def test_a_failing_messages_api_fails_the_resolution_with_what_to_do(play, fault, told):
    play.stage.model.fault = fault
    id_ = await approved(play)
    done = await play.until_state(id_, State.FAILED, seconds=60)

    assert told in done.resolution.summary
    assert done.outcome is not None
    assert changes(play) == 0
    card = await play.card("Failed")
    await play.thread_with(card, told)


async def test_once_the_messages_api_is_back_it_is_asked_again_in_one_click(play):
    play.stage.model.fault = Fault(401)
    await play.until_state(await approved(play), State.FAILED)
    card = await play.card("Failed")

    play.stage.model.fault = None
    await play.click(card, "ask_again")
    again = await play.card("Approval needed")
    await play.click(again, "approve")
    await play.card("Resolved", seconds=20)


async def test_without_a_model_key_everything_else_works_and_the_end_says_so(database_url):
    async with playing(database_url, anthropic_api_key=None) as play:
        done = await play.until_state(await approved(play), State.FAILED)
        assert "ANTHROPIC_API_KEY" in done.resolution.summary


async def test_a_spent_token_budget_ends_with_last_words_and_its_figures(database_url):
    async with playing(database_url, token_limit=8_000) as play:
        status, answer = await play.post(f"{BASE}/resolve", BODY)
        assert status == 200
        await play.post(f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve"})
        while (seen := await play.overview(answer["resolution_id"])).resolution.state not in {
            State.FAILED,
            State.ROLLED_BACK,
        }:
            await asyncio.sleep(0.1)
        assert seen.outcome.ending == "budget"
        assert "tokens are spent" in seen.outcome.output
        assert seen.usage.total_tokens <= 8_000


async def test_the_thread_warns_once_at_eighty_percent_of_the_tokens(database_url):
    async with playing(database_url, token_limit=11_650) as play:
        done = await play.until_state(await approved(play), State.COMPLETED)
        assert 80 <= done.usage.percent_used < 100
        told = await play.thread_with(await play.card("Resolved"), "✅")
        assert told.count("% of the token limit is used") == 1


async def test_a_spent_day_starts_no_agent(database_url):
    async with playing(database_url, money_per_day_usd=0) as play:
        done = await play.until_state(await approved(play), State.FAILED)
        assert "0 USD a day" in done.resolution.summary
        assert play.stage.model.bodies == []


async def test_an_agent_that_repeats_itself_is_stopped(play):
    play.stage.model.script = lambda body: Turn("Again.", (("mcp__resolver__bash", {"command": "kubectl get nodes"}),))
    done = await play.until_state(await approved(play), State.FAILED)
    assert "3 times" in done.resolution.summary
    assert changes(play) == 0


async def test_what_the_permit_does_not_cover_is_refused_where_the_policy_wants_no_question(database_url, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\ncommands: {uncovered: refuse}\n")
    lines = iter(
        [
            "kubectl delete pod payments-db-0 -n payments",
            "kubectl scale deployment/checkout --replicas=9 -n shop",
            "kubectl get secret -n shop -o yaml",
            "kubectl get pods -n shop; kubectl delete ns shop",
            "kubectl delete pods --all -n shop",
        ]
    )

    def script(body):
        line = next(lines, None)
        return Turn("I stop here.") if line is None else Turn("", (("mcp__resolver__bash", {"command": line}),))

    async with playing(database_url, policy=policy) as play:
        play.stage.model.script = script
        id_ = await approved(play)
        card = await play.card("Restart pods")
        await play.thread_with(card, "The agent is done")
        seen = await play.overview(id_)

        assert [one.is_executed for one in seen.commands] == [False] * 5
        assert changes(play) == 0
        told = play.thread(card)
        assert told.count("refused") == 5
        assert "not covered by the approval" in told


async def failing_platform(status: int):
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"detail": "down"}, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


async def test_a_platform_that_is_down_is_a_gap_on_the_card_and_raises_the_risk(database_url):
    runner, url = await failing_platform(500)
    try:
        async with playing(database_url, platform_url=url) as play:
            await play.ask("crashloop")
            card = await play.card("Approval needed", seconds=20)
            shown = str(card["blocks"])
            assert "Not known" in shown
            assert "500" in shown
            assert "HIGH" in shown
    finally:
        await runner.cleanup()


async def test_a_graph_that_is_away_is_a_gap_and_holds_nothing_up(database_url):
    async with playing(database_url, neo4j_uri="bolt://127.0.0.1:9", neo4j_password="x", source_seconds=2.0) as play:
        await play.ask("crashloop")
        card = await play.card("Approval needed", seconds=20)
        assert "graph" in str(card["blocks"])
        await play.click(card, "approve")
        await play.thread_with(card, "Resolved", seconds=30)


async def test_a_cluster_that_is_away_changes_nothing_and_says_so(database_url, tmp_path):
    async with playing(database_url) as play:
        text = play.stage.kubeconfig.read_text()
    gone = tmp_path / "kubeconfig"
    gone.write_text(text)
    async with playing(database_url, kubeconfig=gone) as play:
        status, answer = await play.post(f"{BASE}/resolve", BODY)
        assert (status, answer["status"]) == (200, "failed")
        assert "Kubernetes API" in answer["message"]
        status, ready = await play.get("/readyz")
        assert (status, ready["checks"]["cluster"]["ok"]) == (503, False)


async def test_refused_cluster_credentials_make_it_unready_and_are_named_until_they_are_accepted(play):
    accepted = play.stage.simulator.token
    play.stage.simulator.token = "renewed"
    status, ready = await play.get("/readyz")
    assert (status, ready["checks"]["cluster"]["ok"]) == (503, False)
    assert "does not accept the credentials (401)" in ready["checks"]["cluster"]["detail"]

    play.stage.simulator.token = accepted
    assert (await play.get("/readyz"))[0] == 200


async def test_slack_away_at_the_start_keeps_rest_going_and_comes_back(play):
    play.slack.fault("apps.connections.open", "error", "internal_error", times=2)
    await play.slack.drop_sockets()
    status, answer = await play.post(f"{BASE}/resolve", BODY)
    assert (status, answer["status"]) == (200, "awaiting_approval")
    await play.slack.connected(seconds=30)
    await play.card("Approval needed", seconds=30)
