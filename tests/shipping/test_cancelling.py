"""A cancellation is believed when the tracking says so, not when it was asked for."""

import pytest

from shipcrowd.couriers.contract import Progress
from shipcrowd.shipping import cancelling, news
from shipcrowd.shipping.models import State
from tests.shipping.support import books_balance, money, order, shipment
from tests.shipping.test_tracking import booked, history


async def test_money_and_units_come_back_when_the_courier_has_cancelled_and_not_before(script, seller):
    before = await money(seller)
    order_id, shipment_id, awb = await booked(script, seller)
    paid = await money(seller)
    await cancelling.ask(seller, shipment_id, actor="user:test")
    await news.tell("velocity", awb, history(Progress.cancelling), via="poll")
    assert (await shipment(seller, shipment_id)).state == State.cancelling
    assert await money(seller) == paid
    assert (await order(seller, order_id)).lines[0].units_booked == 1
    await news.tell("velocity", awb, history(Progress.cancelling, Progress.cancelled), via="poll")
    assert (await shipment(seller, shipment_id)).state == State.cancelled
    assert await money(seller) == before
    assert (await order(seller, order_id)).lines[0].units_booked == 0
    await books_balance(seller)


async def test_a_parcel_that_travels_in_spite_of_its_cancellation_is_paid_for(script, seller):
    _, shipment_id, awb = await booked(script, seller)
    paid = await money(seller)
    await cancelling.ask(seller, shipment_id, actor="user:test")
    way = (Progress.cancelling, Progress.picked_up, Progress.in_transit, Progress.delivered)
    await news.tell("velocity", awb, history(*way), via="poll")
    assert (await shipment(seller, shipment_id)).state == State.delivered
    assert await money(seller) == paid


async def test_a_cancellation_asked_for_elsewhere_shows(script, seller):
    _, shipment_id, awb = await booked(script, seller)
    await news.tell("velocity", awb, history(Progress.cancelling), via="webhook")
    found = await shipment(seller, shipment_id)
    assert (found.state, found.ended_at) == (State.cancelling, None)
    assert found.next_check_at is not None


async def test_the_couriers_no_leaves_the_parcel_as_it_was(script, seller):
    _, shipment_id, _ = await booked(script, seller)
    script.cancel_words = "already out for pickup"
    with pytest.raises(cancelling.CannotCancel, match="already out for pickup"):
        await cancelling.ask(seller, shipment_id, actor="user:test")
    assert (await shipment(seller, shipment_id)).state == State.pickup_pending
