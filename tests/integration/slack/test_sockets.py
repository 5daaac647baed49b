"""Socket Mode: tickets, several sockets, goodbyes, redelivery; with bare sockets and with the real Bolt."""

import asyncio

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError

from tests.integration.slack.apps import in_socket_mode


class Socket:
    """A bare socket that answers only when a test says so."""

    def __init__(self, ws, hello):
        self.ws, self.hello = ws, hello

    async def envelope(self):
        return await self.ws.receive_json(timeout=5)

    async def ack(self, envelope, payload=None):
        answer = {"envelope_id": envelope["envelope_id"]}
        await self.ws.send_json(answer | ({"payload": payload} if payload is not None else {}))


@pytest.fixture
def open_socket(slack, client, http):
    kept = []  # a socket that nobody holds is closed

    async def opened():
        url = (await client.apps_connections_open(app_token=slack.app_token))["url"]
        ws = await http.ws_connect(url)
        kept.append(ws)
        return Socket(ws, await ws.receive_json(timeout=5))

    return opened


async def test_a_ticket_opens_one_socket(slack, client, http):
    url = (await client.apps_connections_open(app_token=slack.app_token))["url"]
    ws = await http.ws_connect(url)
    assert (await ws.receive_json())["type"] == "hello"

    for used in (url, url.replace("ticket=", "ticket=x")):
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await http.ws_connect(used)
        assert error.value.status == 403


async def test_only_an_app_token_opens_a_connection(slack, client):
    with pytest.raises(SlackApiError) as error:
        await client.apps_connections_open(app_token=slack.bot_token)
    assert error.value.response["error"] == "not_allowed_token_type"


async def test_hello_says_how_many_there_are_and_whose(slack, open_socket):
    first, second = await open_socket(), await open_socket()

    assert (first.hello["num_connections"], second.hello["num_connections"]) == (1, 2)
    assert second.hello["connection_info"] == {"app_id": "A0LOCAL01"}
    assert second.hello["debug_info"]["approximate_connection_time"] > 0


async def test_an_eleventh_socket_is_sent_away(slack, open_socket):
    for _ in range(10):
        await open_socket()

    eleventh = await open_socket()

    assert (eleventh.hello["type"], eleventh.hello["reason"]) == ("disconnect", "too_many_websockets")
    assert slack.sockets.connections == 10


async def test_each_envelope_goes_to_exactly_one_socket(slack, open_socket):
    sockets = [await open_socket() for _ in range(3)]
    heard = []

    async def listen(number, socket):
        while True:
            envelope = await socket.envelope()
            heard.append((number, envelope["envelope_id"]))
            await socket.ack(envelope)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(listen(number, socket)) for number, socket in enumerate(sockets)]
        for _ in range(9):
            assert (await slack.command(slack.people["ada"], "/incident", "help")).is_acked
        for task in tasks:
            task.cancel()

    assert len({envelope for _, envelope in heard}) == len(heard) == 9
    assert {number for number, _ in heard} == {0, 1, 2}


async def test_an_envelope_says_what_it_is_and_whether_an_answer_may_ride_on_the_ack(slack, open_socket):
    socket = await open_socket()
    async with asyncio.TaskGroup() as group:
        command = group.create_task(slack.command(slack.people["ada"], "/incident", "status"))
        envelope = await socket.envelope()
        await socket.ack(envelope, {"text": "all is well"})

    assert (envelope["type"], envelope["accepts_response_payload"]) == ("slash_commands", True)
    assert envelope["payload"]["text"] == "status"
    assert command.result().is_acked
    assert slack.ephemerals(slack.people["ada"])[-1]["text"] == "all is well"

    await slack.say(slack.people["ada"], f"<@{slack.bot_user_id}> help")
    events = [await socket.envelope() for _ in range(2)]
    assert {one["payload"]["event"]["type"] for one in events} == {"message", "app_mention"}
    assert all((one["accepts_response_payload"], one["retry_attempt"]) == (False, 0) for one in events)


async def test_an_event_that_is_not_acknowledged_comes_again_with_its_number_and_reason(slack, open_socket):
    socket = await open_socket()
    slack.workspace.events.put_nowait({"type": "app_mention", "text": "x"})

    seen = [await socket.envelope() for _ in range(3)]
    await socket.ack(seen[-1])

    assert [(one["retry_attempt"], one["retry_reason"]) for one in seen] == [(0, ""), (1, "timeout"), (2, "timeout")]
    assert len({one["payload"]["event_id"] for one in seen}) == 1
    assert len({one["envelope_id"] for one in seen}) == 3
    await slack.until(lambda: len(slack.journal.deliveries("events_api")) == 3)
    assert slack.journal.deliveries("events_api")[-1].answer["acked"]


async def test_an_event_is_given_up_after_three_more_tries(slack, open_socket):
    socket = await open_socket()
    slack.workspace.events.put_nowait({"type": "app_mention", "text": "x"})

    await slack.until(lambda: len(slack.journal.deliveries("events_api")) == 4)

    assert [(await socket.envelope())["retry_attempt"] for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(TimeoutError):
        await socket.ws.receive(timeout=0.4)


async def test_events_that_the_app_did_not_subscribe_to_stay_away(slack, open_socket):
    socket = await open_socket()
    slack.workspace.events.put_nowait({"type": "reaction_added"})

    with pytest.raises(TimeoutError):
        await socket.ws.receive(timeout=0.2)


async def test_nothing_is_queued_while_nobody_is_connected(slack, open_socket):
    ada = slack.people["ada"]
    await slack.say(ada, f"<@{slack.bot_user_id}> help")
    answer = await slack.command(ada, "/incident", "help")
    assert not answer.is_reachable
    assert "dispatch_failed" in slack.notice(ada)
    await slack.until(lambda: len(slack.journal.deliveries("events_api")) == 2)

    socket = await open_socket()

    with pytest.raises(TimeoutError):
        await socket.ws.receive(timeout=0.2)


async def test_a_command_that_is_not_answered_in_time_fails_for_its_person(slack, open_socket):
    await open_socket()

    answer = await slack.command(slack.people["ada"], "/incident", "help")

    assert (answer.is_acked, answer.reason) == (False, "timeout")
    assert "operation_timeout" in slack.notice(slack.people["ada"])


@pytest.mark.parametrize("reason", ["refresh_requested", "link_disabled", "too_many_websockets"])
async def test_a_goodbye_names_its_reason_and_closes(slack, open_socket, reason):
    socket = await open_socket()

    async with asyncio.TaskGroup() as group:
        group.create_task(slack.disconnect(reason))
        told = await socket.envelope()
        assert (await socket.ws.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE

    assert (told["type"], told["reason"]) == ("disconnect", reason)
    await slack.until(lambda: slack.sockets.connections == 0)


async def test_a_warning_closes_nothing_yet(slack, open_socket):
    socket = await open_socket()

    await slack.disconnect("warning")

    assert (await socket.envelope())["reason"] == "warning"
    assert slack.sockets.connections == 1


async def test_a_click_on_a_socket_that_breaks_meanwhile_is_lost_and_said_so(slack, open_socket):
    socket = await open_socket()

    async with asyncio.TaskGroup() as group:
        asked = group.create_task(slack.command(slack.people["ada"], "/incident", "help"))
        await socket.envelope()
        assert await slack.drop_sockets() == 1

    assert asked.result().reason == "connection_lost"


@pytest.mark.parametrize("end", ["refresh_requested", "drop"])
async def test_the_real_bolt_reconnects_after_a_goodbye_and_after_a_cut(slack, client, end):
    app = AsyncApp(client=client)
    app.command("/incident")(_acknowledge)
    async with in_socket_mode(app, slack):
        if end == "drop":
            await slack.drop_sockets()
        else:
            await slack.disconnect(end)
        async with asyncio.timeout(20):
            while not (await slack.command(slack.people["ada"], "/incident", "help")).is_acked:
                await asyncio.sleep(0.05)

    assert len(slack.journal.calls("apps.connections.open")) >= 2


async def test_two_replicas_share_the_envelopes(slack, client):
    heard = []
    apps = [AsyncApp(client=client), AsyncApp(client=client)]
    for number, app in enumerate(apps):
        app.command("/incident")(_noting(heard, number))
    async with in_socket_mode(apps[0], slack), in_socket_mode(apps[1], slack):
        for _ in range(4):
            assert (await slack.command(slack.people["ada"], "/incident", "help")).is_acked

    assert sorted(heard) == [0, 0, 1, 1]


async def _acknowledge(ack):
    await ack()


def _noting(heard, number):
    async def note(ack):
        heard.append(number)
        await ack()

    return note
