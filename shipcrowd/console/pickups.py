"""Asking couriers to come."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.console import forms, queries, web, words
from shipcrowd.couriers import vendors
from shipcrowd.identity.guard import May
from shipcrowd.identity.member import Member
from shipcrowd.kernel import clock
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.locations import service as locations
from shipcrowd.shipping import pickups
from shipcrowd.shipping.models import PickupState

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)


async def pickups_page(request: Request, who: Member) -> Response:
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        asked = await pickups.recent(session)
        waiting = await queries.waiting_for_pickup(session)
        places, _ = await locations.places(session, limit=200)
    comes = {(each.place_id, each.courier) for each in asked if each.state == PickupState.with_booking}
    due = {
        (each.place_id, each.courier): each
        for each in reversed(asked)
        if each.on_day >= clock.today() and each.state in (PickupState.requested, PickupState.confirmed)
    }
    return web.page(
        request,
        "pickups.html",
        title="Pickups",
        shell=shell,
        pickups=asked,
        waiting=waiting,
        comes=comes,
        due=due,
        places={place.id: place for place in places},
        couriers={vendor.slug: vendor.name for vendor in vendors.vendors()},
        today=clock.today(),
        latest=clock.today() + pickups.AHEAD,
    )


@router.get("/pickups")
async def show(request: Request, who: Annotated[Member, May("shipments:read")]) -> Response:
    return await pickups_page(request, who)


@router.post("/pickups")
@web.shown_again_on(pickups_page)
async def ask(request: Request, who: Annotated[Member, May("shipments:write")]) -> Response:
    form = await forms.form_of(request)
    place_id = forms.ident(form, "place_id")
    if place_id is None:
        raise forms.wrong({"place_id": "choose where the parcels wait"})
    try:
        on = date.fromisoformat(forms.text(form, "on"))
    except ValueError as error:
        raise forms.wrong({"on": "choose a day"}) from error
    made = await pickups.request(who.company_id, place_id=place_id, courier=forms.text(form, "courier"), on=on)
    if made.error:
        return web.after("/pickups", f"The courier refused: {made.error}", tone="act")
    if made.state == PickupState.with_booking:
        return web.after("/pickups", "No need to ask: this courier comes by itself for every booked parcel.")
    return web.after("/pickups", f"Asked; the courier comes on {words.day(made.on_day)}.")
