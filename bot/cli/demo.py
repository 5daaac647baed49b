"""`incident-resolver demo`: the whole product on this machine, without any account."""

import argparse
import asyncio
import contextlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from bot.cli.logs import configure_logs
from bot.demo.cluster.scenarios import SCENARIOS
from bot.demo.play import Stage, Wanted, open_stage
from bot.demo.slack.local_slack import LocalSlack
from bot.demo.slack.page import PageError, build_page
from bot.service import stop_on_signals
from bot.settings import forget_proxies, load_settings
from bot.slack.thread import END_WORDS
from core.errors import InvalidInputError, ResolverError, UnavailableError
from core.overview import Overview
from core.resolution import ResolutionId, State

CARD_SECONDS = 60.0
CONNECT_SECONDS = 60.0
_DATE = re.compile(r"<!date\^[^|>]*\|([^>]*)>")
"""Slack shows it in each reader's own zone; a terminal shows what stands behind the bar."""


async def demo(given: argparse.Namespace) -> int:
    """Exit status 0; with --headless only if the first incident ended healed."""
    if given.headless and (given.real_slack or given.kubeconfig):
        raise InvalidInputError("--headless plays the first incident on the stand-ins; leave the other flags out.")
    return await show(_wanted(given), is_headless=given.headless, is_json=given.json)


async def show(wanted: Wanted, *, is_headless: bool, is_json: bool) -> int:
    """Runs until SIGINT or SIGTERM, or until the first incident was played; a signal before that is a failure of it."""
    configure_logs("WARNING")
    stop = stop_on_signals()
    async with open_stage(wanted) as stage, asyncio.TaskGroup() as group:
        group.create_task(stage.assembled.service.run(stop))
        stopped = group.create_task(stop.wait())
        work = group.create_task(_headless(stage, is_quiet=is_json) if is_headless else _shown(stage, is_json=is_json))
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not is_headless:
                await stopped
        finally:
            stop.set()
            work.cancel()
    return int(is_headless) if work.cancelled() else work.result()


def _wanted(given: argparse.Namespace) -> Wanted:
    needs_environment = given.real_model or given.real_slack
    kubeconfig = Path(given.kubeconfig) if given.kubeconfig else None
    if kubeconfig is not None and not kubeconfig.is_file():
        raise InvalidInputError(f"--kubeconfig: there is no file {kubeconfig}.")
    page = None if given.headless or given.real_slack else demo_page()
    real = load_settings() if needs_environment else None
    if not given.real_slack or (real and real.proxy_for(real.slack_api_url) is None):
        forget_proxies()
    return Wanted(
        port=0 if given.headless else given.port,
        slack_port=0 if given.headless else given.slack_port,
        page=page,
        real=real,
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


async def _shown(stage: Stage, *, is_json: bool) -> int:
    await _connected(stage)
    if is_json:
        print(json.dumps(stage.addresses()), flush=True)
    else:
        if stage.has_incidents:
            await stage.start(SCENARIOS[0])
        for line in _welcome(stage):
            print(line, flush=True)
    return 0


async def _connected(stage: Stage) -> None:
    """UnavailableError where the service does not find the local Slack in time."""
    if stage.slack is None:
        return
    try:
        await stage.slack.connected(seconds=CONNECT_SECONDS)
    except TimeoutError as error:
        raise UnavailableError(
            f"The service did not connect to the local Slack in {CONNECT_SECONDS:g} s; is this machine very busy?"
        ) from error


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
    await _connected(stage)
    if is_quiet:
        print(json.dumps(stage.addresses()), flush=True)
    asked = await stage.start(SCENARIOS[0])
    try:
        card = await slack.until(lambda: _card(stage), seconds=CARD_SECONDS)
        _say(f"The card: {card['text']}", is_quiet=is_quiet)
        answer = await slack.click(slack.people["ada"], card["ts"], "approve")
        if not answer.is_acked:
            raise ResolverError(f"The click on Approve was not acknowledged ({answer.reason}).")
        ended = await stage.until_ended(ResolutionId(asked.resolution.id))
    except TimeoutError as error:
        raise ResolverError("The incident was not played to its end in time; nothing more is tried.") from error
    await _published(slack, card["ts"])
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


async def _published(slack: LocalSlack, ts: str) -> None:
    """Waits until the last word stands in the thread, whichever it is; not for ever, for the end is known already."""
    titles = [title for _, title in END_WORDS.values()]

    def is_told() -> bool:
        return any(one["text"].split(":")[0].endswith(title) for one in slack.thread(ts) for title in titles)

    with contextlib.suppress(TimeoutError):
        await slack.until(is_told)


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
