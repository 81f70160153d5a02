"""Real workers, really killed: no parcel is booked twice, no rupee and no order is lost."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.queries import Queries

from shipcrowd.demo import story
from shipcrowd.demo.seller import until
from shipcrowd.kernel import db, jobs, tenancy
from shipcrowd.sandbox.client import DeskClient
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.schemas import NewFault, NewOrder
from tests.processes.deadly import NAME as DEADLY
from tests.processes.theatre import Theatre

pytestmark = [
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("processes"),
]

SAMPLES = Path(os.environ.get("SHIPCROWD_SAMPLES", Path(__file__).parents[2] / "../shared/samples"))
PUBLISHED = SAMPLES / "shopify" / "order.json"
OURS = Path(__file__).parents[1] / "journeys" / "payloads" / "order_created_cod.json"


@pytest.fixture(autouse=True)
def no_workers_stay(theatre: Theatre) -> Iterator[None]:
    """Each test starts its own workers; what is left of them is ended."""
    yield
    for name in [name for name in theatre.stage.processes if name not in ("api", "sandbox")]:
        theatre.stage.kill(name)


async def slow_down(desk: DeskClient, seconds: float) -> None:
    """Every booking takes that long at the courier."""
    operation = "forward-order-orchestration"
    await desk.add_fault(
        NewFault(vendor="velocity", operation=operation, kind=FaultKind.slow, seconds=seconds, times=None)
    )


async def parcels(desk: DeskClient, at_least: int) -> None:
    start = (await desk.stats()).parcels
    await until(
        f"{at_least} more bookings", desk.stats, lambda s: s.parcels >= start + at_least, seconds=90, every=0.05
    )


async def picked(name: str) -> list[UUID]:
    """The workers that run jobs of this name just now."""
    async with tenancy.unowned() as session:
        rows = await (await db.driver(session)).fetch(
            "SELECT queue_manager_id FROM pgqueuer WHERE status = 'picked' AND entrypoint = $1", name
        )
    return [row["queue_manager_id"] for row in rows]


def test_workers_killed_in_the_middle_of_bookings_lose_nothing_and_book_nothing_twice(theatre: Theatre):
    stage = theatre.stage
    stage.start_worker("first")

    async def tale(desk: DeskClient) -> None:
        seller = await theatre.seller(desk, orders=42)
        await slow_down(desk, 0.8)
        run = await seller.ship_everything()
        await parcels(desk, 6)
        stage.kill("first")
        stage.start_worker("second")
        await parcels(desk, 12)
        stage.kill("second")
        stage.start_worker("third")
        done = await until(
            "the rest of the bookings", lambda: seller.run_of(run), lambda seen: seen["finished"], seconds=60
        )
        await seller.nothing_is_lost_or_doubled(desk)
        shipments = await seller.shipments()
        assert len(shipments) == 42
        assert {item["state"] for item in done["items"]} <= {"booked", "unconfirmed"}
        held = {s["id"] for s in shipments if s["state"] == "unconfirmed"}
        # A kill in the moment before the call leaves no parcel, which only a person's look at the courier can tell.
        never_asked = held - (await desk.stats()).parcels_by_order.keys()
        for shipment_id in never_asked:
            await seller.http.post(f"/shipments/{shipment_id}/void", {})
        # The courier's own news of the parcels nobody recorded settle the others.
        settled = await until(
            "settling what was unconfirmed",
            seller.shipments,
            lambda seen: all(s["awb"] for s in seen if s["id"] in held - never_asked),
            seconds=90,
        )
        assert {s["state"] for s in settled if s["id"] not in never_asked} == {"pickup_pending"}
        assert all(s["state"] == "refused" for s in settled if s["id"] in never_asked)
        await seller.nothing_is_lost_or_doubled(desk)
        charged = [s["charge_paise"] for s in settled if s["id"] not in never_asked]
        wallet = await seller.http.get("/wallet")
        assert wallet["held_paise"] == 0
        assert wallet["available_paise"] == 25_000_00 - sum(charged)
        assert await seller.http.get("/system/jobs/failed") == []
        await seller.http.close()

    theatre.tell(tale)


def test_two_workers_share_the_queue_and_finish_what_they_are_at_when_asked_to_stop(theatre: Theatre):
    workers = [theatre.stage.start_worker(name) for name in ("left", "right")]

    async def tale(desk: DeskClient) -> None:
        seller = await theatre.seller(desk, orders=24)
        await slow_down(desk, 0.3)
        run = await seller.ship_everything()
        at_work: set[UUID] = set()

        async def look() -> dict[str, Any]:
            at_work.update(await picked("shipping.request_label"))
            return await seller.run_of(run)

        done = await until("the bookings", look, lambda seen: seen["finished"], seconds=90, every=0.05)
        assert {item["state"] for item in done["items"]} == {"booked"}
        assert len(at_work) == 2
        await seller.nothing_is_lost_or_doubled(desk)

        await desk.clear_faults()
        await slow_down(desk, 2.0)
        last = (await desk.place_order(seller.shop, NewOrder(shipping_address=story.address(3)))).name
        orders = await until("the last order", seller.orders, lambda seen: len(seen) == 25, seconds=90)
        (order,) = [order for order in orders if order["number"] == last]
        await seller.http.post("/shipments/bulk", {"order_ids": [order["id"]]})
        await until("asking the courier", lambda: picked("shipping.request_label"), bool, seconds=90, every=0.05)
        await asyncio.sleep(0.3)
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        assert [await asyncio.to_thread(worker.wait, 30) for worker in workers] == [0, 0]
        (shipment,) = await seller.http.everything("/shipments", order_id=order["id"])
        assert (shipment["state"], shipment["reason"]) == ("pickup_pending", None)
        await seller.nothing_is_lost_or_doubled(desk)
        async with tenancy.unowned() as session:
            assert (await jobs.depth(session)).get("picked", 0) == 0
        await seller.http.close()

    theatre.tell(tale)
    for name in ("left", "right"):
        assert "worker stopped" in theatre.log(name)


def test_a_job_that_kills_its_worker_is_held_after_three_deaths_and_the_next_worker_lives(theatre: Theatre):
    async def tale(desk: DeskClient) -> None:
        company = UUID(int=7)
        async with tenancy.unowned() as session:
            queue = Queries(AsyncpgDriver(cast(Any, await db.driver(session))))
            payload = json.dumps({"company_id": str(company)}).encode()
            await queue.enqueue(DEADLY, payload, 0, headers={"company": str(company)})
        supervisor = theatre.stage.start("deadly", "tests.processes.deadly")

        async def held() -> list[jobs.HeldJob]:
            async with tenancy.unowned() as session:
                return await jobs.held(session, company_id=company)

        (job,) = await until("holding the job", held, bool, seconds=90)
        assert (job.name, "died 3 times" in job.error) == (DEADLY, True)
        # The worker it met last is there for everybody else.
        seller = await theatre.seller(desk, orders=1)
        await seller.http.close()
        assert supervisor.poll() is None
        ended = [line for line in theatre.log("deadly").splitlines() if line.startswith(("started", "killed"))]
        assert ended == ["started", "killed by SIGKILL"] * 3 + ["started"]

    theatre.tell(tale)


def test_an_order_sent_with_the_support_command_comes_in(theatre: Theatre):
    theatre.stage.start_worker("helper")
    payload = PUBLISHED if PUBLISHED.exists() else OURS
    number, total = ("#1001", 409_94) if PUBLISHED.exists() else ("#7001", 1298_00)

    async def tale(desk: DeskClient) -> None:
        seller = await theatre.seller(desk)
        sent = ["webhook", "send", "--vendor", "shopify", "--topic", "orders/create", "--store", seller.shop]
        answer = await asyncio.to_thread(theatre.run, *sent, "--file", str(payload))
        assert (answer.returncode, answer.stdout.strip()) == (0, "200"), answer.stderr
        (order,) = await until("taking in the order", seller.orders, lambda seen: len(seen) == 1, seconds=60)
        assert (order["number"], order["total_paise"]) == (number, total)
        await seller.http.close()

    theatre.tell(tale)


def test_the_doctor_finds_everything_well_and_says_when_not(theatre: Theatre, monkeypatch: pytest.MonkeyPatch):
    well = theatre.run("doctor")
    assert well.returncode == 0, well.stdout + well.stderr
    assert [line[0] for line in well.stdout.splitlines() if line[:1] in "✓✗"] == ["✓"] * 6
    monkeypatch.setenv("SHIPCROWD_APP_DATABASE_URL", theatre.stage.environment["SHIPCROWD_OWNER_DATABASE_URL"])
    unsafe = theatre.run("doctor")
    assert unsafe.returncode == 1
    assert "✗ role" in unsafe.stdout
    assert "SELECT" not in unsafe.stdout + unsafe.stderr and "Traceback" not in unsafe.stderr
