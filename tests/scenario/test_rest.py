"""The REST contract against the running demo: fields, words and every refused path."""

import asyncio
import gzip
import io
import json
import shutil
import subprocess
import uuid
import zlib

import pytest

from core.resolution import State
from tests.scenario.conftest import Play, playing

BASE = "/api/v1/incident"
CONTRACT = {
    "client_id": "loc-01",
    "namespace": "buglab",
    "action_type": "pod_restart",
    "action_description": "Restart failed nginx pods",
}


async def asked(play: Play, **changes) -> dict:
    status, answer = await play.post(f"{BASE}/resolve", CONTRACT | changes)
    assert status == 200, answer
    return answer


async def test_the_contracts_example_is_asked_approved_done_and_told(play):
    answer = await asked(play)
    assert answer["status"] == "awaiting_approval"
    assert answer["requires_approval"] is True
    assert answer["risk_level"] in {"MEDIUM", "HIGH"}
    assert answer["risk_factors"]
    assert answer["estimated_impact"]
    assert answer["mitigation_steps"]
    assert {"kind", "name", "namespace"} == set(answer["affected_resources"][0])

    status, pending = await play.get(f"{BASE}/pending-approvals")
    assert (status, pending["count"]) == (200, 1)
    assert pending["pending_approvals"][0]["approval_id"] == answer["approval_id"]

    status, decided = await play.post(
        f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve", "reason": "known"}
    )
    assert status == 200
    assert decided["resolution_id"] == answer["resolution_id"]
    assert (decided["status"], decided["approval_id"]) == ("approved", answer["approval_id"])
    await play.until_state(answer["resolution_id"], State.COMPLETED)

    status, told = await play.get(f"{BASE}/status/{answer['resolution_id']}")
    assert status == 200
    assert told["status"] == "completed"
    assert (told["client_id"], told["namespace"], told["action_type"]) == ("loc-01", "buglab", "pod_restart")
    assert set(told["token_usage"]) >= {"total_tokens", "cost_usd", "percent_used"}
    assert told["token_usage"]["total_tokens"] > 0
    assert told["execution_result"]["success"] is True
    assert any(line.startswith("kubectl delete pod nginx-") for line in told["execution_result"]["commands_executed"])
    assert uuid.UUID(told["snapshot_id"])
    assert told["created_at"].endswith("Z")
    assert told["decision"]["by"] == "demo"

    status, history = await play.get(f"{BASE}/history?client_id=loc-01&status=completed&limit=1")
    assert (status, history["count"]) == (200, 1)
    assert history["history"][0]["resolution_id"] == answer["resolution_id"]
    assert history["next_cursor"]
    status, rest = await play.get(f"{BASE}/history?cursor={history['next_cursor']}")
    assert (status, rest["count"]) == (200, 0)


async def test_history_is_read_page_by_page_and_between_two_times_of_its_items(play):
    for number in range(5):
        await asked(play, client_id=f"c{number % 2}")
    _, whole = await play.get(f"{BASE}/history")
    ids = [one["resolution_id"] for one in whole["history"]]

    read, cursor = [], ""
    while cursor is not None:
        _, page = await play.get(f"{BASE}/history?limit=2{cursor}")
        read += [one["resolution_id"] for one in page["history"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert (read, len(ids)) == (ids, 5)

    newest, oldest = whole["history"][1]["created_at"], whole["history"][3]["created_at"]
    _, between = await play.get(f"{BASE}/history?since={oldest}&until={newest}")
    assert [one["resolution_id"] for one in between["history"]] == ids[1:4]
    _, one_client = await play.get(f"{BASE}/history?client_id=c1&status=awaiting_approval&namespace=buglab")
    assert {one["client_id"] for one in one_client["history"]} == {"c1"}
    assert one_client["count"] == 2


async def test_a_rollback_is_tried_first_and_then_done(play):
    body = {"namespace": "orders", "action_type": "resource_scale", "action_description": "orders-api: queue is full"}
    answer = await asked(play, **body)
    await play.post(f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve"})
    done = await play.until_state(answer["resolution_id"], State.COMPLETED)
    snapshot = done.resolution.snapshot_id

    status, tried = await play.post(f"{BASE}/rollback", {"snapshot_id": snapshot, "dry_run": True})
    assert status == 200
    assert (tried["snapshot_id"], tried["dry_run"], tried["success"]) == (snapshot, True, True)
    assert (tried["commands_executed"], tried["errors"]) == (0, [])
    assert tried["results"][0]["command"].startswith("kubectl ")
    assert tried["results"][0]["status"] == "success"

    status, undone = await play.post(f"{BASE}/rollback", {"snapshot_id": snapshot})
    assert (status, undone["success"], undone["commands_executed"]) == (200, True, 1)
    (deployment,) = play.stage.simulator.objects.of("Deployment", "orders")
    assert deployment["spec"]["replicas"] == 2

    status, _ = await play.post(f"{BASE}/rollback", {"snapshot_id": snapshot})
    assert status == 409


async def test_a_snapshot_that_met_a_foreign_edit_is_a_conflict_that_overwrites_nothing(play):
    body = {"namespace": "orders", "action_type": "resource_scale", "action_description": "orders-api: queue is full"}
    answer = await asked(play, **body)
    await play.post(f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve"})
    done = await play.until_state(answer["resolution_id"], State.COMPLETED)
    objects = play.stage.simulator.objects
    (deployment,) = objects.of("Deployment", "orders")
    objects.put({**deployment, "spec": {**deployment["spec"], "replicas": 7}})

    status, undone = await play.post(f"{BASE}/rollback", {"snapshot_id": done.resolution.snapshot_id})

    assert (status, undone["success"]) == (200, False)
    assert undone["results"][0]["status"] == "conflict"
    assert "replicas" in undone["errors"][0]
    (deployment,) = objects.of("Deployment", "orders")
    assert deployment["spec"]["replicas"] == 7


async def test_an_investigation_is_approved_by_policy(play):
    answer = await asked(
        play, namespace="payments", action_type="investigation", action_description="payments-api slow"
    )
    assert (answer["requires_approval"], answer["approval_id"]) == (False, None)
    assert answer["status"] in {"approved", "executing", "verifying", "completed"}


async def test_a_rejection_by_rest_ends_it(play):
    answer = await asked(play)
    status, told = await play.post(
        f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "reject", "reason": "no"}
    )
    assert (status, told["status"]) == (200, "rejected")
    card = await play.card("Rejected")
    assert "no" in str(card["blocks"])


async def test_interrupting_before_execution_cancels_and_afterwards_is_refused(play):
    answer = await asked(play)
    status, told = await play.post(f"{BASE}/interrupt/{answer['resolution_id']}", {"reason": "wrong namespace"})
    assert (status, told["status"]) == (200, "cancelled")
    status, problem = await play.post(f"{BASE}/interrupt/{answer['resolution_id']}")
    assert status == 409
    assert "cancelled" in problem["detail"]


async def test_interrupting_a_running_agent_waits_until_it_is_gone(play):
    answer = await asked(play)
    await play.post(f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve"})
    await play.until_state(answer["resolution_id"], State.EXECUTING)
    status, told = await play.post(f"{BASE}/interrupt/{answer['resolution_id']}", {"reason": "enough"})
    assert (status, told["status"]) == (200, "interrupted")
    assert told["message"].startswith("Interrupted by demo: enough. ")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"client_id": ""}, "client_id"),
        ({"client_id": None}, "client_id"),
        ({"namespace": "Bad_Name"}, "namespace"),
        ({"namespace": "a" * 64}, "namespace"),
        ({"action_type": "reboot"}, "action_type"),
        ({"action_description": ""}, "action_description"),
        ({"action_description": "x" * 4001}, "action_description"),
        ({"time_window_hours": 0}, "time_window_hours"),
        ({"time_window_hours": 169}, "time_window_hours"),
        ({"token_limit": 0}, "token_limit"),
        ({"token_limit": 2_000_001}, "token_limit"),
        ({"token_limit": 100_001}, "token_limit"),
        ({"auto_approve": "perhaps"}, "auto_approve"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_a_wrong_body_is_a_400_that_names_the_field(play, changes, field):
    status, problem = await play.post(f"{BASE}/resolve", CONTRACT | changes)
    assert status == 400, problem
    assert field in json.dumps(problem)
    assert problem["status"] == 400
    assert {"type", "title", "detail"} <= set(problem)


async def test_what_is_no_json_object_is_a_400(play):
    url = f"{play.stage.assembled.service.url}{BASE}/resolve"
    for raw in (b"", b"[]", b"{", b"\xff\xfe", b"null", b"[" * 50_000):
        async with play.http.post(url, data=raw, headers={"Content-Type": "application/json"}) as answer:
            assert answer.status == 400, raw[:10]
            assert answer.content_type == "application/problem+json"
    async with play.http.post(
        url, data=io.BytesIO(b'{"a": "' + b"x" * 1_100_000), headers={"Content-Type": "application/json"}
    ) as answer:
        assert answer.status == 413
    for kind in ("application/x-www-form-urlencoded", "text/plain", "text/json", "multipart/form-data; boundary=x"):
        async with play.http.post(url, data=json.dumps(CONTRACT), headers={"Content-Type": kind}) as answer:
            assert (answer.status, (await answer.json())["field"]) == (400, "Content-Type")


async def test_a_packed_body_is_unpacked_bounded_or_refused(play):
    url = f"{play.stage.assembled.service.url}{BASE}/resolve"
    packed = gzip.compress(json.dumps(CONTRACT).encode())
    for raw, encoding, expected in (
        (packed, "gzip", 200),
        (gzip.compress(b" " * 50_000_000), "gzip", 413),
        (b"no gzip", "gzip", 400),
        (zlib.compress(b"{}"), "deflate", 415),
        (b"{}", "br", 415),
        (b"{}", "zstd", 415),
    ):
        headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
        async with play.http.post(url, data=raw, headers=headers) as answer:
            assert answer.status == expected, (encoding, await answer.text())
            if expected != 200:
                assert answer.headers["Content-Type"] == "application/problem+json"


async def test_nothing_that_a_person_can_write_is_an_error_of_ours(play):
    answer = await asked(play)
    url = f"{BASE}/approve/{answer['approval_id']}"
    odd = "\x00\x1f\x7f\u2028\ufeff\U0001f600'; DROP TABLE approval; --"
    wrong = (
        {"approved_by": odd, "decision": "reject"},
        {"approved_by": "ada", "decision": "reject", "reason": odd},
    )
    for body in wrong:
        status, problem = await play.post(url, body)
        assert (status, problem["field"]) == (400, "reason" if "reason" in body else "approved_by")
    status, problem = await play.post(f"{BASE}/interrupt/{answer['resolution_id']}", {"reason": odd})
    assert (status, problem["field"]) == (400, "reason")
    status, told = await play.post(url, {"approved_by": "ada", "decision": "reject", "reason": odd.replace("\x00", "")})
    assert (status, told["status"]) == (200, "rejected")


async def test_unknown_things_are_404_and_wrong_methods_405(play):
    nobody = uuid.uuid4()
    decision = {"approved_by": "demo", "decision": "approve"}
    assert (await play.post(f"{BASE}/approve/{nobody}", decision))[0] == 404
    assert (await play.post(f"{BASE}/approve/not-a-uuid", decision))[0] == 404
    assert (await play.post(f"{BASE}/rollback", {"snapshot_id": str(nobody)}))[0] == 404
    assert (await play.get(f"{BASE}/status/{nobody}"))[0] == 404
    assert (await play.post(f"{BASE}/interrupt/{nobody}"))[0] == 404
    status, problem = await play.get("/api/v1/nothing")
    assert (status, problem["detail"]) == (
        404,
        "There is nothing at /api/v1/nothing. What there is stands at /docs and /openapi.json.",
    )
    status, problem = await play.get(f"{BASE}/resolve")
    assert (status, problem["detail"]) == (405, "GET is not possible here; use POST.")


async def test_the_second_decision_is_a_409_that_says_who_and_when(play):
    answer = await asked(play)
    url = f"{BASE}/approve/{answer['approval_id']}"
    assert (await play.post(url, {"approved_by": "demo", "decision": "reject", "reason": "first"}))[0] == 200
    status, problem = await play.post(url, {"approved_by": "demo", "decision": "approve"})
    assert status == 409
    assert "already rejected by demo" in problem["detail"]
    assert "first" in problem["detail"]


async def test_of_forty_decisions_at_once_exactly_one_counts(play):
    answer = await asked(play)
    url = f"{BASE}/approve/{answer['approval_id']}"
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(play.post(url, {"approved_by": "demo", "decision": "reject", "reason": str(number)}))
            for number in range(40)
        ]
    codes = [task.result()[0] for task in tasks]
    assert codes.count(200) == 1
    assert set(codes) == {200, 409}


async def test_a_stale_digest_is_a_409(play):
    answer = await asked(play)
    status, problem = await play.post(
        f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve", "digest": "0" * 64}
    )
    assert status == 409
    assert "changed" in problem["detail"]


async def test_an_expired_question_is_a_409(database_url):
    async with playing(database_url, approval_timeout=1.0) as play:
        answer = await asked(play)
        await asyncio.sleep(1.1)
        status, problem = await play.post(
            f"{BASE}/approve/{answer['approval_id']}", {"approved_by": "demo", "decision": "approve"}
        )
        assert status == 409
        assert "expired" in problem["detail"]


async def test_an_open_event_and_an_idempotency_key_give_the_same_resolution(play):
    one = await asked(play, event_id="evt-1")
    two = await asked(play, event_id="evt-1")
    assert one["resolution_id"] == two["resolution_id"]
    three = await asked(play)
    assert three["resolution_id"] != one["resolution_id"]

    key = {"Idempotency-Key": "k-1"}
    _, first = await play.post(f"{BASE}/resolve", CONTRACT, **key)
    _, again = await play.post(f"{BASE}/resolve", CONTRACT, **key)
    assert first["resolution_id"] == again["resolution_id"]
    status, _ = await play.post(f"{BASE}/resolve", CONTRACT | {"client_id": "other"}, **key)
    assert status == 422


async def test_of_forty_requests_at_once_with_one_key_all_get_the_same_answer(play):
    key = {"Idempotency-Key": "k-3"}
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(play.post(f"{BASE}/resolve", CONTRACT, **key)) for _ in range(40)]
    answers = [task.result() for task in tasks]

    assert [status for status, _ in answers] == [200] * 40
    assert all(answer == answers[0][1] for _, answer in answers)


async def test_an_idempotency_key_repeats_the_first_answer_to_the_letter_whatever_has_come_since(play):
    key = {"Idempotency-Key": "k-2"}
    _, first = await play.post(f"{BASE}/resolve", CONTRACT, **key)
    await play.post(f"{BASE}/interrupt/{first['resolution_id']}")
    assert (await play.get(f"{BASE}/status/{first['resolution_id']}"))[1]["status"] == "cancelled"

    assert await play.post(f"{BASE}/resolve", CONTRACT, **key) == (200, first)


async def test_the_demo_answers_only_its_own_host_and_origin(play):
    for headers in (
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "evil@127.0.0.1"},
        {"Host": "[::1"},
        {"Host": "127.0.0.1:x"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
    ):
        status, problem = await play.post(f"{BASE}/resolve", CONTRACT, **headers)
        assert status == 403, problem


async def test_health_metrics_and_documentation_stand_open(play):
    assert (await play.get("/healthz"))[0] == 200
    status, ready = await play.get("/readyz")
    assert (status, set(ready["checks"])) == (200, {"database", "slack", "cluster"})
    await play.slack.drop_sockets()
    status, document = await play.get("/openapi.json")
    assert len([path for path in document["paths"] if path.startswith(BASE)]) == 7
    url = play.stage.assembled.service.url
    async with play.http.get(f"{url}/metrics") as answer:
        assert "incident_resolver_requests_total" in await answer.text()
    async with play.http.get(f"{url}/docs") as answer:
        assert "/api/v1/incident/resolve" in await answer.text()


async def test_nothing_affected_is_a_failure_that_says_what_to_do(play):
    answer = await asked(play, namespace="empty", action_description="nothing lives here")
    assert answer["status"] == "failed"
    assert "No affected resource" in answer["message"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
async def test_the_contracts_curl_lines_run_as_printed(play):
    url = play.stage.assembled.service.url
    line = ["curl", "-sS", "-X", "POST", f"{url}{BASE}/resolve", "-H", "Content-Type: application/json"]
    done = await asyncio.to_thread(
        subprocess.run, [*line, "-d", json.dumps(CONTRACT)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["status"] == "awaiting_approval"


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=x",
        "status=zz",
        "action_type=zz",
        "since=yesterday",
        "cursor=AAAA",
        "foo=1",
        "client_id=%00",
        "namespace=a%0Ab",
        "limit=0005001",
        "limit=5&limit=6",
        "status=completed&status=failed",
        "since=0001-01-01T00:00:00%2B14:00",
        "until=9999-12-31T23:59:59-14:00",
        "cursor=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwgIjdjYjQ3NmIyLTc3YzYtNGNmZi05NGU5LTI5MTExMTg0ZTgyZiJd",
    ],
)
async def test_a_wrong_query_is_a_400_that_names_the_parameter(play, query):
    status, problem = await play.get(f"{BASE}/history?{query}")
    assert status == 400
    assert problem["field"] == query.partition("=")[0]


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "caf\u00e9"])
async def test_an_idempotency_key_is_short_printable_ascii(play, key):
    status, problem = await play.post(f"{BASE}/resolve", CONTRACT, **{"Idempotency-Key": key})
    assert (status, problem["field"]) == (400, "Idempotency-Key")


async def test_a_secret_that_somebody_writes_is_kept_nowhere(play):
    secret = "xoxb-1234567890-abcdefghijkl"
    answer = await asked(play, action_description=f"nginx fails with token={secret}")
    await play.post(
        f"{BASE}/approve/{answer['approval_id']}",
        {"approved_by": "demo", "decision": "reject", "reason": f"it uses {secret}"},
    )
    card = await play.card("Rejected")
    _, status = await play.get(f"{BASE}/status/{answer['resolution_id']}")

    told = await play.thread_with(card, "Rejected")
    for shown in (json.dumps(status), json.dumps(card), told):
        assert secret not in shown
        assert "[redacted]" in shown


async def test_the_policy_bounds_the_tokens_that_a_caller_may_ask_for(database_url, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\npeople:\n  token_limits:\n    - {caller: demo, at_most: 9000}\n")
    async with playing(database_url, policy=policy) as play:
        status, told = await play.post(f"{BASE}/resolve", CONTRACT | {"token_limit": 9001})
        assert (status, told["field"]) == (400, "token_limit")
        assert "at most 9000 for demo" in told["detail"]

        answer = await asked(play)
        _, told = await play.get(f"{BASE}/status/{answer['resolution_id']}")
        assert told["token_usage"]["token_limit"] == 9000


def figures(text: str) -> dict[str, float]:
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("incident_resolver_"))
    return {name.removeprefix("incident_resolver_"): float(value) for name, value in lines}


async def test_metrics_tell_what_an_operator_alerts_on(play):
    asked_first = await asked(play)
    await asked(play, client_id="loc-02")
    await play.post(f"{BASE}/approve/{asked_first['approval_id']}", {"approved_by": "demo", "decision": "approve"})
    await play.until_state(asked_first["resolution_id"], State.COMPLETED)
    _, told = await play.get(f"{BASE}/status/{asked_first['resolution_id']}")

    async with play.http.get(f"{play.stage.assembled.service.url}/metrics") as answer:
        seen = figures(await answer.text())

    assert seen['resolutions{state="completed"}'] == 1
    assert seen['resolutions{state="awaiting_approval"}'] == 1
    assert seen['resolutions{state="failed"}'] == 0
    assert seen["questions_open"] == 1
    assert 0 < seen["question_oldest_seconds"] < 60
    assert (seen["executions"], seen["leases_overdue"], seen["rollback_failed"]) == (0, 0, 0)
    assert sum(value for name, value in seen.items() if name.startswith("commands_total{")) >= 2
    assert seen["tokens_today"] == told["token_usage"]["total_tokens"]
    assert seen["cost_usd_today"] > 0
    assert 0 <= seen["worker_pass_age_seconds"] < 5
    assert seen["database_up"] == 1
    assert any(name.startswith("requests_total{") for name in seen)
