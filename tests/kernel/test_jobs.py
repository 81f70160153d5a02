"""Jobs against the real queue: what is enqueued, what runs, what comes again, what is held."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from shipcrowd.kernel import clock, db, jobs, pace, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.outbound import Unavailable
from tests.support import drain

seen: list[tuple[str, object]] = []


@pytest.fixture(autouse=True)
async def _empty():
    seen.clear()
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")


@jobs.job()
async def remember(company_id: UUID, word: str) -> None:
    seen.append((word, company_id))


@jobs.job(retry=jobs.on(Unavailable, times=3))
async def flaky(company_id: UUID, fails: int) -> None:
    seen.append(("try", len(seen)))
    if len(seen) <= fails:
        raise Unavailable("not now")


@jobs.job()
async def patient(company_id: UUID) -> None:
    await pace.turn(f"test:{company_id}", capacity=1, refill_per_second=1 / 60)
    seen.append(("turn", company_id))


gave_up: list[UUID] = []


@jobs.job(retry=jobs.on(Unavailable, times=2))
async def hopeless(company_id: UUID) -> None:
    raise Unavailable("never")


@hopeless.exhausted
async def _after(company_id: UUID) -> None:
    gave_up.append(company_id)


async def test_a_rolled_back_transaction_leaves_no_job(company):
    with pytest.raises(RuntimeError):
        async with tenancy.acting_for(company) as session:
            await remember.enqueue(session, company_id=company, word="never")
            raise RuntimeError
    await drain()
    assert seen == []


async def test_a_wrong_payload_is_refused_when_enqueued(company):
    with pytest.raises(ValueError, match="word"):
        async with tenancy.acting_for(company) as session:
            await remember.enqueue(session, company_id=company)  # type: ignore[call-arg]


async def test_equal_keys_wait_as_one_job_and_news_while_it_runs_makes_another(company):
    for word in ("one", "two"):
        async with tenancy.acting_for(company) as session:
            await remember.with_(key="k").enqueue(session, company_id=company, word=word)
    picked = await jobs_waiting()
    assert picked == 1
    await drain()
    async with tenancy.acting_for(company) as session:
        await remember.with_(key="k").enqueue(session, company_id=company, word="three")
    await drain()
    assert [word for word, _ in seen] == ["one", "three"]


async def jobs_waiting() -> int:
    async with tenancy.unowned() as session:
        return (await jobs.depth(session)).get("queued", 0)


async def test_a_waiting_job_is_not_picked_before_the_news_under_its_key_is_committed(company):
    """The lost wake-up: news enqueued under a key while a worker picks the waiting job."""
    async with tenancy.acting_for(company) as session:
        await remember.with_(key="k").enqueue(session, company_id=company, word="first")
    async with tenancy.acting_for(company) as session:
        await remember.with_(key="k").enqueue(session, company_id=company, word="news")
        await drain()  # another connection: the row is locked by this open transaction
        assert seen == []
    await drain()
    assert len(seen) == 1


async def test_a_failing_job_is_tried_again_and_succeeds(company):
    async with tenancy.acting_for(company) as session:
        await flaky.enqueue(session, company_id=company, fails=2)
    await drain(skip_waits=True)
    assert len(seen) == 3
    assert await jobs_waiting() == 0


async def test_a_job_out_of_tries_is_held_listed_and_requeued(company):
    async with tenancy.acting_for(company) as session:
        await flaky.enqueue(session, company_id=company, fails=99)
    await drain(skip_waits=True)
    assert len(seen) == 3
    async with tenancy.unowned() as session:
        (held,) = await jobs.held(session, company_id=company)
        assert (held.name, held.error) == (flaky.name, "Unavailable: not now")
        assert await jobs.held(session, company_id=new_id()) == []
        assert await jobs.requeue(session, [held.id], company_id=new_id()) == 0
        assert await jobs.requeue(session, [held.id], company_id=company) == 1
    seen.extend([("x", 0)] * 100)
    await drain(skip_waits=True)
    async with tenancy.unowned() as session:
        assert await jobs.held(session, company_id=company) == []


async def test_the_last_failure_calls_what_must_follow(company):
    async with tenancy.acting_for(company) as session:
        await hopeless.enqueue(session, company_id=company)
    await drain(skip_waits=True)
    assert gave_up == [company]


async def test_waiting_for_a_rate_limit_holds_no_worker_and_is_no_try(company):
    async with tenancy.acting_for(company) as session:
        for _ in range(3):
            await patient.enqueue(session, company_id=company)
    await drain()
    assert len(seen) == 1  # the others were put back with their slots
    async with tenancy.unowned() as session:
        rows = await (await db.driver(session)).fetch(
            "SELECT execute_after - now() AS wait, headers FROM pgqueuer WHERE status = 'queued' ORDER BY execute_after"
        )
    waits = [row["wait"].total_seconds() for row in rows]
    assert [round(wait / 60) for wait in waits] == [1, 2]  # different slots: they do not wake together


async def test_a_job_whose_worker_died_is_picked_again_and_after_three_deaths_held(company):
    async with tenancy.acting_for(company) as session:
        await remember.enqueue(session, company_id=company, word="killer")
    for death in range(1, 4):
        assert len(await pick()) == 1  # and the worker dies here, without a word
        async with tenancy.unowned() as session:
            wire = await db.driver(session)
            await wire.execute("UPDATE pgqueuer SET heartbeat = now() - interval '1 hour'")
            crashes = await wire.fetchval("SELECT coalesce((headers ->> 'crashes')::int, 0) FROM pgqueuer")
            assert crashes == death - 1
    await drain()
    assert seen == []
    async with tenancy.unowned() as session:
        (held,) = await jobs.held(session, company_id=company)
    assert "its worker died 3 times" in held.error


async def test_what_must_follow_a_last_failure_follows_a_last_death_too(company):
    gave_up.clear()
    async with tenancy.acting_for(company) as session:
        await hopeless.enqueue(session, company_id=company)
    for _ in range(4):
        await pick()
        async with tenancy.unowned() as session:
            await (await db.driver(session)).execute("UPDATE pgqueuer SET heartbeat = now() - interval '1 hour'")
    await drain()
    assert gave_up == [company]


async def pick():
    from tests.support import dequeue

    return await dequeue()


async def test_a_real_worker_runs_jobs_and_stops_gracefully(company, database_urls):
    stop = asyncio.Event()
    worker = asyncio.create_task(jobs.work(database_urls[1], stop=stop, concurrency=4))
    async with tenancy.acting_for(company) as session:
        for n in range(20):
            await remember.enqueue(session, company_id=company, word=str(n))
    async with asyncio.timeout(10):
        while len(seen) < 20:
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.wait_for(worker, 10)
    assert sorted(int(word) for word, _ in seen) == list(range(20))


@pytest.mark.parametrize(
    ("ist", "utc"),
    [
        ("0 9 * * *", "30 3 * * *"),
        ("15 2 * * *", "45 20 * * *"),
        ("*/5 * * * *", "*/5 * * * *"),
        ("0 10 * * 1", "30 4 * * 1"),
    ],
)
def test_cron_lines_are_read_in_ist(ist, utc):
    assert jobs.utc_cron(ist) == utc


def test_a_weekday_whose_date_differs_in_utc_is_refused():
    with pytest.raises(ValueError, match="05:30"):
        jobs.utc_cron("0 4 * * 1")


@jobs.job(retry=jobs.on(Unavailable, times=2))
async def throttled(company_id: UUID) -> None:
    seen.append(("try", len(seen)))
    if len(seen) < 6:
        raise Unavailable("come again", retry_after=30)


async def test_coming_again_when_the_far_side_says_so_is_no_failed_try(company):
    async with tenancy.acting_for(company) as session:
        await throttled.enqueue(session, company_id=company)
    await drain()
    async with tenancy.unowned() as session:
        wait = await (await db.driver(session)).fetchval("SELECT execute_after - now() FROM pgqueuer")
    assert timedelta(seconds=28) < wait < timedelta(seconds=40)
    await drain(skip_waits=True)
    assert len(seen) == 6
    async with tenancy.unowned() as session:
        assert await jobs.held(session, company_id=company) == []


def test_back_off_doubles_and_is_jittered():
    retry = jobs.on(Unavailable, times=8, first=1, most=60)
    assert timedelta(seconds=1) <= retry.delay(1) <= timedelta(seconds=1.3)
    assert timedelta(seconds=4) <= retry.delay(3) <= timedelta(seconds=5.2)
    assert retry.delay(30) <= timedelta(seconds=78)
    assert clock.now().tzinfo is not None
