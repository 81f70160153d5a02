"""A worker killed in the middle of bookings, twice: no order booked twice, none lost, every rupee accounted for."""

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest

from shipcrowd.demo import story
from shipcrowd.demo.seller import Seller, until
from shipcrowd.demo.stage import Stage
from shipcrowd.demo.story import Day
from shipcrowd.kernel import db, tenancy
from shipcrowd.ledger import invariants
from shipcrowd.sandbox.client import DeskClient
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.schemas import NewFault, NewOrder
from shipcrowd.shipping import books

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("processes")]

ORDERS = 45


def test_killing_the_worker_in_the_middle_of_bookings_books_nothing_twice(stage: Stage):
    stage.start_sandbox(story.SHOP)
    stage.start_api()
    stage.start_worker()
    asyncio.run(killed_twice(stage))


async def killed_twice(stage: Stage) -> None:
    db.connect(stage.environment["SHIPCROWD_APP_DATABASE_URL"], pool=4)
    seller = Seller(stage.url)
    try:
        async with DeskClient(stage.sandbox_url) as desk:
            await tell(stage, seller, desk)
    finally:
        await seller.close()
        await db.disconnect()


async def tell(stage: Stage, seller: Seller, desk: DeskClient) -> None:
    await story.open_shop(Day(seller, desk, Path()), stage.url)
    for n in range(ORDERS):
        await desk.place_order(story.SHOP, NewOrder(shipping_address=story.address(n)))
    orders = await until(
        "taking in the orders", lambda: seller.everything("/orders"), lambda seen: len(seen) == ORDERS, seconds=60
    )
    slow = NewFault(
        vendor="velocity", operation="forward-order-orchestration", kind=FaultKind.slow, times=None, seconds=0.4
    )
    await desk.add_fault(slow)
    await seller.post("/shipments/bulk", {"order_ids": [order["id"] for order in orders]})
    for booked_by_then in (5, 20):
        await until("bookings", desk.stats, lambda seen, n=booked_by_then: seen.parcels >= n, seconds=60, every=0.02)
        stage.kill("worker")
        stage.start_worker()
    await desk.clear_faults()
    shipments = await until(
        "every booking coming to an end",
        lambda: seller.everything("/shipments"),
        lambda seen: len(seen) == ORDERS and not any(s["state"] == "booking" for s in seen),
        seconds=90,
    )

    stats = await desk.stats()
    assert [reference for reference, parcels in stats.parcels_by_order.items() if parcels > 1] == []
    states = Counter(shipment["state"] for shipment in shipments)
    assert set(states) <= {"pickup_pending", "unconfirmed"}
    assert all(s["reason"] for s in shipments if s["state"] == "unconfirmed")
    assert {s["order_id"] for s in shipments} == {order["id"] for order in orders}
    booked = {s["id"] for s in shipments if s["awb"]}
    assert booked <= set(stats.parcels_by_order)
    assert set(stats.parcels_by_order) - booked <= {s["id"] for s in shipments if s["state"] == "unconfirmed"}
    company_id = UUID((await seller.get("/auth/me"))["company_id"])
    async with tenancy.acting_for(company_id) as session:
        assert await invariants.verify(session) == []
        assert await books.held_but_not_open(session) == []

    # The killed worker's parcels are found by their first scan, and then everything is booked exactly once.
    lost = [reference for reference in stats.parcels_by_order if reference not in booked]
    await desk.advance_all()
    await until(
        "lost bookings settled by their tracking",
        lambda: seller.everything("/shipments"),
        lambda seen: {s["id"] for s in seen if s["awb"]} >= booked | set(lost),
        seconds=60,
    )
    async with tenancy.acting_for(company_id) as session:
        assert await invariants.verify(session) == []
        assert await books.held_but_not_open(session) == []


def test_sigterm_lets_a_worker_finish_and_two_workers_share_the_queue(stage: Stage):
    stage.start_sandbox(story.SHOP)
    stage.start_api()
    stage.start_worker("one")
    stage.start_worker("two")
    asyncio.run(shared(stage))


async def shared(stage: Stage) -> None:
    db.connect(stage.environment["SHIPCROWD_APP_DATABASE_URL"], pool=4)
    seller = Seller(stage.url)
    try:
        async with DeskClient(stage.sandbox_url) as desk:
            await story.open_shop(Day(seller, desk, Path()), stage.url)
            for n in range(12):
                await desk.place_order(story.SHOP, NewOrder(shipping_address=story.address(n)))
            orders = await until(
                "taking in the orders", lambda: seller.everything("/orders"), lambda seen: len(seen) == 12
            )
            await seller.post("/shipments/bulk", {"order_ids": [order["id"] for order in orders]})
            await until("the first bookings", desk.stats, lambda seen: seen.parcels >= 2, every=0.02)
            stage.processes["one"].terminate()
            assert stage.processes["one"].wait(20) == 0
            shipments = await until(
                "every booking",
                lambda: seller.everything("/shipments"),
                lambda seen: len(seen) == 12 and all(s["awb"] for s in seen),
            )
            assert len(shipments) == (await desk.stats()).parcels == 12
    finally:
        await seller.close()
        await db.disconnect()
    doctor = subprocess.run([sys.executable, "-m", "shipcrowd", "doctor"], capture_output=True, text=True, timeout=60)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
