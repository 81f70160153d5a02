"""Places, and their registrations with courier accounts."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.kernel.db import Base, Dated, Owned, owned_key


class PlaceKind(StrEnum):
    """What a place is for."""

    pickup = "pickup"
    return_ = "return"
    both = "both"

    @property
    def picks_up(self) -> bool:
        return self is not PlaceKind.return_

    @property
    def takes_returns(self) -> bool:
        return self is not PlaceKind.pickup


class RegistrationState(StrEnum):
    """Whether a courier account knows a place. Any state may follow any other: couriers change their minds."""

    pending = "pending"
    """Not told yet, or told of an address that has changed since."""
    registered = "registered"
    failed = "failed"


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value.value) for value in values)})", name=column)


class Place(Dated, Owned, Base):
    """One place of a company. At most one is the default for pickups, and one for returns."""

    __tablename__ = "places"
    __table_args__ = (
        UniqueConstraint("company_id", "name"),
        Index("uq_places_default_pickup", "company_id", unique=True, postgresql_where=text("default_pickup")),
        Index("uq_places_default_return", "company_id", unique=True, postgresql_where=text("default_return")),
        Index(None, "company_id", "created_at", "id"),
        _one_of("kind", PlaceKind),
        CheckConstraint("NOT default_pickup OR (active AND kind <> 'return')", name="default_pickup"),
        CheckConstraint("NOT default_return OR (active AND kind <> 'pickup')", name="default_return"),
    )

    name: Mapped[str]
    """What the seller calls it, and what couriers know it by."""
    kind: Mapped[str]
    pii: Mapped[bytes]
    """Sealed JSON `{"contact", "phone", "email", "company", "line1", "line2"}` about `place:<company>:<id>`."""
    city: Mapped[str]
    state: Mapped[str]
    """The state's name as typed, or by the pincode when none was typed."""
    pincode: Mapped[str]
    gstin: Mapped[str | None]
    default_pickup: Mapped[bool] = mapped_column(default=False)
    default_return: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)
    """Counts what couriers were told: it grows when the name, address, contact or GSTIN changes."""
    updated_at: Mapped[datetime]


class PlaceRegistration(Owned, Base):
    """How far one courier account is with one place."""

    __tablename__ = "place_registrations"
    __table_args__ = (
        owned_key("places", "place_id", ondelete="CASCADE"),
        UniqueConstraint("company_id", "place_id", "account_id"),
        _one_of("state", RegistrationState),
        CheckConstraint("(state = 'registered') = (registered_as IS NOT NULL)", name="registered_as"),
    )

    place_id: Mapped[UUID]
    account_id: Mapped[UUID]
    """The courier account, the company's own or the platform's shared one; a bare id."""
    courier: Mapped[str]
    """The vendor's slug."""
    state: Mapped[str]
    registered_as: Mapped[str | None]
    """The place's id at the courier."""
    error: Mapped[str | None]
    """Why the courier did not take it, in the courier's words."""
    updated_at: Mapped[datetime]
