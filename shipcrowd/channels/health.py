"""How a store fares, in words a seller can act on. Pure: facts in, verdict out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from shipcrowd.connections.models import Status

LAG_ALLOWED = timedelta(hours=1)
SWEEPS_MISSED = 3
LAPSE_TOLD = timedelta(days=30)
"""So long before a consent ends the seller is asked for it again."""


class Level(StrEnum):
    """From good to bad."""

    ok = "ok"
    attention = "attention"
    broken = "broken"


@dataclass(frozen=True)
class Facts:
    """`lag`: since when we may have missed something; None before the first order was read. `every`: how often the
    store is swept."""

    status: Status
    reason: str
    lag: timedelta | None
    waited: timedelta
    """Since the store was connected."""
    every: timedelta
    errors_in_a_row: int = 0
    last_error: str = ""
    open_failures: int = 0
    refused_announcements: int = 0
    missing_scopes: Sequence[str] = ()
    lapses_in: timedelta | None = None
    """Until the seller must have signed in again."""


def verdict(facts: Facts) -> tuple[Level, str]:
    """The worst that is true of the store, first."""
    allowed = max(facts.every * SWEEPS_MISSED, LAG_ALLOWED)
    behind = facts.lag if facts.lag is not None else facts.waited
    trouble = f" Last error: {facts.last_error}" if facts.last_error and facts.errors_in_a_row else ""
    match facts.status:
        case Status.disconnected:
            return Level.broken, f"Not connected: {facts.reason or 'connect the store again'}"
        case Status.left:
            return Level.broken, "The app was removed at the store; connect the store again to go on."
        case Status.paused:
            return Level.attention, f"Paused; no orders are read. {facts.reason}".strip()
        case Status.connected:
            pass
    if behind > allowed:
        return Level.broken, f"No orders could be read for {in_words(behind)}.{trouble}"
    if facts.missing_scopes:
        missing = ", ".join(facts.missing_scopes)
        return Level.attention, f"The store did not grant {missing}; connect it again and accept all permissions."
    if facts.errors_in_a_row:
        return Level.attention, f"{_count(facts.errors_in_a_row, 'error')} in a row.{trouble}"
    if facts.open_failures:
        return Level.attention, f"{_count(facts.open_failures, 'order')} could not be taken in; see the failed items."
    if facts.refused_announcements:
        return Level.attention, f"The store did not take the news of {_count(facts.refused_announcements, 'parcel')}."
    if facts.lapses_in is not None and facts.lapses_in < LAPSE_TOLD:
        within = "today" if facts.lapses_in < timedelta(days=1) else f"within {in_words(facts.lapses_in)}"
        return Level.attention, f"The store's consent ends: sign in there again {within}."
    if facts.lag is None:
        return Level.ok, "The store's orders are being read for the first time."
    return Level.ok, "Up to date."


def worst(levels: Sequence[Level]) -> Level:
    order = list(Level)
    return max(levels, key=order.index, default=Level.ok)


def in_words(lag: timedelta) -> str:
    """`timedelta(hours=3)` → "3 hours"."""
    for unit, size in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        if lag >= size:
            return _count(lag // size, unit)
    return "less than a minute"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
