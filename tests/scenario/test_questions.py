"""An agent asks mid-run about a line that the approval does not cover: the card in the thread, the click, the run."""

import asyncio
import copy
import time

import pytest

from bot.demo.model.server import Turn
from core.approval import ApprovalState
from core.resolution import State
from tests.scenario.conftest import Play, buttons_of, header_of, playing

SCALE = "kubectl scale deployment/checkout --replicas=5 -n shop"
RESTART = "kubectl rollout restart deployment/checkout -n shop"
"""Covered by the first approval; it heals the pod that crashes."""
LABEL = "kubectl label pods -l app=checkout looked-at=yes -n shop"


def asking(*lines: str):
    """A model that runs these lines one after the other, then says what the tools answered."""

    def script(body):
        results = [
            "\n".join(part.get("text", "") for part in one["content"])
            if isinstance(one["content"], list)
            else str(one["content"])
            for message in body.get("messages", [])
            if isinstance(message.get("content"), list)
            for one in message["content"]
            if one.get("type") == "tool_result"
        ]
        if len(results) < len(lines):
            return Turn("I try this.", (("mcp__resolver__bash", {"command": lines[len(results)]}),))
        return Turn("I was told: " + " | ".join(results)[:1_500])

    return script


async def at_the_question(play: Play, *lines: str) -> tuple[dict, dict]:
    """The card of the resolution and that of the question in its thread."""
    play.stage.model.script = asking(*lines)
    await play.ask("crashloop")
    card = await play.card("Approval needed")
    await play.click(card, "approve")
    return card, await question_of(play, card)


async def question_of(play: Play, card: dict, *, state: str = "Answer needed", besides: tuple[str, ...] = ()) -> dict:
    """The question in this state whose ts is not among `besides`."""

    def found():
        asked = [one for one in play.slack.thread(card["ts"]) if "line" in header_of(one)]
        return next((one for one in asked if state in header_of(one) and one["ts"] not in besides), None)

    try:
        return await play.slack.until(found, seconds=20)
    except TimeoutError:
        seen = await play.newest()
        raise AssertionError(f"{play.thread(card)}\n{seen.resolution.state} {seen.resolution.summary}") from None


def changes(play: Play) -> list[str]:
    return [
        f"{one.method} {one.path}"
        for one in play.stage.simulator.journal
        if not one.is_dry_run and one.status < 300 and "accessreviews" not in one.path
    ]


def replicas(play: Play) -> int:
    (deployment,) = [
        one for one in play.stage.simulator.objects.of("Deployment", "shop") if one["metadata"]["name"] == "checkout"
    ]
    return int(deployment["spec"]["replicas"])


async def test_a_line_that_is_not_covered_is_asked_in_the_thread_and_runs_after_the_click(play):
    before = replicas(play)
    card, question = await at_the_question(play, SCALE, RESTART)

    text = str(question["blocks"])
    assert SCALE in text
    assert "HIGH" in text
    assert "Deployment shop/checkout" in text
    assert f"spec.replicas of Deployment shop/checkout is {before}" in text
    assert buttons_of(question) == ["approve", "reject", "question"]
    waiting = await play.newest()
    assert (waiting.resolution.state, waiting.resolution.waiting_for) == (State.EXECUTING, "approval")
    assert "Answer needed" in header_of(await play.card("Answer needed"))
    assert replicas(play) == before

    await play.slack.click(play.ada, question["ts"], "approve")
    told = await play.thread_with(card, "Resolved")

    assert "approved this line for one run" in told
    assert replicas(play) == 5
    done = await play.newest()
    assert done.changes == 2
    assert SCALE in done.outcome.commands_executed
    assert done.resolution.waiting_for is None
    after = await question_of(play, card, state="Approved")
    assert after["ts"] == question["ts"]
    assert buttons_of(after) == []
    assert "by ada" in str(after["blocks"])


async def test_details_show_all_that_an_approval_of_the_line_binds(play):
    _, question = await at_the_question(play, SCALE)

    await play.slack.click(play.ada, question["ts"], "question")

    shown = str(play.slack.view(play.ada)["blocks"])
    assert "uid" in shown
    assert (await play.newest()).question.permit.digest in shown


async def test_a_rejection_is_told_to_the_agent_which_goes_on(play):
    card, question = await at_the_question(play, SCALE)
    before = len(changes(play))

    await play.slack.click(play.ada, question["ts"], "reject")
    await play.slack.submit_view(play.ada, {"reason": "not during the sale"})
    told = await play.thread_with(card, "I was told")

    assert "ada rejected this line: not during the sale" in told
    assert len(changes(play)) == before
    assert "Rejected" in header_of(await question_of(play, card, state="Rejected"))
    assert (await play.newest()).resolution.state is not State.REJECTED


async def test_nobody_answers_and_the_agent_goes_on(database_url):
    async with playing(database_url, approval_timeout=6.0) as play:
        card, _ = await at_the_question(play, SCALE)
        before = len(changes(play))

        told = await play.thread_with(card, "I was told")

        assert "Nobody answered in time" in told
        assert len(changes(play)) == before
        ended = await question_of(play, card, state="Nobody answered")
        assert buttons_of(ended) == []


async def test_an_interrupt_while_it_waits_works_at_once_and_closes_the_question(play):
    card, question = await at_the_question(play, SCALE)
    resolution_id = (await play.newest()).resolution.id

    started = time.monotonic()
    status, _ = await play.post(f"/api/v1/incident/interrupt/{resolution_id}", {"reason": "wrong one"})
    took = time.monotonic() - started

    assert status == 200
    assert took < 2
    done = await play.until_state(resolution_id, State.INTERRUPTED)
    (closed,) = [one for one in done.approvals if one.permit.lines]
    assert (closed.state, closed.reason) == (ApprovalState.CANCELLED, "the run was interrupted, ask again")
    assert done.resolution.waiting_for is None
    await play.thread_with(card, "closed, it does not run")
    ended = await question_of(play, card, state="Closed")
    assert ended["ts"] == question["ts"]
    assert buttons_of(ended) == []
    status, problem = await play.post(
        f"/api/v1/incident/approve/{closed.id}", {"approved_by": "demo", "decision": "approve"}
    )
    assert status == 409
    assert "already cancelled" in problem["detail"]


async def test_over_rest_the_question_is_listed_shown_and_answered(play):
    await at_the_question(play, SCALE, RESTART)
    resolution_id = (await play.newest()).resolution.id

    _, listed = await play.get("/api/v1/incident/pending-approvals")
    _, shown = await play.get(f"/api/v1/incident/status/{resolution_id}")

    assert [one["resolution_id"] for one in listed["pending_approvals"]] == [resolution_id]
    assert (shown["status"], shown["waiting_for"], shown["requires_approval"]) == ("executing", "approval", True)
    approval = shown["approval"]
    assert approval["approval_id"] == shown["approval_id"]
    (line,) = approval["lines"]
    assert (line["line"], line["targets"][0]["name"]) == (SCALE, "checkout")
    assert line["targets"][0]["uid"]

    path = f"/api/v1/incident/approve/{shown['approval_id']}"
    status, problem = await play.post(path, {"approved_by": "demo", "decision": "approve", "digest": "0" * 64})
    assert (status, "The plan has changed" in problem["detail"]) == (409, True)
    answer = {"approved_by": "demo", "decision": "approve", "digest": approval["digest"]}
    status, decided = await play.post(path, answer)
    assert (status, decided["status"]) == (200, "approved")
    done = await play.until_state(resolution_id, State.COMPLETED)
    assert replicas(play) == 5
    _, after = await play.get(f"/api/v1/incident/status/{resolution_id}")
    assert after["waiting_for"] is None
    assert done.question is None


async def test_a_selector_is_resolved_before_the_question_and_again_before_the_run(play):
    card, question = await at_the_question(play, LABEL)
    pods = [
        one
        for one in play.stage.simulator.objects.of("Pod", "shop")
        if one["metadata"].get("labels", {}).get("app") == "checkout"
    ]
    assert pods
    assert all(one["metadata"]["name"] in str(question["blocks"]) for one in pods)

    await play.slack.click(play.ada, question["ts"], "reject")
    await play.slack.submit_view(play.ada, {"reason": "no"})
    await play.thread_with(card, "I was told")


async def test_the_fourth_question_of_a_run_is_not_put(play):
    card, question = await at_the_question(play, *[SCALE.replace("=5", f"={number}") for number in (5, 6, 7, 8)])
    seen = [question["ts"]]
    for number in range(3):
        await play.slack.click(play.ada, question["ts"], "reject")
        await play.slack.submit_view(play.ada, {"reason": "no"})
        if number < 2:
            question = await question_of(play, card, besides=tuple(seen))
            seen.append(question["ts"])
    told = await play.thread_with(card, "I was told")

    assert "3 questions were asked in this run already" in told
    assert len([one for one in (await play.newest()).approvals if one.permit.lines]) == 3


async def test_a_policy_that_refuses_asks_nobody(database_url, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\ncommands: {uncovered: refuse}\n")
    async with playing(database_url, policy=policy) as play:
        play.stage.model.script = asking(SCALE)
        await play.ask("crashloop")
        card = await play.card("Approval needed")
        await play.click(card, "approve")
        told = await play.thread_with(card, "I was told")

        assert "commands.uncovered: refuse" in told
        assert not any(one.permit.lines for one in (await play.newest()).approvals)


async def test_an_investigation_is_refused_and_offers_a_resolution_of_its_own(play):
    play.stage.model.script = asking("kubectl scale deployment/payments-api --replicas=3 -n payments")
    await play.ask("investigation")
    card = await play.card("Investigated", seconds=30)
    told = await play.thread_with(card, "Investigated:")
    assert "An investigation changes nothing" in told
    old = await play.newest()

    def offering():
        return next((one for one in play.slack.thread(card["ts"]) if "offer" in buttons_of(one)), None)

    offer = await play.slack.until(offering, seconds=10)
    assert "It proposes" in str(offer["blocks"])
    await play.slack.click(play.ada, offer["ts"], "offer")

    async with asyncio.timeout(10):
        while (new := await play.newest()).resolution.id == old.resolution.id:
            await asyncio.sleep(0.05)
    assert new.resolution.request.action_type.value == "resource_scale"
    assert old.resolution.id[:8] in new.resolution.request.action_description


@pytest.mark.parametrize("by", ["gus", "deploybot"])
async def test_who_may_not_approve_answers_no_question(play, by):
    _, question = await at_the_question(play, SCALE)

    await play.slack.click(play.slack.people[by], question["ts"], "approve")

    assert (await play.newest()).question is not None


async def test_what_changed_before_it_was_asked_again_stays_on_the_card_when_it_is_drawn_anew(play):
    card, first = await at_the_question(play, LABEL)
    objects = play.stage.simulator.objects
    pod = copy.deepcopy(next(iter(objects.of("Pod", "shop"))))
    pod["metadata"]["labels"]["app"] = "checkout"
    pod["metadata"]["name"] = "checkout-new"
    for name in ("uid", "resourceVersion", "creationTimestamp", "ownerReferences"):
        pod["metadata"].pop(name, None)
    objects.put(pod)
    await play.slack.click(play.ada, first["ts"], "approve")
    again = await question_of(play, card, besides=(first["ts"],))
    assert "it changed meanwhile" in str(again["blocks"])

    await play.slack.command(play.ada, "/incident", "pause the database is being moved")
    await play.slack.until(lambda: "is being moved" in str(play.slack.message(again["ts"])["blocks"]))

    assert "it changed meanwhile" in str(play.slack.message(again["ts"])["blocks"])


async def test_a_pause_stands_on_an_open_question_too_and_goes_again(play):
    _, question = await at_the_question(play, SCALE)

    def shown() -> str:
        return str(play.slack.message(question["ts"])["blocks"])

    await play.slack.command(play.ada, "/incident", "pause the database is being moved")
    await play.slack.until(lambda: "the database is being moved" in shown())
    await play.slack.command(play.ada, "/incident", "resume")
    await play.slack.until(lambda: "the database is being moved" not in shown())
    assert "Answer needed" in shown()
