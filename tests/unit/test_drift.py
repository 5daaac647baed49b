"""What must stay true to each other; each check is shown to find what it is for."""

import copy

import pytest

from bot.rest.openapi import openapi_document
from bot.slack import buttons
from tests import drift

GIVEN = drift.read_manifest()


@pytest.mark.parametrize("check", ["settings", "manifest", "listeners", "scopes", "rest", "modules"])
def test_nothing_has_drifted(check):
    assert drift.faults()[check] == []


def changed(path, value):
    """The manifest with one place changed."""
    given = copy.deepcopy(GIVEN)
    place = given
    *way, last = path
    for step in way:
        place = place[step]
    place[last] = value
    return given


COMMAND = ("features", "slash_commands", 0)
SCOPES = ("oauth_config", "scopes", "bot")


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("display_information", "name"), "x" * 36, "display_information.name"),
        (("display_information", "name"), "", "display_information.name"),
        (("display_information", "description"), "x" * 141, "display_information.description"),
        (("display_information", "background_color"), "navy", "background_color"),
        (("features", "bot_user", "display_name"), "x" * 81, "bot_user.display_name"),
        ((*COMMAND, "command"), "incident", "command"),
        ((*COMMAND, "command"), "/In cident", "command"),
        ((*COMMAND, "command"), "/" + "x" * 32, "command"),
        ((*COMMAND, "usage_hint"), "x" * 1_001, "usage_hint"),
        ((*COMMAND, "description"), "x" * 2_001, "description"),
        ((*COMMAND, "colour"), "red", "colour"),
        (("settings", "socket_mode"), True, "socket_mode"),
        (SCOPES, ["commands", "commands"], "scopes.bot"),
    ],
)
def test_what_slack_would_refuse_in_the_manifest_is_found(path, value, place):
    (told,) = drift.manifest_faults(changed(path, value))

    assert place in told


def test_the_manifest_must_name_the_app():
    given = copy.deepcopy(GIVEN)
    del given["display_information"]["name"]

    assert "'name' is a required property" in next(drift.manifest_faults(given))


def test_every_listener_of_the_code_is_seen():
    found = drift.registered()

    assert found["command"] == {"/incident"}
    assert found["event"] == {"app_mention"}
    assert found["action"] == {
        buttons.APPROVE,
        buttons.REJECT,
        buttons.DETAILS,
        buttons.INTERRUPT,
        buttons.ROLLBACK,
        buttons.ASK_AGAIN,
        buttons.QUESTION,
        buttons.OFFER,
    }
    assert found["view"] == {buttons.REJECT_FORM, buttons.ROLLBACK_FORM}


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ((*COMMAND, "command"), "/resolve", "command '/incident': only the code listens to it"),
        (("settings", "event_subscriptions", "bot_events"), [], "event 'app_mention': only the code listens to it"),
        (
            ("settings", "event_subscriptions", "bot_events"),
            ["app_mention", "reaction_added"],
            "event 'reaction_added': only slack_manifest.yaml names it",
        ),
        (("settings", "interactivity", "is_enabled"), False, "interactivity must be enabled"),
    ],
)
def test_a_listener_that_only_one_side_knows_is_found(path, value, told):
    assert told in "; ".join(drift.listener_faults(changed(path, value)))


def test_every_method_that_is_called_is_seen():
    called = drift.called_methods()

    assert {"chat_postMessage", "chat_update", "conversations_replies", "views_open", "users_info"} <= called
    assert called <= {method.replace(".", "_") for method in drift.SCOPES}


@pytest.mark.parametrize("scope", sorted(GIVEN["oauth_config"]["scopes"]["bot"]))
def test_a_scope_that_is_missing_is_found(scope):
    given = changed(SCOPES, [one for one in GIVEN["oauth_config"]["scopes"]["bot"] if one != scope])

    assert f"slack_manifest.yaml lacks the scope {scope}" in list(drift.scope_faults(given, drift.called_methods()))


def test_a_scope_that_nothing_needs_is_found():
    given = changed(SCOPES, [*GIVEN["oauth_config"]["scopes"]["bot"], "files:write"])

    assert "asks for the scope files:write, which nothing needs" in "; ".join(
        drift.scope_faults(given, drift.called_methods())
    )


def test_a_method_whose_scopes_nobody_wrote_down_is_found():
    told = list(drift.scope_faults(GIVEN, drift.called_methods() | {"files_upload_v2"}))

    assert told == ["bot/slack calls files_upload_v2: write its scopes into tests/drift.py"]


def test_a_setting_that_the_readme_does_not_have_is_found():
    readme = drift.README.read_text(encoding="utf-8").replace("| `SLACK_CHANNEL` |", "| `SLACK_CHANEL` |")

    assert "differs from bot/settings.py" in next(drift.readme_faults(readme))


def test_routes_and_their_description_are_compared_both_ways():
    document = openapi_document("0")
    routes = drift.rest_routes()
    assert len(routes) == 10

    (told,) = drift.rest_faults(routes | {("post", "/api/v1/incident/dance")}, document)
    assert "is served and not in the OpenAPI document" in told
    (told,) = drift.rest_faults(routes - {("get", "/healthz")}, document)
    assert told == "GET /healthz is in the OpenAPI document and not served"


def test_a_path_parameter_that_is_not_described_is_found():
    document = openapi_document("0")
    document["paths"]["/api/v1/incident/status/{resolution_id}"]["get"]["parameters"] = []

    (told,) = drift.rest_faults(drift.rest_routes(), document)
    assert "its path parameters are described as []" in told


@pytest.mark.parametrize("name", ["utils.py", "helpers.py", "common.py", "misc.py", "base.py", "shared.py", "types.py"])
def test_a_junk_drawer_is_found_by_its_name(tmp_path, name):
    (tmp_path / name).write_text("", encoding="utf-8")

    (told,) = drift.module_faults([tmp_path / name])
    assert "name it after what it holds" in told


def test_a_folder_named_like_a_junk_drawer_is_found(tmp_path):
    (tmp_path / "utils").mkdir()
    (tmp_path / "utils" / "dates.py").write_text("", encoding="utf-8")

    assert "not 'utils'" in next(drift.module_faults([tmp_path / "utils" / "dates.py"]))


def test_a_module_of_401_lines_is_found(tmp_path):
    for lines, found in ((400, 0), (401, 1)):
        (tmp_path / "flow.py").write_text("x = 1\n" * lines, encoding="utf-8")
        assert len(list(drift.module_faults([tmp_path / "flow.py"]))) == found


def test_the_command_prints_what_differs_and_fails(capsys, monkeypatch):
    assert drift.main() == 0
    assert capsys.readouterr().out == ""

    monkeypatch.setattr(drift, "LONGEST_MODULE", 10)
    assert drift.main() == 1
    assert "modules: bot/wiring.py has" in capsys.readouterr().out
