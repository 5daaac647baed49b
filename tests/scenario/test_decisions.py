"""What people do with cards: reject, let expire, ask again, interrupt, roll back, pause; and who may."""

import asyncio
import contextlib
import time

import psutil

from bot.demo.model.server import Fault, Turn
from core.ports import HistoryFilter
from core.resolution import OPEN_STATES, State
from tests.scenario.conftest import buttons_of, header_of, playing


async def test_a_rejection_needs_a_reason_and_stands_on_the_card_and_in_history(play):
    await play.ask("crashloop")
    card = await play.card("Approval needed")
    changed = len([one for one in play.stage.simulator.journal if not one.is_dry_run])

    await play.click(card, "reject")
    view = play.slack.view(play.ada)
    assert view["title"]["text"] == "Reject"
    await play.slack.submit_view(play.ada, {"reason": "Not during the sale <!channel>"})
    card = await play.card("Rejected")

    assert "Not during the sale &lt;!channel&gt;" in str(card["blocks"])
    assert "approve" not in buttons_of(card)
    done = await play.newest()
    assert (done.resolution.state, done.approval.reason) == (State.REJECTED, "Not during the sale <!channel>")
    assert len([one for one in play.stage.simulator.journal if not one.is_dry_run]) == changed
    assert play.slack.view(play.ada) is None


async def test_the_first_decision_wins_and_the_second_person_is_told_who_decided(play):
    await play.ask("crashloop")
    card = await play.card("Approval needed")
    await play.click(card, "reject")
    await play.click(card, "approve", by="grace")

    await play.slack.submit_view(play.ada, {"reason": "too late"})

    notice = play.slack.view(play.ada)
    assert "already approved by grace" in str(notice["blocks"])
    await play.thread_with(card, "Resolved")


async def test_guests_strangers_and_bots_decide_nothing(play):
    await play.ask("crashloop")
    card = await play.card("Approval needed")
    for name in ("gus", "zoe", "deploybot"):
        person = play.slack.people[name]
        if person not in play.slack.workspace.channel(play.slack.channel_id).members:
            continue
        await play.click(card, "approve", by=name)
        (told,) = play.slack.ephemerals(person)
        assert "full members" in told["text"]
    assert (await play.newest()).resolution.state is State.AWAITING_APPROVAL


async def test_without_approvers_the_card_says_how_to_set_them_and_a_click_is_refused(database_url):
    async with playing(database_url, approvers="") as play:
        await play.ask("crashloop")
        card = await play.card("Approval needed")
        assert "INCIDENT_RESOLVER_APPROVERS" in str(card["blocks"])
        await play.click(card, "approve")
        told = play.slack.ephemerals(play.ada)[-1]
        assert "INCIDENT_RESOLVER_APPROVERS" in told["text"]
        assert (await play.newest()).resolution.state is State.AWAITING_APPROVAL


async def test_an_unanswered_question_expires_and_is_asked_again_in_one_click(database_url):
    async with playing(database_url, approval_timeout=2.0) as play:
        await play.ask("crashloop")
        card = await play.card("Nobody answered")
        old = await play.newest()
        assert old.resolution.state is State.EXPIRED
        assert buttons_of(card) == ["ask_again", "details"]

        await play.click(card, "ask_again")
        await play.card("Approval needed")

        new = await play.newest()
        assert new.resolution.request.replaces == old.resolution.id


async def test_a_click_on_an_altered_button_does_nothing(play):
    await play.ask("crashloop")
    card = await play.card("Approval needed")
    (message,) = [one for one in play.slack.workspace.messages if one.ts == card["ts"]]
    (button,) = [
        e for b in message.blocks if b["type"] == "actions" for e in b["elements"] if e["action_id"] == "approve"
    ]
    id_, digest, signature = button["value"].split(".")
    button["value"] = f"{id_}.{'0' * len(digest)}.{signature}"

    await play.click(card, "approve")

    told = play.slack.ephemerals(play.ada)[-1]
    assert "not one of ours" in told["text"]
    assert (await play.newest()).resolution.state is State.AWAITING_APPROVAL


async def test_interrupt_stops_the_agent_in_two_seconds_and_says_what_was_done(play):
    def look_then_think(body) -> Turn:
        if any("tool_result" in str(one) for one in body["messages"]):
            play.stage.model.fault = Fault(is_stall=True)
        return Turn("I look.", (("mcp__resolver__bash", {"command": "kubectl get pods -n payments"}),))

    play.stage.model.script = look_then_think
    await play.ask("crashloop")
    card = await play.card("Approval needed")
    await play.click(card, "approve")
    await play.thread_with(card, "The agent starts")
    while "interrupt" not in buttons_of(play.slack.message(card["ts"])):
        await asyncio.sleep(0.02)

    async with asyncio.timeout(20):
        while not (agents := agent_processes()):
            await asyncio.sleep(0.02)
    started = time.monotonic()
    await play.click(card, "interrupt")
    done = await play.newest()
    while done.resolution.state in {State.EXECUTING, State.VERIFYING} or any(is_alive(one) for one in agents):
        await asyncio.sleep(0.02)
        done = await play.newest()

    assert time.monotonic() - started < 2
    assert done.resolution.state in {State.INTERRUPTED, State.ROLLING_BACK, State.ROLLED_BACK}
    assert "Interrupted by ada" in done.resolution.summary
    assert "Nothing was changed" in done.resolution.summary or "can be rolled back" in done.resolution.summary


def agent_processes() -> list[psutil.Process]:
    found = []
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # ended meanwhile
            if is_alive(one) and "claude" in one.exe():
                found.append(one)
    return found


def is_alive(process: psutil.Process) -> bool:
    """One that waits to be reaped runs nothing any more."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


async def test_interrupt_before_execution_cancels(play):
    await play.ask("crashloop")
    await play.card("Approval needed")
    id_ = (await play.newest()).resolution.id

    answer = await play.slack.command(play.ada, "/incident", f"interrupt {id_[:8]} wrong one")

    assert answer.is_acked
    card = await play.card("Cancelled")
    assert "wrong one" in str(card["blocks"])
    assert (await play.newest()).resolution.state is State.CANCELLED


async def test_a_completed_change_is_previewed_and_rolled_back_by_button(play):
    await play.ask("at-limit")
    card = await play.card("Approval needed")
    await play.click(card, "approve")
    await play.thread_with(card, "Resolved")
    card = await play.card("Resolved")
    (deployment,) = play.stage.simulator.objects.of("Deployment", "orders")
    assert deployment["spec"]["replicas"] == 4

    await play.click(card, "rollback")
    await play.slack.until(lambda: "would be put back" in str(play.slack.view(play.ada)))
    (deployment,) = play.stage.simulator.objects.of("Deployment", "orders")
    assert deployment["spec"]["replicas"] == 4
    await play.slack.submit_view(play.ada)
    await play.thread_with(card, "Rolled back:")

    (deployment,) = play.stage.simulator.objects.of("Deployment", "orders")
    assert deployment["spec"]["replicas"] == 2


async def test_a_pause_stands_on_every_card_and_nothing_starts_until_resumed(play):
    await play.ask("crashloop")
    card = await play.card("Approval needed")
    await play.slack.command(play.ada, "/incident", "pause the database is being moved")
    await play.slack.until(lambda: "The service is paused" in str(play.slack.message(card["ts"])["blocks"]))

    await play.click(card, "approve")
    await play.card("Approved, starting")
    await asyncio.sleep(2.5)
    assert (await play.newest()).resolution.state is State.APPROVED

    await play.slack.command(play.ada, "/incident", "resume")
    await play.thread_with(card, "Resolved")
    ended = await play.card("Resolved")
    assert "The service is paused" not in str(ended["blocks"])

    await play.slack.command(play.ada, "/incident", "pause the network is moved")
    await play.slack.until(lambda: "the network is moved" in str(play.slack.message(ended["ts"])["blocks"]))
    await play.slack.command(play.ada, "/incident", "resume")
    await play.slack.until(lambda: "the network is moved" not in str(play.slack.message(ended["ts"])["blocks"]))


async def test_details_show_the_permit_the_evidence_and_the_gaps(play):
    await play.ask("crashloop")
    card = await play.card("Approval needed")
    await play.click(card, "details")

    shown = str(play.slack.view(play.ada)["blocks"])
    assert "checksum mismatch" in shown
    assert "NEO4J_URI is not set" in shown
    assert (await play.newest()).approval.permit.digest in shown


async def test_a_mention_does_what_the_command_does_and_its_thread_knows_its_resolution(play):
    bot = play.slack.bot_user_id
    await play.slack.say(play.ada, f"<@{bot}> resolve pod_restart shop checkout: one pod crashes")

    def card():
        return [one for one in play.slack.workspace.messages if header_in(one.blocks) and one.thread_ts]

    await play.slack.until(card, seconds=15)
    root = card()[0].thread_ts
    await play.slack.say(play.ada, f"<@{bot}> interrupt never mind", thread_ts=root)

    await play.until_state((await play.newest()).resolution.id, State.CANCELLED)


def header_in(blocks) -> bool:
    return any(one.get("type") == "header" for one in blocks)


async def test_what_is_typed_wrong_is_answered_with_how_it_is_written(play):
    for text, told in [
        ("resolve", "Say which action"),
        ("resolve reboot shop x", "There is no action"),
        ("resolve pod_restart", "Say in which namespace"),
        ("resolve pod_restart Shop! x", "not the name of a namespace"),
        ("resolve pod_restart shop", "Say what is wrong"),
        ("dance", "There is no command"),
        ("status zz", "is not an id"),
        ("status 00000000", "None of the last"),
        ("history 99", "from 1 to 20"),
        ("rollback", "Which one?"),
        ("", "What I understand"),
        ("help", "What I understand"),
        ("pending", "Nothing waits"),
    ]:
        await play.slack.command(play.ada, "/incident", text)
        assert told in play.slack.ephemerals(play.ada)[-1]["text"], text


async def test_status_pending_and_history_list_what_there_is(play):
    await play.ask("crashloop")
    await play.card("Approval needed")
    for text in ("status", "pending", "history 3"):
        await play.slack.command(play.ada, "/incident", text)
        assert "pod_restart in shop" in play.slack.ephemerals(play.ada)[-1]["text"]
    id_ = (await play.newest()).resolution.id
    await play.slack.command(play.ada, "/incident", f"status {id_[:8]}")
    assert "Asked by ada" in play.slack.ephemerals(play.ada)[-1]["text"]


async def test_slack_being_down_loses_nothing_and_posts_nothing_twice(play):
    play.slack.fault("chat.postMessage", "error", "internal_error", times=3)
    play.slack.fault("chat.postMessage", "drop", times=1, after_effect=True)
    await play.ask("crashloop")
    card = await play.card("Approval needed", seconds=30)
    await play.click(card, "approve")
    play.slack.fault("chat.postMessage", "drop", times=2, after_effect=True)
    play.slack.fault("chat.update", "429", 1, times=2)
    told = await play.thread_with(card, "Resolved", seconds=40)

    headers = [one for one in play.slack.messages() if header_of(one)]
    assert len(headers) == 1
    assert told.count("The agent starts") == 1
    assert told.count("✅ Resolved") == 1


async def test_a_dropped_socket_comes_back_and_clicks_work_again(play):
    await play.ask("crashloop")
    card = await play.card("Approval needed")
    await play.slack.drop_sockets()
    await play.slack.connected(seconds=20)
    await play.click(card, "approve")
    await play.thread_with(card, "Resolved")


async def test_two_approved_changes_of_the_same_object_run_one_after_the_other(play):
    for _ in range(2):
        await play.ask("crashloop")
    await play.slack.until(lambda: len([one for one in play.slack.messages() if "approve" in buttons_of(one)]) == 2)
    for card in [one for one in play.slack.messages() if "approve" in buttons_of(one)]:
        await play.click(card, "approve")
    ids = [one.resolution.id for one in await play.stage.assembled.intake.history(HistoryFilter(limit=2))]
    at_once = 0
    while True:
        seen = [await play.overview(one) for one in ids]
        writing = [one for one in seen if one.resolution.state in {State.EXECUTING, State.VERIFYING}]
        at_once = max(at_once, len(writing))
        if all(one.resolution.state not in OPEN_STATES for one in seen):
            break
        await asyncio.sleep(0.02)

    assert at_once == 1
    assert {one.resolution.state for one in seen} <= {State.COMPLETED, State.FAILED}


async def test_a_window_that_slack_does_not_open_is_told_and_pressed_again(play):
    await play.ask("crashloop")
    card = await play.card("Approval needed")
    play.slack.fault("views.open", "error", "expired_trigger_id")
    await play.click(card, "reject")
    assert "press again" in play.slack.ephemerals(play.ada)[-1]["text"]

    await play.click(card, "reject")
    assert play.slack.view(play.ada)["title"]["text"] == "Reject"


async def test_asked_again_the_card_comes_where_the_old_one_stands(database_url):
    async with playing(database_url, approval_timeout=2.0, slack_channel=None) as play:
        await play.slack.command(
            play.ada, "/incident", "resolve pod_restart shop checkout crashes", channel="C0GENERAL1"
        )
        await play.slack.until(lambda: cards_of(play, "Nobody answered"), seconds=30)
        (old,) = cards_of(play, "Nobody answered")
        await play.click(old, "ask_again")
        await play.slack.until(lambda: cards_of(play, "Approval needed"), seconds=30)


def cards_of(play, words: str) -> list[dict]:
    return [one for one in play.slack.messages("C0GENERAL1") if words in header_of(one)]


async def test_who_asked_may_not_approve_where_the_policy_says_so_and_the_card_says_it(database_url, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\npeople:\n  may_requesters_approve: false\n", encoding="utf-8")
    async with playing(database_url, policy=policy) as play:
        await play.ask("crashloop")
        card = await play.card("Approval needed")
        assert "but not who asked" in str(card["blocks"])
        await play.click(card, "approve")
        assert "somebody else than the requester" in play.slack.ephemerals(play.ada)[-1]["text"]
        await play.click(card, "approve", by="grace")
        await play.thread_with(card, "Resolved")


async def test_a_mention_may_greet_and_name_others_before_its_words(play):
    bot, linus = play.slack.bot_user_id, play.slack.people["linus"]
    ts = await play.slack.say(play.ada, f"hello <@{linus}>, <@{bot}>: pending")
    await play.slack.until(lambda: "Nothing waits" in str(play.slack.thread(ts)))
