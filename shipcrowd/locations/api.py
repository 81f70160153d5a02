"""Pickup and return addresses over HTTP."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from shipcrowd.identity.api import May, Member
from shipcrowd.kernel.pages import After, Limit, Page
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.locations import service
from shipcrowd.locations.models import PlaceKind
from shipcrowd.locations.schemas import (
    NewPlace,
    PlaceChange,
    PlaceDetails,
    PlaceOut,
    Registration,
    RegistrationOut,
    SetDefault,
)

router = APIRouter(prefix="/places", tags=["places"])


@router.get("")
async def list_places(
    who: Annotated[Member, May("places:read")],
    kind: Annotated[PlaceKind | None, Query(description="Places for both are found too")] = None,
    active: bool | None = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[PlaceOut]:
    """The company's places, newest first, with what each courier account knows of them."""
    async with acting_for(who.company_id) as session:
        found, following = await service.places(session, kind=kind, active=active, after=after, limit=limit)
        known = await service.registrations(session, [place.id for place in found])
    return Page(items=[_out(place, known[place.id]) for place in found], next=following)


@router.post("", status_code=201)
async def create_place(body: NewPlace, who: Annotated[Member, May("places:write")]) -> PlaceOut:
    """Add a place; the first one becomes the default."""
    async with acting_for(who.company_id) as session:
        return _out(await service.create(session, place=body, actor=who.actor), [])


@router.get("/{place_id}")
async def get_place(place_id: UUID, who: Annotated[Member, May("places:read")]) -> PlaceOut:
    """One place."""
    async with acting_for(who.company_id) as session:
        place = await service.get(session, place_id)
        return _out(place, (await service.registrations(session, [place_id]))[place_id])


@router.patch("/{place_id}")
async def change_place(place_id: UUID, body: PlaceChange, who: Annotated[Member, May("places:write")]) -> PlaceOut:
    """Change a place. Couriers are told of a changed address anew."""
    async with acting_for(who.company_id) as session:
        place = await service.change(session, place_id, changes=body, actor=who.actor)
        return _out(place, (await service.registrations(session, [place_id]))[place_id])


@router.post("/{place_id}/default")
async def set_default(place_id: UUID, body: SetDefault, who: Annotated[Member, May("places:write")]) -> PlaceOut:
    """Make a place the default for pickups, returns or both."""
    async with acting_for(who.company_id) as session:
        place = await service.set_default(session, place_id, pickup=body.pickup, returns=body.return_, actor=who.actor)
        return _out(place, (await service.registrations(session, [place_id]))[place_id])


@router.post("/{place_id}/activate")
async def activate_place(place_id: UUID, who: Annotated[Member, May("places:write")]) -> PlaceOut:
    """Take a place into use again."""
    async with acting_for(who.company_id) as session:
        place = await service.activate(session, place_id, actor=who.actor)
        return _out(place, (await service.registrations(session, [place_id]))[place_id])


@router.delete("/{place_id}", status_code=204)
async def deactivate_place(place_id: UUID, who: Annotated[Member, May("places:write")]) -> None:
    """Take a place out of use. It is kept, because parcels were shipped from it."""
    async with acting_for(who.company_id) as session:
        await service.deactivate(session, place_id, actor=who.actor)


def _out(place: PlaceDetails, known: Sequence[Registration]) -> PlaceOut:
    address = place.address
    return PlaceOut(
        id=place.id,
        name=place.name,
        kind=place.kind,
        contact=address.name,
        phone=address.phone or "",
        email=address.email,
        company=address.company,
        line1=address.line1,
        line2=address.line2,
        city=address.city,
        state=address.state,
        pincode=address.pincode,
        gstin=place.gstin,
        default_pickup=place.default_pickup,
        default_return=place.default_return,
        active=place.active,
        created_at=place.created_at,
        registrations=tuple(RegistrationOut.model_validate(registration) for registration in known),
    )
