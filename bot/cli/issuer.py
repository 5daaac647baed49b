"""`incident-resolver issuer`: the process that issues credentials; `serve` starts one, in a cluster it stands alone."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from bot.cli.logs import configure_logs
from bot.issuer import open_issuer
from bot.service import stop_on_signals
from bot.settings import Settings, load_settings
from core.errors import ResolverError


def run(arguments: Sequence[str]) -> int:
    """As bot.cli.main.run, without loading the service."""
    parser = argparse.ArgumentParser(prog="incident-resolver issuer", description=__doc__)
    parser.add_argument("--socket", metavar="FILE")
    given = parser.parse_args(arguments)
    try:
        settings = load_settings()
        configure_logs(settings.log)
        return asyncio.run(issue(settings, given))
    except ResolverError as error:
        print(f"incident-resolver: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


async def issue(settings: Settings, given: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT."""
    stop = stop_on_signals()
    socket = Path(given.socket) if given.socket else None
    async with open_issuer(settings, socket=socket) as desk, asyncio.TaskGroup() as group:
        sweeping = group.create_task(desk.keep_swept())
        await stop.wait()
        sweeping.cancel()
    return 0
