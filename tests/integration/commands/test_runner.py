"""What a command is started with: our environment, never the service's, and bounds for what it may use."""

import os
import stat
from pathlib import Path

import pytest

from core.cluster.runner import Runner, kubectl_path, tools_of
from core.commands.gate import judge
from core.commands.kubectl import KUBECTL
from core.errors import InvalidInputError
from core.risk_levels import RiskLevel

KUBECONFIG = b"apiVersion: v1\nkind: Config\n"
HOSTILE = (
    "KUBECONFIG",
    "KUBERC",
    "KUBECTL_EXTERNAL_DIFF",
    "KUBE_EDITOR",
    "HTTPS_PROXY",
    "LD_LIBRARY_PATH",
    "MODEL_KEY",
)


def program(folder: Path, *lines: str) -> Path:
    place = folder / "stand-in"
    place.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    place.chmod(stat.S_IRWXU)
    return place


def runner(folder: Path, *lines: str) -> Runner:
    home = folder / "home"
    home.mkdir()
    return Runner(program(folder, *lines), home=home)


async def test_kubectl_sees_a_fixed_environment_and_nothing_of_the_service_s(tmp_path, monkeypatch):
    for name in HOSTILE:
        monkeypatch.setenv(name, "/tmp/evil")
    monkeypatch.setenv("PATH", f"/tmp/evil:{os.environ['PATH']}")
    run = runner(tmp_path, "/usr/bin/env", "/bin/ls -A $HOME", "echo file:", '/bin/cat "$KUBECONFIG"')

    done = await run.run((("kubectl", "get", "pods"),), kubeconfig=KUBECONFIG, folder=tmp_path, seconds=20)

    environment, _, file = done.output.partition("file:\n")
    told = dict(line.partition("=")[::2] for line in environment.splitlines())
    kubeconfig = told.pop("KUBECONFIG")
    assert {key: value for key, value in told.items() if key not in {"PWD", "_", "SHLVL", "OLDPWD"}} == {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "HOME": str(tmp_path / "home"),
        "KUBERC": "off",
    }
    assert kubeconfig.startswith("/proc/self/fd/")
    assert file.encode() == KUBECONFIG
    assert list((tmp_path / "home").iterdir()) == []


async def test_a_filter_has_no_credential_and_no_home(tmp_path):
    run = runner(tmp_path, "echo 1")

    stages = (("kubectl", "get", "pods"), ("jq", "-c", "env | keys"))
    done = await run.run(stages, kubeconfig=KUBECONFIG, folder=tmp_path, seconds=20)

    assert (done.exit_code, done.output) == (0, '["LANG","LC_ALL","PATH"]\n')


@pytest.mark.parametrize("stages", [(), ((),), (("sh", "-c", "id"),), (("kubectl", "get"), ("sh",)), (("helm", "ls"),)])
async def test_a_program_that_is_none_of_the_table_is_not_started(stages, tmp_path):
    run = runner(tmp_path, "echo started")

    with pytest.raises(InvalidInputError):
        await run.run(stages, kubeconfig=KUBECONFIG, folder=tmp_path, seconds=5)


async def test_a_filter_that_hoards_memory_fails_and_the_service_lives(tmp_path):
    run = runner(tmp_path, "exec /usr/bin/yes " + "a" * 2_000)
    stages = (("kubectl", "logs", "-f", "web-1"), ("tail", "-n", "900000000"))

    done = await run.run(stages, kubeconfig=KUBECONFIG, folder=tmp_path, seconds=30)

    assert done.exit_code not in {0, None}
    assert "memory exhausted" in done.output


async def test_a_configured_tool_runs_and_argocd_alone_is_given_its_login(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    place = program(tmp_path, "/usr/bin/env")
    tools = tools_of({"argocd": place, "flux": place}, argocd={"ARGOCD_SERVER": "argo", "ARGOCD_AUTH_TOKEN": "login"})
    run = Runner(program(tmp_path, "/usr/bin/env"), home=home, tools=tools)

    async def told(name: str) -> str:
        done = await run.run(((name, "version"),), kubeconfig=KUBECONFIG, folder=tmp_path, seconds=20)
        assert done.exit_code == 0
        return done.output

    assert "ARGOCD_AUTH_TOKEN=login\n" in await told("argocd")
    assert "ARGOCD" not in await told("flux")
    assert "ARGOCD" not in await told("kubectl")
    assert "KUBECONFIG=/proc/self/fd/" in await told("flux")


def test_a_tool_that_is_not_there_stops_the_start(tmp_path):
    with pytest.raises(InvalidInputError, match="FLUX_PATH is /nowhere/flux, which does not exist"):
        tools_of({"flux": Path("/nowhere/flux")}, argocd={})


SECRET = "aaa-hunter-of-tokens"
VIEWED = f"""
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "https://127.0.0.1:1"}}}}]
users: [{{name: u, user: {{token: {SECRET}}}}}]
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
current-context: c
""".encode()


@pytest.mark.parametrize("flag", [name for name, (_, kind) in KUBECTL.verbs["config view"].items() if kind == "bool"])
async def test_no_line_that_is_low_shows_the_credential_it_runs_with(flag, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    run = Runner(kubectl_path(None), home=home)

    for line in (f"kubectl config view --{flag} -o yaml", f"kubectl config view --{flag} -o jsonpath='{{.users}}'"):
        judged = judge(line, "shop")
        assert judged.is_denied or judged.risk is RiskLevel.LOW
        if not judged.is_denied:
            done = await run.run(judged.stages, kubeconfig=VIEWED, folder=tmp_path, seconds=20)
            assert SECRET not in done.output, line
