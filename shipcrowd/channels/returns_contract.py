"""What returns of marketplaces are, in our words, and what a channel that handles them can do. Part of the contract to
channels; types only."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable


class ReturnKind(StrEnum):
    customer = "customer"  # the buyer had it and sends it back
    undelivered = "undelivered"  # it never reached the buyer (RTO)


class ReturnState(StrEnum):
    open = "open"
    approved = "approved"
    rejected = "rejected"
    picked_up = "picked_up"
    completed = "completed"
    cancelled = "cancelled"


@dataclass(frozen=True)
class ChannelReturn:
    """Units of one order line that come back. `state` is None where the channel's `status` is unknown to us: then it
    is kept and moves nothing. `kind` is None where this reading does not say. `problem` is set, and the rest as far as
    it was readable, where it could not be read."""

    external_id: str
    kind: ReturnKind | None
    order_external_id: str
    line_external_id: str | None
    state: ReturnState | None
    status: str  # the channel's own word
    units: int
    reason: str = ""
    comment: str = ""
    awb: str | None = None
    carrier: str | None = None
    location: str = ""
    service_id: str = ""
    asked_at: datetime | None = None
    updated_at: datetime | None = None
    expected_at: datetime | None = None
    problem: str | None = None


@dataclass(frozen=True)
class ReturnDecision:
    """What the seller says to a return: `action` is approve, reject, pickup, attempt, complete or cancel."""

    external_id: str
    action: str
    location: str
    service_id: str = ""
    at: datetime | None = None
    comment: str = ""


@dataclass(frozen=True)
class ReturnResult:
    """What the channel said to a decision. `again`: not done, and worth asking once more."""

    external_id: str
    done: bool
    code: str = ""
    message: str = ""
    again: bool = False


@dataclass(frozen=True)
class ReturnTouched:
    """A webhook's news that something about this return changed: read it afresh."""

    external_id: str


@runtime_checkable
class HandlesReturns(Protocol):
    def returns(self, since: datetime) -> AsyncIterator[Sequence[ChannelReturn]]:
        """Returns changed at or after `since`, by page."""
        ...

    async def returns_named(self, external_ids: Sequence[str]) -> Sequence[ChannelReturn]:
        """These returns, read afresh. One the channel does not know is not in the answer."""
        ...

    async def decide_returns(self, decisions: Sequence[ReturnDecision]) -> Sequence[ReturnResult]:
        """What became of each decision, in the order given."""
        ...
