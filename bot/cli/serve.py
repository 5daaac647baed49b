"""`incident-resolver serve`: the service, configured by the environment."""

import argparse
import sys

from bot.service import stop_on_signals
from bot.settings import Settings, refuse_unknown_settings
from bot.wiring import open_service
from core.approvals import ApprovalEngine


async def serve(settings: Settings, _: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT."""
    refuse_unknown_settings()
    stop = stop_on_signals()
    async with open_service(settings) as assembled:
        for line in _told(settings, assembled.engine, assembled.service.url):
            print(line, file=sys.stderr)
        for sentence in assembled.enforced:
            print(f"incident-resolver: credentials: {sentence}.", file=sys.stderr)
        await assembled.service.run(stop)
    return 0


def _told(settings: Settings, engine: ApprovalEngine, url: str) -> list[str]:
    lines = [f"incident-resolver: REST on {url} (documentation: {url}/docs)."]
    if settings.slack_bot_token is None:
        lines.append("incident-resolver: SLACK_BOT_TOKEN is not set, so this runs REST-only.")
    elif settings.slack_channel is None:
        lines.append("incident-resolver: SLACK_CHANNEL is not set: only what is asked for in Slack gets a card.")
    if settings.anthropic_api_key is None:
        lines.append("incident-resolver: ANTHROPIC_API_KEY is not set: agents cannot start, all else works.")
    lines += [f"incident-resolver: {one}" for one in (engine.why_nobody(), engine.why_not_these()) if one is not None]
    return lines
