"""The six platform APIs, asked of a real server on loopback."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from core.context import ContextGatherer
from core.errors import InvalidInputError, UnavailableError
from core.findings import Gap, IncidentContext
from core.resolution import ActionType, Request
from core.resources import Resource
from core.sources.platform import DEPENDANTS_LIMIT, PlatformSource, _as_text, named_resources, open_platform
from core.sources.platform_client import ATTEMPTS, MAX_BYTES
from tests.servers.processes import free_ports

ALL = ("root causes", "causal chain", "blast radius", "topology", "health", "incidents")
REQUEST = Request("loc-01", "shop", ActionType.POD_RESTART, "Restart deployment checkout", event_id="e-1")
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Platform:
    """Answers each request with `answer`, and keeps the paths as they came, undecoded."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.raw_path)
        return await self._answer(request)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[tuple[Platform, dict[str, PlatformSource]]]:
    platform = Platform(answer)
    app = web.Application()
    app.router.add_route("*", r"/{path:[\s\S]*}", platform.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with open_platform(f"http://127.0.0.1:{port}/") as sources:
            yield platform, {one.name: one for one in sources}
    finally:
        await runner.cleanup()


def always(body: object, *, status: int = 200) -> Answer:
    return in_turn((status, body))


def in_turn(*answers: tuple[int, object]) -> Answer:
    """One after the other; the last one again and again. Text goes out as it is, everything else as JSON."""
    waiting = list(answers)

    async def answer(_request: web.Request) -> web.StreamResponse:
        status, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, content_type="application/json")

    return answer


async def gathered(sources: dict[str, PlatformSource], *, seconds: float = 8) -> IncidentContext:
    chosen = tuple(sources.values())
    gatherer = ContextGatherer(chosen, seconds_per_source=seconds, choose=lambda _request, _workloads: ())
    return await gatherer.gather(REQUEST)


# --- what is asked -----------------------------------------------------------------------------------------------


async def test_each_of_the_six_apis_is_asked_once_at_the_address_of_the_contract():
    async with serving(always({"a": 1})) as (platform, sources):
        context = await gathered(sources)

    assert context.sources == ALL
    assert sorted(platform.asked) == [
        "/api/v1/catalog/topology/loc-01/shop/checkout",
        "/api/v1/health/incidents/loc-01",
        "/api/v1/health/status/loc-01",
        "/api/v1/rca/blast-radius/e-1",
        "/api/v1/rca/causal-chain/e-1",
        "/api/v1/rca/root-causes/loc-01",
    ]
    assert sorted(one.source for one in context.findings) == sorted(ALL)
    assert context.gaps == ()


async def test_without_an_event_its_two_apis_are_not_asked_and_say_so_without_raising_risk():
    request = replace(REQUEST, event_id=None)
    async with serving(always({"a": 1})) as (platform, sources):
        for name in ("causal chain", "blast radius"):
            answer = await sources[name].look(request)
            assert answer.gaps == (Gap(name, "not asked: the request carries no event_id", is_off=True),)

    assert platform.asked == []


async def test_without_a_name_in_the_text_the_topology_is_not_asked_and_says_so():
    async with serving(always({"a": 1})) as (platform, sources):
        answer = await sources["topology"].look(replace(REQUEST, action_description="Everything is slow"))

    assert answer.gaps == (Gap("topology", "not asked: the request's text names no resource", is_off=True),)
    assert platform.asked == []


async def test_the_topology_is_asked_for_the_next_name_where_the_first_is_unknown():
    async with serving(in_turn((404, {"detail": "unknown"}), (200, {"upstream": "orders"}))) as (platform, sources):
        answer = await sources["topology"].look(replace(REQUEST, action_description="roll-out of checkout hangs"))

    assert [path.rpartition("/")[2] for path in platform.asked] == ["roll-out", "checkout"]
    assert "orders" in answer.findings[0].text


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Restart deployment checkout", ("checkout",)),
        ("restart `cart`, please", ("cart",)),
        ("nginx-abc is crashing", ("nginx-abc",)),
        ("checkout: crash loop", ("checkout",)),
        ("kubectl says shop/web-1.", ("web-1",)),
        ("set the image of deploy/web", ("web",)),
        ("Why is the payments service failing?", ("payments", "failing")),
        ("Restart the pods of checkout", ("checkout",)),
        ("Everything is slow", ()),
        ("-- ../.. :", ()),
        ("a-1 b-2 c-3 d-4", ("a-1", "b-2", "c-3")),
    ],
)
def test_names_are_found_in_the_text(text: str, names: tuple[str, ...]):
    assert named_resources(replace(REQUEST, action_description=text)) == names


async def test_an_id_cannot_leave_its_place_in_the_address():
    async with serving(always({"a": 1})) as (platform, sources):
        await sources["health"].look(replace(REQUEST, client_id="../../admin?x=1#y\r\nz"))
        for dots in (".", ".."):
            with pytest.raises(UnavailableError, match="dots"):
                await sources["health"].look(replace(REQUEST, client_id=dots))

    assert platform.asked == ["/api/v1/health/status/..%2F..%2Fadmin%3Fx=1%23y%0D%0Az"]


async def test_redirects_are_not_followed():
    async def elsewhere(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/api/v1/health/status/other")

    async with serving(elsewhere) as (platform, sources):
        with pytest.raises(UnavailableError, match=r"302, a redirect, which is not followed \(health/status\)"):
            await sources["health"].look(REQUEST)

    assert len(platform.asked) == 1


# --- trying again ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_what_may_pass_is_tried_again(status: int):
    async with serving(in_turn((status, "busy"), (200, {"cause": "disk full"}))) as (platform, sources):
        answer = await sources["root causes"].look(REQUEST)

    assert len(platform.asked) == 2
    assert "disk full" in answer.findings[0].text


async def test_the_tries_have_an_end():
    async with serving(always("busy", status=503)) as (platform, sources):
        with pytest.raises(UnavailableError, match=r"answered 503, asked 3 times \(rca/root-causes\)"):
            await sources["root causes"].look(REQUEST)

    assert len(platform.asked) == ATTEMPTS


@pytest.mark.parametrize("status", [400, 401, 403, 408, 429, 500, 501])
async def test_what_does_not_pass_is_not_tried_again(status: int):
    async with serving(always({"error": "x"}, status=status)) as (platform, sources):
        with pytest.raises(UnavailableError, match=rf"The platform answered {status} \(rca/root-causes\)"):
            await sources["root causes"].look(REQUEST)

    assert len(platform.asked) == 1


async def test_what_the_platform_does_not_know_is_said_asked_once_and_no_gap():
    async with serving(always({"detail": "no such client"}, status=404)) as (platform, sources):
        answer = await sources["root causes"].look(REQUEST)

    assert len(platform.asked) == 1
    assert answer.gaps == ()
    assert answer.findings[0].text == "The platform answered 404: it knows nothing of this (rca/root-causes)."


async def test_a_wrong_address_is_a_gap():
    async with serving(always("<html>no such page</html>", status=404)) as (platform, sources):
        with pytest.raises(UnavailableError, match="There is no such API at PLATFORM_URL"):
            await sources["root causes"].look(REQUEST)

    assert len(platform.asked) == 1


# --- what is answered --------------------------------------------------------------------------------------------


async def test_unknown_fields_are_kept_as_text():
    async with serving(always({"confidence": 0.9, "x-new": [{"deep": "Größe"}]})) as (_, sources):
        answer = await sources["root causes"].look(REQUEST)

    (finding,) = answer.findings
    assert (finding.source, finding.title) == ("root causes", "Root causes the platform found")
    assert json.loads(finding.text) == {"confidence": 0.9, "x-new": [{"deep": "Größe"}]}


@pytest.mark.parametrize("body", [{}, [], None, ""])
async def test_an_answer_without_anything_is_no_finding(body: object):
    async with serving(always(json.dumps(body))) as (_, sources):
        assert (await sources["health"].look(REQUEST)).findings == ()


async def test_no_content_is_no_finding():
    async with serving(always("", status=204)) as (_, sources):
        assert (await sources["health"].look(REQUEST)).findings == ()


@pytest.mark.parametrize(
    "body", ["<html>", "", '{"a": ', "[" * 100_000, "1" * 5_000, '{"a": 1} {"b": 2}'], ids=range(6)
)
async def test_garbage_is_said_to_be_no_json(body: str):
    async with serving(always(body)) as (_, sources):
        with pytest.raises(UnavailableError, match=r"something that is not JSON \(health/status\)"):
            await sources["health"].look(REQUEST)


@pytest.mark.parametrize("depth", [100, 900, 3_000])
async def test_a_deeply_nested_answer_is_a_finding_or_said_to_be_no_json(depth: int):
    async with serving(always("[" * depth + "1" + "]" * depth)) as (_, sources):
        context = await gathered({"health": sources["health"]})

    assert len(context.findings) + len(context.gaps) == 1


async def test_a_long_answer_is_cut():
    async with serving(always(["x" * 100] * 5_000)) as (_, sources):
        (finding,) = (await sources["health"].look(REQUEST)).findings

    assert len(finding.text) < 4_100
    assert finding.text.endswith("… (cut)")


async def test_more_than_a_megabyte_is_refused():
    async with serving(always("x" * (MAX_BYTES + 1))) as (_, sources):
        with pytest.raises(UnavailableError, match="more than 1 MB"):
            await sources["health"].look(REQUEST)


async def test_a_megabyte_counts_after_decompression():
    async def bomb(_request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=zlib.compress(b"[" + b" " * 50_000_000 + b"]"), headers={"Content-Encoding": "deflate"}
        )

    async with serving(bomb) as (_, sources):
        with pytest.raises(UnavailableError, match="more than 1 MB"):
            await sources["health"].look(REQUEST)


async def test_a_body_that_is_not_what_its_headers_say_is_a_gap():
    async def broken(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"not compressed", headers={"Content-Encoding": "deflate"})

    async with serving(broken) as (_, sources):
        with pytest.raises(UnavailableError, match="does not answer"):
            await sources["health"].look(REQUEST)


async def test_secrets_and_characters_that_storage_refuses_are_taken_out():
    body = r'{"password": "hunter2-hunter2", "log": "a\u0000b\ud800c\u001bd", "quoted": "\\u0000"}'
    async with serving(always(body)) as (_, sources):
        (finding,) = (await sources["health"].look(REQUEST)).findings

    assert "hunter2" not in finding.text
    assert "\\u0000" not in finding.text
    finding.text.encode()


async def test_the_blast_radius_names_what_depends_on_it():
    body = {
        "root": {"kind": "Deployment", "name": "checkout"},
        "impacted": [
            {"kind": "Deployment", "name": "web", "score": 1},
            {
                "type": "service",
                "name": "cart",
                "namespace": "other",
                "children": [{"kind": "DaemonSet", "name": "agent"}],
            },
            {"kind": "Deployment", "name": "web"},
            {"kind": "Deployment", "name": "../../etc"},
            {"kind": "Deployment", "name": 7},
            {"kind": "Deployment", "name": "x", "namespace": {"a": 1}},
            {"kind": "Planet", "name": "mars"},
        ],
    }
    async with serving(always(body)) as (_, sources):
        answer = await sources["blast radius"].look(REQUEST)

    expected = {Resource("Deployment", "web", "shop"), Resource("Service", "cart", "other")}
    assert set(answer.dependants) == expected | {Resource("DaemonSet", "agent", "shop")}
    assert len(answer.dependants) == 3


async def test_no_more_than_fifty_dependants_are_taken():
    async with serving(always([{"kind": "Service", "name": f"s{number}"} for number in range(60)])) as (_, sources):
        answer = await sources["blast radius"].look(REQUEST)

    assert len(answer.dependants) == DEPENDANTS_LIMIT


def test_of_what_is_nested_deeper_than_python_can_write_the_beginning_is_kept():
    # Python's C reader goes deeper than its writer
    answer: list[object] = []
    for _ in range(5_000):
        answer = [answer]

    assert _as_text(answer).startswith("[\n [\n  [")


# --- off, away, slow ---------------------------------------------------------------------------------------------


async def test_without_an_address_all_six_are_off_and_say_so():
    async with open_platform(None) as sources:
        context = await gathered({one.name: one for one in sources})

    assert context.gaps == tuple(Gap(name, "PLATFORM_URL is not set", is_off=True) for name in ALL)


@pytest.mark.parametrize("url", ["", "platform", "ftp://h", "http://", "http://[::1", "http://h:x", "http://h/?a=1"])
async def test_what_is_no_address_is_refused_at_the_start(url: str):
    with pytest.raises(InvalidInputError, match="PLATFORM_URL"):
        async with open_platform(url):
            pass


async def test_a_platform_that_is_away_is_six_gaps():
    (port,) = free_ports(1)
    async with open_platform(f"http://127.0.0.1:{port}") as sources:
        context = await gathered({one.name: one for one in sources})

    assert [gap.source for gap in context.gaps] == list(ALL)
    assert context.gaps[0].reason == "The platform does not answer (rca/root-causes, ClientConnectorError)."


async def test_a_slow_api_is_a_gap_and_the_others_are_told():
    async def slow_health(request: web.Request) -> web.StreamResponse:
        if "/health/status/" in request.path:
            await asyncio.sleep(30)
        return web.json_response({"a": 1})

    async with serving(slow_health) as (_, sources):
        context = await gathered(sources, seconds=0.5)

    assert context.gaps == (Gap("health", "no answer in 0.5 s"),)
    assert len(context.findings) == 5


async def test_an_answer_that_trickles_is_a_gap():
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1_000):
            await response.write(b" ")
            await asyncio.sleep(0.01)
        return response

    async with serving(trickle) as (_, sources):
        context = await gathered({"health": sources["health"]}, seconds=0.5)

    assert context.gaps == (Gap("health", "no answer in 0.5 s"),)


async def test_an_api_that_fails_is_a_gap_that_names_it_and_its_status():
    async with serving(always({}, status=500)) as (_, sources):
        context = await gathered({"incidents": sources["incidents"]})

    assert context.gaps == (Gap("incidents", "The platform answered 500 (health/incidents)."),)
