"""Days of trade with everything going wrong at random, and nothing lost: `make soak` runs many, the suite one.

Faults are drawn with a seed, so a day that fails can be run again: SHIPCROWD_SOAK_SEED and SHIPCROWD_SOAK_DAYS.
"""

import logging
import os
import random
from collections import Counter
from itertools import count

import pytest
import structlog

from shipcrowd.kernel import db, jobs, outbound, tenancy
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.schemas import Knobs, NewFault
from tests.journeys.world import Seller, World, an_order, buyer
from tests.support import drain

DAYS = int(os.environ.get("SHIPCROWD_SOAK_DAYS", "1"))
SEED = int(os.environ.get("SHIPCROWD_SOAK_SEED", "20261122"))
ORDERS_A_DAY = 40

FAULTS = (
    ("velocity", "forward-order-orchestration", FaultKind.timeout_after, 0.05),
    ("velocity", "forward-order-orchestration", FaultKind.timeout_before, 0.05),
    ("velocity", "forward-order-orchestration", FaultKind.unavailable_after, 0.05),
    ("velocity", "forward-order-orchestration", FaultKind.malformed, 0.05),
    ("velocity", "*", FaultKind.throttled, 0.05),
    ("velocity", "*", FaultKind.unavailable, 0.05),
    ("shopify", "*", FaultKind.throttled, 0.05),
    ("shopify", "*", FaultKind.unavailable, 0.05),
    ("shopify", "fulfillmentCreate", FaultKind.timeout_after, 0.05),
)
WEBHOOKS = Knobs(duplicate=0.1, reorder=0.1, lose=0.05, bucket_size=100_000, restore_rate=100_000)
PINCODES = ("110024", "400050", "560038", "600040", "781005", "302001", "682016", "799001")

_days = count(1)


@pytest.fixture
def short_patience():
    """Vendors' answers are waited for half a second, so that a lost one costs no more."""
    wire = outbound._Wire
    before = wire.read_seconds
    wire.read_seconds = 0.5
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
    wire.read_seconds = before


@pytest.mark.timeout(60 + 60 * DAYS)
async def test_days_with_random_faults_lose_nothing(world: World, short_patience: None):
    drawn = random.Random(SEED)
    seller = await world.seller()
    for _ in range(DAYS):
        told = await a_day(world, seller, drawn)
        print(f"day {next(_days)}: {told}")


async def a_day(world: World, seller: Seller, drawn: random.Random) -> str:
    desk = world.desk
    await a_night_passes()
    for vendor, operation, kind, probability in FAULTS:
        fault = NewFault(vendor=vendor, operation=operation, kind=kind, times=None, probability=probability)  # type: ignore[arg-type]
        desk.add_fault(fault)
    desk.set_knobs(WEBHOOKS)
    for _ in range(ORDERS_A_DAY):
        made = desk.place_order(
            seller.shop, an_order(cod=drawn.random() < 0.6, shipping_address=buyer(zip=drawn.choice(PINCODES)))
        )
        if drawn.random() < 0.05:
            desk.cancel_order(seller.shop, made.name)
    await rest(seller)
    await ship_all(seller)
    desk.advance_all()
    await rest(seller)
    return await evening(world, seller)


async def evening(world: World, seller: Seller) -> str:
    """The faults stop, people look at what is open, and everything must add up."""
    desk = world.desk
    desk.clear_faults()
    desk.set_knobs(Knobs(duplicate=0.0, reorder=0.0, lose=0.0))
    async with tenancy.unowned() as session:
        held = await jobs.held(session, company_id=seller.company_id)
        await jobs.requeue(session, [job.id for job in held], company_id=seller.company_id)
    await seller.post(f"/integrations/shopify/stores/{seller.store_id}/sync/orders")
    await rest(seller)
    for shipment in await everything(seller, "/shipments", state="unconfirmed"):
        parcels = [parcel for parcel in desk.parcels(shipment["id"]) if parcel.awb]
        if parcels:
            await seller.post(f"/shipments/{shipment['id']}/confirm", {"awb": parcels[0].awb})
        else:
            await seller.post(f"/shipments/{shipment['id']}/void")
    await ship_all(seller)
    for parcel in desk.parcels():
        if parcel.awb and "DELIVERED" not in parcel.status.upper():
            desk.deliver(parcel.awb)
    await rest(seller)

    at_store = {order.name for order in desk.orders(seller.shop)}
    orders = await everything(seller, "/orders")
    assert Counter(order["number"] for order in orders) == Counter(at_store)
    cancelled = {order.name for order in desk.orders(seller.shop) if order.cancelled}
    assert {o["number"] for o in orders if o["state"] == "cancelled"} <= cancelled
    doubled = {reference: n for reference, n in desk.stats().parcels_by_order.items() if n > 1}
    assert not doubled
    shipments = await everything(seller, "/shipments")
    ours = {shipment["awb"] for shipment in shipments if shipment["awb"]}
    assert ours == {parcel.awb for parcel in desk.parcels() if parcel.awb}
    assert {s["state"] for s in shipments} <= {"delivered", "refused", "cancelled", "cancelling"}
    assert ours <= set(desk.stats().fulfilments_by_awb) | {s["awb"] for s in shipments if s["state"] == "cancelling"}
    await seller.books_are_right()
    return f"{len(orders)} orders, {dict(Counter(s['state'] for s in shipments))}"


async def ship_all(seller: Seller) -> None:
    ready = [order["id"] for order in await everything(seller, "/orders", state="ready") if not order["problems"]]
    if ready:
        await seller.post("/shipments/bulk", {"order_ids": ready})
        await rest(seller)


async def everything(seller: Seller, path: str, **query: str) -> list[dict[str, object]]:
    found, after = [], None
    while True:
        page = await seller.get(path, limit=200, **query, **({"after": after} if after else {}))
        found += page["items"]
        after = page["next"]
        if after is None:
            return found


async def rest(seller: Seller) -> None:
    """Vendors' webhooks arrive and every job runs, postponed ones as well, until there is nothing left to do."""
    for _ in range(30):
        await seller.desk.drain()
        await a_night_passes()
        if not await drain(skip_waits=True, limit=5000) and not seller.desk.postman.waiting():
            return
    raise AssertionError("the day does not come to rest")


async def a_night_passes() -> None:
    """Rate limits are full again."""
    async with tenancy.unowned() as session:
        wire = await db.driver(session)
        await wire.execute("DELETE FROM buckets")
        await wire.execute("UPDATE pgqueuer SET headers = headers - 'slots' WHERE headers ? 'slots'")
