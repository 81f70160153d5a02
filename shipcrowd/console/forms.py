"""Reading what a person typed into a form: text to values, and what is wrong with it in words beside its field."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData
from starlette.requests import Request

from shipcrowd.kernel import validation
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.money import Money

M = TypeVar("M", bound=BaseModel)


class NotFilledIn(Invalid):
    """Please look at the marked fields."""


def wrong(problems: Mapping[str, str]) -> NotFilledIn:
    """The error that marks these fields: field → words."""
    return NotFilledIn(
        "; ".join(f"{name(field)}: {words}" for field, words in problems.items()),
        field=next(iter(problems)),
        errors=[{"field": field, "message": words} for field, words in problems.items()],
    )


def name(field: str) -> str:
    """A field's name as people say it."""
    plain = field.removesuffix("_paise").removesuffix("_grams").removesuffix("_mm").replace("line1", "street")
    return plain.replace("line2", "street, second line").replace("_", " ")


async def form_of(request: Request) -> FormData:
    """The request's form, also kept for the page that is shown again when something is wrong."""
    form = await request.form(max_fields=2000, max_files=5)
    request.state.form = form
    return form


def text(form: FormData, field: str) -> str:
    """What was typed, trimmed; a file or nothing is an empty text."""
    value = form.get(field)
    return value.strip() if isinstance(value, str) else ""


def texts(form: FormData, field: str) -> list[str]:
    return [value.strip() for value in form.getlist(field) if isinstance(value, str)]


def filled(form: FormData, *fields: str) -> dict[str, str]:
    """The fields that were filled in."""
    return {field: typed for field in fields if (typed := text(form, field))}


def read(model: type[M], values: Mapping[str, object]) -> M:
    """Raises NotFilledIn naming each field that does not fit."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise wrong({each["field"]: each["message"] for each in validation.faults(error.errors())}) from error


def decimal(form: FormData, field: str, *, times: int) -> int | None:
    """A typed decimal number times `times`, whole: `"1.25"` kg is 1,250 g. None when nothing was typed.

    Raises NotFilledIn for what is no number, is not above zero, or is finer than can be kept.
    """
    typed = text(form, field).replace(",", "")
    if not typed:
        return None
    try:
        number = Decimal(typed) * times
        if not number.is_finite() or number <= 0:
            raise wrong({field: "type a number above zero"})
        if number != number.to_integral_value():
            raise wrong({field: "this is finer than couriers measure"})
    except InvalidOperation as error:
        raise wrong({field: "type a number, like 1.25"}) from error
    return int(number)


def package(form: FormData) -> dict[str, int | None]:
    """The parcel's weight and size as typed in kg and cm, in grams and millimetres. Raises NotFilledIn."""
    return {
        "weight_grams": decimal(form, "weight_grams", times=1000),
        "length_mm": decimal(form, "length_mm", times=10),
        "breadth_mm": decimal(form, "breadth_mm", times=10),
        "height_mm": decimal(form, "height_mm", times=10),
    }


def rupees(form: FormData, field: str) -> Money | None:
    """Raises NotFilledIn for what is no amount."""
    typed = text(form, field).removeprefix("₹")
    if not typed:
        return None
    try:
        amount = Money.rupees(typed)
    except ValueError as error:
        raise wrong({field: "type an amount in rupees, like 1499 or 1499.50"}) from error
    if amount.paise < 0:
        raise wrong({field: "an amount is zero or more"})
    return amount


def ident(form: FormData, field: str) -> UUID | None:
    """Raises NotFilledIn for what is no id."""
    typed = text(form, field)
    try:
        return UUID(typed) if typed else None
    except ValueError as error:
        raise wrong({field: "choose one of the list"}) from error


def idents(form: FormData, field: str, *, most: int) -> list[UUID]:
    """The ids ticked, in order, each once. Raises NotFilledIn for none or too many."""
    try:
        found = [UUID(value) for value in dict.fromkeys(texts(form, field))]
    except ValueError as error:
        raise wrong({field: "choose from the list"}) from error
    if not found:
        raise Invalid("tick at least one first", field=field)
    if len(found) > most:
        raise Invalid(f"tick at most {most} at once", field=field)
    return found
