"""How long who bought may be known: by the setting, and never longer than a channel's own rules allow."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from shipcrowd.orders.models import ENDED, OrderState
from shipcrowd.settings import settings

MOST_DAYS: Mapping[str, int] = {
    # Amazon's Data Protection Policy: no longer than 30 days after the order's delivery.
    "amazon": 30,
}
"""Channel → the days its buyers may be kept at most, whatever the setting says."""

_OVER = frozenset({*ENDED, OrderState.shipped})


def days(source: str) -> int:
    """How long after an order of this source ended its buyer is kept."""
    return min(settings().buyer_data_days, MOST_DAYS.get(source, settings().buyer_data_days))


def too_late(source: str, state: OrderState, last_news: datetime, now: datetime) -> bool:
    """Whether an order comes in so long after its end that its buyer must not be taken in with it."""
    return state in _OVER and last_news < now - timedelta(days=days(source))


def strict_cuts(given: timedelta, now: datetime) -> Mapping[str, datetime]:
    """What else is kept of buyers for `given` (failed items, unread deliveries): channel → from before when it must
    go, for the channels that want it gone sooner."""
    return {source: now - timedelta(days=most) for source, most in MOST_DAYS.items() if timedelta(days=most) <= given}
