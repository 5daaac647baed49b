"""What a line may read of the workspace, and where it runs."""

import os

import pytest

from core.commands.gate import judge
from core.effects import JudgedFile
from core.redaction import MARK
from core.resources import Resource
from core.workspace import MOST_BYTES, read_workspace_file, sealed_folder, write_workspace
from tests.unit.core.benches import bench


def test_a_plain_file_is_read_whole(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.yaml").write_bytes(b"kind: Pod")
    assert read_workspace_file(tmp_path, "a/x.yaml") == b"kind: Pod"
    assert read_workspace_file(tmp_path, "./a/x.yaml") == b"kind: Pod"


@pytest.mark.parametrize("name", ["link", "folder", "linked/x", "pipe", "large", "nosuch", "../out", "/etc/passwd", ""])
def test_links_folders_pipes_large_files_and_what_is_outside_are_not_read(tmp_path, name):
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "out").write_text("outside")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_text("outside")
    (root / "link").symlink_to(tmp_path / "out")
    (root / "linked").symlink_to(tmp_path / "real")
    (root / "large").write_bytes(b"x" * (MOST_BYTES + 1))
    os.mkfifo(root / "pipe")

    assert read_workspace_file(root, name) is None


def test_the_sealed_folder_holds_exactly_what_was_judged_and_goes_away():
    with sealed_folder([JudgedFile("a/x.yaml", b"kind: Pod")]) as folder:
        assert [str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()] == ["a/x.yaml"]
        assert (folder / "a" / "x.yaml").read_bytes() == b"kind: Pod"
    assert not folder.exists()


async def test_a_line_that_names_a_file_runs_with_the_judged_bytes_and_not_in_the_workspace():
    at = bench()
    seen = []
    given = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n"
    at.toolbox.gate = lambda line: judge(line, "shop", files=lambda name: given)

    async def run(stages, *, folder, **_):
        seen.append((folder, (folder / "x.yaml").read_bytes()))
        raise AssertionError("seen")

    at.cluster.run = run
    with pytest.raises(AssertionError, match="seen"):
        await at.toolbox.bash("kubectl diff -f x.yaml")

    (folder, content) = seen[0]
    assert content == given
    assert folder != at.toolbox.folder


@pytest.mark.parametrize(
    "line", ["kubectl apply -f x.yaml", "kubectl delete deploy web", "kubectl patch deploy web -p '{}'"]
)
async def test_a_line_above_low_without_an_effect_a_permit_can_cover_is_refused(line):
    at = bench()
    answer = await at.toolbox.bash(line)

    assert answer.is_error
    assert "not covered by the approval" in answer.text
    assert at.cluster.ran == []


def test_the_folder_is_written_without_secrets_and_without_what_could_make_them_readable(tmp_path):
    env = [{"name": "DB_PASSWORD", "value": "hunter2pw"}]
    manifest = {
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "web", "env": env}]},
    }
    resource = Resource("Deployment", "web", "shop")

    write_workspace(tmp_path, text="login failed, password=hunter2pw", objects=[(resource, manifest)])

    assert not [one for one in tmp_path.iterdir() if "hunter2pw" in one.read_text()]
    assert MARK in (tmp_path / "deployment-web.yaml").read_text()


@pytest.mark.parametrize("line", ["kubectl apply -f x.yaml", "kubectl apply -f x.yaml --dry-run=server"])
def test_a_file_in_which_a_secret_was_taken_out_is_not_written_back(line):
    content = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  password: '[redacted]'\n"
    judged = judge(line, "shop", files=lambda name: content)

    assert (judged.verdict, judged.rule) == ("DENY", "R4")
    assert judge(line, "shop", files=lambda name: content.replace(b"[redacted]", b"x")).verdict != "DENY"


@pytest.mark.parametrize(
    "line",
    [
        "kubectl set env deploy/web DB_PASSWORD='[redacted]'",
        """kubectl patch cm x -p '{"data":{"password":"[redacted]"}}'""",
        "kubectl annotate pod web-1 'a=[redacted]'",
    ],
)
def test_a_line_never_puts_the_mark_in_a_secrets_place(line):
    assert judge(line, "shop").rule == "R4"
    assert judge(line, "shop").is_denied
