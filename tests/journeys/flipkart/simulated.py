"""Time that passes when everybody waits: a day of the product in minutes, with its own paces and nobody else's.

Work takes no time; waiting for a turn, for a label, or for another try does. When every job under way waits and none is
due, the clock goes on to where the first of them wakes. So all calls a store ever gets fall as close together as its
limits let them.
"""

import asyncio
import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.domain import errors
from pgqueuer.domain.models import Job
from pgqueuer.queries import Queries

from shipcrowd.channels import afresh, waiting
from shipcrowd.integrations.flipkart import courier
from shipcrowd.kernel import clock, db, jobs, pace, tenancy
from tests.support import dequeue

T = TypeVar("T")

AT_ONCE = 12
"""Jobs side by side, as a worker has them; the database's connections are the bound."""

FAR_OFF = timedelta(days=2)


async def _in_turn(pages: AsyncIterator[T]) -> AsyncGenerator[Sequence[T]]:
    async with waiting.closing(pages):
        async for page in pages:
            yield [page]


class Simulated:
    """The clock of one story. `use` puts it in the place of the real one."""

    def __init__(self) -> None:
        self.at = clock.now()
        self._busy = 0
        self._asleep: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._put_back: list[tuple[datetime, int]] = []
        self._turn = count()
        self._still = asyncio.Event()

    def use(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(clock, "now", lambda: self.at)
        for module in (pace, courier):
            patch.setattr(module, "asyncio", SimpleNamespace(sleep=self.sleep))
        # Who sleeps is counted by jobs: none does two things at once here.
        patch.setattr(waiting, "ahead", _in_turn)
        patch.setattr(afresh, "CALLS_AT_ONCE", 1)

    def reach(self, moment: datetime) -> None:
        self.at = max(self.at, moment)

    async def sleep(self, seconds: float) -> None:
        if not self._busy:  # outside a job, as the seller's own requests
            self.reach(self.at + timedelta(seconds=seconds))
            return
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._asleep, (self.at + timedelta(seconds=seconds), next(self._turn), waking))
        self._look()
        await waking

    async def run_jobs(self, until: datetime) -> int:
        """Every job that is due by then, and those they enqueue, side by side; how many ran. Waiting takes the time it
        takes, so the clock may end up later than `until`."""
        under_way = set[asyncio.Task[None]]()
        ran = 0
        while True:
            await self._release()
            found = await dequeue(AT_ONCE - len(under_way)) if len(under_way) < AT_ONCE else []
            ran += len(found)
            self._busy += len(found)
            under_way |= {asyncio.create_task(self._work(job)) for job in found}
            if found:
                continue
            if not under_way and (not self._put_back or self._put_back[0][0] > until):
                return ran
            self._still.clear()
            self._look()
            still = asyncio.create_task(self._still.wait())
            await asyncio.wait({*under_way, still}, return_when=asyncio.FIRST_COMPLETED)
            still.cancel()
            ended = {task for task in under_way if task.done()}
            under_way -= ended
            for task in ended:
                task.result()
            if not ended:
                self._go_on()

    def _look(self) -> None:
        if len(self._asleep) == self._busy:
            self._still.set()

    def _go_on(self) -> None:
        """Everybody waits: to the moment the first of them wakes."""
        self.reach(min(line[0][0] for line in (self._asleep, self._put_back) if line))
        while self._asleep and self._asleep[0][0] <= self.at:
            heapq.heappop(self._asleep)[2].set_result(None)

    async def _release(self) -> None:
        """What was put back and is due may be picked again."""
        due = list[int]()
        while self._put_back and self._put_back[0][0] <= self.at:
            due.append(heapq.heappop(self._put_back)[1])
        if due:
            async with tenancy.unowned() as session:
                await (await db.driver(session)).execute(
                    "UPDATE pgqueuer SET execute_after = now() WHERE id = ANY($1::bigint[])", due
                )

    async def _work(self, job: Job) -> None:
        try:
            await self._run(job)
        finally:
            self._busy -= 1
            self._look()

    async def _run(self, job: Job) -> None:
        try:
            await jobs.run_one(job)
            outcome = "successful"
        except errors.RetryRequested as again:
            async with db.raw() as wire:
                await Queries(AsyncpgDriver(cast(Any, wire))).retry_job(job, FAR_OFF, None)
            heapq.heappush(self._put_back, (self.at + again.delay, int(job.id)))
            return
        except Exception:
            outcome = "failed"
        async with db.raw() as wire:
            await Queries(AsyncpgDriver(cast(Any, wire))).log_jobs([(job, cast(Any, outcome), None)])
