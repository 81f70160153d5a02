"""Reading Velocity's JSON without trusting its shape: dates in many spellings, amounts and weights as text.

Every reader answers None (or empty) for what it cannot read and never guesses a value: a wrong date or a zero
charge is worse than none. Pure: no network, no clock.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import cast
from zoneinfo import ZoneInfo

from shipcrowd.kernel.clock import IST
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Json

DATE_FORMATS = (
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y %I:%M %p",
    "%d-%m-%Y",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%d %b %Y %H:%M:%S",
    "%d %b %Y %H:%M",
    "%d %b %Y %I:%M %p",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d %Y %I:%M %p",
    "%a %d %b %Y %H:%M:%S",
)
"""Beside ISO 8601, which comes first. Commas are dropped before; day before month, as India writes it."""

GRAMS = {"kg": 1000, "kgs": 1000, "kilogram": 1000, "g": 1, "gm": 1, "gms": 1, "gram": 1, "grams": 1}


def record(value: Json) -> Mapping[str, Json]:
    """`value` as an object; empty for anything else (PHP writes an empty object as `[]`)."""
    return cast(Mapping[str, Json], value) if isinstance(value, dict) else {}


def records(value: Json) -> list[Mapping[str, Json]]:
    """The objects in a list; one bare object counts as a list of one."""
    if isinstance(value, dict):
        return [record(value)]
    if not isinstance(value, list):
        return []
    return [record(item) for item in cast(list[Json], value) if isinstance(item, dict)]


def text(value: Json) -> str:
    """Trimmed text of a scalar; empty for null and for containers."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        return ""
    return str(value).strip()


def first(source: Mapping[str, Json], *names: str) -> str:
    """The first of these fields that holds any text."""
    return next((found for name in names if (found := text(source.get(name)))), "")


def flag(value: Json) -> bool | None:
    """A 0/1 flag, also as text or boolean; None where it says neither."""
    if isinstance(value, bool):
        return value
    return {"0": False, "1": True, "false": False, "true": True}.get(text(value).lower())


def number(value: Json) -> Decimal | None:
    """A finite number, however it is written."""
    try:
        found = Decimal(text(value).replace(",", ""))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def amount(value: Json) -> Money | None:
    """Rupees as a decimal string; None, never zero, where it cannot be read."""
    found = number(value)
    return None if found is None or abs(found) >= 10**12 else Money.rupees(found)


def grams(value: Json, unit: str) -> int | None:
    """A weight in whole grams (half up). None for a unit we do not know: a guess would be billed."""
    found, factor = number(value), GRAMS.get(unit.strip().lower())
    if found is None or factor is None or not 0 < found < 10**7:
        return None
    return int((found * factor).to_integral_value(ROUND_HALF_UP)) or None


def moment(value: Json) -> datetime | None:
    """A point in time, in UTC. What names no zone is on the Indian clock.

    Reads ISO 8601 (any number of fractional digits), the formats above, epoch seconds and milliseconds, and PHP's
    `{"date": ..., "timezone_type": 3, "timezone": "Asia/Kolkata"}`. None for anything else, zero dates included.
    """
    if isinstance(value, dict):
        dated = record(cast(Json, value))
        return _written(text(dated.get("date")), _zone(text(dated.get("timezone"))))
    return _written(text(value), IST)


def _written(written: str, zone: tzinfo) -> datetime | None:
    read = _epoch(written) or _iso(written) or _formatted(written)
    if read is None or not 2000 <= read.year <= 2200:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC)


def _epoch(written: str) -> datetime | None:
    if not re.fullmatch(r"1\d{9}(\d{3})?", written):
        return None
    return datetime.fromtimestamp(int(written[:10]), UTC)


def _iso(written: str) -> datetime | None:
    if not re.match(r"\d{4}-\d{2}-\d{2}", written):
        return None
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return None


def _formatted(written: str) -> datetime | None:
    plain = re.sub(r"\s+", " ", written.replace(",", " ")).strip()
    for form in DATE_FORMATS:
        try:
            return datetime.strptime(plain, form)  # noqa: DTZ007 - the zone is put on by the caller
        except ValueError:
            continue
    return None


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        return IST
