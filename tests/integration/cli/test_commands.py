"""The command line as its user types it: real processes, real exit codes."""

import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import text

from bot.cli.demo import show
from bot.demo.cluster.server import open_simulator
from bot.demo.model.scripts import demo_script
from bot.demo.model.server import open_scripted_model
from bot.demo.play import Wanted
from bot.demo.slack.server import open_local_slack
from storage.database import open_engine
from tests.postgres import SNAPSHOT_KEY

COMMAND = [sys.executable, "-m", "bot"]
KEY = base64.b64encode(SNAPSHOT_KEY).decode()
ROOT = Path(__file__).parent.parent.parent.parent
PLANTED = {
    "DATABASE_URL": "postgresql://planted@127.0.0.1:1/planted",
    "KUBECONFIG": "/nowhere/planted",
    "SLACK_BOT_TOKEN": "xoxb-planted",
    "SLACK_APP_TOKEN": "xapp-planted",
    "SLACK_CHANNEL": "C0PLANTED",
    "SLACK_CLIENT_ID": "planted",
    "SLACK_CLIENT_SECRET": "planted",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "http_proxy": "http://127.0.0.1:1",
    "ANTHROPIC_API_KEY": "planted",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:1",
    "INCIDENT_RESOLVER_PORT": "99999",
}


def environment(**settings: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("INCIDENT_", "SLACK_"))}
    return plain | {"PYTHONPATH": str(ROOT)} | settings


async def run(*arguments: str, seconds: float = 60, **settings: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        env=environment(**settings),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(seconds):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
def data() -> Iterator[Path]:
    """Not under pytest's own folder, which nobody else may enter: PostgreSQL's unprivileged child must."""
    with tempfile.TemporaryDirectory(prefix="ir-data-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


async def test_the_headless_demo_heals_ignores_the_environment_and_leaves_nothing(data):
    code, out, err = await run("demo", "--headless", TMPDIR=str(data), **PLANTED)

    assert code == 0, err
    assert "completed" in out
    assert "kubectl delete pod checkout-" in out
    assert "planted" not in out + err
    assert list(data.iterdir()) == []


@pytest.mark.parametrize("flag", ["--port", "--slack-port"])
@pytest.mark.parametrize("port", ["99999", "-1", "8o"])
async def test_a_port_that_is_none_is_a_wrong_argument(flag, port):
    code, out, err = await run("demo", "--json", f"{flag}={port}")

    assert (code, out) == (2, "")
    assert f"argument {flag}" in err
    assert "Traceback" not in err


async def test_the_demo_prints_one_line_of_addresses_and_ends_cleanly_on_interrupt():
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("demo", "--json", "--port", "0", "--slack-port", "0"),
        env=environment(**PLANTED),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    started = time.monotonic()
    async with asyncio.timeout(60):
        line = await process.stdout.readline()
    assert time.monotonic() - started < 60
    addresses = json.loads(line)
    assert set(addresses) == {"rest", "slack", "kubeconfig", "messages_api"}
    assert Path(addresses["kubeconfig"]).is_file()
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{addresses['rest']}/readyz") as answer:
            assert answer.status == 200
        async with session.get(addresses["slack"]) as answer:
            assert answer.status == 200

    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(30):
        rest, _ = await process.communicate()
    assert process.returncode == 0
    assert rest == b""
    assert not Path(addresses["kubeconfig"]).parent.exists()


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "told"),
    [
        ((), {}, 2, "usage"),
        (("dance",), {}, 2, "invalid choice"),
        (("--version",), {}, 0, "incident-resolver 0."),
        (("serve",), {"INCIDENT_RESOLVER_PORT": "99999"}, 1, "INCIDENT_RESOLVER_PORT"),
        (
            ("db", "status"),
            {"DATABASE_URL": "postgresql://x@127.0.0.1:1/x"},
            1,
            "reachable from here as DATABASE_URL says",
        ),
        (("db", "status"), {"DATABASE_URL": "mysql://x@127.0.0.1/x"}, 1, "postgresql://"),
        (("demo", "--kubeconfig", "/nowhere"), {}, 1, "there is no file"),
        (("demo", "--real-model", "--port", "0", "--slack-port", "0"), {}, 1, "ANTHROPIC_API_KEY"),
        (("demo", "--real-slack", "--port", "0"), {}, 1, "SLACK_BOT_TOKEN"),
        (("demo", "--headless", "--real-slack"), {}, 1, "leave the other flags out"),
        (("api-keys", "create", "--name", "x", "--may", "fly"), {}, 1, "no right fly"),
    ],
)
async def test_what_is_wrong_is_told_with_what_to_do(arguments, settings, code, told):
    found, out, err = await run(*arguments, **settings)
    assert (found, told in out + err) == (code, True), err
    assert "Traceback" not in err


async def test_a_port_in_use_is_told_with_the_flag_to_change_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, err = await run("demo", "--json", "--port", "0", "--slack-port", port)
        assert (code, "--slack-port" in err) == (1, True), err
        code, _, err = await run("demo", "--json", "--port", port, "--slack-port", "0")
        assert (code, "--port" in err) == (1, True), err


async def test_a_missing_snapshot_key_stops_the_start_beside_a_database_url(database_url, data):
    code, _, err = await run("serve", DATABASE_URL=database_url, INCIDENT_RESOLVER_DATA=str(data))
    assert code == 1
    assert "INCIDENT_RESOLVER_SNAPSHOT_KEY" in err


async def test_a_refused_slack_token_stops_the_service_and_says_which(database_url, data):
    async with open_simulator() as cluster, open_local_slack() as slack:
        kubeconfig = cluster.write_kubeconfig(data / "kubeconfig")
        common = {
            "DATABASE_URL": database_url,
            "INCIDENT_RESOLVER_DATA": str(data),
            "KUBECONFIG": str(kubeconfig),
            "INCIDENT_RESOLVER_PORT": "0",
            "INCIDENT_RESOLVER_SNAPSHOT_KEY": KEY,
            "INCIDENT_RESOLVER_SIGNING_KEY": KEY,
            "SLACK_API_URL": slack.api_url,
            "HTTPS_PROXY": "http://127.0.0.1:1",
        }
        code, _, err = await run("serve", SLACK_BOT_TOKEN="xoxb-wrong", SLACK_APP_TOKEN=slack.app_token, **common)
        assert (code, "SLACK_BOT_TOKEN (invalid_auth)" in err) == (1, True), err
        code, _, err = await run("serve", SLACK_BOT_TOKEN=slack.bot_token, SLACK_APP_TOKEN="xapp-wrong", **common)
        assert (code, "SLACK_APP_TOKEN" in err) == (1, True), err
        code, _, err = await run("serve", SLACK_BOT_TOKEN=slack.bot_token, **common)
        assert (code, "SLACK_SIGNING_SECRET" in err) == (1, True), err


@asynccontextmanager
async def serving(**settings: str):
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "serve", env=environment(**settings), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        async with asyncio.timeout(30):
            while b"REST on " not in (line := await process.stderr.readline()):
                assert line, "the service ended"
        yield line.decode().split("REST on ")[1].split()[0], process
    finally:
        process.terminate()
        async with asyncio.timeout(20):
            await process.communicate()
    assert process.returncode == 0


async def test_serve_with_api_keys_from_request_to_health(database_url, data):
    async with open_simulator() as cluster, open_scripted_model(demo_script) as model:
        settings = {
            "DATABASE_URL": database_url,
            "INCIDENT_RESOLVER_DATA": str(data),
            "KUBECONFIG": str(cluster.write_kubeconfig(data / "kubeconfig")),
            "INCIDENT_RESOLVER_PORT": "0",
            "INCIDENT_RESOLVER_SNAPSHOT_KEY": KEY,
            "INCIDENT_RESOLVER_SIGNING_KEY": KEY,
            "ANTHROPIC_API_KEY": "any",
            "ANTHROPIC_BASE_URL": model.url,
        }
        code, told, _ = await run("check", **settings)
        assert code == 0, told
        assert "ok      database" in told
        assert "ok      cluster" in told
        assert "claude-haiku-4-5-20251001 answers" in told
        assert "NEO4J_URI is not set" in told
        code, key, _ = await run("api-keys", "create", "--name", "ann", "--may", "view,request,approve", **settings)
        assert code == 0
        async with serving(**settings) as (url, _), aiohttp.ClientSession() as session:
            base = f"{url}/api/v1/incident"
            body = {
                "client_id": "loc-01",
                "namespace": "buglab",
                "action_type": "pod_restart",
                "action_description": "Restart failed nginx pods",
            }
            async with session.post(f"{base}/resolve", json=body) as answer:
                assert answer.status == 401
                detail = (await answer.json())["detail"]
                assert "sent as 'Authorization: Bearer KEY'" in detail
                assert "api-keys create" in detail
            headers = {"Authorization": f"Bearer {key.strip()}"}
            async with session.post(f"{base}/resolve", json=body, headers=headers) as answer:
                assert answer.status == 200
                asked = await answer.json()
            await run("pause", "--reason", "moving house", **settings)
            decision = {"approved_by": "eve", "decision": "approve"}
            approve = f"{base}/approve/{asked['approval_id']}"
            async with session.post(approve, json=decision, headers=headers) as answer:
                assert answer.status == 403
            async with session.post(approve, json=decision | {"approved_by": "ann"}, headers=headers) as answer:
                assert answer.status == 200
            status = f"{base}/status/{asked['resolution_id']}"
            await asyncio.sleep(2)
            async with session.get(status, headers=headers) as answer:
                told = await answer.json()
            assert told["status"] == "approved"
            assert told["paused"]["reason"] == "moving house"
            await run("resume", **settings)
            async with asyncio.timeout(40):
                while told["status"] not in {"completed", "failed"}:
                    await asyncio.sleep(0.3)
                    async with session.get(status, headers=headers) as answer:
                        told = await answer.json()
            assert told["status"] == "completed"
            async with session.post(f"{base}/interrupt/{asked['resolution_id']}", headers=headers) as answer:
                assert answer.status == 403
            await run("api-keys", "revoke", "--name", "ann", **settings)
            async with session.get(status, headers=headers) as answer:
                assert answer.status == 401


async def test_check_names_what_is_wrong_and_exits_with_one(database_url, data):
    async with open_simulator() as cluster, open_scripted_model(demo_script):
        kubeconfig = cluster.write_kubeconfig(data / "kubeconfig")
    code, told, _ = await run(
        "check",
        DATABASE_URL=database_url,
        INCIDENT_RESOLVER_DATA=str(data),
        INCIDENT_RESOLVER_SNAPSHOT_KEY=KEY,
        INCIDENT_RESOLVER_SIGNING_KEY=KEY,
        KUBECONFIG=str(kubeconfig),
        ANTHROPIC_API_KEY="any",
        ANTHROPIC_BASE_URL="http://127.0.0.1:9",
        PLATFORM_URL="http://127.0.0.1:9",
        NEO4J_URI="bolt://127.0.0.1:9",
    )
    assert code == 1
    assert "ERROR   cluster" in told
    assert "ERROR   model" in told
    assert "warning sources   root causes" in told
    assert "warning sources   graph" in told
    assert "INCIDENT_RESOLVER_APPROVERS" in told


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({}, ["ok      slack     Socket Mode", "ok      slack     cards go to "]),
        ({"SLACK_APP_TOKEN": "xapp-old"}, ["ERROR   slack     Slack refuses SLACK_APP_TOKEN (invalid_auth)"]),
        ({"SLACK_CHANNEL": "C0NOWHERE"}, ["ERROR   slack     there is no channel C0NOWHERE", "invite the bot"]),
        ({"SLACK_CHANNEL": "C0GENERAL1"}, ["ERROR   slack     the bot is not in the channel C0GENERAL1: /invite"]),
    ],
    ids=["nothing", "app token", "channel", "not invited"],
)
async def test_check_asks_slack_with_each_setting(database_url, data, wrong, told):
    async with open_local_slack() as slack:
        general = slack.workspace.channel("C0GENERAL1")
        general.members.remove(slack.workspace.bot.id)
        settings = {
            "SLACK_API_URL": slack.api_url,
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "SLACK_CHANNEL": slack.channel_id,
        }
        _, out, _ = await run("check", DATABASE_URL=database_url, INCIDENT_RESOLVER_DATA=str(data), **settings | wrong)

    assert [one for one in told if one not in out] == []


async def test_check_names_refused_cluster_credentials(database_url, data):
    async with open_simulator() as cluster:
        kubeconfig = cluster.write_kubeconfig(data / "kubeconfig")
        cluster.token = "renewed"
        code, told, _ = await run(
            "check",
            DATABASE_URL=database_url,
            INCIDENT_RESOLVER_DATA=str(data),
            INCIDENT_RESOLVER_SNAPSHOT_KEY=KEY,
            INCIDENT_RESOLVER_SIGNING_KEY=KEY,
            KUBECONFIG=str(kubeconfig),
        )
    assert code == 1
    assert "ERROR   cluster   The Kubernetes API does not accept the credentials (401); renew the kubeconfig." in told


@pytest.mark.parametrize(
    "arguments",
    [
        ("db", "upgrade"),
        ("db", "status"),
        ("history", "verify"),
        ("api-keys", "list"),
        ("api-keys", "create", "--name", "ann", "--may", "view"),
        ("pause", "--reason", "moving house"),
        ("resume",),
    ],
    ids=" ".join,
)
async def test_commands_that_use_no_snapshot_ask_for_no_snapshot_key(database_url, data, arguments):
    code, _, err = await run(*arguments, DATABASE_URL=database_url, INCIDENT_RESOLVER_DATA=str(data / "none"))

    assert (code, err) == (0, "")
    assert not (data / "none").exists()


@pytest.mark.parametrize("arguments", [("serve",), ("encryption", "rotate", "--old-key-file", "old")], ids=" ".join)
async def test_commands_that_use_snapshots_ask_for_the_snapshot_key(database_url, data, arguments):
    (data / "old").write_text(KEY)
    arguments = tuple(str(data / "old") if one == "old" else one for one in arguments)
    code, _, err = await run(*arguments, DATABASE_URL=database_url, INCIDENT_RESOLVER_DATA=str(data))

    assert (code, "INCIDENT_RESOLVER_SNAPSHOT_KEY" in err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--version",), "incident-resolver 0."),
        (("check",), "INCIDENT_RESOLVER_DATA"),
        (("serve",), "INCIDENT_RESOLVER_DATA"),
    ],
    ids=["--version", "check", "serve"],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody without an account")
async def test_an_account_without_name_and_home_gets_sentences(arguments, told):
    settings = {name: value for name, value in environment().items() if name != "HOME"}
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"),
        *COMMAND,
        *arguments,
        env=settings,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, _ = await process.communicate()

    assert "Traceback" not in out.decode()
    assert told in out.decode()


async def test_the_embedded_database_is_made_upgraded_and_kept_between_commands(data):
    settings = {"INCIDENT_RESOLVER_DATA": str(data)}
    code, told, err = await run("db", "status", **settings)
    assert (code, "tables: none" in told) == (1, True), err
    code, told, err = await run("db", "upgrade", **settings)
    assert err == ""
    assert (code, "had no tables" in told) == (0, True), told
    assert (await run("db", "status", **settings))[0] == 0
    await run("api-keys", "create", "--name", "pager", "--may", "view", **settings)
    _, told, _ = await run("api-keys", "list", **settings)
    assert told == "pager\tview\tvalid\n"
    assert not (data / "keys" / "snapshot").exists()


async def test_a_history_that_was_changed_by_other_means_is_found_out(database_url, data):
    settings = {
        "DATABASE_URL": database_url,
        "INCIDENT_RESOLVER_DATA": str(data),
        "INCIDENT_RESOLVER_SNAPSHOT_KEY": KEY,
    }
    for reason in ("maintenance", "again"):
        await run("pause", "--reason", reason, **settings)
    code, told, err = await run("history", "verify", **settings)
    assert (code, "whole: 2 entries" in told) == (0, True), err

    engine = open_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE history DISABLE TRIGGER ALL"))
        await connection.execute(text("UPDATE history SET body = replace(body, 'again', 'never') WHERE seq = 2"))
    await engine.dispose()

    code, told, _ = await run("history", "verify", **settings)
    assert (code, "from entry 2 on" in told) == (1, True)


@pytest.mark.parametrize("given", ["json", "headless"])
async def test_a_signal_before_the_demo_is_ready_ends_it_at_once_and_leaves_nothing(data, given):
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("demo", f"--{given}", "--port", "0", "--slack-port", "0"),
        env=environment(TMPDIR=str(data)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        while not list(data.glob("incident-resolver-demo-*/kubeconfig")):
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        out, err = await process.communicate()
    assert b"Traceback" not in err
    assert (process.returncode, out) == ({"json": 0, "headless": 1}[given], b"")
    assert list(data.iterdir()) == []


async def test_a_demo_that_is_killed_leaves_nothing_either(data):
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("demo", "--json", "--port", "0", "--slack-port", "0"),
        env=environment(TMPDIR=str(data)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        await process.stdout.readline()
        (folder,) = data.glob("incident-resolver-demo-*")
        process.kill()
        await process.wait()
        while folder.exists():
            await asyncio.sleep(0.1)


async def test_a_headless_demo_whose_incident_does_not_heal_exits_with_one(capsys):
    wanted = Wanted(port=0, slack_port=0, page=None, changed={"anthropic_base_url": "http://127.0.0.1:9"})
    assert await show(wanted, is_headless=True, is_json=False) == 1
    assert "failed: " in capsys.readouterr().out


@pytest.mark.parametrize("command", ["serve", "issuer", "check"])
async def test_what_is_spelt_like_a_setting_and_is_none_is_told_before_anything_runs(data, command):
    settings = {"INCIDENT_RESOLVER_DATA": str(data), "INCIDENT_RESOLVER_POLCIY": "/etc/policy.yaml"}

    code, out, err = await run(command, **settings)

    assert code == 1
    assert "INCIDENT_RESOLVER_POLCIY is no setting; is INCIDENT_RESOLVER_POLICY meant?" in out + err
