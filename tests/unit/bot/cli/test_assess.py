"""`incident-resolver assess`: one line as an argument, or a stream."""

import io
import json
import subprocess
import sys
import tracemalloc

import pytest

from bot.cli import assess
from core.commands.gate import judge
from tests.unit.core.commands.rule_rows import rows


def answers(text):
    output = io.StringIO()
    assess.answer_stream(io.BytesIO(text), output, lambda line: judge(line, "default"))
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_one_line_is_answered_with_verdict_rule_and_reason(capsys):
    assert assess.run(["kubectl delete ns shop"]) == 0

    assert capsys.readouterr().out.startswith("CRITICAL R8: ")


def test_a_stream_is_answered_in_order():
    asked = [{"id": number, "command": line} for number, (line, _, _) in enumerate(rows())]
    given = "\n".join(map(json.dumps, asked)).encode()

    found = answers(given)

    assert [one["id"] for one in found] == list(range(len(asked)))
    assert all(one.keys() == {"id", "risk", "rule", "reason"} for one in found)


@pytest.mark.parametrize(
    ("line", "line_id"),
    [
        (b"{", None),
        (b"[]", None),
        (b'"x"', None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (b'{"id": NaN, "command": "kubectl get pods"}', None),
        (b'{"id": 1e999, "command": "kubectl get pods"}', None),
        (b'{"id": 1, "command": "kubectl get p\xff\xfeods"}', None),
        (b"null", None),
        (b'{"id": 1, "command": "kubectl delete ns x", "command": "kubectl get pods"}', None),
        (b'{"id": 7}', 7),
        (b'{"id": "x", "command": 3}', "x"),
    ],
)
def test_bad_json_is_a_line_with_an_error_and_the_stream_goes_on(line, line_id):
    first, second = answers(line + b'\n{"id": 2, "command": "kubectl get pods"}')

    assert (first["id"], first["risk"], bool(first["error"])) == (line_id, "DENY", True)
    assert second == {"id": 2, "risk": "LOW", "rule": "R3", "reason": "It only reads."}


def test_line_ends_blank_lines_a_missing_id_and_a_missing_last_end_are_taken_as_they_come():
    first, last = b'\xef\xbb\xbf{"id": "a", "command": "kubectl get pods"}', b'{"id": [1], "command": ""}'
    given = first + b'\r\n\r\n  \n{"command": "kubectl delete ns x"}\n' + last

    found = [(one["id"], one["risk"]) for one in answers(given)]

    assert found == [("a", "LOW"), (None, "CRITICAL"), ([1], "DENY")]
    assert answers(b"") == answers(b"\r\n") == []


def test_a_long_stream_is_answered_from_bounded_memory():
    line = b'{"id": 1, "command": "kubectl get pods"}\n'

    class Endless(io.RawIOBase):
        left = 20_000

        def readline(self, _limit=-1):
            self.left -= 1
            return line if self.left >= 0 else b""

    class Counting(io.StringIO):
        count = 0

        def write(self, text):
            self.count += text.count("\n")
            return len(text)

    output = Counting()
    tracemalloc.start()
    assess.answer_stream(Endless(), output, lambda text: judge(text, "default"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert output.count == 20_000
    assert peak < 5_000_000


def test_a_line_longer_than_the_limit_is_one_error():
    first, second = answers(b'{"id": 1, "command": "' + b"x" * 9_000_000 + b'"}\n{"id": 2, "command": "x"}')

    assert (first["risk"], "error" in first, second["id"]) == ("DENY", True, 2)


def test_a_policy_raises_and_programs_narrow(tmp_path, capsys):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\ncommands: {raise: [{to: DENY, verbs: ['kubectl get']}]}\n")

    assert assess.run(["kubectl get pods", "--policy", str(policy)]) == 0
    assert assess.run(["helm list"]) == 0
    assert assess.run(["helm list", "--programs", "kubectl"]) == 0

    assert [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()] == ["DENY", "LOW", "DENY"]


@pytest.mark.parametrize("arguments", [[], ["x", "--policy", "/nosuch"], ["x", "--programs", "rm"]])
def test_what_cannot_be_assessed_is_said_on_stderr(arguments, capsys):
    assert assess.run(arguments) == 1
    assert capsys.readouterr().err.startswith("incident-resolver: ")


def test_the_command_imports_nothing_of_the_service():
    code = "import sys, bot.__main__, bot.cli.assess; print(sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert not [
        name for name in ("sqlalchemy", "slack_bolt", "kubernetes", "claude_agent_sdk") if f"'{name}'" in modules
    ]


def test_the_stream_is_flushed_line_by_line():
    with subprocess.Popen(
        [sys.executable, "-m", "bot", "assess", "--jsonl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        for number in range(3):
            process.stdin.write(json.dumps({"id": number, "command": "kubectl get pods"}).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == number
        process.stdin.close()
        assert process.wait(10) == 0
