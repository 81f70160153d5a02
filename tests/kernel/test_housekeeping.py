"""The queue's own tidiness: old log lines go, and many quiet enqueuers wake the workers once."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from shipcrowd.kernel import clock, db, inbox, jobs, tenancy


@jobs.job(name="tests.housekeeping.nothing")
async def nothing(company_id: UUID, delivery_id: UUID) -> None: ...


@pytest.fixture
async def knocks(database_urls):
    """The notifications that would wake a worker."""
    heard = []
    connection = await db.open_connection(database_urls[1])
    await connection.add_listener("ch_pgqueuer", lambda *given: heard.append(given[-1]))
    yield heard
    await connection.close()


async def heard_in(knocks, seconds=0.3):
    await asyncio.sleep(seconds)
    return len(knocks)


async def test_old_log_lines_and_figures_are_deleted_and_new_ones_kept():
    async with tenancy.unowned() as session:
        wire = await db.driver(session)
        for table in ("pgqueuer_log", "pgqueuer_statistics"):
            await wire.execute(f"DELETE FROM {table}")
        for days in (10, 1):
            await wire.execute(
                "INSERT INTO pgqueuer_log (created, job_id, status, priority, entrypoint)"
                " VALUES ($1, 1, 'successful', 0, 'x')",
                clock.now() - timedelta(days=days),
            )
    async with tenancy.unowned() as session:
        await jobs.prune_log(session, older_than=timedelta(days=7))
    async with tenancy.unowned() as session:
        assert await (await db.driver(session)).fetchval("SELECT count(*) FROM pgqueuer_log") == 1


async def test_an_ordinary_enqueue_wakes_the_workers_when_it_is_committed(company, knocks):
    async with tenancy.acting_for(company) as session:
        await nothing.enqueue(session, company_id=company, delivery_id=company)
        assert await heard_in(knocks, 0.1) == 0
    assert await heard_in(knocks) == 1


async def test_many_quiet_ones_are_one_knock(company, knocks):
    async def one(n):
        await inbox.receive(
            company_id=company, vendor="bazaar", store="s", delivery_id=str(n), topic="t", body=b"{}", headers={},
            reader=nothing,
        )  # fmt: skip

    await asyncio.gather(*(one(n) for n in range(10)))
    assert 1 <= await heard_in(knocks) <= 2


async def test_who_asks_to_wake_again_later_is_heard_again(knocks):
    for _ in range(5):
        jobs.wake_soon()
    assert await heard_in(knocks) == 1
    jobs.wake_soon()
    assert await heard_in(knocks) == 2
