"""A wrongly typed AWB is corrected or taken back while nothing was scanned, and blocks nobody's parcel."""

from itertools import count

import pytest

from shipcrowd.couriers.contract import Progress, Scan
from shipcrowd.kernel import audit, events, tenancy
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Unavailable
from shipcrowd.shipping import booking, news, retyping, tracking
from shipcrowd.shipping.models import State
from tests import make
from tests.make import incoming
from tests.make.courier import START
from tests.shipping.support import books_balance, money, order, ship, shipment
from tests.support import drain

WHO = "user:asha"

_numbers = count(1)


@pytest.fixture
def wrong() -> str:
    """An AWB of this test alone: they lead to parcels of any company."""
    return f"WRONG-{next(_numbers):05d}"


@pytest.fixture
async def typed(script, seller, wrong):
    """A booking without an answer, settled with a wrong AWB: its order and its shipment."""

    def lost(request):
        raise Unavailable("no answer", maybe_received=True)

    script.after_booking = lost
    (order_id,) = await make.orders(seller, incoming())
    shipment_id = await ship(seller, order_id)
    await drain()
    script.after_booking = lambda request: None
    async with tenancy.acting_for(seller) as session:
        await booking.settle_with_awb(session, shipment_id, awb=wrong, actor=WHO)
    await drain()
    return order_id, shipment_id


def scan():
    return Scan(at=START, status="PICKED UP", progress=Progress.picked_up, location="Okhla")


async def test_the_right_awb_takes_the_news_and_the_wrong_one_is_free(script, seller, typed, wrong, monkeypatch):
    told = []

    async def publish(session, event):
        told.append(type(event).__name__)

    monkeypatch.setattr(events, "publish", publish)
    async with tenancy.acting_for(seller) as session:
        await retyping.correct(session, typed[1], awb="RIGHT-00001", actor=WHO)
    assert told == ["ShipmentAwbChanged"]
    assert set(await news.by_awb("velocity", [wrong, "RIGHT-00001"])) == {"RIGHT-00001"}
    assert await news.tell("velocity", wrong, [scan()], via="poll") is False
    assert await news.tell("velocity", "RIGHT-00001", [scan()], via="poll") is True
    assert (await shipment(seller, typed[1])).state == State.picked_up
    async with tenancy.acting_for(seller) as session:
        (entry,) = await audit.of(session, f"shipment:{typed[1]}")
    assert (entry.actor, entry.action, entry.details) == (
        WHO, "shipment.awb_corrected", {"was": wrong, "now": "RIGHT-00001"},
    )  # fmt: skip
    await books_balance(seller)


async def test_taken_back_the_money_returns_and_the_order_can_be_booked_again(script, seller, typed, wrong):
    async with tenancy.acting_for(seller) as session:
        await retyping.withdraw(session, typed[1], actor=WHO)
    after = await shipment(seller, typed[1])
    assert (after.state, after.awb, after.reason_code) == (State.cancelled, None, "awb_withdrawn")
    assert (await money(seller)).available == Money.rupees("5000")
    assert (await order(seller, typed[0])).order.state == "ready"
    assert await news.by_awb("velocity", [wrong]) == {}
    again = await ship(seller, typed[0])
    await drain()
    assert (await shipment(seller, again)).state == State.pickup_pending
    await books_balance(seller)


async def test_what_was_scanned_or_was_given_by_the_courier_is_not_typed_over(script, seller, typed, wrong):
    async with tenancy.acting_for(seller) as session:
        await tracking.take_scans(session, typed[1], [scan()], via="poll")
    for verb in (
        lambda session: retyping.correct(session, typed[1], awb="RIGHT-00002", actor=WHO),
        lambda session: retyping.withdraw(session, typed[1], actor=WHO),
    ):
        with pytest.raises(retyping.AlreadyScanned):
            async with tenancy.acting_for(seller) as session:
                await verb(session)
    assert (await shipment(seller, typed[1])).awb == wrong
    (order_id,) = await make.orders(seller, incoming())
    given = await ship(seller, order_id)
    await drain()
    with pytest.raises(retyping.AwbNotTyped):
        async with tenancy.acting_for(seller) as session:
            await retyping.correct(session, given, awb="RIGHT-00003", actor=WHO)


async def test_an_awb_that_is_anothers_is_refused_and_nothing_changes(script, seller, typed, wrong):
    other = await make.company("Nila Ceramics")
    (order_id,) = await make.orders(other, incoming())
    theirs = await ship(other, order_id)
    await drain()
    taken = (await shipment(other, theirs)).awb
    with pytest.raises(booking.AwbTaken):
        async with tenancy.acting_for(seller) as session:
            await retyping.correct(session, typed[1], awb=taken, actor=WHO)
    assert (await shipment(seller, typed[1])).awb == wrong
    assert set(await news.by_awb("velocity", [wrong, taken])) == {wrong, taken}


async def test_a_typed_awb_does_not_keep_away_the_parcel_the_courier_gives_it_to(script, seller, typed, wrong):
    other = await make.company("Nila Ceramics")
    (order_id,) = await make.orders(other, incoming())
    theirs = await ship(other, order_id)
    async with tenancy.acting_for(other) as session:
        await booking.booked(session, theirs, booking.Booking(awb=wrong, carrier="Slowpoke"))
    found = await news.by_awb("velocity", [wrong])
    assert found[wrong].shipment_id == theirs
