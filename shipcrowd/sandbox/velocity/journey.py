"""What happens to a parcel on its way, in the courier's words."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from shipcrowd.kernel import clock
from shipcrowd.sandbox.velocity import hooks
from shipcrowd.sandbox.velocity.state import Parcel, Scan, Velocity

NEXT = {
    "NEW": "MANIFESTED",
    "MANIFESTED": "OUT FOR PICKUP",
    "PENDING": "OUT FOR PICKUP",
    "PICKUP SCHEDULED": "OUT FOR PICKUP",
    "PICKUP FAILED": "OUT FOR PICKUP",
    "OUT FOR PICKUP": "PICKED UP",
    "PICKED UP": "IN TRANSIT",
    "IN TRANSIT": "REACHED HUB",
    "REACHED HUB": "OUT FOR DELIVERY",
    "DISPATCHED": "OUT FOR DELIVERY",
    "OUT FOR DELIVERY": "DELIVERED",
    "DELIVERY ATTEMPTED": "OUT FOR DELIVERY",
    "DELIVERY FAILED": "OUT FOR DELIVERY",
    "UNDELIVERED": "OUT FOR DELIVERY",
    "NDR": "OUT FOR DELIVERY",
    "RTO INITIATED": "RTO IN TRANSIT",
    "RTO IN TRANSIT": "RTO OUT FOR DELIVERY",
    "RTO OUT FOR DELIVERY": "RTO DELIVERED",
    "RETURN PICKUP SCHEDULED": "RETURN PICKED UP",
    "RETURN PICKED UP": "RETURN IN TRANSIT",
    "RETURN IN TRANSIT": "RETURN DELIVERED",
    "CANCELLATION REQUESTED": "CANCELLED",
}
"""The next thing that happens when nothing goes wrong. What is missing here is an end."""

BEFORE_PICKUP = frozenset(
    ("NEW", "MANIFESTED", "PENDING", "PICKUP SCHEDULED", "OUT FOR PICKUP", "PICKUP FAILED", "RETURN PICKUP SCHEDULED")
)
CANCELLABLE = BEFORE_PICKUP | {"PICKED UP"}
ENDED = frozenset(("DELIVERED", "CANCELLATION REQUESTED", "CANCELLED", "LOST", "DAMAGED", "RTO DELIVERED"))
FAILED = frozenset(("DELIVERY ATTEMPTED", "DELIVERY FAILED", "UNDELIVERED", "NDR"))
AT_ORIGIN = frozenset(("MANIFESTED", "OUT FOR PICKUP", "PICKED UP", "PICKUP FAILED"))


class CannotMove(ValueError):
    """The parcel is past that."""


def scan(
    world: Velocity, parcel: Parcel, status: str, *, location: str = "", remark: str = "", at: datetime | None = None
) -> Scan:
    """Add a scan and announce it. Without `at` it is now, or a second after the one before: one scan a second."""
    when = (at or clock.now()).replace(microsecond=0)
    if at is None and parcel.scans:
        when = max(when, parcel.scans[-1].at + timedelta(seconds=1))
    place = location or (parcel.warehouse.city if status in AT_ORIGIN else parcel.to_city)
    made = Scan(when, status, place, remark)
    parcel.scans.append(made)
    hooks.moved(world, parcel, made)
    return made


def advance(world: Velocity, parcel: Parcel) -> Scan | None:
    """One step along the good path; None at its end."""
    following = NEXT.get(parcel.status)
    return scan(world, parcel, following) if following and parcel.awb else None


def walk_to(world: Velocity, parcel: Parcel, status: str) -> None:
    """Step along the good path until `status`; raises CannotMove when it does not lie ahead."""
    ahead: list[str] = []
    step = NEXT.get(parcel.status)
    while step and step != status:
        ahead.append(step)
        step = NEXT.get(step)
    if step is None:
        raise CannotMove(f"{parcel.awb} is {parcel.status}; {status} does not lie ahead of it")
    for one in (*ahead, status):
        scan(world, parcel, one)


def deliver(world: Velocity, parcel: Parcel) -> None:
    walk_to(world, parcel, "RETURN DELIVERED" if parcel.flow == "return" else "DELIVERED")


def fail(world: Velocity, parcel: Parcel, reason: str) -> None:
    """A delivery attempt in vain. It was out for delivery first; raises CannotMove for one that never can be."""
    if parcel.status != "OUT FOR DELIVERY":
        walk_to(world, parcel, "OUT FOR DELIVERY")
    scan(world, parcel, "DELIVERY ATTEMPTED", remark=reason)


def send_back(world: Velocity, parcel: Parcel) -> None:
    """Start its way back to the seller; raises CannotMove unless it is under way."""
    if not _can_turn_back(parcel):
        raise CannotMove(f"{parcel.awb} is {parcel.status} and cannot be returned to its origin")
    scan(world, parcel, "RTO INITIATED", remark="Return to origin")


Move = Literal["advance", "deliver", "fail", "rto"]


def moves(parcel: Parcel) -> tuple[Move, ...]:
    """What can happen to it from here."""
    goal = "RETURN DELIVERED" if parcel.flow == "return" else "DELIVERED"
    possible: tuple[tuple[Move, bool], ...] = (
        ("advance", parcel.awb is not None and parcel.status in NEXT),
        ("deliver", _lies_ahead(parcel, goal)),
        ("fail", parcel.status == "OUT FOR DELIVERY" or _lies_ahead(parcel, "OUT FOR DELIVERY")),
        ("rto", _can_turn_back(parcel)),
    )
    return tuple(move for move, can in possible if can)


def _lies_ahead(parcel: Parcel, status: str) -> bool:
    step = NEXT.get(parcel.status)
    while step and step != status:
        step = NEXT.get(step)
    return step is not None


def _can_turn_back(parcel: Parcel) -> bool:
    return not (parcel.flow == "return" or parcel.status in BEFORE_PICKUP | ENDED or parcel.status.startswith("RTO"))


def ask_to_cancel(world: Velocity, parcels: Sequence[Parcel]) -> None:
    """Take the request; `settle` carries it out later."""
    due = clock.now() + timedelta(seconds=world.knobs.cancel_seconds)
    for parcel in parcels:
        if parcel.status in CANCELLABLE:
            scan(world, parcel, "CANCELLATION REQUESTED")
            parcel.cancel_due = due
            world.cancelling.append(parcel)


def settle(world: Velocity) -> None:
    """Carry out what was only requested and is due by now."""
    now = clock.now()
    for parcel in [one for one in world.cancelling if one.cancel_due and one.cancel_due <= now]:
        world.cancelling.remove(parcel)
        parcel.cancel_due = None
        if parcel.status == "CANCELLATION REQUESTED":
            scan(world, parcel, "CANCELLED")
