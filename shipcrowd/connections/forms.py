"""Connect forms: drawn from a vendor's credentials model, and read back into it. Pure.

A field marked `json_schema_extra={"form": False}` is ours alone (a session token) and is never asked for.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from shipcrowd.kernel.errors import Invalid

M = TypeVar("M", bound=BaseModel)


class Field(BaseModel):
    """One field of a connect form."""

    name: str
    title: str
    help: str
    secret: bool
    required: bool


def fields(model: type[BaseModel]) -> Sequence[Field]:
    """What connecting asks for, in the model's order."""
    return [
        Field(
            name=name,
            title=field.title or name.replace("_", " ").capitalize(),
            help=field.description or "",
            secret="Secret" in str(field.annotation),
            required=field.is_required(),
        )
        for name, field in model.model_fields.items()
        if _asked_for(field)
    ]


def read(model: type[M], given: Mapping[str, str | None], *, kept: M | None = None) -> M:
    """The credentials someone typed; what is left out is taken from `kept`, and None takes a field back.

    Raises Invalid naming every field at fault (`credentials.password`), never a value.
    """
    asked_for = [field.name for field in fields(model)]
    if unknown := sorted(set(given) - set(asked_for)):
        raise Invalid(f"this asks for {', '.join(asked_for) or 'nothing'}", field=f"credentials.{unknown[0][:60]}")
    values: dict[str, object] = {name: getattr(kept, name) for name in asked_for} if kept is not None else {}
    values |= {name: text.strip() if text else None for name, text in given.items()}
    try:
        return model.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
    # Outside the handler, so that the error, which repeats the secrets, is not carried along.
    said = {".".join(["credentials", *map(str, each["loc"])]): _words(each["type"], each["msg"]) for each in problems}
    raise Invalid(
        "; ".join(f"{field.removeprefix('credentials.')}: {words}" for field, words in said.items()),
        field=next(iter(said)),
        errors=[{"field": field, "message": words} for field, words in said.items()],
    )


def _words(kind: str, said: str) -> str:
    return "this is needed" if kind in ("missing", "string_too_short") else said.removeprefix("Value error, ")


def _asked_for(field: FieldInfo) -> bool:
    extra = cast(object, field.json_schema_extra)
    return not (isinstance(extra, dict) and cast(dict[str, object], extra).get("form") is False)
