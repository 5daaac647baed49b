"""What leaves as a log line."""

import json

import structlog

from bot.cli.logs import configure_logs


def test_a_log_line_holds_no_secret_not_even_in_a_traceback(capsys):
    configure_logs("INFO")
    log = structlog.get_logger()
    try:
        raise ValueError("bearer abcdefghijklmnop is refused")
    except ValueError:
        log.exception("failed", url="postgresql://user:hunter22@db/x")
    structlog.reset_defaults()

    line = capsys.readouterr().err
    assert json.loads(line)["event"] == "failed"
    assert "hunter22" not in line
    assert "abcdefghijklmnop" not in line
