"""Days of trade at Amazon with everything going wrong, nothing lost, and no wrong stock pushed: `make soak` runs many,
the suite one.

Faults are drawn with a seed, so a day that fails can be run again: SHIPCROWD_SOAK_SEED and SHIPCROWD_SOAK_DAYS.
"""

import os
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from shipcrowd.channels import sending
from shipcrowd.integrations.amazon import stock
from shipcrowd.kernel import jobs, pace, tenancy
from shipcrowd.sandbox.amazon.schemas import AmazonKnobChange, OrderKind
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.schemas import Knobs, NewFault
from tests.journeys.amazon.market import (
    GRAMS,
    Merchant,
    Queue,
    ids,
    limits_are_full_again,
    merchant,
    postponed_jobs_are_due,
)
from tests.journeys.test_soak import short_patience
from tests.journeys.world import World
from tests.support import drain

__all__ = ["short_patience"]

DAYS = int(os.environ.get("SHIPCROWD_SOAK_DAYS", "1"))
SEED = int(os.environ.get("SHIPCROWD_SOAK_SEED", "20261122"))
ORDERS_A_DAY = 24

FAULTS = (
    ("amazon", "getOrder", FaultKind.malformed, 0.05),
    ("amazon", "getOrder", FaultKind.timeout_before, 0.02),
    ("amazon", "searchOrders", FaultKind.unavailable, 0.1),
    ("amazon", "searchOrders", FaultKind.malformed, 0.05),
    ("amazon", "confirmShipment", FaultKind.timeout_after, 0.05),
    ("amazon", "confirmShipment", FaultKind.unavailable_after, 0.1),
    ("amazon", "confirmShipment", FaultKind.timeout_before, 0.05),
    ("amazon", "patchListingsItem", FaultKind.timeout_after, 0.05),
    ("amazon", "patchListingsItem", FaultKind.malformed, 0.05),
    ("amazon", "createFeed", FaultKind.timeout_after, 0.2),
    ("amazon", "getFeedDocument", FaultKind.malformed, 0.1),
    ("amazon", "*", FaultKind.throttled, 0.1),
    ("amazon", "*", FaultKind.unavailable, 0.1),
    ("velocity", "*", FaultKind.unavailable, 0.05),
    ("velocity", "forward-order-orchestration", FaultKind.timeout_after, 0.05),
)
LETTERS = Knobs(duplicate=0.1, reorder=0.1, lose=0.05)
PINCODES = ("110024", "400050", "560038", "600040", "302001")
KINDS = (OrderKind.prepaid,) * 4 + (OrderKind.cod,) * 4 + (OrderKind.easy_ship, OrderKind.fba)
RARELY = 0.06
COUNTS_A_DAY = 6


@dataclass
class Shelf:
    """What the seller has of each SKU of their own, as last counted, and the pushes that told of it today."""

    seller: Merchant
    by_amazon: dict[str, int]
    has: dict[str, int]
    pushes: list[str] = field(default_factory=list)

    def at_amazon(self) -> dict[str, int]:
        return {one.sku: one.quantity for one in self.seller.desk.listings(self.seller.seller_id)}

    async def push(self, *skus: str) -> None:
        """Tell the counts of these, and a number for what Amazon counts itself, which must never arrive."""
        levels = [{"sku": sku, "available": self.has[sku]} for sku in skus]
        levels += [{"sku": sku, "available": 999} for sku in self.by_amazon]
        self.pushes.append(
            (await self.seller.person.post(f"{self.seller.stores}/push-stock", {"levels": levels}))["id"]
        )

    async def outcomes(self) -> dict[str, str]:
        """SKU → what became of the last number that was told of it. Every number has come to an end."""
        found: dict[str, str] = {}
        for push in self.pushes:
            told = await self.seller.person.get(f"{self.seller.stores}/stock-pushes/{push}", limit=200)
            assert (told["state"], told["queued"], told["waiting"]) == ("done", 0, 0)
            found |= {item["sku"]: item["state"] for item in told["items"]}
        return found


@pytest.fixture
def shelves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Amazon works at once: no clock runs here."""
    monkeypatch.setattr(sending, "SETTLED", timedelta(0))
    world.desk.amazon.set_knobs(AmazonKnobChange(listing_seconds=0, feed_queue_seconds=0, feed_work_seconds=0))


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a turn has waited as soon as asked to: the time has passed for the rate limits, and for nobody
    else. A turn further off is put back, as in a worker."""

    async def waited(seconds: float) -> None:
        if seconds > 0:
            await limits_are_full_again()

    monkeypatch.setattr(pace, "asyncio", SimpleNamespace(sleep=waited))


@pytest.mark.timeout(120 + 120 * DAYS)
async def test_days_at_amazon_with_random_faults_lose_nothing(
    world: World, queue: Queue, short_patience: None, shelves: None, turns: None, monkeypatch: pytest.MonkeyPatch
):
    drawn = random.Random(SEED)
    # Time does not pass here, so neither the search's lag nor Amazon's paces may; `test_a_day` holds them to it.
    world.desk.amazon.set_knobs(AmazonKnobChange(search_lag_seconds=0, enforce_limits=False))
    seller = await merchant(world, queue, rupees=100_000)
    listed = seller.desk.listings(seller.seller_id)
    shelf = Shelf(
        seller,
        {one.sku: one.quantity for one in listed if one.by_amazon},
        {one.sku: one.quantity for one in listed if not one.by_amazon},
    )
    assert shelf.by_amazon and shelf.has
    for number in range(1, DAYS + 1):
        await trade(world, seller, drawn)
        await stocktaking(world, shelf, drawn, monkeypatch)
        told = await evening(world, seller)
        print(f"Amazon, day {number}: {told}, stock {await shelved(world, shelf)}")
    world.desk.amazon.set_knobs(AmazonKnobChange(enforce_limits=True))


async def trade(world: World, seller: Merchant, drawn: random.Random) -> None:
    await limits_are_full_again()
    for vendor, operation, kind, probability in FAULTS:
        fault = NewFault(vendor=vendor, operation=operation, kind=kind, times=None, probability=probability)  # type: ignore[arg-type]
        world.desk.add_fault(fault)
    world.desk.set_knobs(LETTERS)
    for _ in range(ORDERS_A_DAY):
        kind = drawn.choice(KINDS)
        pending = drawn.random() < RARELY
        order_id = await seller.place(
            kind=kind, pincode=drawn.choice(PINCODES), pending=pending, broken=drawn.random() < RARELY
        )
        await regret(seller, drawn, order_id, pending=pending, ours=kind in (OrderKind.prepaid, OrderKind.cod))
    await rest(world, seller)
    await ship_all(world, seller)


async def stocktaking(world: World, shelf: Shelf, drawn: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some SKUs are counted again and again, and told as patches or as a file; now and then before the last is done."""
    shelf.pushes.clear()
    for _ in range(COUNTS_A_DAY):
        monkeypatch.setattr(stock, "FEED_SECONDS", drawn.choice((-1.0, 60.0)))
        counted = drawn.sample(sorted(shelf.has), drawn.randint(1, len(shelf.has)))
        shelf.has |= {sku: drawn.randint(0, 500) for sku in counted}
        await shelf.push(*counted)
        if drawn.random() < 0.7:
            await rest(world, shelf.seller)
    await rest(world, shelf.seller)


async def shelved(world: World, shelf: Shelf) -> str:
    """What Amazon took it shows, what it holds itself nobody touched, and what is not known is told once more."""
    outcomes = await shelf.outcomes()
    there = shelf.at_amazon()
    taken = {sku: shelf.has[sku] for sku, state in outcomes.items() if state == "accepted"}
    assert {sku: there[sku] for sku in taken} == taken
    await shelf.push(*shelf.has)
    await rest(world, shelf.seller)
    again = await shelf.outcomes()
    assert again == dict.fromkeys(shelf.has, "accepted") | dict.fromkeys(shelf.by_amazon, "refused")
    assert shelf.at_amazon() == shelf.has | shelf.by_amazon
    return str(dict(Counter(outcomes.values())))


async def regret(seller: Merchant, drawn: random.Random, order_id: str, *, pending: bool, ours: bool) -> None:
    """Some pending orders are paid, some others cancelled, or the buyer asks for it."""
    if pending:
        if drawn.random() < 0.5:
            seller.desk.release(order_id)
    elif drawn.random() < RARELY:
        seller.desk.cancel(order_id)
    elif ours and drawn.random() < RARELY:
        seller.desk.ask_to_cancel(order_id)


async def evening(world: World, seller: Merchant) -> str:
    """The faults stop, people look at what is open, and everything must add up."""
    desk, person = world.desk, seller.person
    desk.clear_faults()
    desk.set_knobs(Knobs(duplicate=0, reorder=0, lose=0))
    for order in desk.amazon.orders(seller.seller_id):
        desk.amazon.mend(order.id)
    async with tenancy.unowned() as session:
        held = await jobs.held(session, company_id=person.company_id)
        await jobs.requeue(session, [job.id for job in held], company_id=person.company_id)
    await person.post(f"{seller.stores}/failed-items/replay")
    await person.post(f"{seller.stores}/sync/orders")
    await rest(world, seller)
    await settle_unconfirmed(world, seller)
    await ship_all(world, seller)
    await settle_unconfirmed(world, seller)
    for told in (await person.get("/integrations/amazon/announcements", state="refused"))["items"]:
        await person.post(f"/integrations/amazon/announcements/{told['id']}/retry")
    await rest(world, seller)

    there = {order.id: order for order in desk.amazon.orders(seller.seller_id)}
    orders = await seller.orders()
    assert ids(orders) == sorted(there)
    assert await seller.failed_items() == []
    assert {o["external_id"] for o in orders if o["state"] == "cancelled"} == {
        order.id for order in there.values() if order.status == "CANCELLED"
    }
    by_id = {order["id"]: order["external_id"] for order in orders}
    parcels = [each for each in await everything(seller, "/shipments") if each["awb"] and each["state"] != "cancelled"]
    ours = {(by_id[parcel["order_id"]], parcel["awb"]) for parcel in parcels}
    assert ours == {(order.id, package.tracking) for order in there.values() for package in order.packages}
    assert ours
    shippable = {
        order.id
        for order in there.values()
        if order.kind == "MERCHANT"
        and not order.programs
        and not order.cancel_requested
        and order.status not in ("PENDING", "CANCELLED")
    }
    assert {order for order, _ in ours} == shippable
    assert all(there[order].status == "SHIPPED" for order in shippable)
    await person.books_are_right()
    return f"{len(orders)} orders, {dict(Counter(order.status for order in there.values()))}"


async def ship_all(world: World, seller: Merchant) -> None:
    orders = await seller.orders()
    ready = [order["id"] for order in orders if order["state"] == "ready" and order["fulfilment"] == "seller"]
    for order_id in ready:
        await seller.person.ask("PATCH", f"/orders/{order_id}", {"weight_grams": GRAMS})
        whole = await seller.person.get(f"/orders/{order_id}")
        if not whole["problems"]:
            await seller.book(order_id)
    await rest(world, seller)


async def settle_unconfirmed(world: World, seller: Merchant) -> None:
    """A person looks up what the courier never answered: its parcel is there, or it is not."""
    for shipment in await everything(seller, "/shipments", state="unconfirmed"):
        parcels = [parcel for parcel in world.desk.parcels(shipment["id"]) if parcel.awb]
        if parcels:
            await seller.person.post(f"/shipments/{shipment['id']}/confirm", {"awb": parcels[0].awb})
        else:
            await seller.person.post(f"/shipments/{shipment['id']}/void")
    await rest(world, seller)


async def everything(seller: Merchant, path: str, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = await seller.person.get(path, limit=200, **query, **after)
        found += page["items"]
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


async def rest(world: World, seller: Merchant) -> None:
    """Letters arrive and every job runs, postponed ones as well, until there is nothing left to do."""
    for _ in range(200):
        await world.desk.drain()
        read = await seller.queue.read()
        await limits_are_full_again()
        await postponed_jobs_are_due()  # round by round: a place in a rate limit cannot be skipped, only let go
        if not await drain(limit=5000) and not read and not world.desk.postman.waiting():
            return
    raise AssertionError("the day does not come to rest")
