"""A headless Chromium that looks at the local Slack's page; it goes nowhere but to this machine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, async_playwright

from bot.demo.slack.page import PageError, build_page
from tests.servers.parts import PartMissingError, program

FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]
REFUSAL = "status of 400"
"""What the browser notes when the local Slack refuses an incomplete form; the page shows why."""
WIDTH, HEIGHT = 1280, 800


def chromium() -> Path:
    return program("chromium")()


def page_folder() -> Path:
    """The bundled page; a missing part where npm's packages cannot be had."""
    try:
        return build_page()
    except PageError as error:
        raise PartMissingError(f"the local Slack's page: {error}") from error


@asynccontextmanager
async def open_browser(executable: Path, *, height: int = HEIGHT) -> AsyncIterator[Page]:
    """A page whose errors and console messages fail the test that uses it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        try:
            page = await browser.new_page(viewport={"width": WIDTH, "height": height})
            complaints: list[str] = []
            page.on("console", lambda message: complaints.append(message.text) if REFUSAL not in message.text else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            yield page
            assert complaints == []
        finally:
            await browser.close()
