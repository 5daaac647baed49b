"""The planning agent's proposal: its JSON schema, and the parsing of what the model really sent."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import InvalidInputError
from core.plan import MOST_STEPS, Check, Proposal, ProposedStep
from core.redaction import redact


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid")

    command: Annotated[str, Field(min_length=1, max_length=2_000)]
    check: Check
    undo: Annotated[str, Field(min_length=1, max_length=300)]


class _Proposal(BaseModel):
    model_config = ConfigDict(extra="forbid")

    why: Annotated[str, Field(min_length=1, max_length=600)]
    steps: Annotated[list[_Step], Field(min_length=1, max_length=MOST_STEPS)]


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


PROPOSAL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "why": _text("one or two sentences for the people who are asked: why these steps help"),
        "steps": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_STEPS,
            "items": {
                "type": "object",
                "properties": {
                    "command": _text("one line as for bash, without a pipe"),
                    "check": {
                        "enum": [one.value for one in Check],
                        "description": "what must hold before the next step: healthy, or not_worse where only a later "
                        "step heals",
                    },
                    "undo": _text("one sentence: how this step is taken back"),
                },
                "required": ["command", "check", "undo"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["why", "steps"],
    "additionalProperties": False,
}


def parse_proposal(given: object) -> Proposal:
    """InvalidInputError says which field is wrong, so that the agent can mend it. Its words are redacted."""
    try:
        proposal = _Proposal.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the proposal"
        raise InvalidInputError(f"{place}: {first['msg']}.") from error
    steps = tuple(ProposedStep(one.command.strip(), one.check, redact(one.undo)) for one in proposal.steps)
    return Proposal(redact(proposal.why), steps)
