"""Rate limits: over any stretch of time, never more than the bucket holds plus what flowed in."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from shipcrowd.kernel import clock, jobs, pace, tenancy
from shipcrowd.kernel.ids import new_id

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
    assert later.value.delay == timedelta(seconds=60)
    assert later.value.slots == {key: START + timedelta(seconds=60)}

    time.forward(30)  # woken too early: waits on for the same slot, and takes no second one
    token = jobs.running.set(jobs.Running("test", dict(later.value.slots)))
    try:
        with pytest.raises(jobs.Later) as still:
            await pace.turn(key, **bucket)
        assert (still.value.delay, still.value.slots) == (timedelta(seconds=30), later.value.slots)
        time.forward(30)
        await pace.turn(key, **bucket)  # its slot: no wait, and none taken anew
        assert jobs.running.get().slots == {}
        with pytest.raises(jobs.Later) as next_one:
            await pace.turn(key, **bucket)
        assert next_one.value.delay == timedelta(seconds=60)
    finally:
        jobs.running.reset(token)


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
