"""Places as they go in, between modules, and out."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from shipcrowd.locations.models import PlaceKind, RegistrationState
from shipcrowd.pincodes.address import Address


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Input(BaseModel):
    """What a client sends: unknown fields are refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _one_line(text: str) -> str:
    """Single spaces, no line breaks nor control characters: couriers and labels have one line for each."""
    return re.sub(r"[\s\x00-\x1f\x7f]+", " ", text).strip()


def _name(text: str) -> str:
    if not (name := _one_line(text)):
        raise ValueError("a place needs a name")
    return name


Line = Annotated[str, StringConstraints(max_length=200), AfterValidator(_one_line)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=80), AfterValidator(_name)]
Code = Annotated[str, StringConstraints(max_length=20), AfterValidator(_one_line)]


class NewPlace(Input):
    """A place to be added. `name` is what the seller calls it, `contact` who answers there.

    Without a `state` it is the pincode's.
    """

    name: Name
    kind: PlaceKind = PlaceKind.both
    contact: Line
    phone: Code
    email: Line | None = None
    company: Line | None = None
    line1: Line
    line2: Line = ""
    city: Line
    state: Line = ""
    pincode: Code
    gstin: Code | None = None


class PlaceChange(Input):
    """What is to be changed of a place; a field that is not given stays as it is."""

    name: Name = ""
    kind: PlaceKind = PlaceKind.both
    contact: Line = ""
    phone: Code = ""
    email: Line | None = None
    company: Line | None = None
    line1: Line = ""
    line2: Line = ""
    city: Line = ""
    state: Line = ""
    pincode: Code = ""
    gstin: Code | None = None


class SetDefault(Input):
    """`{"return": true}` makes a place the one for returns."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    pickup: bool = False
    return_: bool = Field(default=False, alias="return")


@dataclass(frozen=True)
class Registration:
    """How far one courier account is with one place. `registered_as` is the place's id there."""

    place_id: UUID
    account_id: UUID
    courier: str
    state: RegistrationState
    registered_as: str | None
    error: str | None
    updated_at: datetime


@dataclass(frozen=True)
class PlaceDetails:
    """A place as other modules see it. `address.name` is the contact.

    `version` goes back into `record_registration`. `registered_as` is the place's id at the courier account that was
    asked about; None while that account does not know its present address.
    """

    id: UUID
    name: str
    kind: PlaceKind
    address: Address
    gstin: str | None
    active: bool
    default_pickup: bool
    default_return: bool
    version: int
    created_at: datetime
    registered_as: str | None = None

    @property
    def contact(self) -> str:
        return self.address.name


class RegistrationOut(Frozen):
    model_config = ConfigDict(frozen=True, from_attributes=True)

    account_id: UUID
    courier: str
    state: RegistrationState
    registered_as: str | None
    error: str | None
    updated_at: datetime


class PlaceOut(Frozen):
    """A place, and which courier accounts know it."""

    id: UUID
    name: str
    kind: PlaceKind
    contact: str
    phone: str
    email: str | None
    company: str | None
    line1: str
    line2: str
    city: str
    state: str
    pincode: str
    gstin: str | None
    default_pickup: bool
    default_return: bool
    active: bool
    created_at: datetime
    registrations: tuple[RegistrationOut, ...]
