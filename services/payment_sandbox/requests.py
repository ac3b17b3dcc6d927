"""What the provider accepts: bodies, queries and the Idempotency-Key header."""

import re
from hashlib import blake2b
from typing import Annotated, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.payment_sandbox.problems import Problem, invalid

KEY_PATTERN = r"^[!#-\[\]-~]{1,200}$"
_KEY = re.compile(KEY_PATTERN)
_MAX_AMOUNT = 10**15

OrderId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Charge(BaseModel):
    """Capture this amount for this order, at most once under the request's key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    order_id: OrderId
    amount: int = Field(ge=1, le=_MAX_AMOUNT)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    payment_token: str = Field(pattern=r"^[!-~]{1,200}$")

    def fingerprint(self) -> str:
        """Equal for equal requests; the ledger keeps this instead of the token."""
        return _digest("charge", self.order_id, str(self.amount), self.currency, self.payment_token)


class Refund(BaseModel):
    """Give back what was captured under `charge_key`, and close that key for later charges."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    order_id: OrderId
    charge_key: str = Field(pattern=KEY_PATTERN)
    reason: str = Field(default="", max_length=1_000)

    def fingerprint(self) -> str:
        """Equal for equal requests; the reason is a note, so a repeat may word it differently."""
        return _digest("refund", self.order_id, self.charge_key)


class OutageOrder(BaseModel):
    """How the provider is to behave from now on, for ever or for `for_s` seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["up", "down", "hang", "error", "no_refunds"]
    for_s: float | None = Field(default=None, gt=0, le=86_400)


class Page(BaseModel):
    """Which part of the ledger to read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: int = Field(default=0, ge=0, lt=2**63)
    limit: int = Field(default=1_000, ge=1, le=10_000)


BodyT = TypeVar("BodyT", bound=BaseModel)


async def read_body(request: web.Request, model: type[BodyT]) -> BodyT:
    """Return the validated body. Raises a Problem that names the invalid field."""
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        raise invalid(error) from None


def read_page(request: web.Request) -> Page:
    """Return the validated query of a ledger read."""
    try:
        return Page.model_validate(dict(request.query))
    except ValidationError as error:
        raise invalid(error) from None


def read_key(request: web.Request) -> str:
    """Return the request's idempotency key, written bare or as the draft's quoted string."""
    header = request.headers.get("Idempotency-Key")
    if header is None:
        raise Problem(400, "Idempotency-Key is missing", "send one key for each thing to be done", "Idempotency-Key")
    key = header[1:-1] if len(header) > 1 and header[0] == header[-1] == '"' else header
    if not _KEY.match(key):
        raise Problem(
            400, "Invalid Idempotency-Key", "1 to 200 printable characters without spaces or quotes", "Idempotency-Key"
        )
    return key


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
