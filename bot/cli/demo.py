"""`incident-resolver demo`: the whole product on this machine, without any account."""

import argparse
import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

from bot.cli.logs import configure_logs
from bot.demo.cluster.scenarios import SCENARIOS
from bot.demo.play import Stage, Wanted, open_stage
from bot.demo.slack.page import PageError, build_page
from bot.service import stop_on_signals
from bot.settings import load_settings
from core.errors import InvalidInputError, ResolverError
from core.overview import Overview
from core.resolution import ResolutionId, State

CARD_SECONDS = 60.0
_DATE = re.compile(r"<!date\^[^|>]*\|([^>]*)>")
"""Slack shows it in each reader's own zone; a terminal shows what stands behind the bar."""


async def demo(given: argparse.Namespace) -> int:
    """Exit status 0; with --headless only if the first incident ended healed."""
    if given.headless and (given.real_slack or given.kubeconfig):
        raise InvalidInputError("--headless plays the first incident on the stand-ins; leave the other flags out.")
    return await show(_wanted(given), is_headless=given.headless, is_json=given.json)


async def show(wanted: Wanted, *, is_headless: bool, is_json: bool) -> int:
    """Runs until SIGINT, or until the first incident was played."""
    configure_logs("WARNING")
    stop = stop_on_signals()
    async with open_stage(wanted) as stage, asyncio.TaskGroup() as group:
        running = group.create_task(stage.assembled.service.run(stop))
        try:
            if is_headless:
                return await _headless(stage, is_quiet=is_json)
            await _shown(stage, running, is_json=is_json)
        finally:
            stop.set()
    return 0


def _wanted(given: argparse.Namespace) -> Wanted:
    needs_environment = given.real_model or given.real_slack
    kubeconfig = Path(given.kubeconfig) if given.kubeconfig else None
    if kubeconfig is not None and not kubeconfig.is_file():
        raise InvalidInputError(f"--kubeconfig: there is no file {kubeconfig}.")
    page = None if given.headless or given.real_slack else demo_page()
    return Wanted(
        port=0 if given.headless else given.port,
        slack_port=0 if given.headless else given.slack_port,
        page=page,
        real=load_settings() if needs_environment else None,
        has_real_model=given.real_model,
        has_real_slack=given.real_slack,
        kubeconfig=kubeconfig,
    )


def demo_page() -> Path | None:
    """Without the page everything else still works; why there is none is said."""
    try:
        return build_page()
    except PageError as error:
        print(f"incident-resolver: {error}", file=sys.stderr)
        return None


async def _shown(stage: Stage, running: "asyncio.Task[None]", *, is_json: bool) -> None:
    if stage.slack is not None:
        await stage.slack.connected(seconds=30)
    if is_json:
        print(json.dumps(stage.addresses()), flush=True)
    else:
        if stage.has_incidents:
            await stage.start(SCENARIOS[0])
        for line in _welcome(stage):
            print(line, flush=True)
    await running


def _welcome(stage: Stage) -> list[str]:
    slack = "your workspace" if stage.slack is None else f"{stage.slack.page_url}   ← open this page"
    lines = [
        "",
        "  Incident Resolver demo",
        "",
        f"  Slack        {slack}",
        f"  REST         {stage.assembled.service.url}/docs",
        f"  Kubernetes   kubectl --kubeconfig {stage.kubeconfig} get pods -A",
        "",
    ]
    if stage.has_incidents:
        lines.append("  A card about a crashlooping pod is in the channel. Press Approve and watch its thread.")
        lines.append("  Other incidents stand in the side bar. Ctrl-C ends the demo and removes its data.")
    else:
        lines.append("  Ask for something with /incident resolve ACTION NAMESPACE what is wrong. Ctrl-C ends the demo.")
    return [*lines, ""]


async def _headless(stage: Stage, *, is_quiet: bool) -> int:
    """Plays the first incident as Ada would, the Approve click included."""
    slack = stage.slack
    if slack is None:
        raise InvalidInputError("--headless needs the local Slack.")
    await slack.connected(seconds=30)
    if is_quiet:
        print(json.dumps(stage.addresses()), flush=True)
    asked = await stage.start(SCENARIOS[0])
    card = await slack.until(lambda: _card(stage), seconds=CARD_SECONDS)
    _say(f"The card: {card['text']}", is_quiet=is_quiet)
    answer = await slack.click(slack.people["ada"], card["ts"], "approve")
    if not answer.is_acked:
        raise ResolverError(f"The click on Approve was not acknowledged ({answer.reason}).")
    ended = await stage.until_ended(ResolutionId(asked.resolution.id))
    await _published(stage, card["ts"])
    for message in slack.thread(card["ts"]):
        _say("  " + _DATE.sub(r"\1", message["text"]), is_quiet=is_quiet)
    _say(f"{ended.resolution.state.value}: {ended.resolution.summary}", is_quiet=is_quiet)
    return 0 if await _is_healed(stage, ended) else 1


def _card(stage: Stage) -> dict[str, Any]:
    """The card that can be approved, empty before it is there."""
    for message in stage.slack.messages() if stage.slack else []:
        elements = [one for block in message.get("blocks", []) for one in block.get("elements", [])]
        if any(one.get("action_id") == "approve" for one in elements):
            return message
    return {}


async def _published(stage: Stage, ts: str) -> None:
    """Waits until the last word stands in the thread."""
    if stage.slack is not None:
        slack = stage.slack
        await slack.until(lambda: any("Resolved" in one["text"] or "Failed" in one["text"] for one in slack.thread(ts)))


async def _is_healed(stage: Stage, ended: Overview) -> bool:
    """By the resolution's end and by the cluster's own word."""
    if ended.resolution.state is not State.COMPLETED:
        return False
    if stage.simulator is None:
        return True
    pods = stage.simulator.objects.of("Pod", SCENARIOS[0].namespace)
    return bool(pods) and all(one["status"].get("phase") == "Running" for one in pods)


def _say(line: str, *, is_quiet: bool) -> None:
    if not is_quiet:
        print(line, flush=True)
