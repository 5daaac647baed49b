"""On the network the issuer answers only who holds a certificate of its authority, and is itself known by one."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from bot.issuer import open_issuer
from bot.settings import issuer_environment, settings_from
from core.cluster.grants import IssuerAddress, IssuerClient
from core.cluster.kubeconfig import load_credentials
from core.cluster.runner import Runner, kubectl_path
from core.errors import InvalidInputError
from tests.servers.kubernetes.certificates import new_authority
from tests.servers.processes import free_ports

NOBODY = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """A cluster that does not answer: whoever reaches the issuer hears so."""
    file = tmp_path / "kubeconfig"
    config = {
        "current-context": "x",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c"}}],
    }
    file.write_text(json.dumps(config))
    return file


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Two authorities, each with a certificate for either side."""
    found = {}
    for name in ("ours", "theirs"):
        folder = tmp_path / name
        folder.mkdir()
        authority = new_authority(folder)
        authority.write_server("server", names=("127.0.0.1",))
        authority.write_server("elsewhere", names=("issuer.example",))
        authority.write_client("client", name="incident-resolver")
        found[name] = folder
    return found


@asynccontextmanager
async def serving(folder: Path, kubeconfig: Path, *, certificate: str = "server") -> AsyncIterator[str]:
    (port,) = free_ports(1)
    settings = settings_from(
        {
            "database_url": NOBODY,
            "kubeconfig": kubeconfig,
            "issuer_listen": f"127.0.0.1:{port}",
            "issuer_certificate": folder / f"{certificate}.crt",
            "issuer_key": folder / f"{certificate}.key",
            "issuer_ca": folder / "ca.crt",
        }
    )
    async with open_issuer(settings, socket=None):
        yield f"https://127.0.0.1:{port}"


async def problem(url: str, folder: Path | None, kubeconfig: Path, *, authority: Path) -> str | None:
    """What a client with this folder's certificate hears."""
    certificate = (folder / "client.crt", folder / "client.key") if folder else (None, None)
    address = IssuerAddress(None, url, *certificate, authority / "ca.crt")
    credentials = await load_credentials(kubeconfig)
    runner = Runner(kubectl_path(None), home=kubeconfig.parent)
    return (await IssuerClient(address, credentials, runner, lambda: datetime.now(UTC)).status()).problem


async def test_who_holds_a_certificate_of_the_authority_is_answered(folders, kubeconfig):
    async with serving(folders["ours"], kubeconfig) as url:
        told = await problem(url, folders["ours"], kubeconfig, authority=folders["ours"])

    assert "Kubernetes API" in told


async def test_a_certificate_of_another_authority_and_none_at_all_are_not_answered(folders, kubeconfig):
    async with serving(folders["ours"], kubeconfig) as url:
        other = await problem(url, folders["theirs"], kubeconfig, authority=folders["ours"])
        none = await problem(url, None, kubeconfig, authority=folders["ours"])
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientError):
                await http.post(f"{url}/status", json={"approval_id": None}, ssl=False)

    assert "does not answer" in other
    assert "mutual TLS only" in none


async def test_an_issuer_of_another_authority_or_another_name_is_not_asked(folders, kubeconfig):
    async with serving(folders["theirs"], kubeconfig) as url:
        other = await problem(url, folders["ours"], kubeconfig, authority=folders["ours"])
    async with serving(folders["ours"], kubeconfig, certificate="elsewhere") as url:
        elsewhere = await problem(url, folders["ours"], kubeconfig, authority=folders["ours"])

    assert "does not answer" in other
    assert "does not answer" in elsewhere


@pytest.mark.parametrize(
    "given",
    [
        {"issuer_listen": "127.0.0.1:0"},
        {"issuer_listen": "8443"},
        {"database_url": None, "issuer_listen": "127.0.0.1:0"},
        {},
    ],
)
async def test_without_certificates_an_address_or_a_database_it_does_not_start(given, kubeconfig):
    settings = settings_from({"database_url": NOBODY, "kubeconfig": kubeconfig} | given)

    with pytest.raises(InvalidInputError):
        async with open_issuer(settings, socket=None):
            pass


async def test_a_request_that_names_no_approval_is_refused(kubeconfig, tmp_path):
    settings = settings_from({"database_url": NOBODY, "kubeconfig": kubeconfig})
    socket = tmp_path / "s"
    async with (
        open_issuer(settings, socket=socket),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(socket))) as http,
    ):
        for body in (b"", b"[]", b"{}", b"null", b"x" * 20_000):
            async with http.post("http://issuer/issue", data=body) as answer:
                assert answer.status in {400, 413}, body[:20]
        async with http.post("http://issuer/issue", json={"approval_id": "no-uuid"}) as answer:
            assert answer.status == 404


def test_the_issuers_process_is_given_no_other_secret(monkeypatch):
    for name in (
        "ANTHROPIC_API_KEY",
        "SLACK_BOT_TOKEN",
        "INCIDENT_RESOLVER_SNAPSHOT_KEY",
        "NEO4J_PASSWORD",
        "KUBECONFIG",
    ):
        monkeypatch.setenv(name, "planted")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    settings = settings_from({"issuer_kubeconfig": "/etc/issuer", "anthropic_api_key": "planted"})

    given = issuer_environment(settings, database_url=NOBODY)

    assert "planted" not in given.values()
    assert given["INCIDENT_RESOLVER_ISSUER_KUBECONFIG"] == "/etc/issuer"
    assert given["DATABASE_URL"] == NOBODY
    assert given["HTTPS_PROXY"] == "http://proxy.example"
