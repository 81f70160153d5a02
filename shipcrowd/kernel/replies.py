"""Reading vendors' JSON that may be of another shape than promised: a missing part is empty, a wrong one Malformed.

Each takes the vendor's name first, for the words; a vendor's folder binds it once (`functools.partial`).
"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

from pydantic import ValidationError

from shipcrowd.kernel.outbound import Json, Malformed


def obj(vendor: str, value: Json) -> dict[str, Json]:
    """An object; empty for null. Raises Malformed for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"{vendor} sent {type(value).__name__} where an object belongs", shown(value))
    return cast(dict[str, Json], value)


def entries(vendor: str, value: Json) -> list[Json]:
    """A list; empty for null. Raises Malformed for anything else."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{vendor} sent {type(value).__name__} where a list belongs", shown(value))
    return cast(list[Json], value)


def objects(vendor: str, value: Json) -> list[dict[str, Json]]:
    """A list of objects; empty for null. Raises Malformed for anything else."""
    return [obj(vendor, entry) for entry in entries(vendor, value)]


def text(vendor: str, value: Json) -> str:
    """Text without blanks around it; empty for null. Raises Malformed for an object or a list."""
    if isinstance(value, (dict, list)):
        raise Malformed(f"{vendor} sent {type(cast(object, value)).__name__} where text belongs", shown(value))
    return "" if value is None else str(value).strip()


def shown(raw: Json) -> str:
    """Text of a record, for `Malformed.raw`."""
    return json.dumps(raw, default=str)


@contextmanager
def reading(vendor: str, what: str, raw: Json) -> Generator[None]:
    """Turn what a record of an unexpected shape does to its reader into Malformed, its values quoted nowhere."""
    try:
        yield
    except Malformed as error:
        raise Malformed(f"{vendor}'s {what} could not be read: {error}", shown(raw)) from error
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, e["loc"])) for e in error.errors(include_input=False)}))
        raise Malformed(f"{vendor}'s {what} does not fit: {fields}", shown(raw)) from None
    except KeyError as error:
        raise Malformed(f"{vendor}'s {what} could not be read: {error} is missing", shown(raw)) from None
    except (TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
        raise Malformed(f"{vendor}'s {what} could not be read: {type(error).__name__}", shown(raw)) from error
