"""Reading JSON whose shape differs between Flipkart's documents, its own library and its answers: what is missing is
empty, what is of the wrong kind is Malformed, and a field may go by several names."""

import json
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import cast

from pydantic import ValidationError

from shipcrowd.kernel.outbound import Json, Malformed

IST = timezone(timedelta(hours=5, minutes=30))
_MASKED = re.compile(r"[xX*#•\s.-]*")
_QUOTED = re.compile(r"&quot;|&#34;|\"")


def obj(value: Json) -> dict[str, Json]:
    """An object; empty for null. Raises Malformed for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"Flipkart sent {type(value).__name__} where an object belongs", shown(value))
    return cast(dict[str, Json], value)


def objects(value: Json) -> list[dict[str, Json]]:
    """A list of objects; empty for null, one for a lone object. Raises Malformed for anything else."""
    if value is None:
        return []
    if isinstance(value, dict):  # the listing documents show an object where others show a list
        return [cast(dict[str, Json], value)]
    if not isinstance(value, list):
        raise Malformed(f"Flipkart sent {type(value).__name__} where a list belongs", shown(value))
    return [obj(entry) for entry in cast(list[Json], value)]


def first(raw: Mapping[str, Json], *names: str) -> Json:
    """The first of several fields that says something."""
    return next((raw[name] for name in names if raw.get(name) not in (None, "")), None)


def text(value: Json) -> str:
    """A text, trimmed; empty for null. Raises Malformed for an object or a list."""
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        raise Malformed(f"Flipkart sent {type(cast(Json, value)).__name__} where text belongs", shown(value))
    return str(value).strip()


def plain(value: Json) -> str:
    """A SKU or product id without the HTML quotation marks that some arrive wrapped in."""
    return _QUOTED.sub("", text(value)).strip()


def unmasked(value: Json) -> str:
    """Personal data as given; empty where Flipkart shows only its mask. Nothing is ever put in its place."""
    found = text(value)
    return "" if _MASKED.fullmatch(found) else found


def units(value: Json) -> int:
    """A whole number of units, zero or more. Raises ValueError."""
    number = int(value)
    if isinstance(value, bool) or number < 0 or Decimal(str(value)) != number:
        raise ValueError("a quantity is a whole number")
    return number


def moment(value: Json) -> datetime | None:
    """ISO 8601 with any offset, `Z` or none, which means Indian time. Raises ValueError for other text."""
    if value in (None, ""):
        return None
    found = datetime.fromisoformat(text(value))
    return (found if found.tzinfo else found.replace(tzinfo=IST)).astimezone(UTC)


def spoken(at: datetime) -> str:
    """A moment as Flipkart writes it: `2026-11-20T18:15:57.000+05:30`."""
    return at.astimezone(IST).isoformat(timespec="milliseconds")


def decimal(value: Json) -> Decimal | None:
    """A number; None for null. Raises ValueError."""
    if value in (None, ""):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError("not a number") from None


def shown(raw: Json) -> str:
    """Text of a record, for `Malformed.raw`."""
    return json.dumps(raw, default=str)


@contextmanager
def reading(what: str, raw: Json) -> Generator[None]:
    """Turn what a record of an unexpected shape does to its reader into Malformed, its values quoted nowhere."""
    try:
        yield
    except Malformed as error:
        raise Malformed(f"Flipkart's {what} could not be read: {error}", shown(raw)) from error
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, e["loc"])) for e in error.errors(include_input=False)}))
        raise Malformed(f"Flipkart's {what} does not fit: {fields}", shown(raw)) from None
    except KeyError as error:
        raise Malformed(f"Flipkart's {what} lacks {error}", shown(raw)) from error
    except (TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
        raise Malformed(f"Flipkart's {what} could not be read: {type(error).__name__}", shown(raw)) from error
