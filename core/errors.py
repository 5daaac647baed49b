"""The error tree, sorted by what the caller can do about it.

`str(error)` is a sentence for a person and never holds a secret; foreign exceptions are chained as the cause.
"""


class ResolverError(Exception):
    """Anything this product refuses or fails at, told in one sentence."""


class InvalidInputError(ResolverError):
    """What was sent cannot be understood; `field` names the part that is wrong, if one is."""

    def __init__(self, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.field = field


class NotAuthenticatedError(ResolverError):
    """Nobody knows who is asking."""


class NotAllowedError(ResolverError):
    """The caller is known and may not do this."""


class NotFoundError(ResolverError):
    """There is no such thing."""


class StaleError(ResolverError):
    """Somebody decided first, or the thing has changed since the caller looked: says who, what and when."""


class UnprocessableError(ResolverError):
    """Understood, yet contradicting an earlier request (an Idempotency-Key used for another body)."""


class TooManyError(ResolverError):
    """A limit is reached; `retry_after_seconds` says when to come back."""

    def __init__(self, sentence: str, *, retry_after_seconds: int = 60) -> None:
        super().__init__(sentence)
        self.retry_after_seconds = retry_after_seconds


class BudgetExceededError(ResolverError):
    """The token or money limit leaves no room for this."""


class StepFailedError(ResolverError):
    """A step of an execution failed in a way that repeating does not cure."""


class RollbackFailedError(ResolverError):
    """An undo did not complete; its entry is kept and can be tried again."""


class UnavailableError(ResolverError):
    """Something this product needs does not answer; trying later may help."""


class LeaseLostError(ResolverError):
    """Another worker holds the resolution now, or its state moved: stop, and change nothing more."""


def first_of(failures: ExceptionGroup[Exception]) -> Exception:
    """What went wrong first inside a group of tasks, however deep it stands."""
    first = failures.exceptions[0]
    return first_of(first) if isinstance(first, ExceptionGroup) else first
