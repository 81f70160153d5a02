"""Jobs that do nothing, through our wrapper and through PgQueuer alone with the same settings: how many a second, and
how soon a single one starts.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar, cast

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain import models as queue_models
from pgqueuer.queries import Queries

from bench.ground import Ground
from bench.rows import Row, percentile
from shipcrowd.kernel import db, jobs, postgres, tenancy
from shipcrowd.kernel.jobs import job
from shipcrowd.settings import settings

MANY = 6_000
SINGLES = 100
ROUNDS = 2
GAP = 0.02
"""Seconds between single jobs, so that each finds the worker idle."""

MOST_SECONDS = 60


class Seen:
    """What the jobs left: how many ran, when the last one started."""

    count: ClassVar[int] = 0
    started: ClassVar[float] = 0.0
    news: ClassVar[asyncio.Event]

    @classmethod
    def ran(cls) -> None:
        cls.started = time.perf_counter()
        cls.count += 1
        cls.news.set()


@job(name="bench.nothing")
async def nothing(number: int) -> None:
    Seen.ran()


def bench(ground: Ground) -> list[Row]:
    """Ours and theirs take turns; the better round of each counts for the rate, all of them for the wait."""
    url = ground.database("jobs")
    bare = asyncio.run(_bare_database(ground))
    ours, theirs = list[Figures](), list[Figures]()
    for _ in range(ROUNDS):
        theirs.append(asyncio.run(_theirs(bare)))
        ours.append(asyncio.run(_ours(ground, url)))
    return [
        Row("no-op jobs drained", max(r for r, _ in ours), max(r for r, _ in theirs), "jobs/s", target=2_000),
        Row("  enqueue to start, p50, idle worker", _wait(ours, 50), _wait(theirs, 50), "ms", target=20, smaller=True),
        Row("  enqueue to start, p95, idle worker", _wait(ours, 95), _wait(theirs, 95), "ms", smaller=True),
    ]


Figures = tuple[float, list[float]]


def _wait(rounds: list[Figures], percent: int) -> float:
    return percentile([wait for _, waits in rounds for wait in waits], percent) * 1000


async def _ours(ground: Ground, url: str) -> Figures:
    async def enqueue(count: int) -> None:
        async with tenancy.unowned() as session:
            await jobs.enqueue_many(session, nothing, [{"number": n} for n in range(count)])

    @asynccontextmanager
    async def working() -> AsyncGenerator[None]:
        stop = asyncio.Event()
        work = asyncio.create_task(jobs.work(url, stop=stop, concurrency=settings().worker_concurrency))
        try:
            yield
        finally:
            stop.set()
            await work

    async with ground.product(url):
        return await _measured(enqueue, working)


async def _theirs(url: str) -> Figures:
    connection = await db.open_connection(url)
    queries = Queries(AsyncpgDriver(cast(Any, connection)))

    async def enqueue(count: int) -> None:
        await queries.enqueue(["nothing"] * count, [b"{}"] * count, [0] * count)

    async def ran(row: queue_models.Job) -> None:
        Seen.ran()

    @asynccontextmanager
    async def working() -> AsyncGenerator[None]:
        own = await db.open_connection(url)
        manager = QueueManager(Queries(AsyncpgDriver(cast(Any, own))))
        manager.entrypoint("nothing")(ran)
        concurrency = settings().worker_concurrency
        work = asyncio.create_task(
            manager.run(
                dequeue_timeout=timedelta(seconds=1),
                batch_size=concurrency // 2,
                max_concurrent_tasks=concurrency,
            )
        )
        try:
            yield
        finally:
            manager.shutdown.set()
            await work
            await own.close()

    try:
        return await _measured(enqueue, working)
    finally:
        await connection.close()


async def _measured(
    enqueue: Callable[[int], Awaitable[None]], working: Callable[[], contextlib.AbstractAsyncContextManager[None]]
) -> Figures:
    Seen.news = asyncio.Event()
    Seen.count = 0
    await enqueue(MANY)
    async with asyncio.timeout(MOST_SECONDS), working():
        while Seen.count < 1:  # a worker's start is not its pace
            await asyncio.sleep(0.001)
        first, started = Seen.count, time.perf_counter()
        while Seen.count < MANY:
            await asyncio.sleep(0.01)
        rate = (MANY - first) / (Seen.started - started)
        await asyncio.sleep(0.5)
        waits: list[float] = []
        for _ in range(SINGLES):
            Seen.news.clear()
            begun = time.perf_counter()
            await enqueue(1)
            await Seen.news.wait()
            waits.append(Seen.started - begun)
            await asyncio.sleep(GAP)
    return rate, waits


async def _bare_database(ground: Ground) -> str:
    """A database with PgQueuer's own tables and nothing of ours; its URL, as the owner."""
    await postgres.create_database(ground.server, "jobs_bare")
    url = ground.owner("jobs_bare")
    connection = await db.open_connection(url)
    try:
        await Queries(AsyncpgDriver(cast(Any, connection))).install()
    finally:
        await connection.close()
    return url
