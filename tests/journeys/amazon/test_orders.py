"""Orders of Amazon's, from the queue or the sweep to the parcel Amazon knows of."""

import random

import pytest

from shipcrowd.sandbox.amazon.schemas import OrderKind
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.schemas import Knobs, NewFault
from tests.journeys.amazon.market import Merchant, count, ids, limits_are_full_again, long_ago
from tests.support import drain


@pytest.mark.parametrize("kind", [OrderKind.prepaid, OrderKind.cod])
async def test_a_notified_order_is_booked_and_amazon_knows_its_parcel(amazon: Merchant, kind: OrderKind):
    order_id = await amazon.place(kind=kind)
    assert await amazon.orders() == []  # the letter lies in the queue
    await amazon.settle()
    order = await amazon.order(order_id)
    assert (order["state"], order["fulfilment"], order["payment"]) == (
        "ready",
        "seller",
        "cod" if kind is OrderKind.cod else "prepaid",
    )
    assert order["to_collect_paise"] == round(float(amazon.there(order_id).to_collect) * 100)
    shipment = await amazon.ship(order_id)
    assert shipment["state"] == "pickup_pending"
    assert shipment["to_collect_paise"] == order["to_collect_paise"]
    there = amazon.there(order_id)
    assert there.status == "SHIPPED"
    [package] = there.packages
    assert package.tracking == shipment["awb"]
    assert package.items == {item.id: item.quantity for item in there.items}


@pytest.mark.parametrize(
    ("given", "state", "because"),
    [
        ({"kind": OrderKind.fba}, "ignored", "fulfilment"),
        ({"pending": True}, "pending", "state"),
        ({"cancel_reason": "Ordered by mistake"}, "ready", "holds"),
        ({"personal_data": False}, "ready", "ship_to"),
    ],
    ids=["FBA", "pending", "the buyer asks to cancel", "without the buyer"],
)
async def test_what_must_not_be_shipped_is_kept_and_not_booked(amazon: Merchant, given, state: str, because: str):
    order_id = await amazon.place(**given)
    await amazon.settle()
    order = await amazon.order(order_id)
    assert order["state"] == state
    assert because in order["problems"]
    before = await amazon.person.money()
    run = await amazon.person.post("/shipments/bulk", {"order_ids": [order["id"]]})
    await amazon.settle()
    [item] = (await amazon.person.get(f"/shipments/bulk/{run['id']}"))["items"]
    assert item["state"] == "refused"
    assert await amazon.person.shipments() == []
    assert await amazon.person.money() == before
    assert amazon.there(order_id).packages == ()


async def test_a_pending_order_that_is_paid_becomes_ready(amazon: Merchant):
    order_id = await amazon.place(pending=True)
    await amazon.settle()
    amazon.desk.release(order_id)
    await amazon.settle()
    assert (await amazon.order(order_id))["problems"] == {}


async def test_a_lost_notification_is_found_by_the_sweep(amazon: Merchant):
    amazon.person.desk.set_knobs(Knobs(lose=1))
    order_id = await amazon.place(placed_at=long_ago(5))
    amazon.person.desk.set_knobs(Knobs(lose=0))
    await amazon.settle()
    assert await amazon.orders() == []
    await amazon.sweep()
    assert ids(await amazon.orders()) == [order_id]
    await amazon.sweep()
    assert ids(await amazon.orders()) == [order_id]


async def test_twice_and_in_any_order_the_last_word_stands(amazon: Merchant):
    """Whatever comes first, each letter is only a hint: the order itself is read as it is now."""
    cancelled = await amazon.place()
    amazon.desk.cancel(cancelled)
    asked = await amazon.place()
    amazon.desk.ask_to_cancel(asked)
    released = await amazon.place(pending=True)
    amazon.desk.release(released)
    await amazon.person.desk.drain()
    letters = len(amazon.queue.letters)
    assert letters == 6
    await amazon.queue.read(shuffled=random.Random(7), times=3)
    await amazon.settle()
    assert ids(await amazon.orders()) == sorted([cancelled, asked, released])
    states = {order["external_id"]: order["state"] for order in await amazon.orders()}
    assert states == {cancelled: "cancelled", asked: "ready", released: "ready"}
    assert (await amazon.order(asked))["holds"] == ["the buyer asks to cancel"]
    assert await count(amazon, "SELECT count(*) FROM inbox") == letters


async def test_a_throttled_read_waits_and_is_no_failure(amazon: Merchant):
    """Another tool of the seller's has spent the bucket: Amazon says 429, without a word of when to come again."""
    amazon.person.desk.add_fault(NewFault(vendor="amazon", operation="getOrder", kind=FaultKind.throttled, times=1))
    order_id = await amazon.place()
    await amazon.settle()
    asked = amazon.desk.stats().requests["getOrder"]
    assert await amazon.orders() == []
    assert await drain() == 0  # it is not tried again at once
    assert amazon.desk.stats().requests["getOrder"] == asked
    assert await amazon.person.get("/system/jobs/failed") == []
    assert await amazon.failed_items() == []
    await limits_are_full_again()
    await amazon.settle(impatient=True)
    assert ids(await amazon.orders()) == [order_id]
    assert amazon.desk.stats().overdrawn == {}


async def test_one_unreadable_order_of_a_page_costs_itself_alone_and_is_replayed(amazon: Merchant):
    amazon.person.desk.set_knobs(Knobs(lose=1))
    before, broken, after = [
        await amazon.place(placed_at=long_ago(minutes), broken=minutes == 6) for minutes in (7, 6, 5)
    ]
    amazon.person.desk.set_knobs(Knobs(lose=0))
    await amazon.sweep()
    assert ids(await amazon.orders()) == sorted([before, after])
    [item] = await amazon.failed_items()
    assert item["external_id"] == broken
    amazon.desk.mend(broken)
    await amazon.person.post(f"/integrations/amazon/failed-items/{item['id']}/replay")
    await amazon.settle()
    assert ids(await amazon.orders()) == sorted([before, broken, after])
    assert await amazon.failed_items() == []


async def test_a_revoked_seller_is_asked_to_sign_in_and_loses_nothing(amazon: Merchant):
    amazon.desk.revoke(amazon.seller_id)
    amazon.person.desk.set_knobs(Knobs(lose=1))
    order_id = await amazon.place(placed_at=long_ago(5))
    amazon.person.desk.set_knobs(Knobs(lose=0))
    await amazon.sweep()
    assert (await amazon.person.get(amazon.stores))["status"] == "disconnected"
    assert await amazon.orders() == []
    await amazon.connect()
    await amazon.settle()
    assert (await amazon.person.get(amazon.stores))["status"] == "connected"
    assert ids(await amazon.orders()) == [order_id]
