"""Days of trade at Flipkart with everything going wrong at random, and nothing lost: `make soak` runs many, the suite
one. Pages drift while they are read, notifications come twice, not at all, or behind one that was not taken, and calls
fail in every way there is.

Faults are drawn with a seed, so a day that fails can be run again: SHIPCROWD_SOAK_SEED and SHIPCROWD_SOAK_DAYS.
"""

import logging
import os
import random
from collections import Counter
from itertools import count
from typing import Any

import pytest
import structlog

from shipcrowd.kernel import jobs, outbound, tenancy
from shipcrowd.kernel.money import Money
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.flipkart.schemas import Cancellation, Kind, KnobChange, NewItem, NewShipment, ShipmentView
from shipcrowd.sandbox.refusals import NotPossible
from shipcrowd.sandbox.schemas import Knobs, NewFault
from tests.journeys.flipkart.world import SERVED, FlipkartSeller, flipkart_seller
from tests.journeys.test_soak import a_night_passes, everything
from tests.journeys.world import World
from tests.support import drain

ARRIVED = ("DELIVERED", "COMPLETED")
"""With the buyer; the next day Flipkart counts it as done."""

DAYS = int(os.environ.get("SHIPCROWD_SOAK_DAYS", "1"))
SEED = int(os.environ.get("SHIPCROWD_SOAK_SEED", "20261122"))
SHIPMENTS_A_DAY = 24

KINDS = {
    Kind.standard_prepaid: 30, Kind.standard_cod: 35, Kind.self_ship: 12, Kind.on_hold: 10, Kind.partly_cancelled: 8,
    Kind.fbf: 5,
}  # fmt: skip

FAULTS = (
    ("flipkart", "*", FaultKind.throttled, 0.04),
    ("flipkart", "*", FaultKind.unavailable, 0.04),
    ("flipkart", "oauth.token", FaultKind.malformed, 0.2),
    ("flipkart", "shipments.filter", FaultKind.malformed, 0.05),
    ("flipkart", "shipments.pack", FaultKind.timeout_after, 0.05),
    ("flipkart", "shipments.pack", FaultKind.unavailable_after, 0.1),
    ("flipkart", "shipments.pack", FaultKind.malformed, 0.1),
    ("flipkart", "shipments.labels", FaultKind.malformed, 0.1),
    ("flipkart", "shipments.dispatch", FaultKind.unavailable_after, 0.2),
    ("flipkart", "selfship.dispatch", FaultKind.timeout_after, 0.1),
    ("flipkart", "selfship.delivery", FaultKind.unavailable_after, 0.1),
    ("velocity", "forward-order-orchestration", FaultKind.unavailable_after, 0.05),
    ("velocity", "*", FaultKind.throttled, 0.05),
)
POST = Knobs(duplicate=0.1, lose=0.05)
NOT_TAKEN = 0.1
"""How often our door answers a notification with 503: those behind it in its group wait until it is taken."""

_days = count(1)


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch):
    """Vendors' answers are waited for half a second, so that a lost one costs no more."""
    monkeypatch.setattr(outbound._Wire, "read_seconds", 0.5)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


class Door:
    """Our app, behind a door that at times does not take what is brought."""

    def __init__(self, app: Any, drawn: random.Random) -> None:
        self.app, self.drawn = app, drawn
        self.shut = 0.0
        self.refused = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if "/webhooks/flipkart" in scope["path"] and self.drawn.random() < self.shut:
            self.refused += 1
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self.app(scope, receive, send)


@pytest.mark.timeout(60 + 60 * DAYS)
async def test_days_with_drift_duplicates_blocked_groups_and_faults_lose_nothing(world: World, short_patience: None):
    drawn = random.Random(SEED)
    asha = await flipkart_seller(world)
    door = Door(world.app, drawn)
    world.desk.postman.receivers["shipcrowd.test"] = door
    try:
        for day in range(DAYS):
            told = await a_day(world, asha, door, drawn, drift="leave" if day % 2 else "touch")
            print(f"day {next(_days)}: {told}")
    finally:
        world.desk.postman.receivers["shipcrowd.test"] = world.app


async def a_day(world: World, asha: FlipkartSeller, door: Door, drawn: random.Random, drift: str) -> str:
    await a_night_passes()
    for vendor, operation, kind, probability in FAULTS:
        fault = NewFault(vendor=vendor, operation=operation, kind=kind, times=None, probability=probability)  # type: ignore[arg-type]
        world.desk.add_fault(fault)
    world.desk.set_knobs(POST)
    asha.desk.set_knobs(KnobChange(drift=drift, page_size=5, dialect=drawn.choice(("usual", "other"))))  # type: ignore[arg-type]
    door.shut = NOT_TAKEN
    for _ in range(SHIPMENTS_A_DAY):
        [kind] = drawn.choices(list(KINDS), KINDS.values())
        place(asha, kind, drawn)
    await world.desk.drain()
    await sweep(asha)
    for there in live(asha):
        meddle(asha, there, drawn)
    await rest(asha)
    await ship_all(asha)
    asha.desk.move_all(asha.id)
    await rest(asha)
    return await evening(world, asha, door)


def place(asha: FlipkartSeller, kind: Kind, drawn: random.Random) -> None:
    items = (NewItem(sku="BOT-1L-BLU", quantity=drawn.randint(2, 4)),)
    asha.desk.place(
        asha.id, NewShipment(kind=kind, pincode=SERVED, items=() if kind is Kind.partly_cancelled else items)
    )


def meddle(asha: FlipkartSeller, there: ShipmentView, drawn: random.Random) -> None:
    """What buyers and Flipkart do to shipments that are not packed yet."""
    chance = drawn.random()
    if chance < 0.05:
        asha.desk.cancel(asha.id, there.id)
    elif chance < 0.12 and there.items[0].quantity > 1:
        asha.desk.cancel(asha.id, there.id, Cancellation(quantities={there.items[0].sku: 1}))
    elif chance < 0.2 and not there.hold:
        asha.desk.hold(asha.id, there.id)
    elif chance < 0.5 and there.hold:
        asha.desk.release(asha.id, there.id)


async def evening(world: World, asha: FlipkartSeller, door: Door) -> str:
    """The trouble stops, people look at what is open, and everything must add up."""
    world.desk.clear_faults()
    world.desk.set_knobs(Knobs(duplicate=0.0, lose=0.0))
    asha.desk.set_knobs(KnobChange(drift="off", page_size=20))
    door.shut = 0.0
    async with tenancy.unowned() as session:
        held = await jobs.held(session, company_id=asha.at_api.company_id)
        await jobs.requeue(session, [job.id for job in held], company_id=asha.at_api.company_id)
    assert (await asha.store())["status"] == "connected"
    for there in live(asha):
        if there.hold:
            asha.desk.release(asha.id, there.id)
    await sweep(asha)
    seller = asha.at_api
    for parcel in await everything(seller, "/shipments", state="unconfirmed"):
        booked = [each for each in world.desk.parcels(str(parcel["id"])) if each.awb]
        path = f"/shipments/{parcel['id']}"
        await (seller.post(f"{path}/confirm", {"awb": booked[0].awb}) if booked else seller.post(f"{path}/void"))
    await ship_all(asha)
    await hand_over_all(asha)
    for there in asha.desk.shipments(asha.id):
        to_the_door(asha, there)
    for parcel in world.desk.parcels():
        if parcel.awb and "DELIVERED" not in parcel.status.upper():
            world.desk.deliver(parcel.awb)
    await rest(asha)
    for parcel in await everything(seller, "/shipments", courier="flipkart"):
        await seller.post(f"/shipments/{parcel['id']}/track")
    await rest(asha)
    await sweep(asha)
    return await adds_up(asha, door)


async def adds_up(asha: FlipkartSeller, door: Door) -> str:
    there = {each.id: each for each in asha.desk.shipments(asha.id)}
    orders = await everything(asha.at_api, "/orders")
    assert Counter(order["external_id"] for order in orders) == Counter(list(there))
    assert (await asha.at_api.get("/integrations/flipkart/failed-items"))["items"] == []
    parcels: dict[Any, list[Any]] = {}
    for parcel in await everything(asha.at_api, "/shipments"):
        if parcel["state"] not in ("refused", "cancelled"):
            parcels.setdefault(parcel["order_id"], []).append(parcel)
    for order in orders:
        one, mine = there[str(order["external_id"])], parcels.get(order["id"], [])
        told = (order["state"], one.status, one.kind, [(each["state"], each["awb"]) for each in mine])
        if one.status == "CANCELLED":
            assert (order["state"], mine) == ("cancelled", []), told
            continue
        assert order["units"] == sum(item.quantity for item in one.items if item.status != "CANCELLED"), told
        pays = Money.total(Money.rupees(item.customer_price) for item in one.items if item.status != "CANCELLED")
        assert order["total_paise"] == pays.paise, told
        if one.fbf:
            assert (order["state"], mine) == ("ignored", []), told
        else:
            assert (order["state"], one.status in ARRIVED) == ("delivered", True), told
            assert [(each["state"], each["awb"]) for each in mine] == [("delivered", one.awb)], told
    await asha.at_api.books_are_right()
    traffic = asha.desk.stats().traffic[asha.id]
    states = dict(Counter(one.status for one in there.values()))
    return (
        f"{len(orders)} shipments, {states}, {traffic.requests} calls, {door.refused} notifications not taken at once"
    )


def live(asha: FlipkartSeller) -> list[ShipmentView]:
    """What is not packed yet, and may be meddled with."""
    return [each for each in asha.desk.shipments(asha.id) if each.status == "APPROVED" and not each.fbf]


def to_the_door(asha: FlipkartSeller, there: ShipmentView) -> None:
    if there.kind == "SELF" or there.fbf or there.status == "CANCELLED":
        return
    status = there.status
    while status not in ARRIVED:
        try:
            status = asha.desk.move(asha.id, there.id).status
        except NotPossible as because:
            raise AssertionError(f"{there.id}: {because}") from because


async def ship_all(asha: FlipkartSeller) -> None:
    ready = [order["id"] for order in await everything(asha.at_api, "/orders", state="ready") if not order["problems"]]
    if ready:
        await asha.at_api.post("/shipments/bulk", {"order_ids": ready})
        await rest(asha)


async def hand_over_all(asha: FlipkartSeller) -> None:
    packed = [
        each["id"]
        for each in await everything(asha.at_api, "/shipments", state="pickup_pending", courier="flipkart")
        if each["manifest_id"] is None
    ]
    if packed:
        manifest = await asha.at_api.post("/manifests", {"shipment_ids": packed})
        await asha.at_api.post(f"/manifests/{manifest['id']}/close")
        await rest(asha)


async def sweep(asha: FlipkartSeller) -> None:
    await asha.at_api.post(f"/integrations/flipkart/stores/{asha.store_id}/sync/orders")
    await rest(asha)


async def rest(asha: FlipkartSeller) -> None:
    """Notifications arrive, those not taken once more, and every job runs until there is nothing left to do."""
    post = asha.desk.world.postman
    for _ in range(40):
        post.retry_now()
        await post.drain()
        await a_night_passes()
        if not await drain(skip_waits=True, limit=5000) and not post.waiting():
            return
    raise AssertionError("the day does not come to rest")
