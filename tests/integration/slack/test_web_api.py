"""The local Slack's Web API, called by the real slack_sdk."""

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from tests.integration.slack.apps import BUTTONS, HEADER, section

METADATA = {"event_type": "incident_resolver", "event_payload": {"nonce": "n-1", "seq": 0}}


async def refused(call):
    with pytest.raises(SlackApiError) as error:
        await call
    return error.value.response


async def test_query_form_and_json_are_merged_into_one_call(slack, http):
    url, headers = f"{slack.api_url}api.test", {"Authorization": f"Bearer {slack.bot_token}"}

    async with http.post(f"{url}?a=1&b=1", json={"b": 2, "c": 2}, headers=headers) as answer:
        assert (await answer.json())["args"] == {"a": "1", "b": 2, "c": 2}
    async with http.post(f"{url}?a=1", data={"b": "2"}, headers=headers) as answer:
        assert (await answer.json())["args"] == {"a": "1", "b": "2"}
    async with http.get(f"{url}?a=1", headers=headers) as answer:
        assert (await answer.json())["args"] == {"a": "1"}


async def test_every_way_in_which_the_sdk_sends_is_understood(slack, client):
    """JSON for chat.*, a query string for reactions.add and conversations.open, GET for what only reads."""
    sent = await client.chat_postMessage(channel=slack.channel_id, text="a card", blocks=[HEADER, BUTTONS])
    await client.reactions_add(channel=slack.channel_id, timestamp=sent["ts"], name="eyes")
    opened = await client.conversations_open(users=[slack.people["ada"]])
    listed = await client.conversations_list(types="public_channel,im")
    found = await client.users_lookupByEmail(email="ada@example.com")
    group = await client.usergroups_users_list(usergroup=slack.usergroup_id)

    assert slack.message(sent["ts"])["reactions"][0]["name"] == "eyes"
    assert opened["channel"]["id"] in [one["id"] for one in listed["channels"]]
    assert found["user"]["id"] == slack.people["ada"]
    assert group["users"] == [slack.people["ada"]]


async def test_lists_come_in_pages(slack, client):
    for number in range(5):
        await client.chat_postMessage(channel=slack.channel_id, text=str(number))

    first = await client.conversations_history(channel=slack.channel_id, limit=2)
    cursor = first["response_metadata"]["next_cursor"]
    second = await client.conversations_history(channel=slack.channel_id, limit=2, cursor=cursor)
    members = [page["members"] async for page in await client.conversations_members(channel=slack.channel_id, limit=3)]

    assert [one["text"] for one in first["messages"]] == ["4", "3"]
    assert first["has_more"]
    assert [one["text"] for one in second["messages"]] == ["2", "1"]
    assert len(members) == 3
    assert {one for page in members for one in page} == set(slack.people.values())


@pytest.mark.parametrize(
    ("method", "given", "error"),
    [
        ("chat.postMessage", {"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "C0INCIDENTS"}, "no_text"),
        ("chat.postMessage", {"channel": "C0INCIDENTS", "text": "x" * 40_001}, "msg_too_long"),
        ("chat.postMessage", {"channel": "C0INCIDENTS", "text": "x", "thread_ts": "1.1"}, "thread_not_found"),
        ("chat.postMessage", {"channel": "C0INCIDENTS", "text": "x", "metadata": {"a": 1}}, "invalid_metadata_schema"),
        ("chat.update", {"channel": "C0INCIDENTS", "ts": "1.1", "text": "x"}, "message_not_found"),
        ("chat.postEphemeral", {"channel": "C0GENERAL1", "user": "U0GUSGUEST", "text": "x"}, "user_not_in_channel"),
        ("conversations.history", {"channel": "C0INCIDENTS", "cursor": "?"}, "invalid_cursor"),
        ("users.info", {"user": "U0NOBODY"}, "user_not_found"),
        ("users.info", {}, "invalid_arguments"),
        ("views.open", {"view": {"type": "modal"}, "trigger_id": "1"}, "invalid_arguments"),
        ("usergroups.users.list", {"usergroup": "S0NOBODY"}, "no_such_subteam"),
        ("cards.post", {}, "unknown_method"),
    ],
)
async def test_what_slack_refuses_is_ok_false_with_its_name_and_http_200(client, method, given, error):
    answer = await refused(client.api_call(method, json=given))

    assert (answer.status_code, answer["ok"], answer["error"]) == (200, False, error)


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        ("{", "application/json", "invalid_json"),
        ("[1]", "application/json", "json_not_object"),
        ("x", "text/plain", "invalid_post_type"),
    ],
)
async def test_a_body_that_cannot_be_read_is_named(slack, http, body, kind, error):
    headers = {"Authorization": f"Bearer {slack.bot_token}", "Content-Type": kind}

    async with http.post(f"{slack.api_url}api.test", data=body, headers=headers) as answer:
        assert (await answer.json())["error"] == error


@pytest.mark.parametrize(
    ("token", "method", "error"),
    [
        ("xoxb-another", "auth.test", "invalid_auth"),
        ("", "auth.test", "not_authed"),
        ("bot", "apps.connections.open", "not_allowed_token_type"),
        ("app", "auth.test", "not_allowed_token_type"),
    ],
)
async def test_a_token_opens_only_what_it_is_for(slack, http, token, method, error):
    token = {"bot": slack.bot_token, "app": slack.app_token}.get(token, token)
    other = AsyncWebClient(token or None, base_url=slack.api_url, session=http, retry_handlers=[])

    assert (await refused(other.api_call(method)))["error"] == error


async def test_the_scopes_of_the_token_stand_in_the_headers(client):
    told = await client.auth_test()

    assert "chat:write" in told.headers["x-oauth-scopes"].split(",")
    assert told["user_id"] == "U0APPBOT1"


async def test_a_rate_limit_is_429_with_retry_after_and_the_sdk_waits_for_it(slack, client):
    slack.fault("chat.postMessage", "429", 1, times=2)
    answer = await refused(client.chat_postMessage(channel=slack.channel_id, text="x"))
    assert (answer.status_code, answer["error"], answer.headers["Retry-After"]) == (429, "ratelimited", "1")

    client.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=2))
    await client.chat_postMessage(channel=slack.channel_id, text="x")

    assert [one["text"] for one in slack.messages()] == ["x"]
    assert len(slack.journal.calls("chat.postMessage")) == 3


async def test_faults_strike_before_or_after_the_effect_as_ordered(slack, client):
    slack.fault("chat.postMessage", "error", "internal_error")
    assert (await refused(client.chat_postMessage(channel=slack.channel_id, text="1")))["error"] == "internal_error"
    assert slack.messages() == []

    slack.fault("chat.postMessage", "error", "internal_error", after_effect=True)
    await refused(client.chat_postMessage(channel=slack.channel_id, text="2"))
    assert [one["text"] for one in slack.messages()] == ["2"]


async def test_what_stands_before_slack_answers_503_without_json(slack, http):
    slack.fault("api.test", "503")
    headers = {"Authorization": f"Bearer {slack.bot_token}"}

    async with http.post(f"{slack.api_url}api.test", headers=headers) as answer:
        assert (answer.status, answer.content_type) == (503, "text/html")
    async with http.post(f"{slack.api_url}api.test", headers=headers) as answer:
        assert answer.status == 200


async def test_a_slack_that_is_away_refuses_and_cuts_connections_and_comes_back_to_its_port(slack, client, http):
    await client.api_test()
    opened = await client.apps_connections_open(app_token=slack.app_token)
    async with http.ws_connect(opened["url"]) as socket:
        await socket.receive_json()
        async with slack.away():
            with pytest.raises(aiohttp.ClientError):
                await client.api_test()
            assert (await socket.receive()).type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
            assert not (await slack.command(slack.people["ada"], "/incident", "help")).is_acked

    assert (await client.api_test())["ok"]


async def test_metadata_is_kept_and_shown_only_to_who_asks_for_it(slack, client):
    sent = await client.chat_postMessage(channel=slack.channel_id, text="a card", metadata=METADATA)
    reply = await client.chat_postMessage(
        channel=slack.channel_id, text="a reply", thread_ts=sent["ts"], metadata=METADATA
    )

    bare = await client.conversations_history(channel=slack.channel_id)
    whole = await client.conversations_history(channel=slack.channel_id, include_all_metadata=True)
    thread = await client.conversations_replies(channel=slack.channel_id, ts=sent["ts"], include_all_metadata=True)

    assert "metadata" not in bare["messages"][0]
    assert whole["messages"][0]["metadata"] == METADATA
    assert [(one["ts"], one["metadata"]) for one in thread["messages"]] == [
        (sent["ts"], METADATA),
        (reply["ts"], METADATA),
    ]


async def test_an_update_keeps_metadata_that_it_does_not_name_and_replaces_what_it_names(slack, client):
    sent = await client.chat_postMessage(channel=slack.channel_id, text="a card", metadata=METADATA, blocks=[HEADER])
    await client.chat_update(channel=slack.channel_id, ts=sent["ts"], text="another card")
    kept = slack.message(sent["ts"])
    await client.chat_update(channel=slack.channel_id, ts=sent["ts"], text="x", blocks=[section("new")])

    assert (kept["text"], kept["metadata"], kept["blocks"][0]["type"]) == ("another card", METADATA, "header")
    assert slack.message(sent["ts"])["blocks"][0]["type"] == "section"


async def test_an_app_changes_its_own_messages_only(slack, client):
    ts = await slack.say(slack.people["ada"], "hello")

    update = client.chat_update(channel=slack.channel_id, ts=ts, text="x")
    assert (await refused(update))["error"] == "cant_update_message"
    assert (await refused(client.chat_delete(channel=slack.channel_id, ts=ts)))["error"] == "cant_delete_message"


async def test_ephemerals_are_seen_by_one_person_and_stand_in_no_history(slack, client):
    ada, linus = slack.people["ada"], slack.people["linus"]
    sent = await client.chat_postEphemeral(channel=slack.channel_id, user=ada, text="only you", metadata=METADATA)

    history = await client.conversations_history(channel=slack.channel_id)
    changed = await refused(client.chat_update(channel=slack.channel_id, ts=sent["message_ts"], text="x"))

    assert [one["text"] for one in slack.ephemerals(ada)] == ["only you"]
    assert slack.ephemerals(linus) == []
    assert history["messages"] == []
    assert changed["error"] == "message_not_found"
    slack.workspace.forget_ephemerals(ada)
    assert slack.ephemerals(ada) == []
