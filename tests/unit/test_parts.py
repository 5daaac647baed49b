"""What `make test` says where a part of the machine is missing."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run_without_java(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "tests/graph/test_look.py"],
        cwd=ROOT,
        env={"PATH": str(folder), "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_missing_part_skips_its_tests_and_is_named_in_one_line(tmp_path):
    done = run_without_java(tmp_path)

    named = [line for line in done.stdout.splitlines() if "missing" in line]
    assert done.returncode == 0
    assert len(named) == 1
    assert named[0].endswith("tests skipped: missing: the program java")


def test_in_ci_a_missing_part_is_a_failure(tmp_path):
    done = run_without_java(tmp_path, CI="true")

    assert done.returncode != 0
    assert "missing: the program java" in done.stdout
    assert "passed" not in done.stdout.splitlines()[-1]
