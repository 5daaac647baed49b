"""Draws the pictures in docs/screens: a card in each state, the whole page, thread and modals.

Run as `python -m tests.scenario.screens`; the pictures are for people to look at, no test compares them.
"""

import asyncio
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from playwright.async_api import Page, expect
from slack_sdk.web.async_client import AsyncWebClient

from bot.demo.slack.server import open_local_slack
from bot.slack.buttons import Signer
from bot.slack.cards import Card, Rendering, resolution_card
from bot.slack.questions import question_card
from core.approval import Approval, ApprovalState, Subject
from core.effects import Change
from core.execution import CommandRecord
from core.findings import Gap, IncidentContext
from core.overview import Overview, Pause
from core.permit import Permit, PermitRule, PermittedLine, Precondition
from core.policy.policy import DEFAULT_POLICY
from core.resolution import ActionType, ApprovalId, Person, Request, Resolution, ResolutionId, SnapshotId, State
from core.resources import Resource, Workload
from core.risk import assess
from core.risk_levels import RiskLevel
from core.usage import Usage
from storage.embedded import open_embedded
from tests.scenario.browser import chromium, open_browser, page_folder
from tests.scenario.conftest import playing

RENDERING = Rendering(Signer(bytes(32)), ("U0ADAONCAL",))
FOLDER = Path(__file__).parent.parent.parent / "docs" / "screens"
NOW = datetime(2026, 3, 1, 3, 7, tzinfo=UTC)
ADA = Person("slack:T1/U1", "ada")
DEPLOYMENT = Resource("Deployment", "orders-api", "orders", "apps/v1")
CONTEXT = IncidentContext(
    gaps=(Gap("health", "The platform answered 503 to /api/v1/health/status/demo."),),
    affected=(Workload(DEPLOYMENT, 2, 0),),
    dependants=tuple(Resource("Deployment", name, "shop", "apps/v1") for name in ("cart", "checkout", "returns")),
)
SUMMARIES = {
    State.COMPLETED: "orders-api ran two replicas at its limit. I scaled it to four; all are ready.",
    State.FAILED: "Not healthy after the change: Deployment orders/orders-api: 2 of 4 replicas ready.",
    State.INTERRUPTED: "Interrupted by ada: wrong cluster. What ran: kubectl get pods -n orders (exit code 0); "
    "kubectl scale deployment/orders-api --replicas=4 -n orders (exit code 0). 1 change can be rolled back.",
    State.REJECTED: "Rejected by ada: not during the sale",
    State.EXPIRED: "Nobody answered in time. Nothing was changed; it can be asked again.",
    State.CANCELLED: "Cancelled by ada before anything was run.",
    State.ROLLING_BACK: "Not healthy after the change: Deployment orders/orders-api: 2 of 4 replicas ready.",
    State.ROLLED_BACK: "Not healthy after the change. What was changed has been put back.",
    State.ROLLBACK_FAILED: "Not everything was put back: somebody changed Deployment orders/orders-api since.",
}
ENDINGS = {
    State.REJECTED: ApprovalState.REJECTED,
    State.EXPIRED: ApprovalState.EXPIRED,
    State.CANCELLED: ApprovalState.CANCELLED,
    State.AWAITING_APPROVAL: ApprovalState.PENDING,
}


def example(state: State) -> Overview:
    """One resolution as it would stand in this state."""
    request = Request("demo", "orders", ActionType.RESOURCE_SCALE, "orders-api: queue is full, readiness probes fail")
    has_run = state not in {State.GATHERING, State.AWAITING_APPROVAL, State.APPROVED, *ENDINGS}
    resolution = Resolution(
        ResolutionId("5a1fe0f2-7a0c-4cf5-8d43-2f6b6f3a9c11"),
        request,
        ADA,
        state,
        NOW,
        NOW,
        summary=SUMMARIES.get(state),
        snapshot_id=SnapshotId("0b7d3c5e-0f0f-4a71-9d6e-5a6f0d2f8f10") if has_run else None,
    )
    if state is State.GATHERING:
        return Overview(resolution, Usage(), "production-eu", history_seq=1)
    rule = PermitRule(Change.SCALE, DEPLOYMENT, replicas=(1, 4))
    permit = Permit(
        ActionType.RESOURCE_SCALE, "production-eu", "orders", (rule,), RiskLevel.HIGH, 100_000, NOW + timedelta(hours=1)
    )
    ending = ENDINGS.get(state, ApprovalState.APPROVED)
    is_decided = ending is not ApprovalState.PENDING
    approval = Approval(
        ApprovalId("c0c5c7f5-29f6-4a55-a2cf-4a3d21a0f3b7"),
        resolution.id,
        Subject.RESOLUTION,
        ending,
        permit,
        NOW,
        NOW + timedelta(minutes=5),
        decided_by=ADA if is_decided and state is not State.EXPIRED else None,
        decided_at=NOW + timedelta(minutes=1) if is_decided else None,
        reason="not during the sale" if state is State.REJECTED else None,
    )
    lines = [
        ("kubectl get pods -n orders", "LOW", "R3", True, 0),
        ("kubectl delete namespace orders", "CRITICAL", "R8", False, None),
        ("kubectl scale deployment/orders-api --replicas=4 -n orders", "HIGH", "R7", True, 0),
    ]
    commands = tuple(
        CommandRecord(number, line, verdict, rule, "", ran, NOW, NOW if ran else None, code)
        for number, (line, verdict, rule, ran, code) in enumerate(lines, start=1)
    )
    return Overview(
        resolution,
        Usage(9_009, Decimal("0.0100")) if has_run else Usage(),
        "production-eu",
        assess(request, CONTEXT, DEFAULT_POLICY),
        gaps=CONTEXT.gaps,
        approvals=(approval,),
        commands=commands if has_run else (),
        changes=1 if has_run else 0,
        history_seq=7,
    )


def cards() -> dict[str, Card]:
    paused = Pause(ADA, "the database is being moved", NOW)
    shown = {state.value: example(state) for state in State}
    shown["paused"] = replace(example(State.AWAITING_APPROVAL), pause=paused)
    shown["paused-ended"] = replace(example(State.COMPLETED), pause=paused)
    return {f"card-{name}": resolution_card(overview, RENDERING) for name, overview in shown.items()}


def question(state: ApprovalState) -> Overview:
    """A run that asked about one line, and how that ended."""
    overview = example(State.EXECUTING)
    line = "kubectl delete pods -l app=orders-api,tier=worker -n orders --grace-period=60"
    pods = tuple(Resource("Pod", f"orders-api-7c9f6-{end}", "orders", "v1", f"uid-{end}") for end in ("2xk4p", "9fj2m"))
    lost = ". ".join(f"What Pod {pod.name} holds in memory is lost, with its restart count" for pod in pods)
    return _with_question(
        overview, PermittedLine(line, (("kubectl",),), RiskLevel.HIGH, "R7", "orders", pods, undo=lost), state
    )


def small_question() -> Overview:
    """A line that can be put back whole, and whose present value is shown."""
    now = (Precondition(DEPLOYMENT, ("spec", "replicas"), "2"),)
    target = replace(DEPLOYMENT, uid="uid-1")
    text = "kubectl scale deployment/orders-api --replicas=6 -n orders"
    line = PermittedLine(text, (("kubectl",),), RiskLevel.HIGH, "R7", "orders", (target,), now)
    return _with_question(example(State.EXECUTING), line, ApprovalState.PENDING)


def _with_question(overview: Overview, line: PermittedLine, state: ApprovalState) -> Overview:
    first = overview.approvals[0]
    is_over = state is not ApprovalState.PENDING
    asked = replace(
        first,
        id=ApprovalId("d1d2c7f5-29f6-4a55-a2cf-4a3d21a0f3b7"),
        subject=Subject.COMMAND,
        state=state,
        permit=replace(first.permit, rules=(), lines=(line,)),
        decided_by=ADA if is_over else None,
        decided_at=NOW + timedelta(minutes=1) if is_over else None,
        reason="two at a time, not both" if state is ApprovalState.REJECTED else None,
    )
    return replace(overview, approvals=(first, asked))


def questions() -> dict[str, Card]:
    asked = {
        "question": question(ApprovalState.PENDING),
        "question-small": small_question(),
        "question-rejected": question(ApprovalState.REJECTED),
    }
    drawn = {name: question_card(overview, overview.approvals[-1], RENDERING) for name, overview in asked.items()}
    return drawn | {"card-waiting": resolution_card(asked["question"], RENDERING)}


async def draw(page: Page, folder: Path, pictures: dict[str, Card]) -> None:
    """Each card as the local Slack's page shows it, in FOLDER by its name."""
    async with open_local_slack(page=folder, app_name="Incident Resolver") as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        await page.goto(slack.page_url)
        for name, card in pictures.items():
            sent = await client.chat_postMessage(channel=slack.channel_id, text=card.text, blocks=card.blocks)
            message = page.locator(f'[data-ts="{sent["ts"]}"]')
            await message.wait_for()
            await message.screenshot(path=FOLDER / f"{name}.png")


async def draw_page(page: Page, folder: Path, url: str) -> None:
    async with playing(url, page=folder) as play:
        await page.goto(play.slack.page_url)
        await page.locator("[data-play=injected-logs]").click()
        await page.locator("main button#approve").wait_for()
        await page.screenshot(path=FOLDER / "page-question.png")
        await page.locator("main button#reject").click()
        await page.locator("[data-modal]").wait_for()
        await page.screenshot(path=FOLDER / "modal-reject.png")
        await page.keyboard.press("Escape")
        await page.locator("main button#approve").click()
        await page.screenshot(path=FOLDER / "confirm-approve.png")
        await page.locator("[data-confirm-yes]").click()
        await page.locator("main button#interrupt").wait_for()
        await page.screenshot(path=FOLDER / "page-at-work.png")
        await expect(page.locator("[data-thread]")).to_contain_text("Healthy", timeout=30_000)
        await page.locator("main button#rollback").wait_for()
        await page.wait_for_timeout(500)
        await page.screenshot(path=FOLDER / "page-resolved.png")
        await page.locator("[data-thread]").screenshot(path=FOLDER / "thread.png")
        await page.locator("main button#details").click()
        await page.locator("[data-modal]").wait_for()
        await page.screenshot(path=FOLDER / "modal-details.png")
        await page.keyboard.press("Escape")
        await page.locator("main button#rollback").click()
        await page.locator("[data-modal=rollback_form]").wait_for()
        await page.screenshot(path=FOLDER / "modal-rollback.png")


async def main(url: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    executable, folder = chromium(), page_folder()
    async with open_browser(executable, height=1_200) as page:
        await draw(page, folder, cards() | questions())
    async with open_browser(executable) as page:
        await draw_page(page, folder, url)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ir-screens-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        with open_embedded(Path(name), is_durable=False) as database:
            asyncio.run(main(database))
    sys.exit(0)
