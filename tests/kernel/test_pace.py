"""Rate limits: over any stretch of time, never more than the bucket holds plus what flowed in."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shipcrowd.kernel import clock, db, jobs, pace, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.outbound import Unavailable
from tests.support import drain

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


class Time:
    """A clock that a test moves."""

    def __init__(self):
        self.now = START

    def forward(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def time(monkeypatch):
    made = Time()
    monkeypatch.setattr(clock, "now", lambda: made.now)
    return made


@pytest.fixture
def key():
    return f"test:{new_id()}"


async def taken(key, **bucket):
    async with tenancy.unowned() as session:
        return (await pace.take(session, key, **bucket)).total_seconds()


async def peeked(key, **bucket):
    async with tenancy.unowned() as session:
        return (await pace.peek(session, key, **bucket)).total_seconds()


async def test_a_full_bucket_gives_all_it_holds_and_then_one_at_a_time(time, key):
    waits = [await taken(key, capacity=3, refill_per_second=2) for _ in range(6)]
    assert waits == [0, 0, 0, 0.5, 1.0, 1.5]


async def test_what_flows_in_is_kept_up_to_the_rim_and_no_further(time, key):
    for _ in range(3):
        await taken(key, capacity=3, refill_per_second=1)
    time.forward(1000)
    assert [await taken(key, capacity=3, refill_per_second=1) for _ in range(4)] == [0, 0, 0, 1]


async def test_many_at_once_get_different_slots(time, key):
    waits = await asyncio.gather(*(taken(key, capacity=5, refill_per_second=10) for _ in range(40)))
    assert sorted(waits) == pytest.approx([0] * 5 + [n / 10 for n in range(1, 36)])


@pytest.mark.parametrize("seed", range(5))
async def test_over_any_stretch_of_time_the_limit_holds(time, key, seed):
    luck = random.Random(seed)
    capacity, refill = luck.choice([(1, 0.5), (4, 2.0), (40, 2.0), (1000, 50.0)])
    slots = []
    for _ in range(80):
        time.forward(luck.choice([0, 0, 0, luck.random() / refill, luck.random() * 4 / refill]))
        cost = luck.uniform(0.1, capacity) if luck.random() < 0.3 else 1
        wait = await taken(key, capacity=capacity, refill_per_second=refill, cost=cost)
        slots.append((time.now + timedelta(seconds=wait), cost))
    slots.sort(key=lambda slot: slot[0])
    for first, (start, _) in enumerate(slots):
        spent = 0.0
        for at, cost in slots[first:]:
            spent += cost
            assert spent <= capacity + refill * (at - start).total_seconds() + 1e-3


async def test_what_never_fits_is_refused_and_nothing_is_taken(time, key):
    with pytest.raises(ValueError, match="never fit"):
        await taken(key, capacity=5, refill_per_second=1, cost=6)
    assert await taken(key, capacity=5, refill_per_second=1, cost=5) == 0


async def test_looking_takes_nothing(time, key):
    bucket = {"capacity": 2, "refill_per_second": 1}
    assert [await peeked(key, **bucket) for _ in range(5)] == [0] * 5
    await taken(key, **bucket)
    await taken(key, **bucket)
    assert await peeked(key, **bucket) == 1
    assert await taken(key, **bucket) == 1


async def test_the_vendors_word_makes_us_more_careful_never_less(time, key):
    bucket = {"capacity": 10, "refill_per_second": 1}
    await pace.retune(key, left=2, **bucket)
    assert [await taken(key, **bucket) for _ in range(3)] == [0, 0, 1]
    await pace.retune(key, left=10, **bucket)  # slots already given stay given
    assert await taken(key, **bucket) == 2


async def test_full_buckets_are_forgotten_and_busy_ones_are_not(time, key):
    busy = f"{key}:busy"
    await taken(key, capacity=1, refill_per_second=1)
    time.forward(5)
    await taken(busy, capacity=1, refill_per_second=0.01)
    async with tenancy.unowned() as session:
        await pace.forget_idle(session)
        assert await session.get(pace.Bucket, key) is None
        assert await session.get(pace.Bucket, busy) is not None


async def test_a_job_comes_back_for_its_slot_and_uses_it(time, key):
    bucket = {"capacity": 1, "refill_per_second": 1 / 60}
    await taken(key, **bucket)
    token = jobs.running.set(jobs.Running("test"))
    try:
        with pytest.raises(jobs.Later) as later:
            await pace.turn(key, **bucket)
    finally:
        jobs.running.reset(token)
    assert later.value.delay == timedelta(seconds=60) - pace.EARLY  # woken a moment before
    assert later.value.slots == {key: START + timedelta(seconds=60)}

    time.forward(30)  # woken too early: waits on for the same slot, and takes no second one
    token = jobs.running.set(jobs.Running("test", dict(later.value.slots)))
    try:
        with pytest.raises(jobs.Later) as still:
            await pace.turn(key, **bucket)
        assert (still.value.delay, still.value.slots) == (timedelta(seconds=30) - pace.EARLY, later.value.slots)
        time.forward(30)
        await pace.turn(key, **bucket)  # its slot: no wait, and none taken anew
        assert jobs.running.get().slots == {}
        with pytest.raises(jobs.Later) as next_one:
            await pace.turn(key, **bucket)
        assert next_one.value.delay == timedelta(seconds=60) - pace.EARLY
    finally:
        jobs.running.reset(token)


class Line:
    """Jobs that wait for one bucket, each put back until a worker takes it up again."""

    def __init__(self, key, time, monkeypatch, **bucket):
        self.key, self.time, self.bucket = key, time, bucket
        self.put_back: dict[int, jobs.Later] = {}
        self.called: list[datetime] = []
        self.asleep = 0.0
        monkeypatch.setattr(pace.asyncio, "sleep", self.sleep)

    async def sleep(self, seconds):
        self.asleep = seconds

    async def run(self, job, calls=1):
        """One run of the job, which makes so many calls; whether it made them all."""
        before = self.put_back.pop(job, jobs.Later(timedelta(0)))
        running = jobs.Running("test", dict(before.slots), missed=before.missed, tokens=dict(before.tokens))
        token = jobs.running.set(running)
        try:
            for _ in range(calls):
                await pace.turn(self.key, **self.bucket)
                self.called.append(self.time.now + timedelta(seconds=self.asleep))
        except jobs.Later as later:
            self.put_back[job] = later
            return False
        finally:
            jobs.running.reset(token)
        return True


async def test_a_worker_that_lagged_does_not_make_all_the_calls_it_missed_at_once(time, key, monkeypatch):
    line = Line(key, time, monkeypatch, capacity=5, refill_per_second=5)
    for job in range(100):
        await line.run(job)
    time.forward(300)  # nobody took them up for five minutes: all their slots have gone by
    for _ in range(100):
        for job in sorted(line.put_back):
            await line.run(job)
        time.forward(1)
    assert (len(line.called), line.put_back) == (100, {})
    for start in line.called:
        stretch = [at for at in line.called if start <= at < start + timedelta(seconds=1)]
        assert len(stretch) <= 5 + 5


@pytest.mark.parametrize(("seconds", "uses"), [(-0.4, True), (0, True), (0.9, True), (1.1, False), (60, False)])
async def test_a_slot_is_used_a_moment_late_and_no_later(time, key, monkeypatch, seconds, uses):
    line = Line(key, time, monkeypatch, capacity=1, refill_per_second=1 / 60)
    await line.run("first")
    assert not await line.run("second")
    await line.run("third")  # everything that flows in for two minutes is taken
    time.forward(60 + seconds)
    assert await line.run("second") is uses
    if not uses:
        assert line.put_back["second"].slots[key] > line.put_back["third"].slots[key]


async def test_where_workers_always_lag_every_job_gets_to_its_call_all_the_same(time, key, monkeypatch):
    line = Line(key, time, monkeypatch, capacity=1, refill_per_second=1)
    for job in range(5):
        await line.run(job)
    runs = 0
    while line.put_back and runs < 200:
        job, later = min(line.put_back.items(), key=lambda each: min(each[1].slots.values()))
        slot = min(later.slots.values())
        time.now = max(time.now, slot + timedelta(seconds=10))  # ten seconds late, every time
        await line.run(job)
        runs += 1
    assert line.put_back == {}
    assert len(line.called) == 5


async def test_jobs_of_several_calls_come_to_their_end_however_many_wait(time, key, monkeypatch):
    line = Line(key, time, monkeypatch, capacity=5, refill_per_second=1)
    for job in range(40):
        await line.run(job, calls=3)
    for _ in range(1000):
        if not line.put_back:
            break
        job, later = min(line.put_back.items(), key=lambda each: each[1].slots[key])
        time.now = max(time.now, later.slots[key])
        await line.run(job, calls=3)
    assert line.put_back == {}
    assert len(line.called) <= 40 * (1 + 2 + 3)
    line.called.sort()
    for n, start in enumerate(line.called):
        within = [at for at in line.called[n:] if at < start + timedelta(seconds=30)]
        assert len(within) <= 5 + 30


async def test_a_job_whose_own_calls_take_their_time_comes_to_its_end(time, key, monkeypatch):
    first, second = {"capacity": 3, "refill_per_second": 1}, {"capacity": 1, "refill_per_second": 1 / 45}
    monkeypatch.setattr(pace.asyncio, "sleep", lambda seconds: asyncio.gather())
    await taken(f"{key}:second", **second)
    later, runs, ended = jobs.Later(timedelta(0)), 0, False
    while not ended and runs < 8:
        runs += 1
        running = jobs.Running("test", dict(later.slots), missed=later.missed, tokens=dict(later.tokens))
        token = jobs.running.set(running)
        try:
            await pace.turn(f"{key}:first", **first)
            time.forward(5)  # the call itself
            await pace.turn(f"{key}:second", **second)
            ended = True
        except jobs.Later as put_back:
            later = put_back
        finally:
            jobs.running.reset(token)
        time.forward(later.delay.total_seconds())
    assert runs == 2


async def test_what_goes_on_where_it_was_reserves_its_next_call_only(time, key, monkeypatch):
    bucket = {"capacity": 4, "refill_per_second": 1 / 60}
    monkeypatch.setattr(pace.asyncio, "sleep", lambda seconds: asyncio.gather())
    for goes_on, tokens in ((True, {key: 1}), (False, {key: 4})):
        async with tenancy.unowned() as session:
            await (await db.driver(session)).execute("DELETE FROM buckets WHERE key = $1", key)
        token = jobs.running.set(jobs.Running("test", goes_on=goes_on))
        try:
            for _ in range(4):
                await pace.turn(key, **bucket)
            with pytest.raises(jobs.Later) as later:
                await pace.turn(key, **bucket)
        finally:
            jobs.running.reset(token)
        assert later.value.tokens == tokens


async def test_a_slot_that_went_by_is_remembered_with_the_job(company, time, key):
    bucket = {"capacity": 1, "refill_per_second": 1 / 60}
    await taken(key, **bucket)

    async with tenancy.acting_for(company) as session:
        await paced.enqueue(session, company_id=company, bucket=key)
    await drain()
    time.forward(120)
    await taken(key, **bucket)
    async with tenancy.unowned() as session:
        due = "UPDATE pgqueuer SET execute_after = now() - interval '1 second' WHERE entrypoint = $1"
        await (await db.driver(session)).execute(due, paced.name)
    await drain()
    async with tenancy.unowned() as session:
        query = "SELECT headers FROM pgqueuer WHERE entrypoint = $1"
        headers = await (await db.driver(session)).fetchval(query, paced.name)
    assert headers["missed"] == 1
    assert list(headers["slots"]) == [key]


@jobs.job(name="tests.pace.paced")
async def paced(company_id: UUID, bucket: str) -> None:
    await pace.turn(bucket, capacity=1, refill_per_second=1 / 60)


async def test_a_job_waits_as_long_as_it_has_patience(key, monkeypatch):
    bucket = {"capacity": 1, "refill_per_second": 1 / 30}
    slept = []

    async def nap(seconds):
        slept.append(seconds)

    monkeypatch.setattr(pace.asyncio, "sleep", nap)
    token = jobs.running.set(jobs.Running("test", patience=timedelta(seconds=60)))
    try:
        for _ in range(3):
            await pace.turn(key, **bucket)  # at once, in half a minute, in a minute
        with pytest.raises(jobs.Later):
            await pace.turn(key, **bucket)
    finally:
        jobs.running.reset(token)
    assert slept == pytest.approx([0, 30, 60], abs=1)


async def test_outside_a_job_one_waits(key):
    bucket = {"capacity": 1, "refill_per_second": 10}
    started = clock.now()
    await pace.turn(key, **bucket)
    await pace.turn(key, **bucket)
    assert timedelta(seconds=0.08) <= clock.now() - started < timedelta(seconds=2)


async def test_outside_a_job_nobody_sleeps_long_and_nothing_is_taken(key):
    bucket = {"capacity": 1, "refill_per_second": 1 / 60}
    await pace.turn(key, **bucket)
    waits = []
    for _ in range(2):
        with pytest.raises(Unavailable) as refused:
            await pace.turn(key, **bucket)
        waits.append(refused.value.retry_after)
    assert all(55 < wait <= 60 for wait in waits)


# --- a share kept for what a person waits for -----------------------------------------------------------------------


async def waits(key, monkeypatch, time, *, urgent, times, job=None):
    """How long each of so many turns sleeps, at one moment."""
    slept: list[float] = []

    async def sleep(seconds):
        slept.append(round(seconds, 6))

    monkeypatch.setattr(pace.asyncio, "sleep", sleep)
    for _ in range(times):
        await pace.turn(key, capacity=10, refill_per_second=1, reserve=0.2, urgent=urgent)
    return slept


async def test_others_leave_a_share_of_the_bucket_however_many_they_are(time, key, monkeypatch):
    others = await waits(key, monkeypatch, time, urgent=False, times=12)
    assert others[:8] == [0] * 8
    assert others[8:] == [1.25, 2.5, 3.75, 5.0]
    assert await waits(key, monkeypatch, time, urgent=True, times=2) == [0, 0]


async def test_the_urgent_take_of_the_common_share_as_well_and_never_more_than_the_whole(time, key, monkeypatch):
    assert await waits(key, monkeypatch, time, urgent=True, times=10) == [0] * 10
    assert min(await waits(key, monkeypatch, time, urgent=True, times=1)) > 0
    assert min(await waits(key, monkeypatch, time, urgent=False, times=1)) > 0


@pytest.mark.parametrize("urgent", [0.0, 0.3, 1.0])
async def test_over_any_stretch_both_together_give_no_more_than_the_bucket(time, key, monkeypatch, urgent):
    chance, at = random.Random(11), []

    async def sleep(seconds):
        at.append((time.now - START).total_seconds() + seconds)

    monkeypatch.setattr(pace.asyncio, "sleep", sleep)
    monkeypatch.setattr(pace, "WORTH_SLEEPING", timedelta(hours=1))
    for _ in range(200):
        await pace.turn(key, capacity=10, refill_per_second=2, reserve=0.2, urgent=chance.random() < urgent)
        time.forward(chance.random() * 0.4)
    at.sort()
    for stretch in (1, 5, 30):
        most = max(sum(1 for other in at if one <= other < one + stretch) for one in at)
        assert most <= 10 + 2 * stretch + 1e-6


async def test_a_bucket_too_small_to_share_is_not_shared(time, key, monkeypatch):
    async def sleep(seconds):
        assert seconds == 0

    monkeypatch.setattr(pace.asyncio, "sleep", sleep)
    await pace.turn(key, capacity=1, refill_per_second=10, reserve=0.2)


async def test_an_urgent_job_that_comes_back_for_its_slot_uses_it_and_takes_no_other(time, key, monkeypatch):
    token = jobs.running.set(jobs.Running("test", goes_on=True))
    try:
        bucket = {"capacity": 5, "refill_per_second": 0.1, "reserve": 0.2, "urgent": True}
        for _ in range(5):
            await pace.turn(key, **bucket)
        with pytest.raises(jobs.Later) as put_back:
            await pace.turn(key, **bucket)
        [slot] = put_back.value.slots.values()
        jobs.running.get().slots.update(put_back.value.slots)
        time.forward((slot - time.now).total_seconds())
        await pace.turn(key, **bucket)
        assert jobs.running.get().slots == {}
    finally:
        jobs.running.reset(token)
