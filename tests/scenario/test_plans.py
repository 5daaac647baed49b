"""Plans: proposed and tried before anybody is asked, run line by line afterwards, stopped at the first surprise."""

import asyncio
import copy
import json

from bot.demo.model.scripts import demo_script, follows_a_stop
from bot.demo.model.server import Turn
from core import gathering
from core.history import Happened
from core.ports import HistoryFilter
from core.resolution import State
from tests.scenario.conftest import Play, buttons_of, playing

PROPOSE = "mcp__resolver__propose"
BASH = "mcp__resolver__bash"
SCALE = "kubectl scale deployment/orders-api --replicas=4 -n orders"


def deployment(play: Play, namespace: str) -> dict:
    (found,) = play.stage.simulator.objects.of("Deployment", namespace)
    return found


def changed(play: Play, namespace: str, **spec) -> None:
    """Somebody else writes the workload."""
    live = copy.deepcopy(deployment(play, namespace))
    live["spec"].update(spec)
    play.stage.simulator.objects.put(live)


def changes(play: Play) -> list[str]:
    """What took effect in the cluster by anybody's request."""
    journal = play.stage.simulator.journal
    return [one.path for one in journal if not one.is_dry_run and one.status < 300 and "accessreviews" not in one.path]


async def happened(play: Play, resolution_id: str) -> list[Happened]:
    entries = await play.stage.assembled.intake._store.entries(resolution_id)
    return [one.entry.what for one in entries]


def proposing(*proposals: list[str] | Turn, then: str = "I have no other idea.", further: list[str] | None = None):
    """A model that proposes these lines, one list after the other, whatever it is answered.

    `further` are those that it proposes after a plan stopped.
    """

    def script(body):
        if follows_a_stop(body) and further is not None:
            return _proposed(further)
        if follows_a_stop(body) or not any(one["name"] == PROPOSE for one in body.get("tools", [])):
            return demo_script(body)
        turns = sum(message["role"] == "assistant" for message in body["messages"])
        if turns >= len(proposals):
            return Turn(then)
        given = proposals[turns]
        if isinstance(given, Turn):
            return given
        return _proposed(given)

    return script


def _proposed(lines: list[str]) -> Turn:
    steps = [{"command": one, "check": "healthy", "undo": "It is scaled back."} for one in lines]
    return Turn("My plan.", ((PROPOSE, {"why": "it is at its limit", "steps": steps}),))


async def test_a_plan_is_asked_about_as_it_will_run_and_run_without_a_model(play):
    await play.ask("at-limit")
    card = await play.card("Approval needed", seconds=30)
    shown = str(card["blocks"])
    assert SCALE in shown
    assert "spec.replicas: 2 → 4" in shown
    assert "HIGH" in shown
    assert "every wanted replica ready" in shown
    assert "It is scaled back to 2 replicas." in shown
    assert changes(play) == []
    asked = len(play.stage.model.bodies)

    await play.click(card, "approve")
    told = await play.thread_with(card, "Resolved")

    assert deployment(play, "orders")["spec"]["replicas"] == 4
    assert len(play.stage.model.bodies) == asked
    assert "plans the exact lines" in told
    assert "Step 1 of 1: everything is still as it was approved" in told
    assert "without an agent" in told
    done = await play.newest()
    assert done.outcome.commands_executed == (SCALE,)
    assert done.usage.total_tokens > 0
    status, body = await play.get(f"/api/v1/incident/status/{done.resolution.id}")
    assert status == 200
    (step,) = body["plan"]["steps"]
    assert (step["command"], step["state"], step["risk"]) == (SCALE, "done", "HIGH")
    assert step["targets"][0]["uid"]


async def test_a_wrong_image_is_undone_by_a_plan_that_shows_both_images(play):
    await play.ask("wrong-image")
    card = await play.card("Approval needed", seconds=30)
    assert "storefront:1.4.O" in str(card["blocks"])
    assert "storefront:1.3.9" in str(card["blocks"])

    await play.click(card, "approve")
    await play.thread_with(card, "Resolved")

    template = deployment(play, "web")["spec"]["template"]
    assert template["spec"]["containers"][0]["image"] == "registry.example/web/storefront:1.3.9"


async def test_a_question_whose_plan_changed_is_put_anew_and_an_answer_to_the_older_one_counts_for_nothing(
    play, monkeypatch
):
    monkeypatch.setattr(gathering, "LOOK_SECONDS", 1.0)
    await play.ask("at-limit")
    card = await play.card("Approval needed", seconds=30)
    older = copy.deepcopy(card["blocks"])
    approval = (await play.newest()).approval

    changed(play, "orders", replicas=3)
    await play.slack.until(lambda: "revision 2" in str(play.slack.message(card["ts"])["blocks"]), seconds=20)
    newer = play.slack.message(card["ts"])["blocks"]
    assert "spec.replicas: 3 → 4" in str(newer)
    shown = play.slack.workspace.visible_message(card["ts"], play.ada)
    shown.blocks = older
    await play.click(card, "approve")
    shown.blocks = newer

    await play.slack.until(lambda: "The plan has changed, look again" in str(play.slack.ephemerals(play.ada)))
    path = f"/api/v1/incident/approve/{approval.id}"
    status, problem = await play.post(path, {"approved_by": "demo", "decision": "approve"})
    assert (status, "The plan has changed" in problem["detail"]) == (409, True)
    assert (await play.newest()).resolution.state is State.AWAITING_APPROVAL
    assert changes(play) == []

    await play.click(card, "approve")
    told = await play.thread_with(card, "Resolved")
    assert "The plan has changed, look again* (revision 2)" in told
    assert deployment(play, "orders")["spec"]["replicas"] == 4


async def test_a_plan_that_no_longer_fits_is_withdrawn_while_it_waits(play, monkeypatch):
    monkeypatch.setattr(gathering, "LOOK_SECONDS", 1.0)
    await play.ask("at-limit")
    card = await play.card("Approval needed", seconds=30)

    changed(play, "orders", replicas=4)

    card = await play.card("Cancelled", seconds=20)
    assert "it would change nothing" in str(card["blocks"])
    assert "ask_again" in buttons_of(card)


async def test_a_value_changed_between_approval_and_run_stops_the_plan_before_it(play):
    await play.ask("at-limit")
    card = await play.card("Approval needed", seconds=30)

    changed(play, "orders", replicas=3)
    await play.click(card, "approve")
    told = await play.thread_with(card, "Failed", seconds=30)

    assert changes(play) == []
    assert "Step 1 of 1 was not run" in told
    assert "spec.replicas of Deployment orders/orders-api was 2 and is 3 now" in told
    assert "The agent's report: The plan stopped" in told
    ended = await play.newest()
    assert ended.resolution.state is State.FAILED
    assert deployment(play, "orders")["spec"]["replicas"] == 3


async def test_another_image_than_approved_stops_the_plan_before_it(play):
    await play.ask("wrong-image")
    card = await play.card("Approval needed", seconds=30)

    template = copy.deepcopy(deployment(play, "web")["spec"]["template"])
    template["spec"]["containers"][0]["image"] = "registry.example/web/storefront:1.4.1"
    changed(play, "web", template=template)
    await play.click(card, "approve")
    await play.thread_with(card, "Failed", seconds=30)

    assert changes(play) == []


async def test_another_object_of_the_same_name_stops_the_plan_before_it(play):
    await play.ask("at-limit")
    card = await play.card("Approval needed", seconds=30)

    objects = play.stage.simulator.objects
    live = copy.deepcopy(deployment(play, "orders"))
    objects.remove("Deployment", "orders", "orders-api")
    for name in ("uid", "resourceVersion", "creationTimestamp"):
        live["metadata"].pop(name)
    objects.put(live)
    await play.click(card, "approve")
    told = await play.thread_with(card, "Failed", seconds=30)

    assert changes(play) == []
    assert "another object now than the one that was approved" in told


async def test_a_plan_is_mended_after_a_refusal_and_refused_for_good_after_the_third(play):
    play.stage.model.script = proposing(["kubectl scale deployment/orders-api --replicas=4 -n orders | tee x"], [SCALE])
    await play.ask("at-limit")
    card = await play.card("Approval needed", seconds=30)
    assert "The planning agent may mend it" in await play.thread_with(card, "The plan was refused")
    assert SCALE in str(card["blocks"])

    play.stage.model.script = proposing(
        ["kubectl get pods -n orders"],
        ["kubectl delete namespace kube-system"],
        ["kubectl scale deployment/orders-api --replicas=4 --current-replicas=9 -n orders"],
        [SCALE],
    )
    await play.ask("at-limit")
    card = await play.card("Failed", seconds=30)
    told = await play.thread_with(card, "No plan could be made")
    assert "It only reads" in told
    assert "It was the last try" in told
    assert "dry run" in told
    assert changes(play) == []


async def test_a_planning_agent_changes_nothing_whatever_it_tries(play):
    tries = [Turn("Quick.", ((BASH, {"command": SCALE}),)), [SCALE]]
    play.stage.model.script = proposing(*tries)
    await play.ask("at-limit")
    card = await play.card("Approval needed", seconds=30)

    await play.thread_with(card, "*refused*")
    assert changes(play) == []
    assert deployment(play, "orders")["spec"]["replicas"] == 2


async def test_a_slow_plan_is_answered_202_shown_as_planning_and_can_be_cancelled(play):
    play.stage.model.script = lambda body: Turn("Hm.", delay_seconds=60)
    body = {"client_id": "loc-01", "namespace": "orders", "action_type": "resource_scale"}
    status, answer = await play.post(
        "/api/v1/incident/resolve", body | {"action_description": "orders-api: queue is full"}
    )
    assert (status, answer["status"], answer["risk_level"]) == (202, "gathering", "HIGH")
    card = await play.card("Planning", seconds=15)
    assert "approve" not in buttons_of(card)
    assert "Nothing is changed" in str(card["blocks"])

    status, _ = await play.post(f"/api/v1/incident/interrupt/{answer['resolution_id']}")

    assert status == 200
    await play.card("Cancelled", seconds=15)
    assert Happened.PLAN_PROPOSED not in await happened(play, answer["resolution_id"])


async def test_a_failed_check_between_steps_stops_the_rest(database_url):
    """The image of the first step cannot be pulled, so it is not healthy after it."""
    first = "kubectl set image deployment/orders-api orders-api=registry.example/orders/api:5.0.x -n orders"

    async with playing(database_url, verify_seconds=3.0) as play:
        play.stage.model.script = proposing([first, SCALE])
        await play.ask("at-limit")
        card = await play.card("Approval needed", seconds=30)
        assert "go beyond what this kind of request allows" in str(card["blocks"])
        await play.click(card, "approve")
        told = await play.thread_with(card, "Rolled back:", seconds=60)

        assert "does not hold" in told
        ended = await play.newest()
        _, body = await play.get(f"/api/v1/incident/status/{ended.resolution.id}")
        assert [one["state"] for one in body["plan"]["steps"]] == ["done", "not_run"]
        assert "Not run: kubectl scale" in ended.resolution.summary
        live = deployment(play, "orders")
        assert live["spec"]["replicas"] == 2
        assert live["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":5.0.2")


async def test_without_a_model_key_there_is_no_plan_and_the_card_says_why(database_url):
    async with playing(database_url, anthropic_api_key=None) as play:
        await play.ask("at-limit")
        card = await play.card("Failed", seconds=30)

        assert "set ANTHROPIC_API_KEY" in json.dumps(card["blocks"])
        assert changes(play) == []


async def test_those_who_waited_for_a_free_agent_are_planned_one_after_the_other(database_url):
    async with playing(database_url, agents_at_once=1) as play:
        await play.slack.command(play.ada, "/incident", "pause we look at something")
        for name in ("at-limit", "wrong-image", "failing-fix", "at-limit"):
            await play.ask(name)
        found = play.stage.assembled.intake
        async with asyncio.timeout(15):
            while len([one for one in await found.history(HistoryFilter()) if one.resolution.epoch > 1]) < 4:
                await asyncio.sleep(0.1)

        await play.slack.command(play.ada, "/incident", "resume")

        async with asyncio.timeout(30):
            while len(await found.pending()) < 4:
                await asyncio.sleep(0.1)


async def test_no_planning_agent_starts_while_the_service_is_paused(play):
    await play.slack.command(play.ada, "/incident", "pause the database is being moved")
    await play.ask("at-limit")
    card = await play.card("Planning", seconds=20)
    assert "The service is paused" in str(card["blocks"])
    while (paused := await play.newest()).assessment is None:
        await asyncio.sleep(0.1)
    assert play.stage.model.bodies == []
    assert Happened.PLANNING_STARTED not in await happened(play, paused.resolution.id)

    await play.slack.command(play.ada, "/incident", "resume")

    await play.card("Approval needed", seconds=30)


async def test_policy_may_approve_a_plan_inside_the_scope_and_never_one_that_goes_beyond_it(database_url, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text('version: 1\nrisk:\n  auto_approve: [{caller: "*", actions: [config_fix]}]\n')
    body = {"client_id": "loc-01", "namespace": "web", "action_type": "config_fix", "auto_approve": True}
    async with playing(database_url, policy=policy) as play:
        play.stage.model.script = proposing(["kubectl annotate deployment/storefront note=x -n web"])
        asked = body | {"action_description": "storefront: pods cannot pull their image"}
        _, wider = await play.post("/api/v1/incident/resolve", asked)
        seen = await play.until_state(wider["resolution_id"], State.AWAITING_APPROVAL)
        assert seen.assessment.level.value == "HIGH"
        assert changes(play) == []

        play.stage.model.script = demo_script
        _, inside = await play.post("/api/v1/incident/resolve", asked)
        done = await play.until_state(inside["resolution_id"], State.COMPLETED)
        assert done.approval.decided_by.id == "policy"
        assert done.approval.permit.lines
        assert len(changes(play)) == 1


# --- a further plan after one that stopped --------------------------------------------------------------------------

MORE = "kubectl scale deployment/orders-api --replicas=6 -n orders"


async def stopped_and_asked(play: Play):
    """The card of the resolution and that of the further plan, in its thread."""
    play.stage.model.script = proposing([SCALE], further=[MORE])
    await play.ask("at-limit")
    card = await play.card("Approval needed", seconds=30)
    changed(play, "orders", replicas=3)
    await play.click(card, "approve")
    await play.thread_with(card, "may the further plan run?", seconds=30)
    question = next(one for one in play.slack.thread(card["ts"]) if "may the further plan run?" in str(one["blocks"]))
    return card, question


async def test_after_a_surprise_a_further_plan_is_asked_about_in_the_thread_and_run_when_approved(play):
    card, question = await stopped_and_asked(play)
    shown = str(question["blocks"])
    assert MORE in shown
    assert "spec.replicas: 3 → 6" in shown
    assert "revision 2" in shown
    assert "The approved plan stopped" in shown
    assert changes(play) == []
    waiting = await play.newest()
    assert (waiting.resolution.state, waiting.resolution.waiting_for) == (State.EXECUTING, "approval")
    assert "Answer needed in the thread" in str(play.slack.message(card["ts"])["blocks"])
    _, body = await play.get(f"/api/v1/incident/status/{waiting.resolution.id}")
    assert (body["plan"]["revision"], body["plan"]["steps"][0]["command"]) == (2, MORE)
    assert body["plan"]["earlier"][0]["steps"][0]["state"] == "not_run"

    await play.click(question, "approve")
    told = await play.thread_with(card, "Resolved", seconds=30)

    assert deployment(play, "orders")["spec"]["replicas"] == 6
    assert len(changes(play)) == 1
    assert "approved the further plan (revision 2)" in told
    assert "Step 1 of 1 (revision 2) is done" in told
    done = await play.newest()
    assert done.outcome.commands_executed == (MORE,)
    shown = str(play.slack.message(card["ts"])["blocks"])
    assert f"⏭️ 1. `{SCALE}` — not run" in shown
    assert f"✅ 1. `{MORE}` — done" in shown


async def test_a_further_plan_that_is_rejected_is_not_run_and_ends_the_run(play):
    card, question = await stopped_and_asked(play)

    await play.click(question, "reject")
    await play.slack.submit_view(play.ada, {"reason": "we scale by hand"})
    told = await play.thread_with(card, "Failed", seconds=30)

    assert changes(play) == []
    assert "rejected the further plan (revision 2)" in told
    assert "it is at its limit" in str(play.slack.message(question["ts"])["blocks"])
    ended = await play.newest()
    assert ended.outcome.output.endswith("rejected it: we scale by hand.")


async def test_by_rest_a_further_plan_is_approved_as_any_question_and_never_by_another_digest(play):
    await stopped_and_asked(play)
    question = (await play.newest()).question
    path = f"/api/v1/incident/approve/{question.id}"
    answer = {"approved_by": "demo", "decision": "approve"}

    first = (await play.newest()).approval

    status, problem = await play.post(path, answer | {"digest": first.permit.digest})
    assert (status, "look again" in problem["detail"]) == (409, True)
    status, _ = await play.post(path, answer)
    assert status == 200

    await play.until_state((await play.newest()).resolution.id, State.COMPLETED)
    assert deployment(play, "orders")["spec"]["replicas"] == 6


async def test_an_interrupt_while_a_further_plan_waits_closes_its_question_and_runs_nothing(play):
    card, question = await stopped_and_asked(play)

    await play.click(card, "interrupt")
    await play.card("Interrupted", seconds=15)

    assert changes(play) == []
    ended = await play.newest()
    assert "Of the further plan (revision 2) step 1" in ended.resolution.summary
    assert "did not run" in ended.resolution.summary
    await play.thread_with(card, "The question about the further plan (revision 2) is closed")
    assert "Closed" in str(play.slack.message(question["ts"])["blocks"])


async def test_where_policy_lets_nobody_be_asked_mid_run_a_stopped_plan_ends_with_a_report(database_url, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\ncommands: {uncovered: refuse}\n")
    async with playing(database_url, policy=policy) as play:
        play.stage.model.script = proposing([SCALE], further=[MORE])
        await play.ask("at-limit")
        card = await play.card("Approval needed", seconds=30)
        changed(play, "orders", replicas=3)
        await play.click(card, "approve")
        await play.thread_with(card, "Failed", seconds=30)

        assert changes(play) == []
        assert len((await play.newest()).approvals) == 1


async def test_a_secret_in_a_proposed_line_runs_and_is_shown_nowhere(play):
    """The agent cannot read one; it may have been told one."""
    line = "kubectl set env deployment/orders-api DB_PASSWORD=hunter2-hunter2 -n orders"
    play.stage.model.script = proposing([line])
    await play.ask("at-limit")
    card = await play.card("Approval needed", seconds=30)
    await play.click(card, "details")
    details = str(play.slack.view(play.ada))
    await play.click(card, "approve")
    await play.thread_with(card, "The plan was run to its end", seconds=30)

    (container,) = deployment(play, "orders")["spec"]["template"]["spec"]["containers"]
    assert {"name": "DB_PASSWORD", "value": "hunter2-hunter2"} in container["env"]
    done = await play.newest()
    _, status = await play.get(f"/api/v1/incident/status/{done.resolution.id}")
    _, history = await play.get("/api/v1/incident/history")
    entries = await play.stage.assembled.intake._store.entries(done.resolution.id)
    assert "DB_PASSWORD=[redacted]" in json.dumps(status)
    shown = (details, str(play.slack.message(card["ts"])), play.thread(card), status, history, entries, done.outcome)
    for told in shown:
        assert "hunter2" not in str(told), str(told)[max(0, str(told).find("hunter2") - 400) :][:600]
