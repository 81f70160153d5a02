"""Rate cards and prices as they go in and out."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shipcrowd.couriers.contract import Flow, Mode, Parcel, Payment, ServiceOffer
from shipcrowd.kernel.money import Money
from shipcrowd.pincodes.address import PINCODE
from shipcrowd.ratecards.models import CardStatus
from shipcrowd.ratecards.quoting import Quote
from shipcrowd.ratecards.terms import Terms

Pincode = Annotated[str, Field(pattern=f"^{PINCODE.pattern}$")]
Amount = Annotated[int, Field(ge=0, le=1_00_00_000_00)]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class Input(BaseModel):
    """What a client sends: unknown fields are refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NewCard(Input):
    """A card to be made. `service` and `mode` may be `*`: whichever has no card of its own."""

    name: str = Field(min_length=1, max_length=120)
    courier: str = Field(min_length=1, max_length=60, pattern=r"^[a-z0-9_-]+$")
    service: str = Field(default="*", min_length=1, max_length=120)
    mode: Mode | Literal["*"] = "*"
    flow: Flow = Flow.forward
    effective_from: date
    effective_to: date | None = None
    terms: Terms

    @model_validator(mode="after")
    def _forward_in_time(self) -> Self:
        if self.effective_to is not None and self.effective_to <= self.effective_from:
            raise ValueError("effective_to is the first day the card is not in force: after effective_from")
        return self


class Card(Frozen):
    """A stored card. `effective_to` is the first day it is not in force."""

    id: UUID
    company_id: UUID
    name: str
    courier: str
    service: str
    mode: Mode | Literal["*"]
    flow: Flow
    version: int
    effective_from: date
    effective_to: date | None
    status: CardStatus
    currency: str
    terms: Terms
    created_at: datetime

    def in_force(self, on: date) -> bool:
        return self.effective_from <= on and (self.effective_to is None or on < self.effective_to)


@dataclass(frozen=True)
class PricedOffer:
    """A courier's offer with our price. Without a card `quote` and the card's fields are None and `reason` is set.

    `default` tells that the platform's card was used, not one of the company's own.
    """

    offer: ServiceOffer
    quote: Quote | None = None
    card_id: UUID | None = None
    card_version: int | None = None
    default: bool = False
    reason: Literal["no_rate_card"] | None = None

    @property
    def price(self) -> Money | None:
        """What the seller pays at booking, tax included."""
        return self.quote.total if self.quote else None


class CardOut(Card):
    """A card, and whether it is the platform's, for companies without their own."""

    default: bool


class CreateCard(NewCard):
    """`company_id` is whose card it becomes; without it, the platform's default."""

    company_id: UUID | None = None


class RetireCard(Input):
    """`on` is the first day the card is no longer in force; without it, today."""

    on: date | None = None
    company_id: UUID | None = None


class Simulate(Input):
    """A parcel to price, with nothing booked. `terms` tries terms that are on no card."""

    courier: str = Field(min_length=1, max_length=60)
    service: str = Field(default="*", min_length=1, max_length=120)
    mode: Mode = Mode.surface
    flow: Flow = Flow.forward
    from_pincode: Pincode
    to_pincode: Pincode
    weight_grams: int = Field(gt=0, le=1_000_000)
    length_mm: int = Field(gt=0, le=10_000)
    breadth_mm: int = Field(gt=0, le=10_000)
    height_mm: int = Field(gt=0, le=10_000)
    payment: Payment = Payment.prepaid
    declared_value_paise: Amount = 0
    to_collect_paise: Amount = 0
    on: date | None = None
    place_of_supply: str | None = Field(default=None, pattern="^[A-Z]{2}$")
    terms: Terms | None = None

    def parcel(self) -> Parcel:
        return Parcel(
            from_pincode=self.from_pincode,
            to_pincode=self.to_pincode,
            weight_grams=self.weight_grams,
            length_mm=self.length_mm,
            breadth_mm=self.breadth_mm,
            height_mm=self.height_mm,
            payment=self.payment,
            declared_value=Money(self.declared_value_paise),
            to_collect=Money(self.to_collect_paise),
            flow=self.flow,
        )


class Simulated(Frozen):
    """`quote` is None when no card covers the service; `reason` then says so."""

    quote: Quote | None
    card_id: UUID | None
    card_version: int | None
    default: bool
    reason: str | None
