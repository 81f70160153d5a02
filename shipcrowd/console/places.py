"""Pickup and return addresses, and what each courier knows of them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.console import forms, queries, web
from shipcrowd.identity.guard import May
from shipcrowd.identity.member import Member
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.locations import service
from shipcrowd.locations.models import PlaceKind
from shipcrowd.locations.schemas import NewPlace, PlaceChange
from shipcrowd.pincodes.states import BY_CODE
from shipcrowd.shipping.accounts import accounts

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)

Reads = Annotated[Member, May("places:read")]
Writes = Annotated[Member, May("places:write")]

FIELDS = (
    "name", "kind", "contact", "phone", "email", "company", "line1", "line2", "city", "state", "pincode", "gstin",
)  # fmt: skip
CLEARED = ("email", "company", "gstin")
KINDS = (
    (PlaceKind.both, "Pickups and returns"),
    (PlaceKind.pickup, "Pickups only"),
    (PlaceKind.return_, "Returns only"),
)


def _states() -> list[str]:
    return sorted(state.name for state in BY_CODE.values())


async def places_page(request: Request, who: Member) -> Response:
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        found, following = await service.places(session, after=request.query_params.get("after") or None)
        known = await service.registrations(session, [place.id for place in found])
    named = {account.id: account.vendor.name for account in await accounts(who.company_id)}
    return web.page(
        request,
        "places.html",
        title="Pickup addresses",
        shell=shell,
        places=sorted(found, key=lambda place: not place.active),
        known=known,
        named=named,
        following=following,
        kinds=KINDS,
        states=_states(),
    )


@router.get("/places")
async def show_all(request: Request, who: Reads) -> Response:
    return await places_page(request, who)


@router.post("/places")
@web.shown_again_on(places_page)
async def add(request: Request, who: Writes) -> Response:
    form = await forms.form_of(request)
    new = forms.read(NewPlace, _needed(forms.filled(form, *FIELDS)))
    async with acting_for(who.company_id) as session:
        place = await service.create(session, place=new, actor=who.actor)
    return web.after("/places", f"{place.name} is added. Couriers are being told of it.")


def _needed(typed: dict[str, str]) -> dict[str, str]:
    # What is left blank is judged by the service, which names everything that is missing at once.
    return dict.fromkeys(("contact", "phone", "line1", "city", "pincode"), "") | typed


async def place_page(request: Request, who: Member, place_id: UUID) -> Response:
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        place = await service.get(session, place_id)
        known = (await service.registrations(session, [place_id]))[place_id]
    named = {account.id: account.vendor.name for account in await accounts(who.company_id)}
    return web.page(
        request,
        "place.html",
        title=place.name,
        shell=shell,
        place=place,
        known=known,
        named=named,
        kinds=KINDS,
        states=_states(),
    )


@router.get("/places/{place_id:uuid}")
async def show(request: Request, who: Reads, place_id: UUID) -> Response:
    return await place_page(request, who, place_id)


@router.post("/places/{place_id:uuid}")
@web.shown_again_on(place_page)
async def change(request: Request, who: Writes, place_id: UUID) -> Response:
    form = await forms.form_of(request)
    typed: dict[str, str | None] = {field: forms.text(form, field) for field in FIELDS if field in form}
    for field in CLEARED:
        typed[field] = typed.get(field) or None
    changes = forms.read(PlaceChange, {name: value for name, value in typed.items() if value or name != "state"})
    async with acting_for(who.company_id) as session:
        place = await service.change(session, place_id, changes=changes, actor=who.actor)
    return web.after(f"/places/{place_id}", f"{place.name} is saved.")


@router.post("/places/{place_id:uuid}/default")
@web.shown_again_on(place_page)
async def make_default(request: Request, who: Writes, place_id: UUID) -> Response:
    use = forms.text(await forms.form_of(request), "for")
    async with acting_for(who.company_id) as session:
        place = await service.set_default(
            session, place_id, pickup=use == "pickup", returns=use == "return", actor=who.actor
        )
    words = "Parcels are picked up here" if use == "pickup" else "Undelivered parcels come back here"
    return web.after("/places", f"{words} unless you say otherwise: {place.name}.")


@router.post("/places/{place_id:uuid}/use")
@web.shown_again_on(place_page)
async def use(request: Request, who: Writes, place_id: UUID) -> Response:
    wanted = forms.text(await forms.form_of(request), "active") == "yes"
    async with acting_for(who.company_id) as session:
        change_use = service.activate if wanted else service.deactivate
        place = await change_use(session, place_id, actor=who.actor)
    return web.after("/places", f"{place.name} is {'in use again' if wanted else 'out of use; its history is kept'}.")
