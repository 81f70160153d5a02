"""Rate limits shared by all processes: token buckets as one row each (GCRA), one statement a turn.

A turn is a *reserved slot*: waiters get different moments, so they do not wake together. A job whose slot is more
than a moment away does not hold its worker: it is put back with its slot in its pocket (`jobs.Later`), and uses it
when it runs again.
"""

import asyncio
from datetime import datetime, timedelta

from sqlalchemy import Text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.kernel import clock, db, tenancy
from shipcrowd.kernel.jobs import Later, running


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
    if cost > capacity:
        raise ValueError(f"{cost} tokens never fit a bucket of {capacity}")
    now = clock.now()
    full_at = await (await db.driver(session)).fetchval(
        """
        INSERT INTO buckets (key, full_at) VALUES ($1, $2::timestamptz + $3::interval)
        ON CONFLICT (key) DO UPDATE SET full_at = greatest(buckets.full_at, $2::timestamptz) + $3::interval
        RETURNING full_at
        """,
        key,
        now,
        timedelta(seconds=cost / refill_per_second),
    )
    return max(full_at - timedelta(seconds=capacity / refill_per_second) - now, timedelta(0))


async def peek(session: AsyncSession, key: str, *, capacity: float, refill_per_second: float) -> timedelta:
    """How long until one token is there, without taking it."""
    full_at = await (await db.driver(session)).fetchval("SELECT full_at FROM buckets WHERE key = $1", key)
    if full_at is None:
        return timedelta(0)
    return max(full_at - timedelta(seconds=(capacity - 1) / refill_per_second) - clock.now(), timedelta(0))


async def turn(key: str, *, capacity: float, refill_per_second: float, cost: float = 1) -> None:
    """Wait for one's turn. In a job, a long wait raises `Later` with the slot kept; elsewhere it sleeps."""
    job = running.get()
    if job is not None and (slot := job.slots.get(key)) is not None:
        wait = slot - clock.now()
        if wait <= job.patience:
            del job.slots[key]
            await asyncio.sleep(max(wait.total_seconds(), 0))
            return
        raise Later(wait, slots=job.slots)
    async with tenancy.unowned() as session:
        wait = await take(session, key, capacity=capacity, refill_per_second=refill_per_second, cost=cost)
    if job is not None and wait > job.patience:
        raise Later(wait, slots={**job.slots, key: clock.now() + wait})
    await asyncio.sleep(wait.total_seconds())


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
