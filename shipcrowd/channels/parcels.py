"""Parcels of a store's orders, by the store's own verbs: one that was booked elsewhere, a label for one of ours.

Shipping does the booking and `announcements` the telling; here stands only what a store's orders allow.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import announcing, untold, vendors
from shipcrowd.connections.models import Connection
from shipcrowd.couriers.contract import Booking, Progress
from shipcrowd.kernel import clock
from shipcrowd.kernel.errors import Conflict, Invalid
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.orders import service as orders
from shipcrowd.orders.models import Order
from shipcrowd.orders.schemas import Fulfilment
from shipcrowd.orders.service import ShippedByMarketplace
from shipcrowd.shipping import jobs as shipping_jobs
from shipcrowd.shipping import quoting
from shipcrowd.shipping import service as shipping
from shipcrowd.shipping.booking import NoSuchOption, ShipmentNotFound
from shipcrowd.shipping.models import CAME_TO_NOTHING, ENDED, Quote, Shipment
from shipcrowd.shipping.quoting import Option, Package

CLOCKS_DIFFER = timedelta(minutes=10)
WHAT_THE_ORDER_SAYS = Package()


class NotOnItsWay(Conflict):
    """This parcel is not on its way."""


class AmbiguousOrder(Conflict):
    """Several orders go by this number; give the channel's id of one."""


@dataclass(frozen=True)
class Outside:
    """A parcel the seller booked elsewhere. `at` is when it got to be where `progress` says; None: now."""

    carrier: str
    awb: str
    progress: Progress | None = None
    at: datetime | None = None
    package: Package = WHAT_THE_ORDER_SAYS
    place_id: UUID | None = None


@dataclass(frozen=True)
class Wish:
    """What a label is wanted for, and by which courier and service; the cheapest where nothing is said."""

    order_id: UUID
    courier: str | None = None
    service: str | None = None
    package: Package = WHAT_THE_ORDER_SAYS
    place_id: UUID | None = None


def of_store(order: Order, connection: Connection) -> Order:
    """The order, where it is one of this store's. Raises OrderNotFound."""
    if order.connection_id != connection.id:
        raise orders.OrderNotFound
    return order


def ours_to_ship(order: Order, connection: Connection) -> None:
    """Raises ShippedByMarketplace for an order that goes out of the marketplace's own warehouse."""
    if order.fulfilment == Fulfilment.marketplace_warehouse:
        name = vendors.vendor(connection.vendor).name
        raise ShippedByMarketplace(f"{name} ships order {order.number} from its own warehouse.", field="order")


async def booked_elsewhere(
    session: AsyncSession, connection: Connection, order_words: str, parcel: Outside, *, actor: str
) -> Shipment:
    """A parcel the seller booked outside: it becomes a shipment of the manual courier, unless it is one already, and
    the store is told of it the way it is of every parcel. Safe to repeat.

    Raises OrderNotFound, AmbiguousOrder, ShippedByMarketplace, Invalid, and what booking by hand does: NotBookable,
    NotMeasured, NoPickupPlace, OrderNotBookable, AwbTaken.
    """
    if parcel.at is not None and parcel.at > clock.now() + CLOCKS_DIFFER:
        raise Invalid("this has not happened yet", field="at")
    found = await orders.named(session, connection.id, order_words)
    if not found:
        raise orders.OrderNotFound(f"no order of this store is called {order_words}", field="order")
    if len(found) > 1:
        raise AmbiguousOrder(f"more than one order is called {order_words}", field="order")
    order = await orders.locked(session, found[0].id)
    ours_to_ship(order, connection)
    if order.fulfilment == Fulfilment.marketplace_logistics:
        name = vendors.vendor(connection.vendor).name
        raise ShippedByMarketplace(f"{name}'s own courier carries order {order.number}.", field="order")
    shipment = await _known(session, order, parcel.awb)
    if shipment is None:
        shipment = await _record(session, order, parcel, actor)
    else:
        await announcing.announce.with_(key=f"{order.company_id}:{shipment.id}").enqueue(
            session, company_id=order.company_id, shipment_id=shipment.id
        )
    if parcel.progress is not None:
        scan = shipping.typed_progress(shipment, parcel.progress, "")
        await shipping.take_scans(session, shipment.id, [replace(scan, at=parcel.at or scan.at)], via="person")
    await session.flush()
    return shipment


async def _known(session: AsyncSession, order: Order, awb: str) -> Shipment | None:
    wanted = awb.upper()
    for shipment in await shipping.of_order(session, order.id):
        if (shipment.awb or "").upper() == wanted and shipment.state not in CAME_TO_NOTHING:
            return shipment
    return None


async def _record(session: AsyncSession, order: Order, parcel: Outside, actor: str) -> Shipment:
    shipment = await shipping.book_by_hand(
        session,
        order.id,
        carrier=parcel.carrier,
        awb=parcel.awb,
        package=parcel.package,
        place_id=parcel.place_id,
        actor=actor,
    )
    # Nobody has to be asked: the parcel is there.
    await shipping.booked(session, shipment.id, Booking(awb=parcel.awb.upper(), carrier=parcel.carrier))
    return shipment


async def expect_on(session: AsyncSession, connection: Connection, shipment_id: UUID, expected: datetime) -> None:
    """Have the store told that a parcel comes on another day. Raises ShipmentNotFound, OrderNotFound (of another
    store), NotOnItsWay, StoreNotToldOfIt, Invalid for a day that is over."""
    shipment = await session.get(Shipment, (connection.company_id, shipment_id))
    if shipment is None:
        raise ShipmentNotFound
    of_store(await orders.got(session, shipment.order_id), connection)
    if clock.ist(expected).date() < clock.today():
        raise Invalid("this day is over", field="expected")
    if shipment.state in ENDED or shipment.awb is None:
        raise NotOnItsWay(f"{shipment.number} is {shipment.state}")
    await untold.wish_date(session, connection, shipment_id, expected)
    await announcing.tell_date.with_(key=f"{shipment.company_id}:{shipment_id}").enqueue(
        session, company_id=shipment.company_id, shipment_id=shipment_id
    )


async def label_for(company_id: UUID, connection: Connection, wish: Wish, *, actor: str) -> Shipment:
    """A shipment of the order, booked now where there is none: at the courier and service wished for, else the
    cheapest; where the marketplace's own courier carries the order, with that one.

    Asks couriers. Raises OrderNotFound, ShippedByMarketplace, NoSuchOption, and what quoting and booking do.
    """
    async with acting_for(company_id) as session:
        order = of_store(await orders.got(session, wish.order_id), connection)
        ours_to_ship(order, connection)
        for shipment in await shipping.of_order(session, order.id):
            if shipment.state not in CAME_TO_NOTHING:
                return shipment
    quote = await shipping.quote(company_id, order.id, place_id=wish.place_id, package=wish.package)
    option = _choose(quote, wish)
    async with acting_for(company_id) as session:
        shipment = await shipping.book(
            session, quote.id, service=option.service, account_id=option.account_id, actor=actor
        )
        await shipping_jobs.request_label.enqueue(session, company_id=company_id, shipment_id=shipment.id)
        await session.flush()
        return shipment


def _choose(quote: Quote, wish: Wish) -> Option:
    """The cheapest of those that fit. One whose cost nobody can say before it is booked is taken where no other fits:
    nobody is here to choose it."""
    bookable = [option for option in quoting.options_of(quote) if option.price_paise is not None]
    for option in sorted(bookable, key=lambda option: (option.cost_paise is None, option.cost_paise or 0)):
        if wish.courier in (None, option.courier) and wish.service in (None, option.service):
            return option
    offered = ", ".join(sorted({f"{option.courier}/{option.service}" for option in bookable}))
    raise NoSuchOption(f"choose one of: {offered}", field="courier" if wish.courier else "service")
