"""What pydantic finds wrong, in our words. Its own are never passed on: they speak of patterns and validators."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)


class Fault(TypedDict):
    field: str
    message: str


SAID: Mapping[str, str] = {
    "missing": "this is needed",
    "extra_forbidden": "there is no such field here",
    "string_pattern_mismatch": "this is not of the form expected",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "int_parsing_size": "this number is too large",
}
"""Kind of error → what is said, with the numbers of its context."""

FAMILIES: Mapping[str, str] = {
    "bool": "true or false",
    "date": "a date, such as 2026-01-31",
    "datetime": "a moment, such as 2026-01-31T18:30:00+05:30",
    "decimal": "a number",
    "dict": "an object",
    "enum": "one of: {expected}",
    "finite": "a number",
    "float": "a number",
    "frozen": "a list",
    "int": "a whole number",
    "list": "a list",
    "literal": "one of: {expected}",
    "mapping": "an object",
    "model": "an object",
    "set": "a list",
    "string": "text",
    "timezone": "a moment with its time zone, such as 2026-01-31T18:30:00+05:30",
    "tuple": "a list",
    "uuid": "an id, such as 01890a5d-ac96-774b-bcce-b302099a8057",
}
"""First word of the kind → what is expected, for the kinds that have no words of their own."""

OTHERWISE = "this is not of the form expected"


def words(error: Mapping[str, Any]) -> str:
    """One of `ValidationError.errors()` → what to say beside the field. The value itself is not repeated."""
    kind, context = str(error["type"]), dict(error.get("ctx") or {})
    if kind in ("value_error", "assertion_error"):  # a validator of ours, in its own words
        return str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if kind.endswith("too_short") and context.get("min_length") == 1:
        return SAID["missing"]
    if kind.startswith("too_") and context.get("field_type") == "Value":  # a secret text
        kind = f"string_{kind}"
    if "expected" in context:
        context["expected"] = str(context["expected"]).replace("'", "").replace(" or ", ", ")
    said = SAID.get(kind) or FAMILIES.get(kind.partition("_")[0]) or OTHERWISE
    try:
        return said.format(**context)
    except KeyError:  # asked without its context
        return OTHERWISE


def faults(errors: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """Field and words of each of a model's `ValidationError.errors()`."""
    return [{"field": ".".join(map(str, error["loc"])), "message": words(error)} for error in _told(errors)]


def request_faults(errors: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """Field and words of each of a `RequestValidationError.errors()`, whose locations begin with where it stood."""
    return [{"field": _within(*error["loc"]), "message": words(error)} for error in _told(errors)]


def _told(errors: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    # A list of one wrong item is also called too short, for only the right ones are counted.
    inside = {tuple(error["loc"])[:end] for error in errors for end in range(len(error["loc"]))}
    return (error for error in errors if error["type"] != "too_short" or tuple(error["loc"]) not in inside)


def _within(source: str, *where: int | str) -> str:
    """The body itself is `body`. A filter given several times has one name, without the place in the row."""
    named = [str(part) for part in where if source != "query" or isinstance(part, str)]
    return ".".join(named) or source


def expected(wanted: type[M], given: BaseModel) -> M:
    """A vendor's settings or credentials under their own type; a TypeError means that wiring mixed up two vendors."""
    if not isinstance(given, wanted):
        raise TypeError(f"{wanted.__name__} is needed here, not {type(given).__name__}")
    return given
