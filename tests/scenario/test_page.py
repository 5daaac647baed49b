"""A person in front of the page: card, Approve, thread, modals; in a real browser."""

import re

import pytest
from playwright.async_api import expect

from core.resolution import State
from tests.scenario.browser import chromium, open_browser, page_folder
from tests.scenario.conftest import playing
from tests.servers.parts import require


@pytest.fixture(scope="session")
def browser():
    return require(chromium)


@pytest.fixture(scope="session")
def built_page():
    return require(page_folder)


@pytest.fixture
async def at_page(database_url, browser, built_page):
    async with playing(database_url, page=built_page) as play, open_browser(browser) as page:
        await page.goto(play.slack.page_url)
        yield play, page


def card(page, words):
    return page.locator("main article").filter(has=page.get_by_role("heading", name=re.compile(words)))


async def approve(page):
    await page.locator("main button#approve").last.click()
    await page.locator("[data-confirm-yes]").click()


async def test_card_approve_thread_and_a_healthy_workload(at_page):
    play, page = at_page
    await page.locator("[data-play=crashloop]").click()
    await expect(page.locator("main")).to_contain_text("Approval needed", timeout=15_000)

    await approve(page)

    thread = page.locator("[data-thread]")
    await expect(thread).to_contain_text("kubectl delete pod", timeout=20_000)
    await expect(thread).to_contain_text("2 of 2 replicas ready", timeout=20_000)
    await expect(page.locator("main")).to_contain_text("Resolved", timeout=20_000)
    await expect(page.locator("main button#rollback")).to_be_visible()
    assert (await play.newest()).resolution.state is State.COMPLETED


async def test_reject_asks_for_a_reason_in_a_modal(at_page):
    play, page = at_page
    await page.locator("[data-play=crashloop]").click()
    await page.locator("main button#reject").click(timeout=15_000)
    modal = page.locator("[data-modal=reject_form]")
    await expect(modal).to_be_visible()
    await modal.locator("[data-submit]").click()
    await expect(modal.get_by_role("alert")).to_contain_text("required")
    await modal.locator("textarea").fill("wait for the database team")
    await modal.locator("[data-submit]").click()

    await expect(page.locator("main")).to_contain_text("wait for the database team", timeout=10_000)
    await expect(modal).to_have_count(0)
    assert (await play.newest()).resolution.state is State.REJECTED


async def test_interrupt_and_roll_back_from_the_card(at_page):
    _, page = at_page
    await page.locator("[data-play=at-limit]").click()
    await expect(page.locator("main")).to_contain_text("Approval needed", timeout=15_000)
    await approve(page)
    await expect(page.locator("main")).to_contain_text("Resolved", timeout=20_000)
    await page.locator("main button#rollback").click()
    modal = page.locator("[data-modal=rollback_form]")
    await expect(modal).to_contain_text("would be put back", timeout=10_000)
    await modal.locator("[data-submit]").click()
    await expect(page.locator("[data-thread]")).to_contain_text("What was put back", timeout=15_000)

    await page.locator("[data-play=crashloop]").click()
    await expect(page.locator("main button#approve")).to_be_visible(timeout=15_000)
    await approve(page)
    await page.locator("main button#interrupt").last.click(timeout=15_000)
    await page.locator("[data-confirm-yes]").click()
    await expect(page.locator("[data-thread]")).to_contain_text("Interrupted by", timeout=10_000)


async def test_what_only_one_person_may_see_and_do(at_page):
    play, page = at_page
    await page.get_by_label("Message #incidents").fill("/incident help")
    await page.keyboard.press("Enter")
    await expect(page.locator("main .ephemeral")).to_contain_text("What I understand")
    await page.locator("[data-play=crashloop]").click()
    await expect(page.locator("main button#approve")).to_be_visible(timeout=15_000)

    await page.get_by_label("You are").select_option(play.slack.people["gus"])
    await expect(page.locator("main .ephemeral")).to_have_count(0)
    await approve(page)
    await expect(page.locator("main .ephemeral")).to_contain_text("Only full members", timeout=10_000)
    assert (await play.newest()).resolution.state is State.AWAITING_APPROVAL


async def test_an_expired_question_can_be_asked_again_from_the_page(database_url, browser, built_page):
    async with (
        playing(database_url, page=built_page, approval_timeout=2.0) as play,
        open_browser(browser) as page,
    ):
        await page.goto(play.slack.page_url)
        await page.locator("[data-play=crashloop]").click()
        await expect(page.locator("main")).to_contain_text("Nobody answered", timeout=15_000)
        await page.locator("main button#ask_again").click()
        await expect(page.locator("main")).to_contain_text("Approval needed", timeout=15_000)
