"""Rate cards over HTTP: everyone sees what they pay by, the platform's own people decide it."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from shipcrowd.couriers.contract import ServiceOffer
from shipcrowd.identity.api import May, Member
from shipcrowd.kernel import audit, clock
from shipcrowd.kernel.errors import Forbidden
from shipcrowd.kernel.pages import After, Limit, Page
from shipcrowd.kernel.tenancy import PLATFORM_COMPANY, acting_for
from shipcrowd.pincodes import service as pincodes
from shipcrowd.ratecards import service
from shipcrowd.ratecards.schemas import Card, CardOut, CreateCard, NewCard, RetireCard, Simulate, Simulated

router = APIRouter(prefix="/ratecards", tags=["ratecards"])


class OperatorSetsRates(Forbidden):
    """Rate cards are made and ended by the platform, not by the company that pays by them."""


@router.get("")
async def list_cards(
    who: Annotated[Member, May("ratecards:read")],
    courier: Annotated[str | None, Query(max_length=60)] = None,
    on: date | None = None,
    default: Annotated[bool, Query(description="The platform's cards, for companies without their own")] = False,
    after: After = None,
    limit: Limit = 50,
) -> Page[CardOut]:
    """The company's own cards, newest first; with `default`, the platform's."""
    owner = PLATFORM_COMPANY if default else who.company_id
    # The platform's price list is no secret: whoever has no card of its own pays by it.
    async with acting_for(owner) as session:
        cards, following = await service.cards(
            session, company_id=owner, courier=courier, on=on, after=after, limit=limit
        )
    return Page(items=[_out(card) for card in cards], next=following)


@router.post("", status_code=201)
async def create_card(body: CreateCard, who: Annotated[Member, May("ratecards:write")]) -> CardOut:
    """Add a card to a company's, or to the platform's. Only for the platform's own people."""
    owner = _operator_acting_for(who, body.company_id)
    async with acting_for(owner) as session:
        card = await service.create_card(
            session, company_id=owner, card=NewCard(**body.model_dump(exclude={"company_id"}))
        )
        await audit.record(
            session,
            actor=who.actor,
            action="ratecard.created",
            subject=f"rate_card:{card.id}",
            details={"version": card.version, "effective_from": card.effective_from.isoformat()},
        )
    return _out(card)


@router.post("/simulate")
async def simulate(body: Simulate, who: Annotated[Member, May("ratecards:read")]) -> Simulated:
    """What a parcel would cost the company; nothing is booked. No courier is asked whether it serves the lane."""
    parcel = body.parcel()
    async with acting_for(who.company_id) as session:
        if body.terms is not None:
            places = await pincodes.places(session, (parcel.from_pincode, parcel.to_pincode))
            quote = service.quote_between(
                body.terms,
                parcel,
                places.get(parcel.from_pincode),
                places.get(parcel.to_pincode),
                place_of_supply=body.place_of_supply,
            )
            return Simulated(quote=quote, card_id=None, card_version=None, default=False, reason=None)
        offer = ServiceOffer(service=body.service, name=body.service, carrier=body.courier, mode=body.mode)
        [priced] = await service.price(
            session,
            company_id=who.company_id,
            courier=body.courier,
            offers=[offer],
            parcel=parcel,
            on=body.on or clock.today(),
            place_of_supply=body.place_of_supply,
        )
    return Simulated.model_validate(priced)


@router.post("/{card_id}/retire")
async def retire_card(card_id: UUID, body: RetireCard, who: Annotated[Member, May("ratecards:write")]) -> CardOut:
    """End a card. Only for the platform's own people."""
    owner = _operator_acting_for(who, body.company_id)
    async with acting_for(owner) as session:
        card = await service.retire_card(session, company_id=owner, card_id=card_id, on=body.on or clock.today())
        await audit.record(
            session,
            actor=who.actor,
            action="ratecard.retired",
            subject=f"rate_card:{card.id}",
            details={"effective_to": card.effective_to.isoformat() if card.effective_to else None},
        )
    return _out(card)


def _operator_acting_for(who: Member, company_id: UUID | None) -> UUID:
    """Whose cards are changed. A seller who could write its own card would ship for nothing."""
    if who.company_id != PLATFORM_COMPANY:
        raise OperatorSetsRates("ask the platform for other rates")
    return company_id or PLATFORM_COMPANY


def _out(card: Card) -> CardOut:
    return CardOut(**card.model_dump(), default=card.company_id == PLATFORM_COMPANY)
