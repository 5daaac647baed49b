"""A part that is missing skips a test on a developer's machine and fails it in CI."""

from pathlib import Path

import pytest

from tests.servers.kubernetes.programs import find_or_build
from tests.servers.parts import program, require

ABSENT = program("no-such-program-anywhere", "nor-this-one")


def test_a_part_that_is_there_is_handed_out():
    assert require(program("no-such-program-anywhere", "sh")).name == "sh"


def test_a_missing_part_skips_the_test_and_is_named(monkeypatch):
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="missing: the program no-such-program-anywhere or nor-this-one"):
        require(ABSENT)


def test_a_missing_part_fails_the_test_in_ci(monkeypatch):
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="missing: the program no-such-program-anywhere or nor-this-one"):
        require(ABSENT)


def test_programs_that_the_given_folder_lacks_are_named_and_not_built(monkeypatch, tmp_path: Path):
    (tmp_path / "kube-apiserver").touch(mode=0o755)
    (tmp_path / "etcd").touch(mode=0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match="missing: kube-controller-manager, kube-scheduler of a Kubernetes"):
        require(find_or_build)
