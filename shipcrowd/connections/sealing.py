"""Credentials as sealed bytes: any pydantic model, its secrets in clear only inside the seal."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import TypeVar, cast
from uuid import UUID

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

from shipcrowd.kernel import crypto

M = TypeVar("M", bound=BaseModel)


class CredentialsDoNotFit(ValueError):
    """Stored credentials are not those of the model they are wanted as."""


def about(company_id: UUID, connection_id: UUID) -> str:
    """What the sealed bytes are bound to: they do not open in another row."""
    return f"connection:{company_id}:{connection_id}"


def seal(credentials: BaseModel, company_id: UUID, connection_id: UUID) -> bytes:
    return crypto.keyring().seal_json(_clear(credentials), about(company_id, connection_id))


def unseal(sealed: bytes, model: type[M], company_id: UUID, connection_id: UUID) -> M:
    """Raises CannotDecrypt, and CredentialsDoNotFit when they were sealed for another model."""
    clear = crypto.keyring().open_json(sealed, about(company_id, connection_id))
    try:
        return model.model_validate(clear, by_alias=True, by_name=True)
    except ValidationError as error:
        # The error repeats its input, which is secret: only the fields' names may go further.
        fields = sorted({".".join(map(str, problem["loc"])) for problem in error.errors(include_input=False)})
    raise CredentialsDoNotFit(f"{model.__name__}: {', '.join(fields)}")


def _clear(value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case SecretStr():
            return value.get_secret_value()
        case SecretBytes():
            return value.get_secret_value().decode()
        case Enum():
            return cast(object, value.value)
        case str():
            return value
        case datetime() | date():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case BaseModel():
            return {name: _clear(getattr(value, name)) for name in type(value).model_fields}
        case Mapping():
            items = cast(Mapping[str, object], value)
            return {key: _clear(member) for key, member in items.items()}
        case Sequence() | frozenset() | set() if not isinstance(value, bytes):
            return [_clear(member) for member in cast(Sequence[object], value)]
        case _:
            raise TypeError(f"{type(value).__name__} cannot be sealed as a credential")
