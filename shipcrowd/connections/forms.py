"""Connect forms: drawn from a vendor's credentials model, and read back into it. Pure.

A field marked `json_schema_extra={"form": False}` is ours alone (a token we were given) and is never asked for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.validation import Fault, faults

M = TypeVar("M", bound=BaseModel)

Typed = dict[str, SecretStr | None]
"""A form as it comes in a request: nothing of it is to be shown again."""


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


def plain(typed: Typed) -> dict[str, str | None]:
    """What was typed, to be read by `read`."""
    return {name: secret.get_secret_value() if secret else None for name, secret in typed.items()}


def read(model: type[M], given: Mapping[str, str | None], *, kept: M | None = None, asker: str = "this") -> M:
    """The credentials someone typed; what is left out is taken from `kept`, and None takes a field back. `asker` is
    what to call whose form it is.

    Raises Invalid naming every field at fault (`credentials.password`), never a value.
    """
    asked_for = [field.name for field in fields(model)]
    if unknown := sorted(set(given) - set(asked_for)):
        raise Invalid(f"{asker} asks for {', '.join(asked_for) or 'nothing'}", field=f"credentials.{unknown[0][:60]}")
    values: dict[str, object] = {name: getattr(kept, name) for name in asked_for} if kept is not None else {}
    values |= {name: text.strip() if text else None for name, text in given.items()}
    try:
        return model.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
    # Outside the handler, so that the error, which repeats the secrets, is not carried along.
    raise _not_fitting(problems)


def _not_fitting(problems: Sequence[Mapping[str, Any]]) -> Invalid:
    """The error for what a credentials model found wrong, as `ValidationError.errors()` tells it."""
    named = faults(problems)
    detail = "; ".join(f"{each['field'] or 'credentials'}: {each['message']}" for each in named)
    errors = [Fault(field=f"credentials.{each['field']}".rstrip("."), message=each["message"]) for each in named]
    return Invalid(detail, field=errors[0]["field"], errors=errors)


def _asked_for(field: FieldInfo) -> bool:
    extra = cast(object, field.json_schema_extra)
    return not (isinstance(extra, dict) and cast(dict[str, object], extra).get("form") is False)
