"""What is refused before a body is understood, and what is refused in it."""

import gzip
import json

import pytest
from aiohttp import web

from bot.rest.bodies import BODY_LIMIT, unpacked
from bot.rest.models import ApproveBody, InterruptBody, ResolveBody, parse
from core.errors import InvalidInputError

ASKED = {"client_id": "loc-01", "namespace": "shop", "action_type": "pod_restart", "action_description": "web"}


@pytest.mark.parametrize("encoding", ["identity", " Identity "])
def test_a_plain_body_stays_as_it_is(encoding):
    assert unpacked(b"{}", {"Content-Encoding": encoding}) == b"{}"
    assert unpacked(b"{}", {}) == b"{}"


def test_gzip_is_unpacked_up_to_the_limit_of_a_body():
    assert unpacked(gzip.compress(b"x" * BODY_LIMIT), {"Content-Encoding": "gzip"}) == b"x" * BODY_LIMIT
    with pytest.raises(web.HTTPRequestEntityTooLarge):
        unpacked(gzip.compress(b"x" * (BODY_LIMIT + 1)), {"Content-Encoding": "gzip"})


@pytest.mark.parametrize(
    "raw", [b"", b"no gzip", gzip.compress(b"{}", mtime=0)[:-4], gzip.compress(b"{}", mtime=0) + b"more"]
)
def test_what_is_no_whole_gzip_is_refused(raw):
    with pytest.raises(InvalidInputError, match="gzip"):
        unpacked(raw, {"Content-Encoding": "gzip"})


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", ""])
def test_other_encodings_are_refused(encoding):
    with pytest.raises(web.HTTPUnsupportedMediaType):
        unpacked(b"{}", {"Content-Encoding": encoding})


@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "\x1b[31m", "a\u2028b"])
@pytest.mark.parametrize("field", ["client_id", "event_id"])
def test_a_name_holds_nothing_that_cannot_be_seen(field, text):
    with pytest.raises(InvalidInputError, match=f"{field}: holds a control character"):
        parse(ResolveBody, json.dumps(ASKED | {field: text}).encode())


def test_whoever_decides_has_a_name_that_can_be_seen():
    with pytest.raises(InvalidInputError, match="approved_by: holds a control character"):
        parse(ApproveBody, json.dumps({"approved_by": "a\x00b", "decision": "approve"}).encode())


def test_what_people_write_has_lines_but_no_nul():
    written = parse(ResolveBody, json.dumps(ASKED | {"action_description": "web\n\tis down"}).encode())
    assert written.action_description == "web\n\tis down"
    for model, body in (
        (ResolveBody, ASKED | {"action_description": "a\x00"}),
        (ApproveBody, {"approved_by": "ada", "decision": "reject", "reason": "a\x00"}),
        (InterruptBody, {"reason": "a\x00"}),
    ):
        with pytest.raises(InvalidInputError, match="holds a NUL character"):
            parse(model, json.dumps(body).encode())


@pytest.mark.parametrize("namespace", ["Shop", "-shop", "shop-", "a.b", "shop\n", "bugl\u00e4b"])
def test_a_namespace_is_a_dns_label_and_the_error_says_so(namespace):
    with pytest.raises(InvalidInputError, match="namespace: must be a DNS label"):
        parse(ResolveBody, json.dumps(ASKED | {"namespace": namespace}).encode())
