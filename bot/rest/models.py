"""The bodies callers send, parsed strictly: an unknown field or a wrong type is an error, never a guess."""

import re
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from core.errors import InvalidInputError
from core.resolution import ActionType, Request

LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"


def _named(text: str) -> str:
    """Names are looked up and shown on one line: nothing that cannot be seen stands in them."""
    if not text.isprintable():
        raise ValueError("holds a control character")
    return text


def _written(text: str) -> str:
    """What people write may have lines and tabs; NUL fits into no text of the database."""
    if "\x00" in text:
        raise ValueError("holds a NUL character")
    return text


def _label(text: str) -> str:
    if re.fullmatch(LABEL, text) is None:
        raise ValueError("must be a DNS label: lower-case letters, digits and dashes, no dash at either end")
    return text


class Body(BaseModel):
    """Strict JSON: no coercion, no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid")


B = TypeVar("B", bound=Body)


class ResolveBody(Body):
    """POST /api/v1/incident/resolve."""

    client_id: Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_named)]
    namespace: Annotated[
        str, Field(min_length=1, max_length=63, json_schema_extra={"pattern": f"^{LABEL}$"}), AfterValidator(_label)
    ]
    action_type: Literal["pod_restart", "config_fix", "resource_scale", "investigation"]
    action_description: Annotated[str, Field(min_length=1, max_length=4_000), AfterValidator(_written)]
    event_id: Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_named)] | None = None
    time_window_hours: Annotated[float, Field(gt=0, le=168, allow_inf_nan=False)] = 2.0
    auto_approve: bool = False
    token_limit: Annotated[int, Field(ge=1, le=2_000_000)] | None = None

    def request(self, *, token_limit: int) -> Request:
        """`token_limit` is what policy makes of the body's own."""
        return Request(
            client_id=self.client_id,
            namespace=self.namespace,
            action_type=ActionType(self.action_type),
            action_description=self.action_description,
            event_id=self.event_id,
            time_window_hours=self.time_window_hours,
            auto_approve=self.auto_approve,
            token_limit=token_limit,
        )


class ApproveBody(Body):
    """POST /api/v1/incident/approve/{approval_id}."""

    approved_by: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_named)]
    decision: Literal["approve", "reject"]
    reason: Annotated[str, Field(max_length=2_000), AfterValidator(_written)] | None = None
    digest: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class RollbackBody(Body):
    """POST /api/v1/incident/rollback."""

    snapshot_id: Annotated[str, Field(min_length=1, max_length=64)]
    dry_run: bool = False


class InterruptBody(Body):
    """POST /api/v1/incident/interrupt/{resolution_id}; the body may be left out."""

    reason: Annotated[str, Field(max_length=2_000), AfterValidator(_written)] | None = None


def parse(model: type[B], raw: bytes) -> B:
    """InvalidInputError names the field that is wrong and why."""
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidInputError(f"The body is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise InvalidInputError("The body must be a JSON object.")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or None
        told = first["msg"].removeprefix("Value error, ")
        raise InvalidInputError(f"{field or 'body'}: {told}.", field=field) from error
