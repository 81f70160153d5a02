"""Rate limits shared by all processes: token buckets as one row each (GCRA), one statement a turn.

A turn is a *reserved slot*: waiters get different moments, so they do not wake together. A job whose slot is more
than a moment away does not hold its worker: it is put back with its slot in its pocket (`jobs.Later`), and uses it
when it runs again. A slot that went by is gone: workers that lag would otherwise make all the calls they missed at
once.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.kernel import clock, db, tenancy
from shipcrowd.kernel.outbound import Unavailable
from shipcrowd.kernel.running import Later, Running, running

WORTH_SLEEPING = timedelta(seconds=15)
EARLY = timedelta(seconds=0.5)
"""So much before its slot a job that was put back is woken, for workers look for work now and then; it sleeps out the
rest."""
LATE = timedelta(seconds=1)
"""So late a slot may still be used."""
MOST_MISSED = 6

HALFWAY = timedelta(seconds=10)
"""So long a job waits for a place when it has made calls already: put back, it would make those again."""
MOST_AGAIN = 20
"""Calls to one bucket that are reserved anew. A job of more goes on where it was."""


class Bucket(db.Base):
    """Unowned: its key names a vendor account or a sign-in attempt, hashed where it would be personal.

    `full_at` is when the bucket would be full again if nothing more were taken.
    """

    __tablename__ = "buckets"
    __table_args__ = ({"info": {"unowned": "rate limits belong to vendor accounts and sign-ins, not companies"}},)

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    full_at: Mapped[datetime]


async def take(
    session: AsyncSession, key: str, *, capacity: float, refill_per_second: float, cost: float = 1
) -> timedelta:
    """Reserve the next slot for `cost` tokens and return how long until it (zero: now).

    The reservation stands even when the caller gives up. Raises ValueError when `cost` exceeds `capacity`.
    """
    return await _take(await db.driver(session), _Lane(key, capacity, refill_per_second), cost)


async def _take(wire: db.Wire, lane: "_Lane", cost: float) -> timedelta:
    if cost > lane.capacity:
        raise ValueError(f"{cost} tokens never fit a bucket of {lane.capacity}")
    now = clock.now()
    full_at = await wire.fetchval(
        """
        INSERT INTO buckets (key, full_at) VALUES ($1, $2::timestamptz + $3::interval)
        ON CONFLICT (key) DO UPDATE SET full_at = greatest(buckets.full_at, $2::timestamptz) + $3::interval
        RETURNING full_at
        """,
        lane.key,
        now,
        timedelta(seconds=cost / lane.refill_per_second),
    )
    return max(full_at - timedelta(seconds=lane.capacity / lane.refill_per_second) - now, timedelta(0))


async def peek(session: AsyncSession, key: str, *, capacity: float, refill_per_second: float) -> timedelta:
    """How long until one token is there, without taking it."""
    full_at = await (await db.driver(session)).fetchval("SELECT full_at FROM buckets WHERE key = $1", key)
    if full_at is None:
        return timedelta(0)
    return max(full_at - timedelta(seconds=(capacity - 1) / refill_per_second) - clock.now(), timedelta(0))


async def turn(
    key: str,
    *,
    capacity: float,
    refill_per_second: float,
    cost: float = 1,
    reserve: float = 0.0,
    urgent: bool = False,
) -> None:
    """Wait for one's turn. In a job, a long wait raises `Later` with the slot kept; elsewhere it sleeps, and somebody
    who waits at a page is told to come again instead of sleeping long: raises Unavailable(retry_after).

    `reserve` is the share of the bucket kept for `urgent` callers, where that is a whole token or more. It is a
    bucket of its own, so that however many others have queued up, they do not stand in its way, and both together
    never give more than the whole. An urgent caller takes its turn in whichever of the two comes round sooner.
    """
    lanes = _lanes(key, capacity, refill_per_second, reserve)
    if not urgent:
        lanes = lanes[:1]
    job = running.get()
    if job is not None and (held := next((lane for lane in lanes if lane.key in job.slots), None)) is not None:
        wait = job.slots[held.key] - clock.now()
        if wait > max(job.patience, EARLY):
            raise _put_back(job, wait)
        if _used(job, held, cost, late=-wait):
            await asyncio.sleep(max(wait.total_seconds(), 0))
            return
    if job is not None and len(lanes) == 1:
        lane, wait = lanes[0], await _taken(lanes[0], cost)
    else:
        async with tenancy.unowned() as session:
            lane = await _soonest(session, lanes, cost)
            wait = await _take(await db.driver(session), lane, cost)
            if job is None and wait > WORTH_SLEEPING:  # raised inside the transaction: nothing was taken
                raise Unavailable("too many calls wait for their turn there", retry_after=wait.total_seconds())
    if job is None:
        await asyncio.sleep(wait.total_seconds())
    elif wait > (max(job.patience, HALFWAY) if job.spent else job.patience):
        raise _put_back(job, await _reserved(job, lane, wait, cost))
    else:
        _spend(job, lane, cost)
        await asyncio.sleep(wait.total_seconds())


def _put_back(job: Running, wait: timedelta) -> Later:
    return Later(wait - EARLY, slots=job.slots, tokens=job.tokens, missed=job.missed)


def _spend(job: Running, lane: "_Lane", cost: float) -> None:
    job.spent[lane] = job.spent.get(lane, 0) + cost


def _used(job: Running, lane: "_Lane", cost: float, late: timedelta) -> bool:
    """Take `cost` of the slot the job holds; not when it came too late for it: then the slot is gone."""
    at, left = job.slots.pop(lane.key), job.tokens.pop(lane.key, cost) - cost
    # Once it made a call in this run, it is the job's own calls that take the time, and no lag of the workers.
    if not job.spent and late > _allowed(job.missed):
        job.missed += 1
        return False
    if left >= 1:
        job.slots[lane.key], job.tokens[lane.key] = at, left
    _spend(job, lane, cost)
    return True


async def _reserved(job: Running, lane: "_Lane", wait: timedelta, cost: float) -> timedelta:
    """Reserve what the job will need when it runs again, and return how long until all of it is there: beside the
    `cost` just taken, the calls it will make once more. A job that never had places for all its calls would
    use up its first ones again and again and never come to the last."""
    needed = {lane: cost}
    for other, spent in () if job.goes_on else job.spent.items():
        again = min(spent, MOST_AGAIN, other.capacity - needed.get(other, 0))
        if again >= 1:
            needed[other] = needed.get(other, 0) + again
            wait = max(wait, await _taken(other, again))  # one by one: no two buckets are locked at once
    job.slots |= {each.key: clock.now() + wait for each in needed}
    job.tokens |= {each.key: tokens for each, tokens in needed.items()}
    return wait


async def _taken(lane: "_Lane", cost: float) -> timedelta:
    """Taken for good with one round trip: what a job takes it keeps, whatever comes of it."""
    async with db.raw() as wire:
        return await _take(wire, lane, cost)


def _allowed(missed: int) -> timedelta:
    """How late a slot may be used by a job that missed so many in a row. It doubles: where workers always lag, every
    job would otherwise miss every slot, and no call would be made any more."""
    return LATE * 2 ** min(missed, MOST_MISSED)


@dataclass(frozen=True)
class _Lane:
    key: str
    capacity: float
    refill_per_second: float


def _lanes(key: str, capacity: float, refill_per_second: float, reserve: float) -> list[_Lane]:
    """Everybody's lane, and behind it the one kept for urgent callers."""
    if capacity * reserve < 1:
        return [_Lane(key, capacity, refill_per_second)]
    rest = 1 - reserve
    return [
        _Lane(key, capacity * rest, refill_per_second * rest),
        _Lane(f"{key}:kept", capacity * reserve, refill_per_second * reserve),
    ]


async def _soonest(session: AsyncSession, lanes: list[_Lane], cost: float) -> _Lane:
    """The lane with the shortest wait, of those that can ever give `cost` tokens at once."""
    able = [lane for lane in lanes if cost <= lane.capacity] or lanes[:1]
    if len(able) == 1:
        return able[0]
    waits = [
        await peek(session, lane.key, capacity=lane.capacity, refill_per_second=lane.refill_per_second) for lane in able
    ]
    return able[waits.index(min(waits))]


async def retune(key: str, *, capacity: float, left: float, refill_per_second: float) -> None:
    """The vendor told the bucket's true state. Only ever makes us more careful: slots already given stay given."""
    full_at = clock.now() + timedelta(seconds=max(capacity - left, 0) / refill_per_second)
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute(
            """
            INSERT INTO buckets (key, full_at) VALUES ($1, $2)
            ON CONFLICT (key) DO UPDATE SET full_at = greatest(buckets.full_at, $2)
            """,
            key,
            full_at,
        )


async def forget_idle(session: AsyncSession) -> None:
    """Delete buckets that are full: a missing bucket means the same."""
    await (await db.driver(session)).execute("DELETE FROM buckets WHERE full_at < $1", clock.now())
