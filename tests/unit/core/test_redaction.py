"""Secrets are taken out of text; what people need to read stays."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.redaction import MARK, redact
from tests.unit.core.redaction_rows import BLOCKS, KEPT, NAMED, NAMED_LIKE_SECRETS, TOKENS

PRIVATE_KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"

SECRETS = [
    (PRIVATE_KEY, MARK),
    ("-----BEGIN PRIVATE KEY-----\ncut off here", MARK),
    (f"key: {PRIVATE_KEY} and more", f"key: {MARK} and more"),
    (f"the token is {JWT}, it says", f"the token is {MARK}, it says"),
    ("xoxb" + "-1234567890-abcdefghij", MARK),
    ("xapp" + "-1-A012345-678-abcdef", MARK),
    ("ghp" + "_0123456789abcdefABCDEF", MARK),
    ("github_pat" + "_0123456789abcdefABCDEF", MARK),
    ("sk-ant" + "-api03-0123456789abcdefXYZ", MARK),
    ("glpat" + "-0123456789abcdefXYZW", MARK),
    ("AKIA" + "IOSFODNN7EXAMPLE", MARK),
    ("AIza" + "0123456789abcdefghijklmnopqrstuvwxy", MARK),
    ("ir" + "_" + "a1" * 22, MARK),
    ("LS0tLS1CRUdJTi" + "BSU0EgUFJJVkFURSBLRVktLS0tLQo=", MARK),
    (r'{"log":"it is\nghp_0123456789abcdefABCDEF\n"}', rf'{{"log":"it is\n{MARK}\n"}}'),
    ("Authorization: Bearer abcdef0123456789", f"Authorization: {MARK}"),
    ("curl -H 'Bearer abcdef0123456789'", f"curl -H 'Bearer {MARK}'"),
    ("Basic dXNlcjpwYXNzd29yZA==", f"Basic {MARK}"),
    ("postgres://app:hunter2@db:5432/shop", f"postgres://app:{MARK}@db:5432/shop"),
    ("redis://:hunter2@cache:6379", f"redis://:{MARK}@cache:6379"),
    ("password: hunter2", f"password: {MARK}"),
    ("PGPASSWORD=hunter2 psql", f"PGPASSWORD={MARK} psql"),
    ("DB_PASSWORD = 'hunter 2'", f"DB_PASSWORD = {MARK}"),
    ('api_key: "a b c"', f'api_key: "{MARK}"'),
    ("--password=hunter2", f"--password={MARK}"),
    ("client-secret: abcdef", f"client-secret: {MARK}"),
    ('{"password": "hunter2", "user": "app"}', f'{{"password": "{MARK}", "user": "app"}}'),
    ('{"db.password":"a\\"b"}', f'{{"db.password":"{MARK}"}}'),
    ('".dockerconfigjson": "eyJh"', f'".dockerconfigjson": "{MARK}"'),
    # an environment variable as kubectl shows it: in YAML, in JSON, and described in columns
    ("- name: DB_PASSWORD\n  value: hunter2\n", f"- name: DB_PASSWORD\n  value: {MARK}\n"),
    (
        '{\n  "name": "DB_PASSWORD",\n  "value": "hunter2"\n}',
        f'{{\n  "name": "DB_PASSWORD",\n  "value": "{MARK}"\n}}',
    ),
    ('[{"name":"API_TOKEN","value":"hunter2"}]', f'[{{"name":"API_TOKEN","value":"{MARK}"}}]'),
    ("      DB_PASSWORD:               hunter2\n", f"      DB_PASSWORD:               {MARK}\n"),
]


@pytest.mark.parametrize(("text", "shown"), SECRETS)
def test_a_secret_is_replaced_by_a_mark(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_of_a_known_shape_goes_from_any_text(token):
    for text in (token, f"it said {token} here", f'"{token}"', f"a={token};", f"/x/{token}/y", f"{token}\n{token}\n"):
        assert token not in redact(text)


@pytest.mark.parametrize(("text", "part"), [*BLOCKS, *NAMED])
def test_no_part_of_a_secret_survives(text, part):
    assert part not in redact(text)
    assert part not in redact(f"before\n{text}\nafter: it\n")


@pytest.mark.parametrize("text", [*KEPT, *NAMED_LIKE_SECRETS])
def test_what_only_speaks_of_secrets_stays(text):
    assert redact(text) == text


READABLE = [
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "uid: 6b1f3c5e-3a52-4b0e-9d7a-0c6a2f1e9b11",
    "pod-template-hash: 6d4cf56db6",
    "web-6d4cf56db6-x2x9z   0/1   CrashLoopBackOff   7 (2m ago)   15m",
    "image: registry.example/shop/web@sha256:9f86d081884c7d65",
    "secretName: db",
    "secretKeyRef:\n  name: db\n  key: password\n",
    "DB_PASSWORD:  <set to the key 'password' in secret 'db'>  Optional: false",
    "- name: DB_HOST\n  value: db.shop.svc\n",
    '"name": "DB_HOST", "value": "db.shop.svc"',
    "https://web.shop.svc:8080/healthz",
    "the password is wrong",
    'Error: secret "db" not found',
    "tokens used: 1234",
    "token_limit: the policy allows at most 9000",
    "kubectl get secrets -n shop",
    "",
]


@pytest.mark.parametrize("text", READABLE)
def test_what_people_need_to_read_stays(text):
    assert redact(text) == text


@given(st.text())
def test_any_text_can_be_redacted(text):
    assert isinstance(redact(text), str)


@given(st.text(alphabet="0123456789abcdef", min_size=1, max_size=64))
def test_digests_stay_whole(digest):
    assert redact(f"digest {digest}") == f"digest {digest}"


FRAGMENTS = st.lists(
    st.sampled_from(
        [text for text, _ in SECRETS] + READABLE + [" ", "\n", ": ", "= ", '"', "'", "{", "name: ", "token"]
    ),
    max_size=6,
).map(" ".join)


@given(FRAGMENTS)
def test_redacting_twice_is_redacting_once(text):
    once = redact(text)

    assert redact(once) == once


@given(FRAGMENTS, FRAGMENTS)
def test_the_strongest_secrets_never_survive_whatever_stands_around_them(before, after):
    for secret in (JWT, "ghp" + "_0123456789abcdefABCDEF", "AKIA" + "IOSFODNN7EXAMPLE"):
        assert secret not in redact(f"{before} {secret} {after}")


MEGABYTE = 1_000_000
SLOWEST_SECONDS = 20.0
"""Some twenty times what the slowest takes on an idle machine; without bounds it would be minutes."""
HOSTILE = (
    *("a", "password", "name: ", "https://", '"token": "', "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"),
    *("eyJ", "eyJaaaaaaaaa.", '"', "\\", "\n", "token: [", "token: '", "token=a,", "token:\n", "token: |\n", "a://b:@"),
    *(
        '"name":"token","value":',
        "value: x\n",
        "abcdefgh\n",
        "A" * 63 + "\n",
        "curl ",
        "mysql ",
        "--token ",
        "ghp_",
        "$5$",
    ),
    *('\\"token\\":\\"', "secrets:\n- x\n", "<token>", "\x1b", "Q", "token \t", "x="),
    *("--token '", "--token\n x\n", "token: a\n b\n", "token: 'a''", "jdbc:oracle:thin:a/", "a/b-token:"),
)


@pytest.mark.parametrize("part", HOSTILE)
def test_a_megabyte_made_to_be_slow_is_not(part):
    text = part * (MEGABYTE // len(part))
    started = time.perf_counter()
    redact(text)
    redact(f"kind: Secret\ndata:\n  {text}")

    assert time.perf_counter() - started < SLOWEST_SECONDS
