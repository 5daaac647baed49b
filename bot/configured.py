"""What the settings alone make: policy, approval engine, keys, and the folder of data."""

from pathlib import Path

from bot.keys import load_key
from bot.settings import Settings
from core.approvals import ApprovalEngine
from core.errors import InvalidInputError
from core.policy.loading import load_policy
from core.policy.policy import DEFAULT_POLICY, Policy


def make_data_folder(data: Path) -> None:
    """InvalidInputError where it cannot be made."""
    try:
        data.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(
            f"The folder {data} cannot be made ({error.strerror}); set INCIDENT_RESOLVER_DATA to one that can."
        ) from error


def load_policy_file(settings: Settings) -> Policy:
    """The policy, the built-in one where no file is set. InvalidInputError names file, line and path."""
    if settings.policy is None:
        return DEFAULT_POLICY
    try:
        text = settings.policy.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"The policy file {settings.policy} cannot be read: {error}.") from error
    return load_policy(text, str(settings.policy))


def approval_engine(settings: Settings, policy: Policy) -> ApprovalEngine:
    return ApprovalEngine(
        default_timeout_seconds=settings.approval_timeout,
        approvers=settings.approver_names,
        policy=policy,
        auto_rollback=settings.auto_rollback,
    )


def snapshot_key(settings: Settings) -> bytes:
    given = settings.snapshot_key.get_secret_value() if settings.snapshot_key else None
    return load_key("snapshot", given=given, data=settings.data, may_make=settings.database_url is None)


def signing_key(settings: Settings) -> bytes:
    given = settings.signing_key.get_secret_value() if settings.signing_key else None
    return load_key("signing", given=given, data=settings.data, may_make=settings.database_url is None)
