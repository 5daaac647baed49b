"""Settings: which way leads out of this machine."""

import pytest

from bot.settings import settings_from

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://api.anthropic.com", PROXY),
        ("https://slack.com/api/", PROXY),
        ("https://platform.sre.example:8443/x", None),
        ("https://sre.example", None),
        ("http://platform.sre.svc", None),
        ("https://127.0.0.1:8443", None),
        ("https://[::1]/", None),
        ("https://localhost", None),
        ("", None),
        (None, None),
    ],
)
def test_the_proxy_is_for_https_beyond_this_machine_and_not_for_what_no_proxy_lists(url, proxy):
    settings = settings_from({"HTTPS_PROXY": PROXY, "NO_PROXY": "other.example,.sre.example"})

    assert settings.proxy_for(url) == proxy
    assert settings_from({}).proxy_for(url) is None


def test_a_line_may_begin_with_what_is_configured_and_with_nothing_else():
    given = {"FLUX_PATH": "/opt/flux", "ARGOCD_PATH": "/opt/argocd", "ARGOCD_AUTH_TOKEN": "login"}
    settings = settings_from(given)

    assert settings.programs == {"kubectl", "flux", "argocd"}
    assert settings.argocd_environment == {"ARGOCD_AUTH_TOKEN": "login"}
    assert "login" not in repr(settings)
    assert settings_from({}).programs == {"kubectl"}
