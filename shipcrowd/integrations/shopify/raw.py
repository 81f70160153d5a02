"""Reading JSON that may be of another shape than promised: a missing part is empty, a wrong one is Malformed."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

from pydantic import ValidationError

from shipcrowd.kernel.outbound import Json, Malformed


def obj(value: Json) -> dict[str, Json]:
    """An object; empty for null. Raises Malformed for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"Shopify sent {type(value).__name__} where an object belongs", shown(value))
    return cast(dict[str, Json], value)


def entries(value: Json) -> list[Json]:
    """A list; empty for null. Raises Malformed for anything else."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"Shopify sent {type(value).__name__} where a list belongs", shown(value))
    return cast(list[Json], value)


def objects(value: Json) -> list[dict[str, Json]]:
    """A list of objects; empty for null. Raises Malformed for anything else."""
    return [obj(entry) for entry in entries(value)]


def nodes(connection: Json) -> list[dict[str, Json]]:
    """The records of one page of a connection."""
    return objects(obj(connection).get("nodes"))


def next_page(connection: Json) -> str | None:
    """The cursor to go on from, or None after the last page."""
    info = obj(obj(connection).get("pageInfo"))
    return info.get("endCursor") if info.get("hasNextPage") else None


def shown(raw: Json) -> str:
    """Text of a record, for `Malformed.raw`."""
    return json.dumps(raw, default=str)


@contextmanager
def reading(what: str, raw: Json) -> Generator[None]:
    """Turn what a record of an unexpected shape does to its reader into Malformed, its values quoted nowhere."""
    try:
        yield
    except Malformed as error:
        raise Malformed(f"Shopify's {what} could not be read: {error}", shown(raw)) from error
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, e["loc"])) for e in error.errors(include_input=False)}))
        raise Malformed(f"Shopify's {what} does not fit: {fields}", shown(raw)) from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
        raise Malformed(f"Shopify's {what} could not be read: {type(error).__name__} {error}", shown(raw)) from error
