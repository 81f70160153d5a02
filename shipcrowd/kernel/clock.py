"""The one place that reads the time. Stored in UTC, shown in IST."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

IST = ZoneInfo("Asia/Kolkata")


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def today() -> date:
    """The present date in India, which is the date a seller means by *today*."""
    return now().astimezone(IST).date()


def ist(moment: datetime) -> datetime:
    """`moment` on an Indian clock; raises ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("a naive datetime has no place on the clock")
    return moment.astimezone(IST)
