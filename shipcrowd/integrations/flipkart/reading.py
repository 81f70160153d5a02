"""Reading JSON whose shape differs between Flipkart's documents, its own library and its answers: what is missing is
empty, what is of the wrong kind is Malformed, and a field may go by several names."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import cast

from shipcrowd.kernel import replies
from shipcrowd.kernel.clock import IST
from shipcrowd.kernel.outbound import Json, Malformed

obj = partial(replies.obj, "Flipkart")
text = partial(replies.text, "Flipkart")
reading = partial(replies.reading, "Flipkart")
shown = replies.shown

_MASKED = re.compile(r"[xX*#•\s.-]*")
_QUOTED = re.compile(r"&quot;|&#34;|\"")


def objects(value: Json) -> list[dict[str, Json]]:
    """A list of objects; empty for null, one for a lone object. Raises Malformed for anything else."""
    if isinstance(value, dict):  # the listing documents show an object where others show a list
        return [cast(dict[str, Json], value)]
    return replies.objects("Flipkart", value)


def first(raw: Mapping[str, Json], *names: str) -> Json:
    """The first of several fields that says something."""
    return next((raw[name] for name in names if raw.get(name) not in (None, "")), None)


def plain(value: Json) -> str:
    """A SKU or product id without the HTML quotation marks that some arrive wrapped in."""
    return _QUOTED.sub("", text(value)).strip()


def unmasked(value: Json) -> str:
    """Personal data as given; empty where Flipkart shows only its mask. Nothing is ever put in its place."""
    found = text(value)
    return "" if _MASKED.fullmatch(found) else found


def units(value: Json) -> int:
    """A whole number of units, zero or more. Raises ValueError or Malformed."""
    number = int(value)
    if isinstance(value, bool) or number < 0 or Decimal(str(value)) != number:
        raise Malformed("a quantity is a whole number")
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
    """A number; None for null. Raises Malformed."""
    if value in (None, ""):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise Malformed("not a number") from None
