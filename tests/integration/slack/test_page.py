"""The local Slack's page in a real browser, with a real Bolt app behind it."""

import asyncio

import pytest
from playwright.async_api import expect

from tests.integration.slack.apps import BUTTONS, HEADER, SPEED, mrkdwn, open_small_app, section
from tests.scenario.browser import chromium, open_browser, page_folder
from tests.servers.parts import require


@pytest.fixture(scope="module")
def browser():
    return require(chromium)


@pytest.fixture(scope="module")
def built_page():
    return require(page_folder)


@pytest.fixture
async def at_page(browser, built_page):
    async with open_small_app(built_page) as app, open_browser(browser) as page:
        page.set_default_timeout(10_000)
        await page.goto(app.slack.page_url)
        await expect(page.locator("main")).to_be_visible()
        yield app, page


def message(page, ts):
    return page.locator(f'[data-ts="{ts}"]')


async def write(page, label, text):
    await page.get_by_label(label).fill(text)
    await page.keyboard.press("Enter")


async def test_a_message_appears_with_its_sender_and_its_blocks(at_page):
    app, page = at_page

    ts = await app.post(HEADER, section("*Asked by* <@U0LINUSDEV>"), BUTTONS)

    shown = message(page, ts)
    await expect(shown.get_by_role("heading", name="Approval needed")).to_be_visible()
    await expect(shown).to_contain_text("Incident Resolver")
    await expect(shown.locator(".badge")).to_have_text("APP")
    await expect(shown).to_contain_text("@linus")
    await expect(shown.locator("button#approve")).to_be_enabled()
    assert await page.title() == "#incidents · Local Slack"


async def test_escaped_text_is_shown_as_it_is_and_mentions_nobody(at_page):
    app, page = at_page

    ts = await app.post(section("&lt;!channel&gt; a &lt; b &amp;&amp; c -&gt; `&lt;none&gt;` &lt;@U0ADAONCAL&gt;"))

    await expect(message(page, ts)).to_contain_text("a < b && c -> <none>")
    shown = (await message(page, ts).inner_text()).replace("\N{WORD JOINER}", "")
    assert "<!channel> a < b" in shown
    assert "<@U0ADAONCAL>" in shown


async def test_a_button_asks_first_and_is_delivered_only_after_yes(at_page):
    app, page = at_page
    ts = await app.post(HEADER, BUTTONS)
    approve = message(page, ts).locator("button#approve")

    await approve.click()
    await expect(page.locator("[data-confirm]")).to_contain_text("It restarts checkout.")
    await page.locator("[data-confirm-no]").click()
    await approve.click()
    await page.keyboard.press("Escape")
    await expect(page.locator("[data-confirm]")).to_have_count(0)
    assert app.told == []

    await approve.click()
    await page.locator("[data-confirm-yes]").click()
    await expect(approve).to_be_disabled()
    app.may_answer.set()
    await expect(approve).to_be_enabled()

    [told] = app.told
    [action] = told["actions"]
    assert (told["user"]["id"], told["container"]["message_ts"]) == (app.slack.people["ada"], ts)
    assert (action["action_id"], action["value"]) == ("approve", "signed")
    assert action["block_id"] == app.slack.message(ts)["blocks"][1]["block_id"]


async def test_a_click_that_the_app_does_not_answer_is_told_as_such(at_page):
    app, page = at_page
    ts = await app.post(HEADER, BUTTONS)

    await message(page, ts).locator("button#approve").click()
    await page.locator("[data-confirm-yes]").click()

    await expect(page.locator("[data-notice]")).to_contain_text("did not answer (operation_timeout)")
    await page.get_by_label("Dismiss").click()
    await expect(page.locator("[data-notice]")).to_have_count(0)


async def test_a_modal_says_what_is_missing_and_submits_what_was_entered(at_page):
    app, page = at_page
    ts = await app.post(HEADER, BUTTONS)
    await message(page, ts).locator("button#reject").click()
    modal = page.locator("[data-modal=reject_form]")
    await modal.get_by_label("Reason").fill("no")
    await modal.locator("[data-submit]").click()
    await expect(modal.get_by_role("alert")).to_have_text(
        ["Please enter at least 5 characters.", *["Please complete this required field."] * 2]
    )

    await modal.get_by_label("Reason").fill("not during\nthe sale")
    await modal.get_by_label("Severity").select_option("high")
    await modal.get_by_label("Freeze").check()
    await modal.locator("[data-submit]").click()
    await expect(modal).to_have_count(0)

    entered = {key: state for block in app.told[-1]["view"]["state"]["values"].values() for key, state in block.items()}
    assert entered["reason"]["value"] == "not during\nthe sale"
    assert entered["severity"]["selected_option"]["value"] == "high"
    assert [one["value"] for one in entered["after"]["selected_options"]] == ["freeze"]
    assert entered["when"]["selected_date"] == "2026-03-01"


async def test_escape_closes_a_modal_and_sends_nothing(at_page):
    app, page = at_page
    ts = await app.post(HEADER, BUTTONS)
    await message(page, ts).locator("button#reject").click()
    await expect(page.locator("[data-modal]")).to_be_visible()

    await page.keyboard.press("Escape")

    await expect(page.locator("[data-modal]")).to_have_count(0)
    assert app.slack.view(app.slack.people["ada"]) is None
    assert [told["type"] for told in app.told] == ["block_actions"]


async def test_a_select_on_a_message_tells_the_app_what_was_chosen(at_page):
    app, page = at_page
    ts = await app.post({"type": "section", "text": mrkdwn("How fast?"), "accessory": SPEED})

    await message(page, ts).locator("select").select_option("slow")

    told = await app.slack.until(lambda: app.told and app.told[0])
    assert told["actions"][0]["selected_option"]["value"] == "slow"


async def test_a_slash_command_is_sent_whole_and_its_answer_shown_to_its_person_alone(at_page):
    app, page = at_page

    await write(page, "Message #incidents", "/incident resolve  pod_restart shop")

    answer = page.locator("main .ephemeral")
    await expect(answer).to_contain_text("Only visible to you")
    await expect(answer).to_contain_text("You asked: resolve  pod_restart shop")
    assert (app.told[0]["command"], app.told[0]["text"]) == ("/incident", "resolve  pod_restart shop")
    await page.get_by_label("You are").select_option(app.slack.people["linus"])
    await expect(answer).to_have_count(0)
    await page.get_by_label("You are").select_option(app.slack.people["ada"])
    await expect(answer).to_have_count(1)


@pytest.mark.parametrize("typed", ["/incidnet help", "/shrug"])
async def test_a_command_that_is_not_there_is_neither_sent_nor_said(at_page, typed):
    app, page = at_page

    await write(page, "Message #incidents", typed)

    await expect(page.locator("[data-notice]")).to_contain_text("is not a command here")
    await expect(page.get_by_label("Message #incidents")).to_have_value(typed)
    assert app.told == []
    assert app.slack.messages() == []


async def test_what_is_said_is_escaped_and_names_become_mentions(at_page):
    app, page = at_page

    await write(page, "Message #incidents", "@incident-resolver look, @linus: a < b & <!channel> mail@linus.org")

    [said] = await app.slack.until(app.slack.messages)
    bot, linus = app.slack.bot_user_id, app.slack.people["linus"]
    assert said["text"] == f"<@{bot}> look, <@{linus}>: a &lt; b &amp; &lt;!channel&gt; mail@linus.org"
    assert said["user"] == app.slack.people["ada"]
    await expect(message(page, said["ts"])).to_contain_text("@incident-resolver look, @linus: a < b & <")


async def test_a_thread_opens_by_itself_and_replies_go_into_it(at_page):
    app, page = at_page
    root = await app.post(HEADER, BUTTONS)
    await expect(page.locator("[data-thread]")).to_have_count(0)

    reply = await app.post(text="The agent starts.", thread_ts=root)

    thread = page.locator(f'[data-thread="{root}"]')
    await expect(thread.locator(f'[data-ts="{reply}"]')).to_contain_text("The agent starts.")
    await expect(page.locator("main")).not_to_contain_text("The agent starts.")
    await write(page, "Reply", "thank you")
    await expect(thread).to_contain_text("thank you")
    assert [one["text"] for one in app.slack.thread(root)] == ["The agent starts.", "thank you"]
    await write(page, "Reply", "/incident status")
    await expect(page.locator("[data-notice]")).to_contain_text("not supported in threads")
    await page.get_by_label("Close the thread").click()
    await expect(thread).to_have_count(0)
    await page.get_by_role("button", name="2 replies").click()
    await expect(thread).to_be_visible()


async def test_a_newer_thread_does_not_take_the_place_of_one_that_is_written_in(at_page):
    app, page = at_page
    first = await app.post(text="first")
    await app.post(text="a reply", thread_ts=first)
    await page.get_by_label("Reply").fill("half a sent")

    second = await app.post(text="second")
    await app.post(text="another reply", thread_ts=second)

    await expect(message(page, second)).to_contain_text("1 reply")
    await expect(page.locator(f'[data-thread="{first}"]')).to_be_visible()
    await expect(page.get_by_label("Reply")).to_have_value("half a sent")


async def test_an_edited_message_says_so(at_page):
    app, page = at_page
    ts = await app.post(text="frist")

    await app.client.chat_update(channel=app.slack.channel_id, ts=ts, text="first")

    await expect(message(page, ts)).to_contain_text("first(edited)")


async def test_a_block_that_cannot_be_drawn_is_named_in_its_place(at_page):
    app, page = at_page
    cell = {"type": "raw_text", "text": "cell"}
    table = {"type": "data_table", "caption": "numbers", "rows": [[cell], [cell]]}

    ts = await app.post(section("before"), table, section("after"))

    await expect(message(page, ts).locator(".content")).to_have_text("beforeThis page cannot draw “data_table”.after")


async def test_long_lines_of_code_are_seen_whole_and_do_not_widen_the_page(at_page):
    app, page = at_page

    ts = await app.post(section(f"```{'x' * 400}```\n`{'y' * 400}`"))

    await expect(message(page, ts)).to_contain_text("yyy")
    widths = "node => [node.scrollWidth, node.clientWidth]"
    for place in ("html", "main .list"):
        shown, has = await page.locator(place).evaluate(widths)
        assert shown <= has, place
    shown, has = await message(page, ts).locator("code").first.evaluate(widths)
    assert shown <= has


async def test_an_incident_of_the_side_bar_is_played_by_whoever_clicks_it(at_page):
    app, page = at_page
    played = []
    app.slack.on_play = played.append
    app.slack.incidents = [{"name": "crash", "title": "A crash", "command": "/incident resolve pod_restart shop x"}]
    app.slack.workspace.note_change()
    await page.get_by_label("You are").select_option(app.slack.people["linus"])

    await page.get_by_role("button", name="A crash").click()

    told = await app.slack.until(lambda: app.told and app.told[0])
    assert (told["user_id"], told["text"]) == (app.slack.people["linus"], "resolve pod_restart shop x")
    assert played == ["crash"]


async def test_the_page_asks_nothing_of_anybody_but_its_server(at_page):
    app, page = at_page
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    await page.reload()
    ts = await app.post(HEADER, BUTTONS)
    await message(page, ts).locator("button#reject").click()
    await expect(page.locator("[data-modal]")).to_be_visible()

    assert len(asked) > 3
    assert [url for url in asked if not url.startswith((app.slack.page_url, "data:"))] == []


async def test_a_narrow_window_keeps_the_cards_in_sight_and_opens_a_thread_when_asked(at_page):
    app, page = at_page
    await page.set_viewport_size({"width": 420, "height": 850})
    await page.reload()
    ts = await app.post(HEADER, section("x" * 200), BUTTONS)
    await app.slack.say(app.slack.people["ada"], "on it", thread_ts=ts)

    await expect(message(page, ts).locator(".replies")).to_be_visible()
    await expect(page.locator("[data-thread]")).to_have_count(0)
    shown, has = await page.locator("html").evaluate("node => [node.scrollWidth, node.clientWidth]")
    assert shown <= has
    await message(page, ts).locator(".replies").click()
    await expect(page.locator("[data-thread]")).to_contain_text("on it")


async def test_the_page_follows_the_readers_choice_of_dark_or_light(at_page):
    app, page = at_page
    ts = await app.post(section("words"))
    colours = "node => [getComputedStyle(document.body).backgroundColor, getComputedStyle(node).color]"

    async def brightness():
        background, ink = await message(page, ts).get_by_text("words").evaluate(colours)
        return [sum(int(one) for one in colour[4:-1].split(",")[:3]) for colour in (background, ink)]

    await expect(message(page, ts)).to_contain_text("words")
    background, ink = await brightness()
    assert background > ink
    await page.emulate_media(color_scheme="dark")
    async with asyncio.timeout(10):
        while background >= ink or ink < 400:  # the page hears of the change and draws anew
            background, ink = await brightness()
