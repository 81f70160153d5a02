"""Amazon's two couriers in the whole product, on the real database, against the stand-in: quoted, booked, labelled,
followed, cancelled."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from shipcrowd import wiring
from shipcrowd.channels import cancelling as order_cancelling
from shipcrowd.channels import service, vendors
from shipcrowd.channels.models import Announcement, Cancellation
from shipcrowd.connections import routes
from shipcrowd.connections import service as connections
from shipcrowd.couriers import vendors as couriers
from shipcrowd.couriers.contract import Reattempts
from shipcrowd.documents import keeping
from shipcrowd.integrations.amazon import channel, easy_ship_labels, lwa, shipping
from shipcrowd.integrations.amazon import client as calling
from shipcrowd.kernel import db, events, outbound, tenancy
from shipcrowd.kernel.outbound import Refused
from shipcrowd.orders.models import Order, OrderState
from shipcrowd.sandbox.amazon import web
from shipcrowd.sandbox.amazon.call import Refused as Denied
from shipcrowd.sandbox.amazon.desk import AmazonDesk
from shipcrowd.sandbox.amazon.schemas import AmazonKnobChange, NewAmazonLine, NewAmazonOrder, NewSeller, OrderKind
from shipcrowd.sandbox.app import InProcess, sandbox
from shipcrowd.sandbox.desk import Desk
from shipcrowd.settings import settings
from shipcrowd.shipping import booking, cancelling, jobs, labels, quoting, retyping
from shipcrowd.shipping.models import ScanRow, Shipment, State
from shipcrowd.shipping.quoting import Package
from tests import make
from tests.support import drain

SELLER = "A1INSELLER0001"
BOX = Package(weight_grams=425, length_mm=285, breadth_mm=90, height_mm=90)
STANDARD = "SWA-IN-OA"


@pytest.fixture
async def far(tmp_path, monkeypatch) -> AsyncIterator[AmazonDesk]:
    desk = Desk(seed=7)
    quick = AmazonKnobChange(search_lag_seconds=0, feed_queue_seconds=0, feed_work_seconds=0, enforce_limits=False)
    desk.amazon.set_knobs(quick)
    desk.amazon.create_seller(NewSeller(seller_id=SELLER))
    keeping.use(tmp_path.as_uri())
    # Waiting for a feed is the queue's part, and is skipped here.
    monkeypatch.setattr(easy_ship_labels, "LOOK_AFTER", (0.0, 0.0))
    before = (vendors._Vendors.known, couriers._Vendors.known, couriers._Vendors.at_store, events._Wired.listeners)
    wiring.wire()
    wide = dict.fromkeys(vendors.vendor("amazon").paces, (10000.0, 10000.0))
    vendors.use([replace(vendors.vendor("amazon"), paces=wide)])
    # Other tests leave an account of the platform's in this database, with credentials of their own making.
    own = [each for each in couriers.vendors() if not each.shared]
    couriers.use(own, at_store=couriers._Vendors.at_store)
    outbound.use_wire(transport=InProcess(sandbox(desk)))
    for forget in (
        calling.forget_rates,
        lwa.forget_own_tokens,
        channel.forget_participations,
        shipping.forget_silent,
        routes._Known.by_account.clear,
    ):
        forget()
    async with tenancy.unowned() as session:
        wire = await db.driver(session)
        await wire.execute("DELETE FROM pgqueuer")
        await wire.execute("DELETE FROM connection_routes")
        await wire.execute("DELETE FROM shipment_routes")
    yield desk.amazon
    outbound.use_wire()
    vendors._Vendors.known, couriers._Vendors.known, couriers._Vendors.at_store, events._Wired.listeners = before
    await desk.close()


@pytest.fixture
async def company(far) -> UUID:
    return await make.company()


async def connected(far: AmazonDesk, company: UUID) -> UUID:
    keys = far.private_app(SELLER)
    given = {
        "refresh_token": keys.refresh_token,
        "client_id": keys.client_id,
        "client_secret": keys.client_secret,
        "marketplace": "IN",
    }
    made = await service.connect_pasted(company, platform="amazon", store=SELLER, given=given, actor="user:asha")
    await drain(skip_waits=True)
    return made


async def order(company: UUID, external_id: str) -> Order:
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(Order).where(Order.external_id == external_id))).scalar_one()


async def parcel(company: UUID) -> Shipment:
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(Shipment).order_by(Shipment.created_at.desc()))).scalars().first()


async def offered(company: UUID, order_id: UUID) -> list[tuple[str, str]]:
    return [
        (option.courier, option.service)
        for option in quoting.options_of(await quoting.quote(company, order_id, package=BOX))
    ]


async def shipped(company: UUID, order_id: UUID, service_id: str, **more: Any) -> Shipment:
    quote = await quoting.quote(company, order_id, package=BOX)
    async with tenancy.acting_for(company) as session:
        made = await booking.book(session, quote.id, service=service_id, actor="user:asha", **more)
        await jobs.request_label.enqueue(session, company_id=company, shipment_id=made.id)
    await drain(skip_waits=True)
    return await parcel(company)


async def tracked(company: UUID, shipment: Shipment) -> Shipment:
    async with tenancy.acting_for(company) as session:
        await jobs.track_one(session, shipment)
    await drain()
    return await parcel(company)


async def scans(company: UUID) -> list[str]:
    async with tenancy.acting_for(company) as session:
        return list((await session.execute(select(ScanRow.status).order_by(ScanRow.at, ScanRow.id))).scalars())


async def announced(company: UUID) -> Announcement:
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(Announcement))).scalar_one()


# --- Easy Ship ------------------------------------------------------------------------------------------------------


async def easy_ship_order(far: AmazonDesk, company: UUID, **more: Any) -> Order:
    placed = far.place_order(SELLER, NewAmazonOrder(kind=OrderKind.easy_ship_cod, **more))
    await connected(far, company)
    return await order(company, placed.id)


async def test_an_easy_ship_order_is_booked_labelled_and_followed_to_its_end(far, company):
    found = await easy_ship_order(far, company)
    assert found.fulfilment == "marketplace_logistics"
    assert await offered(company, found.id) == [("amazon", "easy_ship")]
    made = await shipped(company, found.id, "easy_ship")
    at_amazon = far.order(found.external_id)
    assert (made.state, made.carrier) == (State.pickup_pending, "Amazon")
    assert made.awb == far.world.sellers[SELLER].orders[found.external_id].easy_ship.tracking
    assert made.charge_paise.paise == 0
    assert made.pickup_on is not None
    assert at_amazon.status == "UNSHIPPED"
    # The label came by feed, report and restricted token, and is Amazon's own.
    assert made.label_key is not None
    assert (await keeping.store().get(made.label_key)).startswith(b"%PDF")
    assert [feed.type for feed in far.feeds(SELLER)] == ["POST_EASYSHIP_DOCUMENTS"]
    # Amazon knows by itself: it is told nothing, and nothing is shown as refused.
    assert (await announced(company)).state == "sent"

    assert (await tracked(company, made)).state == State.pickup_pending
    await tracked(company, made)
    assert await scans(company) == ["ReadyForPickup"]  # the same status again is no news
    for status, state in (
        ("PickedUp", State.picked_up),
        ("AtOriginFC", State.in_transit),
        ("OutForDelivery", State.out_for_delivery),
        ("Delivered", State.delivered),
    ):
        far.move_easy_ship(found.external_id, status)
        assert (await tracked(company, made)).state == state
    assert await scans(company) == ["ReadyForPickup", "PickedUp", "AtOriginFC", "OutForDelivery", "Delivered"]
    assert (await order(company, found.external_id)).state == OrderState.delivered


@pytest.mark.parametrize("courier", ["amazon", "amazon_shipping"])
async def test_nothing_is_printed_until_amazons_own_label_is_there(far, company, courier):
    found = await easy_ship_order(far, company)
    order_id = found.id if courier == "amazon" else await shopify_order(company)
    quote = await quoting.quote(company, order_id, package=BOX)
    async with tenancy.acting_for(company) as session:
        made = await booking.book(
            session, quote.id, service="easy_ship" if courier == "amazon" else STANDARD, actor="user:asha"
        )
    await jobs.request_label.run(company_id=company, shipment_id=made.id)
    made = await parcel(company)
    assert made.awb is not None
    assert made.label_key is None
    with pytest.raises(labels.NoLabelYet, match=f"for {made.number} is not here yet"):
        await labels.printed(company, [made.id], actor="user:asha")
    assert (await parcel(company)).labels_printed == 0
    await drain(skip_waits=True)
    assert (await labels.printed(company, [made.id], actor="user:asha")).startswith(b"%PDF")
    assert (await parcel(company)).labels_printed == 1


async def test_an_easy_ship_parcel_whose_number_a_person_typed_is_printed_at_amazon(far, company):
    found = await easy_ship_order(far, company)
    made = await shipped(company, found.id, "easy_ship")
    async with tenancy.acting_for(company) as session:
        typed = await session.get(Shipment, (company, made.id))
        typed.label_key = typed.label_url = None
    with pytest.raises(labels.NoLabelYet, match="print it there"):
        await labels.printed(company, [made.id], actor="user:asha")


async def test_an_easy_ship_package_is_scheduled_once_however_often_it_is_booked(far, company):
    found = await easy_ship_order(far, company)
    made = await shipped(company, found.id, "easy_ship")
    opened = await couriers.open_at_store("amazon", company, found.connection_id)
    async with tenancy.acting_for(company) as session:
        shipment = await session.get(Shipment, (company, made.id))
        shipment.state, shipment.awb = State.booking, None
        request = (await booking.start_attempt(session, made.id)).request
    assert (await opened.book(request)).awb == made.awb


@pytest.mark.parametrize("scheduled", [True, False])
async def test_a_worker_that_dies_while_it_schedules_is_followed_by_one_that_looks(far, company, scheduled):
    found = await easy_ship_order(far, company)
    quote = await quoting.quote(company, found.id, package=BOX)
    async with tenancy.acting_for(company) as session:
        made = await booking.book(session, quote.id, service="easy_ship", actor="user:asha")
        await jobs.request_label.enqueue(session, company_id=company, shipment_id=made.id)
    async with tenancy.acting_for(company) as session:
        killed = await booking.start_attempt(session, made.id)
    if scheduled:
        opened = await couriers.open_at_store("amazon", company, found.connection_id)
        await opened.book(killed.request)
    await drain(skip_waits=True)
    done = await parcel(company)
    there = far.world.sellers[SELLER].orders[found.external_id].easy_ship
    assert (done.state, done.awb) == (State.pickup_pending, there.tracking)


async def test_a_part_of_an_easy_ship_order_is_not_scheduled(far, company):
    found = await easy_ship_order(far, company, lines=(NewAmazonLine(sku="BOT-1L-BLU", quantity=2),))
    async with tenancy.acting_for(company) as session:
        (line,) = await booking.orders.lines_of(session, found.id)
    made = await shipped(company, found.id, "easy_ship", units={line.id: 1})
    assert (made.state, made.reason_code) == (State.refused, "whole_order")
    assert far.world.sellers[SELLER].orders[found.external_id].easy_ship.package_id is None


async def test_an_easy_ship_package_goes_with_its_order_only(far, company):
    found = await easy_ship_order(far, company)
    made = await shipped(company, found.id, "easy_ship")
    with pytest.raises(cancelling.CannotCancel, match="cancel the order in Seller Central"):
        await cancelling.ask(company, made.id, actor="user:asha")
    assert (await parcel(company)).state == State.pickup_pending
    far.cancel(found.external_id)
    assert (await cancelling.ask(company, made.id, actor="user:asha")).state == State.cancelling


# --- Amazon Shipping ------------------------------------------------------------------------------------------------


async def shopify_order(company: UUID, **more: Any) -> UUID:
    (order_id,) = await make.orders(company, make.incoming(**more))
    return order_id


@pytest.mark.parametrize("details", ["", "The access token you provided is revoked, malformed or invalid."])
async def test_a_price_check_amazon_refuses_leaves_the_store_connected(far, company, monkeypatch, details):
    """Not enrolled: Amazon says so in the words of a missing role, or of a bad token."""
    store = await connected(far, company)
    order_id = await shopify_order(company)

    def refuse(call):
        raise Denied(403, "Unauthorized", "Access to requested resource is denied.", details)

    routes_ = [replace(each, act=refuse) if each.operation == "getRates" else each for each in web.ROUTES]
    monkeypatch.setattr(web, "ROUTES", routes_)
    with pytest.raises(quoting.NotServiceable, match="Amazon Shipping is not open to this store"):
        await quoting.quote(company, order_id, package=BOX)
    async with tenancy.acting_for(company) as session:
        connection = await connections.get(session, store)
    assert (connection.status, connection.reason) == ("connected", "")


async def test_amazon_shipping_carries_what_was_sold_anywhere(far, company):
    await connected(far, company)
    order_id = await shopify_order(company, cod=True)
    assert await offered(company, order_id) == [
        ("amazon_shipping", STANDARD),
        ("amazon_shipping", "SWA-IN-PREMIUM"),
    ]
    made = await shipped(company, order_id, STANDARD)
    [carried] = far.parcels(SELLER)
    assert (made.state, made.awb, made.carrier) == (State.pickup_pending, carried.tracking_id, "Amazon Shipping")
    assert (carried.cod, carried.order_id) == ("499.00", None)
    assert (made.charge_paise.paise, made.courier_charge_paise.paise) == (0, 9300)
    assert (await keeping.store().get(made.label_key)).startswith(b"%PDF")

    for event, state in (
        ("PickupDone", State.picked_up),
        ("Departed", State.in_transit),
        ("OutForDelivery", State.out_for_delivery),
        ("DeliveryAttempted", State.delivery_failed),
    ):
        far.move_parcel(made.awb, event)
        assert (await tracked(company, made)).state == state
    opened = await couriers.open_at_store("amazon_shipping", company, made.account_id)
    assert isinstance(opened, Reattempts)
    await opened.reattempt(made.awb, None, "Ring twice")
    assert far.world.parcels[made.courier_shipment_id.partition("/")[2]].ndr == ["REATTEMPT"]
    far.move_parcel(made.awb, "ReturnInitiated")
    assert (await tracked(company, made)).state == State.rto_initiated


async def test_a_parcel_of_amazon_shipping_is_cancelled_before_it_is_fetched(far, company):
    await connected(far, company)
    made = await shipped(company, await shopify_order(company), STANDARD)
    assert (await cancelling.ask(company, made.id, actor="user:asha")).state == State.cancelling
    assert (await tracked(company, made)).state == State.cancelled


async def test_what_left_cannot_be_cancelled_and_amazon_says_so(far, company):
    await connected(far, company)
    made = await shipped(company, await shopify_order(company), STANDARD)
    far.move_parcel(made.awb, "PickupDone")
    with pytest.raises(cancelling.CannotCancel, match="PickupDone cannot be cancelled"):
        await cancelling.ask(company, made.id, actor="user:asha")
    assert (await parcel(company)).state == State.pickup_pending


async def test_a_parcel_sold_at_amazon_goes_in_its_stores_name_and_is_not_confirmed(far, company):
    placed = far.place_order(SELLER, NewAmazonOrder(kind=OrderKind.prepaid))
    await connected(far, company)
    found = await order(company, placed.id)
    assert (await offered(company, found.id))[0] == ("amazon_shipping", STANDARD)
    made = await shipped(company, found.id, STANDARD)
    [carried] = far.parcels(SELLER)
    assert (made.awb, carried.order_id) == (carried.tracking_id, placed.id)
    assert (await announced(company)).state == "sent"
    assert far.world.sellers[SELLER].orders[placed.id].packages == []  # bought from Amazon: nothing to confirm


async def test_a_mistyped_awb_is_corrected_at_amazon_in_its_own_package(far, company):
    placed = far.place_order(SELLER, NewAmazonOrder(kind=OrderKind.prepaid))
    await connected(far, company)
    found = await order(company, placed.id)
    async with tenancy.acting_for(company) as session:
        typed = {"carrier": "Delhivery", "awb": "DL0000000001", "package": BOX, "place_id": None, "actor": "user:asha"}
        made = await booking.book_by_hand(session, found.id, **typed)
    await jobs.request_label.run(company, made.id)
    await drain()
    async with tenancy.acting_for(company) as session:
        shipment = await session.get(Shipment, (company, made.id))
        shipment.awb_typed_by = "user:asha"
        await retyping.correct(session, made.id, awb="DL0000000002", actor="user:asha")
    await drain()
    [package] = far.world.sellers[SELLER].orders[placed.id].packages
    assert package.tracking == "DL0000000002"
    told = await announced(company)
    assert (told.state, told.dispatch_ref, told.last_error) == ("sent", package.reference, "")


async def test_the_same_purchase_again_is_the_same_parcel(far, company):
    await connected(far, company)
    made = await shipped(company, await shopify_order(company), STANDARD)
    opened = await couriers.open_at_store("amazon_shipping", company, made.account_id)
    async with tenancy.acting_for(company) as session:
        shipment = await session.get(Shipment, (company, made.id))
        shipment.state, shipment.awb = State.booking, None
        request = (await booking.start_attempt(session, made.id)).request
    assert (await opened.book(request)).awb == made.awb
    assert len(far.parcels(SELLER)) == 1
    one_click = await opened.one_click(replace(request, reference="another"), [STANDARD, "SWA-IN-PREMIUM"])
    assert one_click.awb != made.awb
    assert one_click.charged.paise == 5800


async def test_a_lane_amazon_does_not_serve_is_told_and_one_that_closed_meanwhile_is_refused(far, company):
    await connected(far, company)
    away = await shopify_order(company, ship_to=make.address(pincode="744101"))
    with pytest.raises(quoting.NotServiceable):
        await quoting.quote(company, away, package=BOX)
    made = await shipped(company, await shopify_order(company), STANDARD)
    opened = await couriers.open_at_store("amazon_shipping", company, made.account_id)
    async with tenancy.acting_for(company) as session:
        shipment = await session.get(Shipment, (company, made.id))
        shipment.state, shipment.awb = State.booking, None
        request = (await booking.start_attempt(session, made.id)).request
    with pytest.raises(Refused, match="The destination is not served"):
        await opened.book(replace(request, reference="x", ship_to=make.address(pincode="744101")))
    assert len(far.parcels(SELLER)) == 1


# --- cancelling the order -------------------------------------------------------------------------------------------


@pytest.fixture
def may_cancel(monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("SHIPCROWD_AMAZON_CANCEL_ORDERS", "1")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


async def cancelled(company: UUID, found: Order) -> Cancellation:
    async with tenancy.acting_for(company) as session:
        connection = await connections.get(session, found.connection_id)
        await order_cancelling.ask(session, connection, found.id, reason="out of stock", actor="user:asha")
    await drain(skip_waits=True)
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(Cancellation))).scalar_one()


async def test_an_order_is_cancelled_at_amazon_by_feed_where_the_operation_is_not_there(far, company, may_cancel):
    far.set_knobs(AmazonKnobChange(cancellation=False))
    placed = far.place_order(SELLER, NewAmazonOrder(kind=OrderKind.prepaid))
    await connected(far, company)
    row = await cancelled(company, await order(company, placed.id))
    assert (row.state, far.order(placed.id).status) == ("done", "CANCELLED")
    assert [feed.type for feed in far.feeds(SELLER)] == ["POST_ORDER_ACKNOWLEDGEMENT_DATA"]
    assert (await order(company, placed.id)).state == OrderState.cancelled


async def test_a_feed_amazon_does_not_take_is_told_in_its_words_and_frees_the_order(far, company, may_cancel):
    far.set_knobs(AmazonKnobChange(cancellation=False))
    placed = far.place_order(SELLER, NewAmazonOrder(kind=OrderKind.prepaid))
    await connected(far, company)
    found = await order(company, placed.id)
    item = next(iter(far.world.sellers[SELLER].orders[placed.id].items))
    item.shipped = item.quantity
    far.world.sellers[SELLER].orders[placed.id].status = "SHIPPED"
    row = await cancelled(company, found)
    assert (row.state, row.code) == ("refused", "feed_18028")
    assert row.because
    assert far.order(placed.id).status == "SHIPPED"


async def test_an_easy_ship_order_is_cancelled_with_its_package(far, company, may_cancel):
    found = await easy_ship_order(far, company)
    await shipped(company, found.id, "easy_ship")
    row = await cancelled(company, found)
    assert (row.state, far.feeds(SELLER)[1:]) == ("done", [])  # by the operation itself; the one feed was the label's
    assert (await tracked(company, await parcel(company))).state == State.cancelled
    assert (await order(company, found.external_id)).state == OrderState.cancelled
