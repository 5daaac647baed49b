"""`incident-resolver issuer`: the process that issues credentials; `serve` starts one, in a cluster it stands alone."""

import argparse
import asyncio
from pathlib import Path

from bot.issuer import open_issuer
from bot.service import stop_on_signals
from bot.settings import Settings, refuse_unknown_settings


async def issue(settings: Settings, given: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT."""
    refuse_unknown_settings()
    stop = stop_on_signals()
    socket = Path(given.socket) if given.socket else None
    async with open_issuer(settings, socket=socket) as desk, asyncio.TaskGroup() as group:
        sweeping = group.create_task(desk.keep_swept())
        await stop.wait()
        sweeping.cancel()
    return 0
