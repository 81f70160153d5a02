"""A day of many sellers on a test clock, at Amazon's real paces: nobody asks more often than allowed, and nothing is
late. `make soak` runs it with 50 sellers, the suite a smaller one.

Time moves only when nothing is left to do: to the next order, the next tick of the clock's schedules, the next job that
waits. What a job sleeps for its turn moves it as well. Letters are read every `STEP`, which stands for the long poll
and a busy worker.
"""

import os
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from heapq import heappop, heappush
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from shipcrowd.channels import jobs as channel_jobs
from shipcrowd.kernel import clock, db, pace, tenancy
from shipcrowd.sandbox.amazon.schemas import NewAmazonOrder, OrderKind
from shipcrowd.sandbox.schemas import Knobs
from tests.journeys.amazon.market import Merchant, Queue, merchant
from tests.journeys.world import World
from tests.support import drain

SELLERS = int(os.environ.get("SHIPCROWD_SOAK_SELLERS", "3"))
HOURS = int(os.environ.get("SHIPCROWD_SOAK_HOURS", "3"))
ORDERS_A_DAY = int(os.environ.get("SHIPCROWD_SOAK_ORDERS", "150"))
# Of so few orders more are lost, or none would be.
LOST = 0.02 if ORDERS_A_DAY >= 400 else 0.1
SEED = int(os.environ.get("SHIPCROWD_SOAK_SEED", "20261122"))

STEP = timedelta(seconds=15)
TICK = timedelta(minutes=5)
NOTIFIED_WITHIN = timedelta(minutes=1)
SWEPT_WITHIN = timedelta(minutes=15) + TICK + timedelta(minutes=2, seconds=5) + STEP
"""A sweep every quarter of an hour, looked for every five minutes; Amazon tells nothing younger than two minutes."""

KINDS = (OrderKind.prepaid, OrderKind.cod, OrderKind.easy_ship, OrderKind.fba)


class Day:
    """The test clock and what happens by it."""

    def __init__(self, traveller: Any) -> None:
        self.traveller = traveller
        self.due: list[tuple[datetime, int, Any]] = []
        self._numbers = iter(range(10**9))

    def at(self, moment: datetime, what: Any) -> None:
        heappush(self.due, (moment, next(self._numbers), what))

    async def sleep(self, seconds: float) -> None:
        """In place of asyncio's, where jobs wait for their turn."""
        self.traveller.shift(max(seconds, 0))

    def go_to(self, moment: datetime) -> None:
        self.traveller.shift(max((moment - clock.now()).total_seconds(), 0))


@pytest.fixture
async def day(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Day]:
    with time_machine.travel(clock.now(), tick=False) as traveller:
        made = Day(traveller)
        monkeypatch.setattr(pace, "asyncio", SimpleNamespace(sleep=made.sleep))
        yield made


@pytest.mark.timeout(120 + SELLERS * HOURS * 8)
async def test_a_day_of_many_sellers_at_real_paces(world: World, queue: Queue, day: Day):
    drawn = random.Random(SEED)
    merchants = [await merchant(world, queue, f"Mehfil {n}", rupees=0) for n in range(SELLERS)]
    desk, begun = world.desk.amazon, clock.now()
    end = begun + timedelta(hours=HOURS)
    for each in merchants:
        for _ in range(ORDERS_A_DAY * HOURS // 24):
            day.at(begun + (end - begun) * drawn.random(), (each, drawn.random() < LOST, drawn.choice(KINDS)))
    ticks = HOURS * 12 + 6  # so long after the last order that every sweep has come round
    for n in range(ticks):
        day.at(begun + TICK * (n + 1), channel_jobs.sweep_all)
    day.at(begun + (end - begun) / 2, channel_jobs.resubscribe_all)
    placed: dict[str, tuple[datetime, bool]] = {}
    while day.due:
        day.go_to(day.due[0][0])
        until = clock.now() + STEP
        while day.due and day.due[0][0] <= until:
            moment, _, what = heappop(day.due)
            day.go_to(moment)
            await _happens(world, placed, what)
        day.go_to(until)
        await _work(world, queue, day)

    seen = {order: at for each in merchants for order, at in await _taken_in(each)}
    assert set(seen) == set(placed)
    late = {order: seen[order] - at for order, (at, lost) in placed.items() if not lost}
    swept = {order: seen[order] - at for order, (at, lost) in placed.items() if lost}
    assert max(late.values()) <= NOTIFIED_WITHIN
    assert swept
    assert max(swept.values()) <= SWEPT_WITHIN
    stats = desk.stats()
    assert stats.overdrawn == {}
    assert stats.requests["searchOrders"] >= SELLERS * HOURS * 3  # or nothing was held back
    print(
        f"{SELLERS} sellers, {HOURS} h, {len(placed)} orders, {len(swept)} notifications lost: notified ones in within "
        f"{max(late.values()).total_seconds():.0f} s, the others within {max(swept.values()).total_seconds():.0f} s; "
        f"{stats.requests}, none too many"
    )


async def _happens(world: World, placed: dict[str, tuple[datetime, bool]], what: Any) -> None:
    if isinstance(what, int):
        async with tenancy.unowned() as session:
            await (await db.driver(session)).execute(
                "UPDATE pgqueuer SET execute_after = now() WHERE id = $1 AND status = 'queued'", what
            )
    elif isinstance(what, tuple):
        who, lost, kind = what
        world.desk.set_knobs(Knobs(lose=1.0 if lost else 0.0))
        order = world.desk.amazon.place_order(who.seller_id, NewAmazonOrder(kind=kind))
        world.desk.set_knobs(Knobs(lose=0.0))
        placed[order.id] = (clock.now(), lost)
    else:
        async with tenancy.unowned() as session:
            await what.with_(key="cron").enqueue(session)


async def _work(world: World, queue: Queue, day: Day) -> None:
    """Letters are read, jobs run; those that are put back are due by the test clock."""
    await world.desk.drain()
    await queue.read()
    await drain(limit=20_000)
    async with tenancy.unowned() as session:
        waiting = await (await db.driver(session)).fetch(
            """
            UPDATE pgqueuer SET execute_after = execute_after + interval '10 years'
            WHERE status = 'queued' AND execute_after BETWEEN now() AND now() + interval '1 year'
            RETURNING id, execute_after - interval '10 years' - now() AS wait
            """
        )
    for row in waiting:
        day.at(clock.now() + row["wait"], int(row["id"]))


async def _taken_in(merchant: Merchant) -> list[tuple[str, datetime]]:
    async with tenancy.acting_for(merchant.person.company_id) as session:
        rows = await (await db.driver(session)).fetch("SELECT external_id, created_at FROM orders")
    return [(row["external_id"], row["created_at"]) for row in rows]
