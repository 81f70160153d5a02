"""Scans: kept once, read in the order they happened, never moving a parcel back."""

import asyncio
import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from shipcrowd.couriers.contract import Pod, Progress, Scan
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel import jobs as queue
from shipcrowd.kernel.outbound import Unavailable
from shipcrowd.orders.models import OrderState
from shipcrowd.shipping import booking, jobs, news, queries
from shipcrowd.shipping.models import MOVES, OF_PROGRESS, ScanRow, Shipment, State
from shipcrowd.shipping.tracking import advanced, order_state
from tests import make
from tests.make import incoming
from tests.make.courier import START
from tests.shipping.support import BOX, books_balance, money, order, ship, shipment
from tests.support import drain

DELIVERED = (
    Progress.picked_up, Progress.in_transit, Progress.out_for_delivery, Progress.delivery_failed,
    Progress.out_for_delivery, Progress.delivered,
)  # fmt: skip


def history(*progress, start=START):
    return [
        Scan(at=start + timedelta(hours=n), status=(step or "noted").upper(), progress=step, location=f"Hub {n}")
        for n, step in enumerate(progress)
    ]


async def booked(script, seller):
    (order_id,) = await make.orders(seller, incoming())
    shipment_id = await ship(seller, order_id)
    await drain()
    return order_id, shipment_id, (await shipment(seller, shipment_id)).awb


async def test_a_parcel_is_followed_to_the_door(script, seller):
    order_id, shipment_id, awb = await booked(script, seller)
    await news.tell("velocity", awb, history(*DELIVERED), via="poll", pod=Pod(receiver="Asha"))
    found = await shipment(seller, shipment_id)
    assert (found.state, found.delivered_at) == (State.delivered, START + timedelta(hours=5))
    assert found.next_check_at is None
    assert queries.pod_of(found)["receiver"] == "Asha"
    assert (await order(seller, order_id)).order.state == "delivered"


async def test_news_after_the_delivery_does_not_make_the_delivery_later(script, seller):
    _, shipment_id, awb = await booked(script, seller)
    await news.tell("velocity", awb, history(*DELIVERED, None), via="poll")  # "POD uploaded", an hour on
    assert (await shipment(seller, shipment_id)).delivered_at == START + timedelta(hours=5)


async def test_the_order_of_arrival_does_not_matter(script, seller):
    rolled = random.Random(7)
    for _ in range(4):
        _, shipment_id, awb = await booked(script, seller)
        scans = history(*DELIVERED)
        rolled.shuffle(scans)
        for scan in scans:
            await news.tell("velocity", awb, [scan], via="webhook")
        assert (await shipment(seller, shipment_id)).state == State.delivered


async def test_the_same_scan_twice_is_one_scan(script, seller):
    _, shipment_id, awb = await booked(script, seller)
    for via in ("webhook", "poll", "webhook"):
        await news.tell("velocity", awb, history(*DELIVERED[:3]), via=via)
    async with tenancy.acting_for(seller) as session:
        assert await session.scalar(select(func.count()).select_from(ScanRow)) == 3
    assert (await shipment(seller, shipment_id)).state == State.out_for_delivery


async def test_webhook_and_poll_at_once_leave_one_truth(script, seller):
    order_id, shipment_id, awb = await booked(script, seller)
    await asyncio.gather(
        *(news.tell("velocity", awb, history(*DELIVERED[:n]), via="webhook") for n in (6, 1, 3, 6, 2, 5))
    )
    assert (await shipment(seller, shipment_id)).state == State.delivered
    kinds = [event.kind for event in (await order(seller, order_id)).events]
    assert kinds.count("shipment_delivered") == 1


async def test_an_unknown_status_is_kept_and_moves_nothing(script, seller):
    _, shipment_id, awb = await booked(script, seller)
    await news.tell("velocity", awb, [Scan(at=START, status="TELEPORTED", progress=None)], via="poll")
    found = await shipment(seller, shipment_id)
    assert found.state == State.pickup_pending
    async with tenancy.acting_for(seller) as session:
        assert [scan.status for scan in await queries.scans_of(session, shipment_id)] == ["TELEPORTED"]


async def test_news_of_an_awb_nobody_booked_is_turned_down(script, seller):
    assert not await news.tell("velocity", "NOBODYS", history(Progress.delivered), via="webhook")


async def test_another_couriers_news_of_the_same_awb_is_turned_down(script, seller):
    _, shipment_id, awb = await booked(script, seller)
    assert not await news.tell("manual", awb, history(Progress.delivered), via="webhook")
    assert (await shipment(seller, shipment_id)).state == State.pickup_pending


async def test_news_from_another_companys_account_is_turned_down(script, seller):
    """Whoever knows the webhook secret of an account of their own can sign anything, about any AWB."""
    _, shipment_id, awb = await booked(script, seller)
    forged = history(Progress.cancelled)
    assert not await news.tell("velocity", awb, forged, via="webhook", owner=seller)
    assert not await news.tell("velocity", "X1", forged, via="webhook", reference=str(shipment_id), owner=seller)
    assert (await shipment(seller, shipment_id)).state == State.pickup_pending
    assert await news.tell("velocity", awb, forged, via="webhook", owner=tenancy.PLATFORM_COMPANY)


async def test_a_late_scan_does_not_reopen_a_parcel_that_has_ended(script, seller):
    order_id, shipment_id, awb = await booked(script, seller)
    await news.tell("velocity", awb, history(Progress.cancelled, start=START + timedelta(hours=4)), via="poll")
    refunded = await money(seller)
    again = await ship(seller, order_id)
    await drain()
    for progress in (Progress.in_transit, Progress.picked_up, Progress.cancelled):
        await news.tell("velocity", awb, history(progress), via="webhook")
    assert (await shipment(seller, shipment_id)).state == State.cancelled
    assert (await order(seller, order_id)).lines[0].units_booked == 1
    assert (await money(seller)).available == refunded.available - (await shipment(seller, again)).charge_paise
    await books_balance(seller)


async def test_a_parcel_of_a_courier_nobody_tracks_is_never_due(script, seller):
    """It would stay due for ever, and enough of them would keep the sweep from everyone else's."""
    (order_id,) = await make.orders(seller, incoming())
    async with tenancy.acting_for(seller) as session:
        made = await booking.book_by_hand(
            session, order_id, carrier="DTDC", awb="D7654321", package=BOX, place_id=None, actor="user:1"
        )
        await jobs.request_label.enqueue(session, company_id=seller, shipment_id=made.id)
    await drain()
    found = await shipment(seller, made.id)
    assert (found.state, found.next_check_at) == (State.pickup_pending, None)


@pytest.mark.parametrize(
    ("parcels", "order_is"),
    [
        ([], None),
        ([None], None),
        (["shipped"], "shipped"),
        (["delivered"], "delivered"),
        (["rto"], "rto"),
        ([None, "delivered"], "shipped"),
        (["shipped", "delivered"], "shipped"),
        (["shipped", "rto"], "shipped"),
        (["delivered", "rto"], "rto"),
    ],
)
def test_an_order_is_where_the_least_far_of_its_parcels_is(parcels, order_is):
    assert order_state({OrderState(each) if each else None for each in parcels}) == order_is


async def test_the_sweep_asks_for_what_is_due_across_companies_in_one_call(script, seller):
    second = await make.company("Second Traders")
    ids = [(await booked(script, who))[1:] for who in (seller, seller, second)]
    for _, awb in ids:
        script.scan(awb, Progress.picked_up)
    async with tenancy.acting_for_platform(why="test") as session:
        for row in (await session.execute(select(Shipment))).scalars():
            row.next_check_at = clock.now() - timedelta(minutes=1) if row.awb in {a for _, a in ids} else None
    async with tenancy.unowned() as session:
        await jobs.sweep_tracking.enqueue(session)
    ran = await drain()
    assert ran == 2  # the sweep and one batch
    for who, (shipment_id, _) in zip((seller, seller, second), ids, strict=True):
        found = await shipment(who, shipment_id)
        assert found.state == State.picked_up
        assert found.last_checked_at is not None
        assert found.next_check_at > clock.now()


async def test_while_a_courier_is_down_its_parcels_wait_for_the_next_sweep_and_no_job_is_held(script, seller):
    _, shipment_id, _ = await booked(script, seller)

    def down(awbs):
        raise Unavailable("502")

    script.before_scans = down
    before = await shipment(seller, shipment_id)
    async with tenancy.acting_for(seller) as session:
        await jobs.track_one(session, before)
    await drain()
    found = await shipment(seller, shipment_id)
    assert found.last_checked_at == before.last_checked_at
    assert timedelta(minutes=4) < found.next_check_at - clock.now() <= timedelta(minutes=5)
    async with tenancy.unowned() as session:
        assert (await queue.depth(session)).get("failed", 0) == 0


@given(st.lists(st.sampled_from([*Progress, None]), max_size=12))
def test_a_history_only_ever_takes_legal_steps(steps):
    state = State.pickup_pending
    for n in range(len(steps) + 1):
        after = advanced(State.pickup_pending, steps[:n])
        assert after is state or after in MOVES[state]
        state = after


@pytest.mark.parametrize("end", [Progress.delivered, Progress.rto_delivered, Progress.lost])
def test_nothing_moves_a_parcel_that_has_ended(end):
    assert advanced(State.pickup_pending, [end, *Progress]) is OF_PROGRESS[end]
