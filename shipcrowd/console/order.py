"""One order: its facts, its timeline, and the panel that ships it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.console import forms, queries, web
from shipcrowd.console.orders import address_of
from shipcrowd.identity.guard import May
from shipcrowd.identity.member import Member
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.locations import service as locations
from shipcrowd.locations.models import PlaceKind
from shipcrowd.orders import queries as orders
from shipcrowd.orders import service
from shipcrowd.orders.models import Order, OrderState
from shipcrowd.orders.schemas import Fulfilment, OrderEdit
from shipcrowd.pincodes import service as pincodes
from shipcrowd.pincodes.address import Address, AddressIn
from shipcrowd.pincodes.states import BY_CODE
from shipcrowd.shipping import booking, jobs, preferences, quoting
from shipcrowd.shipping import queries as shipments
from shipcrowd.shipping.models import CANCELLABLE, Quote, State
from shipcrowd.shipping.preferences import Box
from shipcrowd.shipping.quoting import Package

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)

Reads = Annotated[Member, May("orders:read")]
Writes = Annotated[Member, May("orders:write")]
Ships = Annotated[Member, May("shipments:write")]

OPEN = (OrderState.pending, OrderState.ready)
PLACES = 100


def _prefilled(order: Order, box: Box | None) -> Package:
    """What is known of the parcel: the order's own, and the seller's chosen box for its size. Pure."""
    return Package(
        order.weight_grams,
        order.length_mm or (box.length_mm if box else None),
        order.breadth_mm or (box.breadth_mm if box else None),
        order.height_mm or (box.height_mm if box else None),
    )


async def order_page(request: Request, who: Member, order_id: UUID) -> Response:
    quoted = request.query_params.get("quote", "")
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        found = await orders.whole(session, order_id)
        parcels = await shipments.of_order(session, order_id)
        places, _ = await locations.places(session, kind=PlaceKind.pickup, active=True, limit=PLACES)
        known = await pincodes.place(session, found.order.pincode)
        box = (await preferences.of(session)).box
        duplicate = await orders.got(session, found.order.duplicate_of) if found.order.duplicate_of else None
        actors = await queries.actors(session)
        quote: Quote | None = None
        try:
            quote = await queries.quote_of(session, order_id, UUID(quoted)) if quoted else None
        except ValueError:
            quote = None
    ship_to = found.buyer.ship_to or Address()
    return web.page(
        request,
        "order.html",
        title=f"Order {found.order.number}",
        shell=shell,
        order=found.order,
        buyer=found.buyer,
        ship_to=ship_to,
        lines=found.lines,
        open_units=sum(service.open_units_of(line) for line in found.lines),
        open_units_of=service.open_units_of,
        events=found.events,
        actors=actors,
        gaps=found.order.gaps,
        problems=service.why_not_bookable(found.order),
        ours=[hold for hold in found.order.holds if hold.startswith(service.OURS)],
        parcels=parcels,
        busy=any(parcel.state == State.booking for parcel in parcels),
        cancellable=CANCELLABLE,
        places=places,
        place_names=[(place.id, f"{place.name}, {place.address.city} {place.address.pincode}") for place in places],
        default_place=next((place.id for place in places if place.default_pickup), ""),
        known=known,
        known_state=BY_CODE[known.state].name if known else "",
        mismatch=bool(known and pincodes.mismatch(known, ship_to.state)),
        duplicate=duplicate,
        quote=quote,
        options=quoting.options_of(quote) if quote else [],
        measured=quote or _prefilled(found.order, box),
        box=box,
        editable=found.order.state in OPEN and not any(line.units_booked for line in found.lines),
        cancel_allowed=found.order.state in (*OPEN, OrderState.ignored)
        and found.order.fulfilment != Fulfilment.marketplace_warehouse,
    )


@router.get("/orders/{order_id:uuid}")
async def show(request: Request, who: Reads, order_id: UUID) -> Response:
    return await order_page(request, who, order_id)


# --- facts ----------------------------------------------------------------------------------------------------------


@router.post("/orders/{order_id:uuid}/address")
@web.shown_again_on(order_page)
async def fix_address(request: Request, who: Writes, order_id: UUID) -> Response:
    form = await forms.form_of(request)
    given = await address_of(who, form)
    async with acting_for(who.company_id) as session:
        found = await orders.whole(session, order_id)
        before = found.buyer.ship_to or Address()
        # What has no field on the form stays: the company's name; an address abroad is replaced by one in India.
        address = AddressIn(**given, company=before.company)
        if gaps := address.gaps():
            raise forms.wrong(gaps)
        await service.edit(session, order_id, OrderEdit(ship_to=address), actor=who.actor)
    return web.after(f"/orders/{order_id}", "The address is complete. News from the store will leave it alone.")


@router.post("/orders/{order_id:uuid}/package")
@web.shown_again_on(order_page)
async def set_package(request: Request, who: Writes, order_id: UUID) -> Response:
    form = await forms.form_of(request)
    given = {name: value for name, value in forms.package(form).items() if value is not None}
    if not given:
        raise Invalid("type the weight or a side of the packed parcel first", field="weight_grams")
    async with acting_for(who.company_id) as session:
        await service.edit(session, order_id, forms.read(OrderEdit, given), actor=who.actor)
    return web.after(f"/orders/{order_id}#ship", "Weight and size are kept with the order.")


@router.post("/orders/{order_id:uuid}/hold")
@web.shown_again_on(order_page)
async def hold(request: Request, who: Writes, order_id: UUID) -> Response:
    reason = forms.text(await forms.form_of(request), "reason")[:300] or "by hand"
    async with acting_for(who.company_id) as session:
        await service.hold(session, order_id, reason=reason, actor=who.actor)
    return web.after(f"/orders/{order_id}", "Held. Nothing books it until you release it.")


@router.post("/orders/{order_id:uuid}/release")
@web.shown_again_on(order_page)
async def release(request: Request, who: Writes, order_id: UUID) -> Response:
    async with acting_for(who.company_id) as session:
        await service.release(session, order_id, actor=who.actor)
    return web.after(f"/orders/{order_id}", "Released.")


@router.post("/orders/{order_id:uuid}/cancel")
@web.shown_again_on(order_page)
async def cancel(request: Request, who: Writes, order_id: UUID) -> Response:
    reason = forms.text(await forms.form_of(request), "reason")[:300]
    async with acting_for(who.company_id) as session:
        await service.cancel(session, order_id, reason=reason, actor=who.actor)
    return web.after(f"/orders/{order_id}", "Cancelled here. Cancel it at the store too, if it came from one.")


@router.post("/orders/{order_id:uuid}/note")
@web.shown_again_on(order_page)
async def note(request: Request, who: Writes, order_id: UUID) -> Response:
    words = forms.text(await forms.form_of(request), "words")[:2000]
    if not words:
        raise forms.wrong({"words": "write the note first"})
    async with acting_for(who.company_id) as session:
        await service.note(session, order_id, words=words, actor=who.actor)
    return web.after(f"/orders/{order_id}#timeline", "Noted.")


# --- shipping -------------------------------------------------------------------------------------------------------


@router.post("/orders/{order_id:uuid}/quote")
@web.shown_again_on(order_page)
async def compare(request: Request, who: Ships, order_id: UUID) -> Response:
    form = await forms.form_of(request)
    package = Package(**forms.package(form))
    made = await quoting.quote(who.company_id, order_id, place_id=forms.ident(form, "place_id"), package=package)
    return web.after(f"/orders/{order_id}?quote={made.id}#ship")


@router.post("/orders/{order_id:uuid}/book")
@web.shown_again_on(order_page)
async def book(request: Request, who: Ships, order_id: UUID) -> Response:
    form = await forms.form_of(request)
    quote_id = forms.ident(form, "quote_id")
    account, _, service_id = forms.text(form, "option").partition(":")
    async with acting_for(who.company_id) as session:
        if quote_id is None or not service_id:
            raise Invalid("compare prices and choose one of them", field="option")
        await queries.quote_of(session, order_id, quote_id)
        shipment = await booking.book(
            session,
            quote_id,
            service=service_id,
            account_id=forms.ident(forms.FormData([("account", account)]), "account"),
            actor=who.actor,
        )
        await jobs.request_label.enqueue(session, company_id=who.company_id, shipment_id=shipment.id)
    return web.after(f"/orders/{order_id}#parcels", f"{shipment.number} is being booked with {shipment.carrier}.")


@router.post("/orders/{order_id:uuid}/book-by-hand")
@web.shown_again_on(order_page)
async def book_by_hand(request: Request, who: Ships, order_id: UUID) -> Response:
    form = await forms.form_of(request)
    given = forms.filled(form, "carrier", "awb")
    if missing := {field for field in ("carrier", "awb") if field not in given}:
        raise forms.wrong(dict.fromkeys(sorted(missing), "this is needed"))
    async with acting_for(who.company_id) as session:
        shipment = await booking.book_by_hand(
            session,
            order_id,
            carrier=given["carrier"],
            awb=given["awb"],
            package=Package(**forms.package(form)),
            place_id=forms.ident(form, "place_id"),
            actor=who.actor,
        )
        await jobs.request_label.enqueue(session, company_id=who.company_id, shipment_id=shipment.id)
    return web.after(f"/orders/{order_id}#parcels", f"{shipment.number} is recorded.")
