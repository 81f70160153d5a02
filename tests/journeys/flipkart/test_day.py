"""Twenty-four hours of many stores at Flipkart's real limits: no call over any of them, and nothing missed.

The suite tells a small day. The whole one is 50 stores of 300 shipments:
SHIPCROWD_DAY_STORES=50 SHIPCROWD_DAY_SHIPMENTS=300 SHIPCROWD_DAY_HOURS=24, as `make soak` has it.
"""

import logging
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
import structlog

from shipcrowd.channels import jobs as channel_jobs
from shipcrowd.kernel import tenancy
from shipcrowd.kernel.money import Money
from shipcrowd.sandbox.flipkart.schemas import Cancellation, Kind, KnobChange, NewItem, NewShipment
from shipcrowd.sandbox.refusals import NotPossible
from shipcrowd.sandbox.schemas import Knobs
from shipcrowd.shipping import jobs as shipping_jobs
from tests.journeys.flipkart.simulated import Simulated
from tests.journeys.flipkart.world import SERVED, FlipkartSeller, flipkart_seller
from tests.journeys.test_soak import everything
from tests.journeys.world import World

REAL_PACES = True

STORES = int(os.environ.get("SHIPCROWD_DAY_STORES", "2"))
SHIPMENTS = int(os.environ.get("SHIPCROWD_DAY_SHIPMENTS", "10"))
HOURS = float(os.environ.get("SHIPCROWD_DAY_HOURS", "1"))
SEED = int(os.environ.get("SHIPCROWD_SOAK_SEED", "20261122"))
TICK = timedelta(minutes=5)
PACKING = 10
"""Every tenth store packs what it sells: booking is another story, told elsewhere, and takes the longest."""

LOST = 0.05
"""How many notifications never come; reading the store has to make up for them."""


@dataclass(frozen=True, order=True)
class Happening:
    at: datetime
    number: int
    do: Callable[[], object]


@pytest.fixture
def quiet():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.mark.timeout(300 + STORES * SHIPMENTS)
async def test_a_day_of_many_stores_passes_no_limit_and_misses_nothing(
    world: World, quiet: None, monkeypatch: pytest.MonkeyPatch
):
    drawn = random.Random(SEED)
    desk = world.desk.flipkart
    desk.set_knobs(KnobChange(per_second=10, per_hour=1000, pack_seconds=5))
    simulated = Simulated()
    with monkeypatch.context() as patch:
        simulated.use(patch)
        stores = [await flipkart_seller(world, f"Store {n}") for n in range(STORES)]
        world.desk.set_knobs(Knobs(lose=LOST))
        began = simulated.at
        waiting = sorted(each for store in stores for each in happenings(store, drawn, began))
        end = began + timedelta(hours=HOURS)
        ran, behind, ticks = 0, timedelta(0), 0
        while simulated.at < end:
            tick = began + TICK * (ticks := ticks + 1)
            behind = max(behind, simulated.at - tick)
            while waiting and waiting[0].at <= max(tick, simulated.at):
                simulated.reach(waiting[0].at)
                waiting.pop(0).do()
                await world.desk.drain()
            simulated.reach(tick)
            ran += await a_tick(world, simulated)
            if ticks % (60 // 5 * 2) == 0:
                await pack(stores[::PACKING])
        world.desk.set_knobs(Knobs(lose=0.0))
        for _ in range(24):  # two hours in which nothing happens: everything is read once more
            simulated.reach(simulated.at + TICK)
            ran += await a_tick(world, simulated)
        stats = desk.stats()
        assert stats.over_limit is False
        assert sum(one.refused for one in stats.traffic.values()) == 0
        assert stats.most_in_a_second <= 10
        assert stats.most_in_an_hour <= 1000
        missed = [each for store in stores for each in await differences(store)]
        assert missed == []
        assert stats.shipments >= STORES * SHIPMENTS
        for store in stores:
            world.sellers.remove(store.at_api)  # whose books are looked at with the real clock, of the first alone
            await store.at_api.http.aclose()
    calls = sum(one.requests for one in stats.traffic.values())
    print(
        f"{STORES} stores, {stats.shipments} shipments, {HOURS:g} hours and 2 of quiet: {calls} calls, at most"
        f" {stats.most_in_a_second} in a second and {stats.most_in_an_hour} in an hour of one store, {ran} jobs,"
        f" {behind.total_seconds():.0f} s behind at most; {stats.shipments_by_status}"
    )


async def a_tick(world: World, simulated: Simulated) -> int:
    """What the clock sets going, and whatever waits."""
    async with tenancy.unowned() as session:
        await channel_jobs.sweep_all.enqueue(session)
        await shipping_jobs.sweep_tracking.enqueue(session)
    await world.desk.drain()
    return await simulated.run_jobs(until=simulated.at + TICK)


def happenings(store: FlipkartSeller, drawn: random.Random, began: datetime) -> list[Happening]:
    """What happens to one store's shipments in the day, each at its time."""
    found: list[Happening] = []
    desk, span = store.desk, HOURS * 3600 * 0.9

    def at(moment: datetime, do: Callable[[], object]) -> None:
        found.append(Happening(moment, len(found), do))

    for _ in range(SHIPMENTS):
        kind = drawn.choices((Kind.standard_prepaid, Kind.standard_cod, Kind.self_ship, Kind.fbf), (40, 45, 10, 5))[0]
        made: list[str] = []
        placed = began + timedelta(seconds=drawn.uniform(0, span))

        def place(kind: Kind = kind, made: list[str] = made) -> None:
            item = NewItem(sku="BOT-1L-BLU", quantity=drawn.randint(1, 3))
            made.append(desk.place(store.id, NewShipment(kind=kind, pincode=SERVED, items=(item,))).id)

        at(placed, place)
        chance = drawn.random()
        later = [placed + timedelta(seconds=drawn.uniform(60, span / 4)) for _ in range(2)]
        if chance < 0.1:
            at(min(later), lambda made=made: perhaps(lambda: desk.hold(store.id, made[0])))
            at(max(later), lambda made=made: perhaps(lambda: desk.release(store.id, made[0])))
        elif chance < 0.15:
            at(later[0], lambda made=made: perhaps(lambda: desk.cancel(store.id, made[0])))
        elif chance < 0.2:
            part = Cancellation(quantities={"BOT-1L-BLU": 1})
            at(later[0], lambda made=made, part=part: perhaps(lambda: desk.cancel(store.id, made[0], part)))
        elif kind is Kind.fbf:
            for moment in sorted(later):
                at(moment, lambda made=made: perhaps(lambda: desk.move(store.id, made[0])))
    return found


def perhaps(act: Callable[[], object]) -> None:
    """It happens unless the shipment has gone too far for it."""
    try:
        act()
    except NotPossible:
        return


async def pack(stores: list[FlipkartSeller]) -> None:
    """These sellers ship with one click whatever Flipkart is to carry."""
    for store in stores:
        ready = [
            order["id"]
            for order in await everything(store.at_api, "/orders", state="ready")
            if order["fulfilment"] == "marketplace_logistics"
        ]
        if ready:
            await store.at_api.post("/shipments/bulk", {"order_ids": ready[:100]})


async def differences(store: FlipkartSeller) -> list[object]:
    """Where we see a shipment otherwise than Flipkart does, or not at all."""
    there = {each.id: each for each in store.desk.shipments(store.id)}
    orders = await everything(store.at_api, "/orders")
    counted = Counter(str(order["external_id"]) for order in orders)
    found: list[object] = [(store.id, each, counted[each]) for each in there if counted[each] != 1]
    booked = {
        str(parcel["order_id"]): parcel["awb"]
        for parcel in await everything(store.at_api, "/shipments")
        if parcel["awb"]
    }
    for order in orders:
        one = there[str(order["external_id"])]
        live = [item for item in one.items if item.status != "CANCELLED"]
        if one.status == "CANCELLED":
            good = order["state"] == "cancelled"
        elif one.fbf:
            good = order["state"] == "ignored"
        elif one.hold:
            good = order["state"] == "pending"
        else:
            good = order["state"] == ("booked" if one.status == "PACKED" and one.kind != "SELF" else "ready")
            good = good and booked.get(str(order["id"])) == one.awb
        good = good and (not live or order["units"] == sum(item.quantity for item in live))
        pays = Money.total(Money.rupees(item.customer_price) for item in live).paise
        if not good or (live and order["total_paise"] != pays):
            found.append((store.id, one, order["state"], order["units"], order["total_paise"]))
    return found
