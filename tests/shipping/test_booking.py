"""From a quote to an AWB: never twice, and the money where it belongs at every step."""

import asyncio
from datetime import timedelta

import pytest

from shipcrowd.couriers.contract import Booking, Progress, Scan
from shipcrowd.kernel import clock, db, events, tenancy
from shipcrowd.kernel.errors import NotFound
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable
from shipcrowd.orders import service as orders
from shipcrowd.orders.events import OrderCancelAsked
from shipcrowd.orders.schemas import SourceState
from shipcrowd.orders.service import OrderNotBookable
from shipcrowd.shipping import booking, bulk, cancelling, jobs, news, preferences, quoting, tracking
from shipcrowd.shipping.models import ENDED, MOVES, State
from shipcrowd.shipping.preferences import Box, Preferences
from shipcrowd.wallet.service import InsufficientBalance
from tests import make
from tests.make import address, incoming, line
from tests.make.courier import START
from tests.shipping.support import BOX, books_balance, money, order, quoted, ship, shipment
from tests.support import drain


async def test_prices_stand_side_by_side_cheapest_first(script, seller):
    (order_id,) = await make.orders(seller, incoming(cod=True))
    options = quoting.options_of(await quoted(seller, order_id))
    assert [(o.service, o.tags) for o in options] == [("slow", ("cheapest",)), ("quick", ("fastest",))]
    assert options[0].price_paise == options[0].price.bill.total_paise
    assert options[0].zone == "c"  # Delhi to Bengaluru: metro to metro


async def test_an_order_is_booked_charged_and_told(script, seller):
    (order_id,) = await make.orders(seller, incoming(cod=True))
    shipment_id = await ship(seller, order_id)
    before = await shipment(seller, shipment_id)
    assert (before.state, before.awb) == (State.booking, None)
    held = await money(seller)
    assert held.held == before.charge_paise
    assert held.available + held.held == Money.rupees("5000")
    await drain()
    after = await shipment(seller, shipment_id)
    assert (after.state, after.awb, after.carrier) == (
        State.pickup_pending,
        script.parcels[str(shipment_id)][0],
        "Slowpoke",
    )
    now = await money(seller)
    assert (now.held, now.available) == (Money.zero, Money.rupees("5000") - after.charge_paise)
    found = await order(seller, order_id)
    assert found.order.state == "booked"
    assert "booked" in {event.kind for event in found.events}
    request = script.asked[0]
    assert (request.reference, request.to_collect, request.weight_grams) == (str(shipment_id), Money.rupees("499"), 420)
    assert request.ship_to == address()
    assert request.ship_from.registered_as == "WH-1"
    await books_balance(seller)


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        ({"ship_to": address(phone="12")}, quoting.NotBookable, "phone"),
        ({"lines": (line(weight_grams=None),)}, quoting.NotMeasured, "weight_grams"),
        ({"currency": "USD"}, quoting.NotBookable, "currency"),
    ],
)
async def test_what_cannot_be_shipped_is_refused_by_field_and_no_money_moves(script, seller, change, error, field):
    (order_id,) = await make.orders(seller, incoming(**change))
    with pytest.raises(error) as refused:
        await quoted(seller, order_id)
    assert refused.value.field == field
    assert await money(seller) == await money(seller)
    assert (await money(seller)).available == Money.rupees("5000")
    assert script.asked == []


async def test_a_size_is_never_guessed(script, seller):
    (order_id,) = await make.orders(seller, incoming())
    with pytest.raises(quoting.NotMeasured) as refused:
        await quoting.quote(seller, order_id)
    assert refused.value.field == "length_mm"


async def test_an_unserviceable_pincode_says_so(script, seller):
    script.serviceable = lambda parcel: False
    (order_id,) = await make.orders(seller, incoming())
    with pytest.raises(quoting.NotServiceable) as refused:
        await quoted(seller, order_id)
    assert refused.value.field == "pincode"


async def test_without_enough_money_nothing_is_booked(script):
    poor = await make.company(wallet_rupees="1")
    (order_id,) = await make.orders(poor, incoming())
    with pytest.raises(InsufficientBalance):
        await ship(poor, order_id)
    found = await order(poor, order_id)
    assert found.order.state == "ready"
    assert found.lines[0].units_booked == 0
    await drain()
    assert script.asked == []
    await books_balance(poor)


async def test_without_a_pickup_place_the_seller_is_asked_for_one(script):
    homeless = await make.company(with_place=False)
    (order_id,) = await make.orders(homeless, incoming())
    with pytest.raises(quoting.NoPickupPlace):
        await quoted(homeless, order_id)


async def test_prices_are_asked_for_by_more_people_than_there_are_connections(script, seller, database_urls):
    """Whoever held one connection while waiting for a second would wait for the others, and they for it."""
    (order_id,) = await make.orders(seller, incoming())
    before = db._Engine.current
    small = db.connect(database_urls[1], pool=2)
    try:
        async with asyncio.timeout(10):
            made = await asyncio.gather(*(quoted(seller, order_id) for _ in range(8)))
        await db.disconnect()
    finally:
        db._Engine.current = before
    assert small is not before
    assert len({quote.id for quote in made}) == 8


async def test_an_old_quote_is_not_booked(script, seller):
    (order_id,) = await make.orders(seller, incoming())
    quote = await quoted(seller, order_id)
    async with tenancy.acting_for(seller) as session:
        made = await session.get(quoting.Quote, (seller, quote.id))
        made.expires_at = clock.now() - timedelta(seconds=1)
    with pytest.raises(booking.QuoteExpired):
        async with tenancy.acting_for(seller) as session:
            await booking.book(session, quote.id, service="slow", actor="x")


async def test_another_companys_quote_is_not_there(script, seller):
    (order_id,) = await make.orders(seller, incoming())
    quote = await quoted(seller, order_id)
    with pytest.raises(NotFound):
        async with tenancy.acting_for(new_id()) as session:
            await booking.book(session, quote.id, service="slow", actor="x")


async def test_two_clicks_make_one_parcel(script, seller):
    (order_id,) = await make.orders(seller, incoming())
    results = await asyncio.gather(*(ship(seller, order_id) for _ in range(6)), return_exceptions=True)
    booked = [r for r in results if not isinstance(r, Exception)]
    assert len(booked) == 1
    assert all(isinstance(r, (OrderNotBookable, quoting.NotBookable)) for r in results if isinstance(r, Exception))
    await drain()
    assert sum(len(awbs) for awbs in script.parcels.values()) == 1
    await books_balance(seller)


async def test_a_refusal_gives_money_and_units_back_and_the_order_can_be_booked_again(script, seller):
    def refuse(request):
        raise Refused("not_serviceable", "Velocity does not serve 560038 today")

    script.before_booking = refuse
    (order_id,) = await make.orders(seller, incoming())
    shipment_id = await ship(seller, order_id)
    await drain()
    refused = await shipment(seller, shipment_id)
    assert (refused.state, refused.reason_code) == (State.refused, "not_serviceable")
    assert (await money(seller)).available == Money.rupees("5000")
    assert (await order(seller, order_id)).order.state == "ready"
    await books_balance(seller)
    script.before_booking = lambda request: None
    again = await ship(seller, order_id)
    await drain()
    assert (await shipment(seller, again)).state == State.pickup_pending


async def test_a_courier_that_was_not_reached_is_asked_again(script, seller):
    failures = iter([Unavailable("down"), Unavailable("down")])

    def flaky(request):
        if (failure := next(failures, None)) is not None:
            raise failure

    script.before_booking = flaky
    (order_id,) = await make.orders(seller, incoming())
    shipment_id = await ship(seller, order_id)
    await drain(skip_waits=True)
    assert (await shipment(seller, shipment_id)).state == State.pickup_pending
    assert len(script.parcels[str(shipment_id)]) == 1


async def test_a_courier_never_reached_refuses_in_the_end_and_the_money_is_back(script, seller):
    def down(request):
        raise Unavailable("down")

    script.before_booking = down
    (order_id,) = await make.orders(seller, incoming())
    shipment_id = await ship(seller, order_id)
    await drain(skip_waits=True)
    found = await shipment(seller, shipment_id)
    assert (found.state, found.reason_code) == (State.refused, "courier_unavailable")
    assert len(script.asked) == 8
    await books_balance(seller)


@pytest.mark.parametrize("failure", [Unavailable("no answer", maybe_received=True), Malformed("half a page")])
async def test_no_readable_answer_after_asking_is_unconfirmed_and_never_asked_again(script, seller, failure):
    def lost(request):
        raise failure

    script.after_booking = lost
    (order_id,) = await make.orders(seller, incoming())
    shipment_id = await ship(seller, order_id)
    await drain(skip_waits=True)
    found = await shipment(seller, shipment_id)
    assert found.state == State.unconfirmed
    assert (await money(seller)).held == found.charge_paise
    assert len(script.parcels[str(shipment_id)]) == 1
    async with tenancy.acting_for(seller) as session:
        await jobs.request_label.enqueue(session, company_id=seller, shipment_id=shipment_id)
    await drain(skip_waits=True)
    assert len(script.parcels[str(shipment_id)]) == 1
    await books_balance(seller)


async def test_an_answer_that_could_not_be_recorded_leaves_the_booking_unconfirmed(script, seller):
    def broken(request):
        raise RuntimeError("after the courier made the parcel, before we wrote it down")

    script.after_booking = broken
    (order_id,) = await make.orders(seller, incoming())
    shipment_id = await ship(seller, order_id)
    await drain(skip_waits=True)
    found = await shipment(seller, shipment_id)
    assert found.state == State.unconfirmed
    assert (await money(seller)).held == found.charge_paise
    assert len(script.parcels[str(shipment_id)]) == 1
    await books_balance(seller)


async def unconfirmed(script, seller):
    def lost(request):
        raise Unavailable("no answer", maybe_received=True)

    script.after_booking = lost
    (order_id,) = await make.orders(seller, incoming())
    shipment_id = await ship(seller, order_id)
    await drain()
    return order_id, shipment_id


async def test_news_under_our_reference_settles_an_unconfirmed_booking(script, seller):
    _, shipment_id = await unconfirmed(script, seller)
    (awb,) = script.parcels[str(shipment_id)]
    scan = Scan(at=START, status="PICKED UP", progress=Progress.picked_up, location="Okhla")
    assert await news.tell("velocity", awb, [scan], via="webhook", reference=str(shipment_id))
    found = await shipment(seller, shipment_id)
    assert (found.state, found.awb) == (State.picked_up, awb)
    assert (await money(seller)).held == Money.zero
    await books_balance(seller)


async def test_a_person_settles_it_with_the_awb_or_voids_it(script, seller):
    _, found_id = await unconfirmed(script, seller)
    order_id, void_id = await unconfirmed(script, seller)
    async with tenancy.acting_for(seller) as session:
        await booking.settle_with_awb(session, found_id, awb=f"AWB{found_id.int % 10**9}", actor="user:1")
    async with tenancy.acting_for(seller) as session:
        await booking.void(session, void_id, actor="user:1")
    assert (await shipment(seller, found_id)).state == State.pickup_pending
    assert (await shipment(seller, void_id)).state == State.refused
    assert (await order(seller, order_id)).order.state == "ready"
    with pytest.raises(booking.NotUnconfirmed):
        async with tenancy.acting_for(seller) as session:
            await booking.void(session, found_id, actor="user:1")
    await books_balance(seller)


async def test_two_shipments_cannot_have_one_awb(script, seller):
    _, first = await unconfirmed(script, seller)
    _, second = await unconfirmed(script, seller)
    async with tenancy.acting_for(seller) as session:
        await booking.settle_with_awb(session, first, awb=f"AWB{first.int % 10**9}", actor="user:1")
    with pytest.raises(booking.AwbTaken):
        async with tenancy.acting_for(seller) as session:
            await booking.settle_with_awb(session, second, awb=f"AWB{first.int % 10**9}", actor="user:1")


async def test_a_worker_that_died_while_asking_leaves_an_unconfirmed_booking(script, seller):
    (order_id,) = await make.orders(seller, incoming())
    shipment_id = await ship(seller, order_id)
    async with tenancy.acting_for(seller) as session:
        assert await booking.start_attempt(session, shipment_id) is not None
    # the worker is killed here; the queue gives the job to another
    await drain()
    assert (await shipment(seller, shipment_id)).state == State.unconfirmed
    assert script.asked == []


async def test_an_account_that_must_sign_in_again_refuses_the_booking(script, seller):
    def out(request):
        raise Disconnected("token revoked")

    script.before_booking = out
    (order_id,) = await make.orders(seller, incoming())
    shipment_id = await ship(seller, order_id)
    await drain()
    assert (await shipment(seller, shipment_id)).reason_code == "courier_disconnected"
    await books_balance(seller)


@pytest.mark.parametrize("total", ["1000", "1000.01", "1079.99", "333.33"])
async def test_an_order_in_two_parcels_collects_its_cash_once(script, seller, total):
    (order_id,) = await make.orders(
        seller,
        incoming(
            cod=True,
            total=Money.rupees(total),
            lines=(
                line(quantity=3, unit_price=Money.rupees("200")),
                line(external_id="2", quantity=2, unit_price=Money.rupees("200")),
            ),
        ),
    )
    lines = (await order(seller, order_id)).lines
    first = await ship(seller, order_id, units={lines[0].id: 3})
    assert (await order(seller, order_id)).order.state == "ready"
    second = await ship(seller, order_id)
    await drain()
    one, two = await shipment(seller, first), await shipment(seller, second)
    assert one.to_collect_paise + two.to_collect_paise == Money.rupees(total)
    assert min(one.to_collect_paise, two.to_collect_paise) > Money.zero
    assert (await order(seller, order_id)).order.state == "booked"
    with pytest.raises(quoting.NotBookable):
        await ship(seller, order_id)


async def test_what_is_left_of_an_order_ships_after_its_first_parcel_has_gone(script, seller):
    two = (line(), line(external_id="2"))
    (order_id,) = await make.orders(seller, incoming(cod=True, total=Money.rupees("998"), lines=two))
    lines = (await order(seller, order_id)).lines
    first = await ship(seller, order_id, units={lines[0].id: 1})
    await drain()
    delivered = [Scan(at=START, status="DLV", progress=Progress.delivered)]
    await news.tell("velocity", (await shipment(seller, first)).awb, delivered, via="poll")
    assert (await order(seller, order_id)).order.state == "ready"
    second = await ship(seller, order_id)
    await drain()
    awb = (await shipment(seller, second)).awb
    await news.tell("velocity", awb, [Scan(at=START, status="PKP", progress=Progress.picked_up)], via="poll")
    assert (await order(seller, order_id)).order.state == "shipped"
    later = Scan(at=START + timedelta(hours=1), status="DLV", progress=Progress.delivered)
    await news.tell("velocity", awb, [later], via="poll")
    assert (await order(seller, order_id)).order.state == "delivered"
    await books_balance(seller)


async def test_a_second_parcel_never_collects_less_than_nothing(script, seller):
    two = (line(), line(external_id="2"))
    placed = incoming(cod=True, total=Money.rupees("1000"), lines=two)
    (order_id,) = await make.orders(seller, placed)
    lines = (await order(seller, order_id)).lines
    await ship(seller, order_id, units={lines[0].id: 1})
    lowered = {"to_collect": Money.rupees("300"), "source_updated_at": placed.source_updated_at + timedelta(minutes=1)}
    await make.orders(seller, placed.model_copy(update=lowered))
    second = await ship(seller, order_id)
    assert (await shipment(seller, second)).to_collect_paise == Money.zero


async def test_a_typed_awb_is_booked_free_and_moved_by_hand(script, seller):
    (order_id,) = await make.orders(seller, incoming())
    async with tenancy.acting_for(seller) as session:
        made = await booking.book_by_hand(
            session, order_id, carrier="DTDC", awb="d1234567", package=BOX, place_id=None, actor="user:1"
        )
        await jobs.request_label.enqueue(session, company_id=seller, shipment_id=made.id)
    await drain()
    found = await shipment(seller, made.id)
    assert (found.state, found.awb, found.carrier, found.charge_paise) == (
        State.pickup_pending,
        "D1234567",
        "DTDC",
        Money.zero,
    )
    async with tenancy.acting_for(seller) as session:
        scan = tracking.typed_progress(found, Progress.delivered, "")
        await tracking.take_scans(session, made.id, [scan], via="person")
    assert (await order(seller, order_id)).order.state == "delivered"


async def test_cancelling_frees_the_units_when_tracking_confirms_it(script, seller):
    (order_id,) = await make.orders(seller, incoming())
    shipment_id = await ship(seller, order_id)
    await drain()
    await cancelling.ask(seller, shipment_id, actor="user:1")
    asked = await shipment(seller, shipment_id)
    assert asked.state == State.cancelling
    assert (await money(seller)).available < Money.rupees("5000")
    scan = Scan(at=clock.now(), status="CANCELLED", progress=Progress.cancelled)
    await news.tell("velocity", asked.awb, [scan], via="poll")
    assert (await shipment(seller, shipment_id)).state == State.cancelled
    assert (await money(seller)).available == Money.rupees("5000")
    assert (await order(seller, order_id)).order.state == "ready"
    await books_balance(seller)


async def test_a_parcel_picked_up_although_cancelled_goes_on_and_stays_paid(script, seller):
    (order_id,) = await make.orders(seller, incoming())
    shipment_id = await ship(seller, order_id)
    await drain()
    asked = await cancelling.ask(seller, shipment_id, actor="user:1")
    scan = Scan(at=clock.now(), status="PKP", progress=Progress.picked_up)
    await news.tell("velocity", asked.awb, [scan], via="webhook")
    assert (await shipment(seller, shipment_id)).state == State.picked_up
    assert (await money(seller)).available < Money.rupees("5000")
    await books_balance(seller)


async def test_the_couriers_no_to_a_cancellation_is_shown(script, seller):
    script.cancel_words = "already picked up"
    (order_id,) = await make.orders(seller, incoming())
    shipment_id = await ship(seller, order_id)
    await drain()
    with pytest.raises(cancelling.CannotCancel, match="already picked up"):
        await cancelling.ask(seller, shipment_id, actor="user:1")
    assert (await shipment(seller, shipment_id)).state == State.pickup_pending


async def test_an_order_cancelled_at_the_channel_after_booking_cancels_its_parcel(script, seller):
    placed = incoming()
    (order_id,) = await make.orders(seller, placed)
    shipment_id = await ship(seller, order_id)
    await drain()
    events.listen({OrderCancelAsked: (jobs.cancel_with_order,)})
    later = {"state": SourceState.cancelled, "source_updated_at": placed.source_updated_at + timedelta(minutes=1)}
    await make.orders(seller, placed.model_copy(update=later))
    events.listen({})
    await drain()
    assert (await shipment(seller, shipment_id)).state == State.cancelling
    assert "cancelled" in orders.why_not_bookable((await order(seller, order_id)).order)


def cancelled(placed):
    later = placed.source_updated_at + timedelta(minutes=1)
    return placed.model_copy(update={"state": SourceState.cancelled, "source_updated_at": later})


async def test_an_order_cancelled_before_the_courier_is_asked_is_not_booked(script, seller):
    placed = incoming()
    (order_id,) = await make.orders(seller, placed)
    shipment_id = await ship(seller, order_id)
    await make.orders(seller, cancelled(placed))
    await drain()
    found = await shipment(seller, shipment_id)
    assert (found.state, found.reason_code) == (State.refused, "order_cancelled")
    assert script.asked == []
    assert (await order(seller, order_id)).order.state == "cancelled"
    assert (await money(seller)).available == Money.rupees("5000")
    await books_balance(seller)


async def test_an_order_cancelled_while_the_courier_is_asked_has_its_parcel_cancelled(script, seller):
    placed = incoming()
    (order_id,) = await make.orders(seller, placed)
    shipment_id = await ship(seller, order_id)
    async with tenancy.acting_for(seller) as session:
        assert await booking.start_attempt(session, shipment_id) is not None
    events.listen({OrderCancelAsked: (jobs.cancel_with_order,)})
    try:
        await make.orders(seller, cancelled(placed))
        async with tenancy.unowned() as session:  # it ran, and found no parcel to cancel
            await (await db.driver(session)).execute("DELETE FROM pgqueuer")
        async with tenancy.acting_for(seller) as session:
            await booking.booked(session, shipment_id, Booking(awb=f"L{shipment_id.int % 10**9}", carrier="Slowpoke"))
    finally:
        events.listen({})
    await drain()
    assert (await shipment(seller, shipment_id)).state == State.cancelling


async def test_a_cancellation_at_the_channel_reaches_the_parcel_of_an_order_booked_in_part(script, seller):
    placed = incoming(lines=(line(), line(external_id="2")))
    (order_id,) = await make.orders(seller, placed)
    lines = (await order(seller, order_id)).lines
    shipment_id = await ship(seller, order_id, units={lines[0].id: 1})
    await drain()
    with pytest.raises(orders.OrderAlreadyBooked):
        async with tenancy.acting_for(seller) as session:
            await orders.cancel(session, order_id, reason="", actor="user:1")
    events.listen({OrderCancelAsked: (jobs.cancel_with_order,)})
    await make.orders(seller, cancelled(placed))
    events.listen({})
    await drain()
    asked = await shipment(seller, shipment_id)
    assert asked.state == State.cancelling
    confirmed = Scan(at=clock.now(), status="CANCELLED", progress=Progress.cancelled)
    await news.tell("velocity", asked.awb, [confirmed], via="poll")
    assert (await order(seller, order_id)).order.state == "cancelled"
    await books_balance(seller)


async def test_many_orders_ship_with_a_result_for_each(script, seller):
    script.serviceable = lambda parcel: parcel.to_pincode != "799001"
    good = [incoming() for _ in range(5)]
    bad = [incoming(ship_to=address(pincode="799001")), incoming(ship_to=address(phone=None))]
    ids = await make.orders(seller, *good, *bad)
    async with tenancy.acting_for(seller) as session:
        await preferences.put(session, Preferences(box=Box(length_mm=200, breadth_mm=150, height_mm=100)))
        run = await bulk.start(session, ids, choose="fastest", place_id=None, actor="user:1")
        await jobs.enqueue_run(session, run.id, ids)
    await drain(skip_waits=True)
    async with tenancy.acting_for(seller) as session:
        found = {item.order_id: (item, made) for item, made in await bulk.results(session, run.id)}
    assert [found[order_id][1].state for order_id in ids[:5]] == [State.pickup_pending] * 5
    assert {found[order_id][1].service for order_id in ids[:5]} == {"quick"}
    assert [found[order_id][0].code for order_id in ids[5:]] == ["not_serviceable", "not_bookable"]
    await books_balance(seller)


def test_every_state_can_end():
    def reach(state, seen):
        for ahead in MOVES[state] - seen:
            reach(ahead, seen | {ahead})
            seen |= {ahead}
        return seen

    for state in State:
        assert state in ENDED or reach(state, {state}) & ENDED


def test_nothing_moves_out_of_an_end():
    assert all(not MOVES[state] for state in ENDED)
    assert {State.delivered, State.rto_delivered, State.cancelled, State.lost, State.damaged, State.refused} == ENDED
