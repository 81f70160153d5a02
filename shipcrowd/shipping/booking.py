"""Booking a parcel: from a quote to an AWB, with the money held in between, and never twice.

`book` writes the shipment and holds the money; the job `request_label` asks the courier. Before it does, it marks the
attempt; an attempt that left neither an answer nor a clean failure makes the shipment `unconfirmed`, because the
parcel may exist: the hold stays, nothing books again by itself, and a webhook, a tracking hit or a person settles it.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import (
    Booking,
    BookingLine,
    BookingRequest,
    Courier,
    Flow,
    Mode,
    Payment,
    PickupPoint,
    RegistersPickupPoints,
)
from shipcrowd.kernel import clock, counters, crypto, events, tenancy
from shipcrowd.kernel.errors import Conflict, Invalid, NotFound
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.locations.schemas import PlaceDetails
from shipcrowd.orders import pii
from shipcrowd.orders import service as orders
from shipcrowd.orders.events import OrderCancelAsked
from shipcrowd.orders.models import Order
from shipcrowd.orders.schemas import Fulfilment
from shipcrowd.pincodes.address import Address
from shipcrowd.shipping import places, quoting, settling, worth
from shipcrowd.shipping.accounts import NO_ACCOUNT, BilledBy
from shipcrowd.shipping.events import ShipmentBooked, ShipmentRefused
from shipcrowd.shipping.models import MOVES, Quote, Shipment, ShipmentLine, ShipmentRoute, State
from shipcrowd.shipping.quoting import Option, Package
from shipcrowd.shipping.tracking import locked, plan_next_check

AWB_USED_AGAIN_AFTER = timedelta(days=120)
"""Couriers give numbers out again after a year or so; long before that a second parcel with one is a mistake."""


class ShipmentNotFound(NotFound):
    """There is no such shipment."""


class QuoteExpired(Conflict):
    """The quote is older than half an hour; ask for prices again."""


class NoSuchOption(Invalid):
    """The quote has no such service."""


class NotUnconfirmed(Conflict):
    """Only an unconfirmed booking can be settled by hand."""


class AwbTaken(Conflict):
    """Another shipment has this AWB."""


@dataclass(frozen=True)
class ToBook:
    """What a booking job needs, read in one transaction. `attempt` says the courier may have been asked before."""

    shipment_id: UUID
    courier: str
    account_company_id: UUID
    account_id: UUID
    request: BookingRequest
    register: tuple[PlaceDetails, ...]


async def book(
    session: AsyncSession,
    quote_id: UUID,
    *,
    service: str,
    account_id: UUID | None = None,
    units: Mapping[UUID, int] | None = None,
    actor: str,
) -> Shipment:
    """Book one option of a quote: the shipment in state `booking`, its units taken, its charge held.

    `units` (order line id → units) ships a part of the order. The caller enqueues `jobs.request_label` in the same
    transaction. Raises ShipmentNotFound-like NotFound for the quote, QuoteExpired, NoSuchOption,
    quoting.NotBookable, orders.OrderNotBookable, wallet.InsufficientBalance; nothing has moved then.
    """
    made = await session.get(Quote, (tenancy.company_of(session), quote_id))
    if made is None:
        raise NotFound("ask for prices first", field="quote_id")
    if made.expires_at <= clock.now():
        raise QuoteExpired
    option = _chosen(quoting.options_of(made), service, account_id)
    order = await orders.locked(session, made.order_id)
    package = Package(made.weight_grams, made.length_mm, made.breadth_mm, made.height_mm)
    return await _open(session, order, option, package, made.place_id, units, actor)


def _chosen(options: Sequence[Option], service: str, account_id: UUID | None) -> Option:
    for option in options:
        if option.service == service and account_id in (None, option.account_id):
            if option.price_paise is None:
                raise NoSuchOption("no rate card covers this service", field="service")
            return option
    raise NoSuchOption(f"choose one of: {', '.join(sorted({o.service for o in options}))}", field="service")


async def book_by_hand(
    session: AsyncSession,
    order_id: UUID,
    *,
    carrier: str,
    awb: str,
    package: Package,
    place_id: UUID | None,
    units: Mapping[UUID, int] | None = None,
    actor: str,
) -> Shipment:
    """Record a parcel booked elsewhere, whose carrier and AWB the seller types. Nothing is charged."""
    order = await orders.locked(session, order_id)
    if order.fulfilment == Fulfilment.marketplace_logistics:
        raise quoting.NotBookable("the marketplace's own courier carries this order", field="courier")
    asked = await quoting.prepare(session, order, place_id=place_id, package=package)
    option = Option(
        account_company_id=tenancy.company_of(session),
        account_id=NO_ACCOUNT,
        courier="manual",
        courier_name="Manual",
        service=f"{carrier}|{awb.upper()}",  # as the manual courier reads it
        name=carrier,
        carrier=carrier,
        mode=Mode.surface,
        min_days=None,
        max_days=None,
        zone=None,
        price_paise=0,
        price=None,
        reason=None,
        account_name="",
        billed_by=BilledBy.courier,
    )
    return await _open(session, order, option, asked.package, asked.place.id, units, actor)


async def _open(
    session: AsyncSession,
    order: Order,
    option: Option,
    package: Package,
    place_id: UUID,
    units: Mapping[UUID, int] | None,
    actor: str,
) -> Shipment:
    if problems := orders.why_not_bookable(order):
        raise quoting.NotBookable.naming(problems)
    taken = await orders.allocate(session, order, units)
    company_id, shipment_id = order.company_id, new_id()
    link = secrets.token_urlsafe(18)
    shipment = Shipment(
        company_id=company_id,
        id=shipment_id,
        number=await counters.number(session, "SHP"),
        order_id=order.id,
        order_number=order.number,
        source=order.source,
        flow=Flow.forward,
        state=State.booking,
        courier=option.courier,
        account_company_id=option.account_company_id,
        account_id=option.account_id,
        service=option.service,
        service_name=option.name,
        carrier=option.carrier,
        mode=option.mode,
        zone=option.zone,
        payment=order.payment,
        to_collect_paise=await worth.share_to_collect(session, order, taken),
        declared_paise=worth.declared(order, taken),
        charge_paise=Money(option.price_paise or 0),
        charge=option.price.model_dump(mode="json") if option.price else {},
        weight_grams=package.weight_grams,
        length_mm=package.length_mm,
        breadth_mm=package.breadth_mm,
        height_mm=package.height_mm,
        place_id=place_id,
        return_place_id=await places.return_id(session, place_id),
        pii=b"",
        city=order.city,
        province=order.province,
        pincode=order.pincode,
        moved_at=clock.now(),
        track_key=crypto.keyring().seal(link.encode(), link_about(company_id, shipment_id)),
        booked_by=actor,
    )
    ship_to = pii.buyer_of(order).ship_to or Address()
    shipment.pii = crypto.keyring().seal(ship_to.model_dump_json().encode(), about(company_id, shipment_id))
    session.add(shipment)
    await session.flush()
    session.add_all(
        ShipmentLine(company_id=company_id, shipment_id=shipment_id, order_line_id=line.id, units=count)
        for line, count in taken
    )
    await route_to(session, shipment, "reference", str(shipment_id))
    await route_to(session, shipment, "link", hashlib.sha256(link.encode()).hexdigest())
    chosen = option.name if option.name.startswith(option.carrier) else f"{option.carrier} ({option.name})"
    words = f"{shipment.number}: booking with {chosen}"
    orders.tell(session, order, "booking", words, actor=actor, details={"shipment_id": str(shipment_id)})
    await settling.hold(session, shipment)
    return shipment


def about(company_id: UUID, shipment_id: UUID) -> str:
    return f"shipment:{company_id}:{shipment_id}"


def link_about(company_id: UUID, shipment_id: UUID) -> str:
    return f"track:{company_id}:{shipment_id}"


def receiver(shipment: Shipment) -> Address:
    """The receiver as sealed at booking. Raises crypto.CannotDecrypt."""
    opened = crypto.keyring().open(shipment.pii, about(shipment.company_id, shipment.id))
    return Address.model_validate_json(opened)


def track_link(shipment: Shipment) -> str:
    """The unguessable part of the buyer's tracking page address."""
    return crypto.keyring().open(shipment.track_key, link_about(shipment.company_id, shipment.id)).decode()


async def route_to(session: AsyncSession, shipment: Shipment, kind: str, key: str, *, typed: bool = False) -> None:
    """Let news of this parcel find it. Raises AwbTaken when a young parcel of anybody's has the number already.

    A number a person typed gives way to the same number from the courier: typing must not keep a parcel's news away.
    """
    values = {"company_id": shipment.company_id, "shipment_id": shipment.id, "made_at": clock.now(), "typed": typed}
    free = (ShipmentRoute.shipment_id == shipment.id) | (ShipmentRoute.made_at < clock.now() - AWB_USED_AGAIN_AFTER)
    mine = await session.execute(
        insert(ShipmentRoute)
        .values(kind=kind, key=key, **values)
        .on_conflict_do_update(
            index_elements=[ShipmentRoute.kind, ShipmentRoute.key],
            set_=values,
            where=free if typed else free | ShipmentRoute.typed,
        )
        .returning(ShipmentRoute.key)
    )
    if mine.scalar_one_or_none() is None:
        raise AwbTaken(f"another parcel has the number {key}", field="awb")


# --- asking the courier ---------------------------------------------------------------------------------------------


async def start_attempt(session: AsyncSession, shipment_id: UUID) -> ToBook | None:
    """Read what the courier must be told and mark that it is being asked; None when there is nothing to ask. An attempt
    whose end nobody recorded (the worker died) is made again where that is safe, else it leaves it unconfirmed."""
    found = await locked(session, shipment_id)
    if found is None or found[1].state != State.booking:
        return None
    order, shipment = found
    if shipment.attempted_at is not None and not vendors.vendor(shipment.courier).repeatable:
        await unconfirm(session, order, shipment, because="we stopped while asking the courier")
        return None
    if order.cancel_asked_at is not None:
        because = "the channel cancelled the order before the courier was asked"
        await _refuse(session, order, shipment, "order_cancelled", because, actor="system")
        return None
    shipment.attempted_at = clock.now()
    return await to_book(session, order, shipment)


async def to_book(session: AsyncSession, order: Order, shipment: Shipment) -> ToBook:
    """What the courier must be told of this shipment. Reads only."""
    origin = await places.as_told(session, shipment.place_id, account_id=shipment.account_id)
    back = await places.as_told(session, shipment.return_place_id, account_id=shipment.account_id)
    lines = {line.id: line for line in await orders.lines_of(session, order.id)}
    units = await settling.units_of(session, shipment.id)
    return ToBook(
        shipment_id=shipment.id,
        courier=shipment.courier,
        account_company_id=shipment.account_company_id,
        account_id=shipment.account_id,
        request=BookingRequest(
            reference=str(shipment.id),
            order_number=order.number,
            ordered_at=order.placed_at,
            service=shipment.service,
            flow=Flow(shipment.flow),
            payment=Payment(shipment.payment),
            to_collect=shipment.to_collect_paise,
            declared_value=shipment.declared_paise,
            ship_from=point(origin),
            return_to=point(back),
            ship_to=receiver(shipment),
            lines=tuple(
                BookingLine(
                    name=lines[line_id].name,
                    sku=lines[line_id].sku or lines[line_id].external_id,
                    units=count,
                    unit_price=lines[line_id].unit_price_paise,
                    hsn=lines[line_id].hsn,
                    external_id=lines[line_id].external_id,
                )
                for line_id, count in units.items()
            ),
            weight_grams=shipment.weight_grams,
            length_mm=shipment.length_mm,
            breadth_mm=shipment.breadth_mm,
            height_mm=shipment.height_mm,
            order_external_id=order.external_id,
            sold_at=order.source,
        ),
        register=tuple({place.id: place for place in (origin, back)}.values()),
    )


def point(place: PlaceDetails) -> PickupPoint:
    return PickupPoint(
        reference=str(place.id),
        name=place.name,
        address=place.address,
        contact=place.contact,
        gstin=place.gstin,
        registered_as=place.registered_as,
    )


def unregistered(courier: Courier, prepared: ToBook) -> Sequence[PlaceDetails]:
    """The places this courier must be told of before it can be asked to book."""
    if not isinstance(courier, RegistersPickupPoints):
        return ()
    return [place for place in prepared.register if place.registered_as is None]


async def attempt_failed(session: AsyncSession, shipment_id: UUID) -> None:
    """The courier was certainly not reached: asking again is safe."""
    found = await locked(session, shipment_id)
    if found is not None and found[1].state == State.booking:
        found[1].attempted_at = None


async def booked(session: AsyncSession, shipment_id: UUID, booking: Booking) -> None:
    """The courier gave an AWB: record it, charge what was held, tell everyone. Safe to repeat.

    Raises AwbTaken when another shipment of the company has it.
    """
    found = await locked(session, shipment_id)
    if found is None or found[1].state not in (State.booking, State.unconfirmed):
        return
    order, shipment = found
    await confirm(session, order, shipment, booking)


async def refuse_taken(session: AsyncSession, shipment: Shipment, awb: str) -> None:
    """Raises AwbTaken, naming the parcel, when another one of the company has this AWB."""
    taken = select(Shipment.number).where(
        Shipment.courier == shipment.courier, Shipment.awb == awb, Shipment.id != shipment.id
    )
    if other := await session.scalar(taken):
        raise AwbTaken(f"AWB {awb} belongs to {other}", field="awb")


async def confirm(
    session: AsyncSession, order: Order, shipment: Shipment, booking: Booking, *, typed_by: str | None = None
) -> None:
    """From `booking` or `unconfirmed` to a parcel with an AWB, which a person typed or the courier gave."""
    await refuse_taken(session, shipment, booking.awb)
    _move(shipment, State.pickup_pending)
    shipment.awb, shipment.awb_typed_by = booking.awb, typed_by
    shipment.carrier = booking.carrier or shipment.carrier
    shipment.courier_order_id = booking.courier_order_id
    shipment.courier_shipment_id = booking.courier_shipment_id
    shipment.routing_code = booking.routing_code
    shipment.label_url = booking.label_url
    shipment.courier_charge_paise = booking.charged
    shipment.pickup_on = booking.pickup_date
    shipment.attempted_at = None
    shipment.booked_at = clock.now()
    shipment.reason = shipment.reason_code = None
    plan_next_check(shipment)
    await settling.charge(session, shipment)
    await orders.refer(session, order, booking.awb)
    if vendors.vendor(shipment.courier).tracked:
        await route_to(session, shipment, f"awb:{shipment.courier}", booking.awb, typed=typed_by is not None)
    words = f"{shipment.number}: booked with {shipment.carrier}, AWB {booking.awb}"
    orders.tell(session, order, "booked", words, actor="courier", details={"shipment_id": str(shipment.id)})
    await events.publish(session, ShipmentBooked(shipment.company_id, shipment.id))
    if order.cancel_asked_at is not None:
        # It was cancelled while the courier was being asked, when there was no parcel yet that could be.
        await events.publish(session, OrderCancelAsked(shipment.company_id, order.id))


async def refuse(session: AsyncSession, shipment_id: UUID, *, code: str, because: str) -> None:
    """The courier said no, or could not be asked: give money and units back. Safe to repeat."""
    found = await locked(session, shipment_id)
    if found is None or found[1].state != State.booking:
        return
    order, shipment = found
    await _refuse(session, order, shipment, code, because, actor="courier")


async def _refuse(
    session: AsyncSession, order: Order, shipment: Shipment, code: str, because: str, *, actor: str
) -> None:
    _move(shipment, State.refused)
    shipment.attempted_at = None
    shipment.ended_at = clock.now()
    shipment.reason_code, shipment.reason = code, because[:500]
    await settling.give_back(session, order, shipment)
    words = f"{shipment.number}: not booked: {because[:300]}"
    orders.tell(session, order, "refused", words, actor=actor, details={"code": code})
    await events.publish(session, ShipmentRefused(shipment.company_id, shipment.id))


async def give_up(session: AsyncSession, shipment_id: UUID) -> None:
    """No try is left. Refused only when every attempt is known to have failed: one that is still marked took too long,
    or its answer could not be recorded, and the parcel may exist."""
    found = await locked(session, shipment_id)
    if found is None or found[1].state != State.booking:
        return
    order, shipment = found
    if shipment.attempted_at is not None:
        await unconfirm(session, order, shipment, because="we asked the courier and could not record its answer")
        return
    because = "the courier could not be reached; nothing was booked"
    await _refuse(session, order, shipment, "courier_unavailable", because, actor="courier")


async def unconfirm(session: AsyncSession, order: Order, shipment: Shipment, *, because: str) -> None:
    """The parcel may exist at the courier. The hold stays; someone or something must settle it."""
    _move(shipment, State.unconfirmed)
    shipment.reason_code, shipment.reason = "no_answer", because[:500]
    words = f"{shipment.number}: unconfirmed: {because}. It is not booked again by itself."
    orders.tell(session, order, "unconfirmed", words, actor="system", details={"shipment_id": str(shipment.id)})


async def outcome_unknown(session: AsyncSession, shipment_id: UUID, *, because: str) -> None:
    """The request may have been received and no answer was read."""
    found = await locked(session, shipment_id)
    if found is not None and found[1].state == State.booking:
        await unconfirm(session, *found, because=because)


# --- the desk of unconfirmed bookings -------------------------------------------------------------------------------


async def settle_with_awb(
    session: AsyncSession, shipment_id: UUID, *, awb: str, carrier: str = "", actor: str
) -> Shipment:
    """A person or a tracking hit found the parcel: its AWB confirms the booking. Raises ShipmentNotFound,
    NotUnconfirmed, AwbTaken."""
    order, shipment = await _unconfirmed(session, shipment_id)
    orders.tell(session, order, "settled", f"{shipment.number}: found at the courier as {awb}", actor=actor)
    given = Booking(awb=awb, carrier=carrier or shipment.carrier)
    await confirm(session, order, shipment, given, typed_by=None if actor == "courier" else actor)
    return shipment


async def void(session: AsyncSession, shipment_id: UUID, *, actor: str) -> Shipment:
    """A person made sure that no parcel exists: give money and units back. Raises ShipmentNotFound, NotUnconfirmed."""
    order, shipment = await _unconfirmed(session, shipment_id)
    await _refuse(session, order, shipment, "voided", "no parcel exists at the courier", actor=actor)
    return shipment


async def _unconfirmed(session: AsyncSession, shipment_id: UUID) -> tuple[Order, Shipment]:
    found = await locked(session, shipment_id)
    if found is None:
        raise ShipmentNotFound
    if found[1].state != State.unconfirmed:
        raise NotUnconfirmed(f"{found[1].number} is {found[1].state}")
    return found


def _move(shipment: Shipment, to: State) -> None:
    if to not in MOVES[State(shipment.state)]:
        raise Conflict(f"{shipment.number} is {shipment.state}; it cannot become {to}")
    shipment.state = to
    shipment.moved_at = clock.now()
