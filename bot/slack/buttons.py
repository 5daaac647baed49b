"""What buttons carry: an opaque id and what exactly is meant, signed, so that no other value is acted upon."""

import base64
import hashlib
import hmac
from dataclasses import dataclass

from core.errors import InvalidInputError

APPROVE = "approve"
REJECT = "reject"
DETAILS = "details"
QUESTION = "question"
OFFER = "offer"
INTERRUPT = "interrupt"
ROLLBACK = "rollback"
ASK_AGAIN = "ask_again"
REJECT_FORM = "reject_form"
ROLLBACK_FORM = "rollback_form"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs values with the service's key. A value for one action is not valid for another."""

    key: bytes

    def value(self, action: str, id_: str, digest: str = "") -> str:
        """`id.digest.signature`; the digest names the permit that the person saw."""
        return f"{id_}.{digest}.{self._signature(action, id_, digest)}"

    def read(self, action: str, value: str) -> tuple[str, str]:
        """(id, digest); InvalidInputError for a value that was not signed here for this action."""
        id_, _, rest = value.partition(".")
        digest, _, signature = rest.partition(".")
        if not hmac.compare_digest(_bytes(signature), _bytes(self._signature(action, id_, digest))):
            raise InvalidInputError("This button is not one of ours, or the signing key was changed; use a newer card.")
        return id_, digest

    def _signature(self, action: str, id_: str, digest: str) -> str:
        mac = hmac.new(self.key, _bytes(f"1\0{action}\0{id_}\0{digest}"), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Of any text: JSON can carry lone surrogates, which UTF-8 cannot."""
    return text.encode("utf-8", "surrogatepass")
