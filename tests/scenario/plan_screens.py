"""Draws the pictures of plans in docs/screens: planned, asked, revised, run, stopped; and a real one on the page.

Run as `python -m tests.scenario.plan_screens`; the pictures are for people to look at, no test compares them.
"""

import asyncio
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from playwright.async_api import Page

from bot.slack.cards import Card, resolution_card
from bot.slack.questions import question_card
from core.approval import ApprovalState, Subject
from core.overview import Overview
from core.permit import PermittedLine
from core.resolution import ApprovalId, State
from core.risk_levels import RiskLevel
from storage.embedded import open_embedded
from tests.scenario.browser import chromium, open_browser, page_folder
from tests.scenario.conftest import playing
from tests.scenario.screens import DEPLOYMENT, FOLDER, NOW, RENDERING, draw, example

TARGET = replace(DEPLOYMENT, uid="9c0f1f6e-4a52-4c3b-8f21-0f1f0a9d1c11")
WHY = "orders-api 5.0.2 leaks connections and is at its limit with two replicas; 5.0.1 ran well with four."
STEPS = (
    PermittedLine(
        "kubectl set image deployment/orders-api orders-api=registry.example/orders/api:5.0.1 -n orders",
        (("kubectl",),),
        RiskLevel.MEDIUM,
        "R6",
        "orders",
        (TARGET,),
        diff="Deployment orders/orders-api\n  spec.template.spec.containers[orders-api].image: "
        '"registry.example/orders/api:5.0.2" → "registry.example/orders/api:5.0.1"',
        check="healthy",
        undo="The image of today is set again.",
    ),
    PermittedLine(
        "kubectl scale deployment/orders-api --replicas=4 -n orders",
        (("kubectl",),),
        RiskLevel.HIGH,
        "R7",
        "orders",
        (TARGET,),
        diff="Deployment orders/orders-api\n  spec.replicas: 2 → 4",
        check="healthy",
        undo="It is scaled back to 2 replicas.",
    ),
)
STOPPED = (
    "Stopped before step 2: spec.replicas of Deployment orders/orders-api was 2 and is 3 now. "
    f"Done: {STEPS[0].line}. Not run: {STEPS[1].line}. The agent's report: the older image runs; somebody scaled the "
    "workload meanwhile. Look at who did, and ask again if four are still needed."
)
FURTHER_WHY = "Somebody scaled it to 3 while the image was set; the queue still grows, and five carry it."


def planned(state: State, *, revision: int = 1) -> Overview:
    """The example with a plan in place of rules."""
    found = example(state)
    (approval,) = found.approvals
    permit = replace(approval.permit, rules=(), lines=STEPS, revision=revision)
    ran = [replace(one, line=step.line, is_executed=True) for one, step in zip(found.commands, STEPS, strict=False)]
    commands: tuple = ()
    if state is State.EXECUTING:
        commands = (replace(ran[0], exit_code=0, ended_at=NOW), replace(ran[1], exit_code=None, ended_at=None))
    if state is State.FAILED:
        commands = (replace(ran[0], exit_code=0, ended_at=NOW),)
    summary = STOPPED if state is State.FAILED else WHY
    resolution = replace(found.resolution, summary=summary)
    return replace(found, resolution=resolution, approvals=(replace(approval, permit=permit),), commands=commands)


def plans() -> dict[str, Card]:
    waiting = planned(State.AWAITING_APPROVAL)
    shown = {
        "planning": replace(example(State.GATHERING), assessment=waiting.assessment),
        "plan": waiting,
        "plan-revised": planned(State.AWAITING_APPROVAL, revision=2),
        "plan-running": planned(State.EXECUTING),
        "plan-stopped": planned(State.FAILED),
    }
    cards = {f"card-{name}": resolution_card(overview, RENDERING) for name, overview in shown.items()}
    return cards | {"question-plan": question_card(further(), further().approvals[-1], RENDERING, why=FURTHER_WHY)}


def further() -> Overview:
    """The plan stopped before its second step; a further one waits."""
    found = planned(State.EXECUTING)
    (first,) = found.approvals
    step = replace(
        STEPS[1],
        line="kubectl scale deployment/orders-api --replicas=5 -n orders",
        diff="Deployment orders/orders-api\n  spec.replicas: 3 → 5",
        undo="It is scaled back to 3 replicas.",
    )
    permit = replace(first.permit, lines=(step,), revision=2)
    asked = replace(first, id=ApprovalId("further"), subject=Subject.COMMAND, state=ApprovalState.PENDING)
    asked = replace(asked, permit=permit, decided_by=None, decided_at=None)
    return replace(found, approvals=(first, asked), commands=found.commands[:1])


async def draw_plan_page(page: Page, folder: Path, url: str) -> None:
    async with playing(url, page=folder) as play:
        await page.goto(play.slack.page_url)
        await page.locator("[data-play=wrong-image]").click()
        await page.locator("main button#approve").wait_for()
        await page.screenshot(path=FOLDER / "page-plan.png")
        await page.locator("main button#details").click()
        await page.locator("[data-modal]").wait_for()
        await page.screenshot(path=FOLDER / "modal-plan.png")
        await page.keyboard.press("Escape")
        await page.locator("main button#approve").click()
        await page.screenshot(path=FOLDER / "confirm-plan.png")
        await page.locator("[data-confirm-yes]").click()
        await page.locator("main button#rollback").wait_for()
        await page.wait_for_timeout(800)
        await page.locator("[data-thread]").screenshot(path=FOLDER / "thread-plan.png")


async def main(url: str) -> None:
    executable, folder = chromium(), page_folder()
    async with open_browser(executable, height=1_400) as page:
        await draw(page, folder, plans())
    async with open_browser(executable, height=1_400) as page:
        await draw_plan_page(page, folder, url)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ir-screens-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        with open_embedded(Path(name), is_durable=False) as database:
            asyncio.run(main(database))
    sys.exit(0)
