"""The settings: the only reader of the environment. README's table is compared with this file by a test."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # documented in its source only

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from core.errors import InvalidInputError

PREFIX = "INCIDENT_RESOLVER_"
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$")
"""What Kubernetes sets by itself for a Service called incident-resolver."""
_LINKED = "Kubernetes sets such a variable for a Service: write enableServiceLinks: false into the Pod's spec. "


def default_data_folder() -> Path:
    """As root a folder PostgreSQL's unprivileged child can enter, else the user's own."""
    if os.geteuid() == 0:
        return Path("/var/lib/incident-resolver")
    return Path.home() / ".local" / "share" / "incident-resolver"


def settle_home() -> None:
    """An account without HOME and without an entry in /etc/passwd has / for its home, as containers do it.

    Libraries ask for the home when they are imported. What is to be written there fails with a sentence of ours.
    """
    try:
        Path.home()
    except (RuntimeError, KeyError):
        os.environ["HOME"] = "/"  # noqa: TID251  the one module that knows the environment


class Settings(BaseSettings):
    """Every setting with its default; an empty variable counts as not set. Aliases are the names users know."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", frozen=True, case_sensitive=True, populate_by_name=True
    )

    database_url: str | None = Field(None, alias="DATABASE_URL", description="PostgreSQL; without it an embedded one")
    database_migration_url: str | None = Field(
        None, alias="DATABASE_MIGRATION_URL", description="another login that owns the tables, for `db upgrade`"
    )
    anthropic_api_key: SecretStr | None = Field(
        None, alias="ANTHROPIC_API_KEY", description="the model key; only the gateway holds it"
    )
    anthropic_base_url: str = Field(
        "https://api.anthropic.com", alias="ANTHROPIC_BASE_URL", description="another address of the Messages API"
    )
    slack_bot_token: SecretStr | None = Field(None, alias="SLACK_BOT_TOKEN", description="xoxb-…; none: REST only")
    slack_app_token: SecretStr | None = Field(
        None, alias="SLACK_APP_TOKEN", description="xapp-…: Socket Mode; without it HTTP mode"
    )
    slack_signing_secret: SecretStr | None = Field(
        None, alias="SLACK_SIGNING_SECRET", description="needed in HTTP mode (/slack/events)"
    )
    slack_client_id: str | None = Field(
        None, alias="SLACK_CLIENT_ID", description="for installing in many workspaces; not used yet"
    )
    slack_client_secret: SecretStr | None = Field(
        None, alias="SLACK_CLIENT_SECRET", description="for installing in many workspaces; not used yet"
    )
    slack_channel: str | None = Field(None, alias="SLACK_CHANNEL", description="where cards go: a channel id")
    slack_api_url: str = Field("https://slack.com/api/", alias="SLACK_API_URL", description="another Web API address")
    kubeconfig: Path | None = Field(None, alias="KUBECONFIG", description="the cluster; in a Pod its own account")
    kubectl_path: Path | None = Field(None, alias="KUBECTL_PATH", description="another kubectl than the pinned one")
    helm_path: Path | None = Field(None, alias="HELM_PATH", description="helm; without it no helm line runs")
    argocd_path: Path | None = Field(None, alias="ARGOCD_PATH", description="argocd; without it no line of it runs")
    argocd_server: str | None = Field(None, alias="ARGOCD_SERVER", description="its server, which it alone is told")
    argocd_auth_token: SecretStr | None = Field(
        None, alias="ARGOCD_AUTH_TOKEN", description="its login, which it alone is given; a read-only one"
    )
    flux_path: Path | None = Field(None, alias="FLUX_PATH", description="flux; without it no line of it runs")
    istioctl_path: Path | None = Field(
        None, alias="ISTIOCTL_PATH", description="istioctl; without it no line of it runs"
    )
    velero_path: Path | None = Field(None, alias="VELERO_PATH", description="velero; without it no line of it runs")
    platform_url: str | None = Field(None, alias="PLATFORM_URL", description="the SRE platform's REST APIs")
    neo4j_uri: str | None = Field(None, alias="NEO4J_URI", description="the graph, e.g. bolt://host:7687")
    neo4j_user: str = Field("neo4j", alias="NEO4J_USER", description="its user")
    neo4j_password: SecretStr | None = Field(None, alias="NEO4J_PASSWORD", description="its password")

    https_proxy: str | None = Field(
        None,
        alias="HTTPS_PROXY",
        validation_alias=AliasChoices("HTTPS_PROXY", "https_proxy"),
        description="proxy to https:// addresses; to the cluster the kubeconfig's `proxy-url` counts",
    )
    no_proxy: str = Field(
        "",
        alias="NO_PROXY",
        validation_alias=AliasChoices("NO_PROXY", "no_proxy"),
        description="hosts that are reached without it; this machine always is",
    )
    host: str = Field("127.0.0.1", alias=PREFIX + "HOST", description="address the REST server listens on")
    port: int = Field(8084, alias=PREFIX + "PORT", ge=0, le=65535, description="its port")
    data: Path = Field(
        default_factory=default_data_folder,
        alias=PREFIX + "DATA",
        description="embedded database, keys, workspaces; as root /var/lib/incident-resolver",
    )
    policy: Path | None = Field(None, alias=PREFIX + "POLICY", description="the policy file (YAML)")
    approvers: str = Field(
        "", alias=PREFIX + "APPROVERS", description="who may approve: Slack ids, group ids or `channel`, by commas"
    )
    log: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", alias=PREFIX + "LOG", description="log level")
    token_limit: int = Field(
        100_000, alias=PREFIX + "TOKEN_LIMIT", ge=1, le=2_000_000, description="tokens per incident"
    )
    agent_token_limit: int = Field(
        50_000, alias=PREFIX + "AGENT_TOKEN_LIMIT", ge=1, le=2_000_000, description="tokens per agent"
    )
    approval_timeout: float = Field(
        300.0, alias=PREFIX + "APPROVAL_TIMEOUT", gt=0, le=604_800, description="seconds until a question expires"
    )
    snapshot_key: SecretStr | None = Field(
        None, alias=PREFIX + "SNAPSHOT_KEY", description="32 bytes, base64; else DATA/keys/snapshot"
    )
    signing_key: SecretStr | None = Field(
        None, alias=PREFIX + "SIGNING_KEY", description="32 bytes, base64; else DATA/keys/signing"
    )
    auto_rollback: bool = Field(
        default=False, alias=PREFIX + "AUTO_ROLLBACK", description="put changes back after failure, error or timeout"
    )
    money_per_day_usd: Decimal = Field(
        Decimal(20), alias=PREFIX + "MONEY_PER_DAY_USD", ge=0, description="USD for models per UTC day"
    )
    agents_at_once: int = Field(
        4, alias=PREFIX + "AGENTS_AT_ONCE", ge=1, le=64, description="agents at work over all replicas"
    )
    spare_agents: int = Field(0, alias=PREFIX + "SPARE_AGENTS", ge=0, le=8, description="not used yet")
    lease_seconds: float = Field(
        30.0, alias=PREFIX + "LEASE_SECONDS", ge=2, le=600, description="how long a dead worker's work is held"
    )
    verify_seconds: float = Field(
        120.0, alias=PREFIX + "VERIFY_SECONDS", ge=1, le=3600, description="how long healing may take"
    )
    source_seconds: float = Field(
        8.0, alias=PREFIX + "SOURCE_SECONDS", gt=0, le=120, description="time limit of each context source"
    )
    execution: Literal["process"] = Field("process", alias=PREFIX + "EXECUTION", description="where agents run")
    retention_days: int = Field(
        90, alias=PREFIX + "RETENTION_DAYS", ge=1, le=3650, description="how many days snapshots are kept"
    )
    haiku_model: str = Field(
        "claude-haiku-4-5-20251001", alias=PREFIX + "HAIKU_MODEL", description="model id for the small agent"
    )
    sonnet_model: str = Field(
        "claude-sonnet-4-6", alias=PREFIX + "SONNET_MODEL", description="model id for the larger agent"
    )
    reader_kubeconfig: Path | None = Field(
        None, alias=PREFIX + "READER_KUBECONFIG", description="identity for reads, the agent's too; else KUBECONFIG"
    )
    preview_kubeconfig: Path | None = Field(
        None, alias=PREFIX + "PREVIEW_KUBECONFIG", description="identity for dry runs; else KUBECONFIG"
    )
    keeper_kubeconfig: Path | None = Field(
        None, alias=PREFIX + "KEEPER_KUBECONFIG", description="identity for snapshots and undo; else KUBECONFIG"
    )
    issuer_kubeconfig: Path | None = Field(
        None,
        alias=PREFIX + "ISSUER_KUBECONFIG",
        description="identity that issues a credential per approval; set: issuing is on; for `issuer` else KUBECONFIG",
    )
    medium_kubeconfig: Path | None = Field(
        None,
        alias=PREFIX + "MEDIUM_KUBECONFIG",
        description="where nobody issues: identity for approvals up to MEDIUM; none of the three set: KUBECONFIG",
    )
    high_kubeconfig: Path | None = Field(
        None, alias=PREFIX + "HIGH_KUBECONFIG", description="the same for HIGH; not set beside another: refused"
    )
    critical_kubeconfig: Path | None = Field(
        None, alias=PREFIX + "CRITICAL_KUBECONFIG", description="the same for CRITICAL; not set beside another: refused"
    )
    issuer_url: str | None = Field(
        None, alias=PREFIX + "ISSUER_URL", description="https:// address of an issuer that runs elsewhere"
    )
    issuer_listen: str | None = Field(
        None, alias=PREFIX + "ISSUER_LISTEN", description="HOST:PORT that `issuer` answers on, by mutual TLS"
    )
    issuer_certificate: Path | None = Field(
        None, alias=PREFIX + "ISSUER_CERTIFICATE", description="PEM file of one's own certificate, on either side"
    )
    issuer_key: Path | None = Field(None, alias=PREFIX + "ISSUER_KEY", description="its key")
    issuer_ca: Path | None = Field(
        None, alias=PREFIX + "ISSUER_CA", description="PEM file of the authority that signed the other side's"
    )

    @property
    def is_issuing(self) -> bool:
        """Whether changes run with a credential per approval, and never with anything else."""
        return self.issuer_kubeconfig is not None or self.issuer_url is not None

    def proxy_for(self, url: str | None) -> str | None:
        """The proxy on the way to an https:// address; None for this machine and for what NO_PROXY lists."""
        parts = urlsplit(url or "")
        host = parts.hostname or ""
        if parts.scheme != "https" or _is_this_machine(host):
            return None
        return None if proxy_bypass_environment(host, {"no": self.no_proxy}) else self.https_proxy

    @property
    def programs(self) -> frozenset[str]:
        """What an agent's line may begin with here."""
        return frozenset({"kubectl", *(["helm"] if self.helm_path is not None else []), *self.tool_paths})

    @property
    def tool_paths(self) -> dict[str, Path]:
        """Those of rule R11 that are configured, by their names."""
        given = {
            "argocd": self.argocd_path,
            "flux": self.flux_path,
            "istioctl": self.istioctl_path,
            "velero": self.velero_path,
        }
        return {name: path for name, path in given.items() if path is not None}

    @property
    def argocd_environment(self) -> dict[str, str]:
        token = self.argocd_auth_token.get_secret_value() if self.argocd_auth_token is not None else None
        given = {"ARGOCD_SERVER": self.argocd_server, "ARGOCD_AUTH_TOKEN": token}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def approver_names(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.approvers.split(",") if part.strip())


def forget_proxies() -> None:
    """Slack's SDK takes any proxy of the environment, whatever NO_PROXY says and even towards this machine."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        os.environ.pop(name, None)  # noqa: TID251  the one module that knows the environment


@contextmanager
def hidden_slack_environment() -> Iterator[None]:
    """Bolt reads SLACK_* by itself: a client id and secret would turn on OAuth, which refuses all requests."""
    environment = os.environ  # noqa: TID251  the one module that knows the environment
    kept = {name: value for name, value in environment.items() if name.startswith("SLACK_")}
    for name in kept:
        del environment[name]
    try:
        yield
    finally:
        environment.update(kept)


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Isolated(Settings):
    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def load_settings() -> Settings:
    """The environment's settings; InvalidInputError names each variable that is wrong."""
    try:
        return Settings.model_validate({})
    except ValidationError as error:
        raise InvalidInputError(_told(error)) from error


def settings_from(values: dict[str, object]) -> Settings:
    """Settings from these values alone; the environment is not asked (the demo, tests)."""
    return _Isolated.model_validate(values)


def issuer_environment(settings: Settings, *, database_url: str) -> dict[str, str]:
    """What the issuer's process is started with: this process's own, without anything secret but the database."""
    given = {str(field.alias) for field in Settings.model_fields.values()} - {"HTTPS_PROXY", "NO_PROXY"}
    passed_on = {name: value for name, value in os.environ.items() if name not in given}  # noqa: TID251  here is where
    kubeconfig = settings.issuer_kubeconfig or settings.kubeconfig
    own = {"DATABASE_URL": database_url, PREFIX + "LOG": settings.log, PREFIX + "DATA": str(settings.data)}
    return passed_on | own | ({PREFIX + "ISSUER_KUBECONFIG": str(kubeconfig)} if kubeconfig else {})


def refuse_unknown_settings() -> None:
    """InvalidInputError names what is spelt like a setting and is none: a policy that is not read protects nobody."""
    known = [str(field.alias) for field in Settings.model_fields.values()]
    own = [name for name in os.environ if name.startswith(PREFIX)]  # noqa: TID251  the one module that knows it
    told = []
    for name in sorted(own):
        if name not in known and not _SERVICE_LINK.search(name):
            near = get_close_matches(name, known, n=1)
            told.append(f"{name} is no setting" + (f"; is {near[0]} meant?" if near else "."))
    if told:
        raise InvalidInputError(f"{' '.join(told)} See the table of settings in the README.")


def _told(error: ValidationError) -> str:
    found = error.errors()
    parts = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in found]
    is_linked = any(str(one["input"]).startswith("tcp://") for one in found)
    return f"The settings are wrong. {'; '.join(parts)}. {_LINKED if is_linked else ''}See the table in the README."
