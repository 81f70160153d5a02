"""The verbs of shipping, in one place for the modules above; each lives in the file named after its noun."""

from shipcrowd.shipping.booking import (
    ShipmentNotFound,
    attempt_failed,
    book,
    book_by_hand,
    booked,
    outcome_unknown,
    refuse,
    settle_with_awb,
    start_attempt,
    void,
)
from shipcrowd.shipping.queries import DispatchFacts, dispatch_facts, got, of_order
from shipcrowd.shipping.quoting import quote
from shipcrowd.shipping.tracking import take_scans, typed_progress

__all__ = [
    "DispatchFacts",
    "ShipmentNotFound",
    "attempt_failed",
    "book",
    "book_by_hand",
    "booked",
    "dispatch_facts",
    "got",
    "of_order",
    "outcome_unknown",
    "quote",
    "refuse",
    "settle_with_awb",
    "start_attempt",
    "take_scans",
    "typed_progress",
    "void",
]
