"""What the demo's incidents cost by the program's own count, as the table in the README."""

import asyncio
import sys
import tempfile
from pathlib import Path

from bot.demo.cluster.scenarios import SCENARIOS
from core.resolution import OPEN_STATES, State
from storage.embedded import open_embedded
from tests.scenario.conftest import playing

CONTRACT = {
    "pod_restart": ("Haiku", "4,000", "$0.001"),
    "config_fix": ("Sonnet", "12,000", "$0.036"),
    "resource_scale": ("Haiku", "4,000", "$0.001"),
    "investigation": ("Sonnet", "8,000", "$0.024"),
}
PLAYED = ("crashloop", "wrong-image", "at-limit", "investigation")


async def costs(url: str) -> list[str]:
    rows = [
        "| action | model | typical tokens | typical cost | tokens in the demo | cost in the demo |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    async with playing(url) as play:
        for scenario in (one for one in SCENARIOS if one.name in PLAYED):
            await play.ask(scenario.name)
            while (seen := await play.newest()).resolution.request.namespace != scenario.namespace:
                await asyncio.sleep(0.1)
            while seen.resolution.state in OPEN_STATES:
                if seen.resolution.state is State.AWAITING_APPROVAL:
                    body = {"approved_by": "demo", "decision": "approve"}
                    await play.post(f"/api/v1/incident/approve/{seen.approval.id}", body)
                await asyncio.sleep(0.2)
                seen = await play.overview(seen.resolution.id)
            model, tokens, cost = CONTRACT[scenario.action_type]
            used = f"{seen.usage.total_tokens:,} | ${seen.usage.cost_usd:.4f}"
            rows.append(f"| `{scenario.action_type}` | {model} | {tokens} | {cost} | {used} |")
    return rows


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ir-costs-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        with open_embedded(Path(name), is_durable=False) as database:
            print("\n".join(asyncio.run(costs(database))))
    sys.exit(0)
