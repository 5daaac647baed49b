"""Settings: which way leads out of this machine."""

import pytest

from bot.settings import load_settings, refuse_unknown_settings, settings_from
from core.errors import InvalidInputError

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


def test_what_is_spelt_like_a_setting_and_is_none_is_refused_with_what_may_be_meant(monkeypatch):
    monkeypatch.setenv("INCIDENT_RESOLVER_POLCIY", "/etc/policy.yaml")
    monkeypatch.setenv("INCIDENT_RESOLVER_ZZZ", "1")

    with pytest.raises(InvalidInputError, match=r"POLCIY is no setting; is INCIDENT_RESOLVER_POLICY meant.*ZZZ is no"):
        refuse_unknown_settings()


def test_what_kubernetes_sets_for_services_is_no_setting_and_no_mistake(monkeypatch):
    for name in ("SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT_8084_TCP_ADDR", "ISSUER_SERVICE_PORT", "ISSUER_PORT_1_UDP"):
        monkeypatch.setenv(f"INCIDENT_RESOLVER_{name}", "x")

    refuse_unknown_settings()


def test_a_port_that_kubernetes_set_for_a_service_is_told_with_what_to_do(monkeypatch):
    monkeypatch.setenv("INCIDENT_RESOLVER_PORT", "tcp://10.0.0.1:8084")

    with pytest.raises(InvalidInputError, match=r"INCIDENT_RESOLVER_PORT.*enableServiceLinks: false"):
        load_settings()


def test_a_line_may_begin_with_what_is_configured_and_with_nothing_else():
    given = {"FLUX_PATH": "/opt/flux", "ARGOCD_PATH": "/opt/argocd", "ARGOCD_AUTH_TOKEN": "login"}
    settings = settings_from(given)

    assert settings.programs == {"kubectl", "flux", "argocd"}
    assert settings.argocd_environment == {"ARGOCD_AUTH_TOKEN": "login"}
    assert "login" not in repr(settings)
    assert settings_from({}).programs == {"kubectl"}
