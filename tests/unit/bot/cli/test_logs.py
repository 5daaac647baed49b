"""What leaves as a log line."""

import json
import logging

import structlog

from bot.cli.logs import configure_logs


def test_a_log_line_holds_no_secret_not_even_in_a_traceback(capsys):
    configure_logs("INFO")
    log = structlog.get_logger()
    try:
        raise ValueError("bearer abcdefghijklmnop is refused")
    except ValueError:
        log.exception("failed", url="postgresql://user:hunter22@db/x")

    line = capsys.readouterr().err
    assert json.loads(line)["event"] == "failed"
    assert "hunter22" not in line
    assert "abcdefghijklmnop" not in line


def test_what_a_library_logs_is_a_json_line_too_and_holds_no_secret(capsys):
    configure_logs("INFO")
    try:
        raise ValueError("bearer abcdefghijklmnop is refused")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error handling %s", "request\nforged line")
    logging.getLogger("neo4j").info("not wanted")

    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"]) == ("Error handling request\nforged line", "error")
    assert line["logger"] == "aiohttp.server"
    assert "Traceback" in line["exception"]
    assert "abcdefghijklmnop" not in str(line)


def test_lists_mappings_and_names_hide_no_secret_either(capsys):
    configure_logs("INFO")
    structlog.get_logger().warning(
        "x", body={"password": "hunter22", "size": 3}, lines=["token=hunter22"], api_key="hunter22"
    )

    line = capsys.readouterr().err
    assert json.loads(line)["body"]["size"] == 3
    assert "hunter22" not in line
