"""Reading stores' returns by the clock and by their news, and telling stores what the seller says to them. What is
kept of them, and what may be said, is `returns`.

A decision cannot be made safe to repeat at the store: who may have been heard looks the return up before asking again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import returns, sweeps, vendors, waiting
from shipcrowd.channels.importing import Taken
from shipcrowd.channels.models import DecisionState, MarketplaceReturn, StoreSync, SyncEntry
from shipcrowd.channels.open import connected, lost, opened
from shipcrowd.channels.returns_contract import HandlesReturns, ReturnDecision, ReturnResult
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection
from shipcrowd.kernel import batches, clock, tenancy
from shipcrowd.kernel.jobs import enqueue_many, job, on
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.settings import settings

PATIENTLY = on(Exception, times=8, first=2.0)

EVERY = timedelta(minutes=15)
AFTER_TROUBLE = timedelta(hours=1)
NOT_ABLE = timedelta(hours=24)
UNREAD_BACK = timedelta(days=30)
"""So far back is read again for a return that could not be read."""
AT_ONCE = 1000


# --- reading --------------------------------------------------------------------------------------------------------


@job(retry=PATIENTLY, seconds=1800, name="channels.read_returns")
async def read_returns(company_id: UUID, connection_id: UUID, back_to: datetime | None = None) -> None:
    """Read every return changed at a store since they were last read, or since `back_to`."""
    connection = await connected(company_id, connection_id)
    if connection is None:
        return
    channel = opened(connection)
    if not isinstance(channel, HandlesReturns):
        async with acting_for(company_id) as session:
            await _plan(session, connection_id, NOT_ABLE)
        return
    started = clock.now()
    async with acting_for(company_id) as session:
        since = await _since(session, connection)
    entry = SyncEntry(company_id=company_id, connection_id=connection_id, what="returns", started_at=started)
    entry.pages = entry.inserted = entry.updated = entry.unchanged = entry.failed = 0
    try:
        with waiting.in_place():
            found = channel.returns(min(since, back_to) if back_to else since)
            async with waiting.closing(found):
                async for page in found:
                    async with acting_for(company_id) as session:
                        _count(entry, await returns.take(session, connection, page))
    except Disconnected as failure:
        await lost(connection, failure)
        return
    except (Refused, Malformed) as failure:
        words = failure.message if isinstance(failure, Refused) else str(failure)
        await _record(connection, entry, words)
        return
    await _record(connection, entry, "")


@read_returns.exhausted
async def _no_returns(company_id: UUID, connection_id: UUID, back_to: datetime | None = None) -> None:
    async with acting_for(company_id) as session:
        connection = await connections.get(session, connection_id)
        await sweeps.note(session, connection, "returns", error="The store did not answer when asked for its returns.")
        await _plan(session, connection_id, AFTER_TROUBLE)


async def _since(session: AsyncSession, connection: Connection) -> datetime:
    sync = await session.get(StoreSync, (connection.company_id, connection.id))
    if sync is None or sync.returns_through is None:
        return connection.connected_at - timedelta(days=sweeps.settings_of(connection).import_days)
    return sync.returns_through - vendors.vendor(connection.vendor).overlap


def _count(entry: SyncEntry, taken: Taken) -> None:
    entry.pages += 1
    entry.inserted += taken.inserted
    entry.updated += taken.updated
    entry.unchanged += taken.unchanged
    entry.failed += taken.failed


async def _record(connection: Connection, entry: SyncEntry, error: str) -> None:
    async with acting_for(connection.company_id) as session:
        entry.finished_at, entry.error = clock.now(), error[:500]
        if error or entry.inserted or entry.updated or entry.failed:  # a quiet look every quarter hour is no line
            session.add(entry)
        if error:
            await _plan(session, connection.id, AFTER_TROUBLE)
            return
        await connections.worked(session, connection.id)
        await _plan(session, connection.id, EVERY, through=entry.started_at)


async def _plan(session: AsyncSession, connection_id: UUID, wait: timedelta, through: datetime | None = None) -> None:
    query = update(StoreSync).where(StoreSync.id == connection_id)
    await session.execute(
        query.values(
            next_returns_at=clock.now() + wait, returns_through=func.greatest(StoreSync.returns_through, through)
        )
    )


@job(retry=PATIENTLY, name="channels.read_return")
async def read_return(company_id: UUID, connection_id: UUID, external_ids: tuple[str, ...]) -> None:
    """Read some returns afresh: a webhook named them, or the store was told of a decision."""
    connection = await connected(company_id, connection_id)
    channel = opened(connection) if connection else None
    if connection is None or not isinstance(channel, HandlesReturns):
        return
    try:
        found = await channel.returns_named(external_ids)
    except Disconnected as failure:
        await lost(connection, failure)
        return
    except (Refused, Malformed) as failure:
        async with acting_for(company_id) as session:
            await sweeps.note(session, connection, "return", error=str(failure))
        return  # the next look by the clock finds them
    async with acting_for(company_id) as session:
        await returns.take(session, connection, found)


async def returns_touched(session: AsyncSession, connection: Connection, external_ids: Sequence[str]) -> None:
    """Have these returns read afresh."""
    named = tuple(external_ids)
    await read_return.with_(key=f"{connection.id}:{','.join(named)}"[:200]).enqueue(
        session, company_id=connection.company_id, connection_id=connection.id, external_ids=named
    )


async def read_now(session: AsyncSession, connection: Connection, back_to: datetime | None = None) -> None:
    """Read the store's returns now; with `back_to`, those changed since then once more."""
    key = f"{connection.company_id}:{connection.id}" + (":back" if back_to else "")
    await read_returns.with_(key=key).enqueue(
        session, company_id=connection.company_id, connection_id=connection.id, back_to=back_to
    )


@job(name="channels.returns_due")
async def returns_due() -> None:
    """By the clock: the stores whose returns are due. Each is put off when its job is made, so that one that is under
    way is not begun again."""
    now = clock.now()
    async with tenancy.acting_for_platform(why="read due returns") as session:
        rows = await session.execute(
            text(
                """
                UPDATE store_syncs s SET next_returns_at = :later FROM (
                    SELECT s.company_id, s.id FROM store_syncs s
                    JOIN connections c ON c.company_id = s.company_id AND c.id = s.id
                    WHERE c.status = 'connected' AND coalesce(s.next_returns_at <= :now, true)
                    ORDER BY s.next_returns_at NULLS FIRST LIMIT :most FOR UPDATE OF s SKIP LOCKED) found
                WHERE s.company_id = found.company_id AND s.id = found.id RETURNING s.company_id, s.id
                """
            ),
            {"now": now, "later": now + AFTER_TROUBLE, "most": AT_ONCE},
        )
        stores = rows.all()
        await enqueue_many(
            session,
            read_returns,
            [{"company_id": row.company_id, "connection_id": row.id} for row in stores],
            keys=[f"{row.company_id}:{row.id}" for row in stores],
        )


# --- telling --------------------------------------------------------------------------------------------------------


async def enqueue_decision(session: AsyncSession, row: MarketplaceReturn) -> None:
    """Have the store told what the seller said."""
    await decide_return.with_(key=f"{row.company_id}:{row.id}").enqueue(
        session, company_id=row.company_id, return_id=row.id
    )


async def go_on(session: AsyncSession, connection: Connection) -> None:
    """The store may be used (again): tell what waited, read what happened."""
    async for page in batches.ids(session, returns.undecided(connection.id), MarketplaceReturn.id):
        await enqueue_many(
            session,
            decide_return,
            [{"company_id": connection.company_id, "return_id": return_id} for return_id in page],
            keys=[f"{connection.company_id}:{return_id}" for return_id in page],
        )
    await read_now(session, connection)


@job(retry=PATIENTLY, name="channels.decide_return")
async def decide_return(company_id: UUID, return_id: UUID) -> None:
    """Tell the store what the seller says to a return."""
    async with acting_for(company_id) as session:
        row = await returns.locked(session, return_id)
        if row is None or row.decision_state != DecisionState.asked or row.decision is None:
            return
        asked_before = row.decision_sent_at is not None
    connection = await connected(company_id, row.connection_id)
    if connection is None:
        return  # told when the store is used again
    channel = opened(connection)
    try:
        if not isinstance(channel, HandlesReturns):
            raise Refused("cannot_decide", "Returns of this channel cannot be decided from outside.")
        if asked_before and await _heard(channel, connection, row):
            return
        async with acting_for(company_id) as session:
            await _sent(session, return_id, clock.now())
        result = (await channel.decide_returns([_decision(row)]))[0]
    except Disconnected as failure:
        await lost(connection, failure)
        return
    except (Refused, Malformed) as failure:
        await _ended(connection, row, failure.message if isinstance(failure, Refused) else str(failure))
        return
    await _answered(connection, row, result)


@decide_return.exhausted
async def _not_decided(company_id: UUID, return_id: UUID) -> None:
    async with acting_for(company_id) as session:
        row = await returns.locked(session, return_id)
        assert row is not None
        connection = await connections.get(session, row.connection_id)
    await _ended(connection, row, "The store did not answer; look there, and say it again.")


def _decision(row: MarketplaceReturn) -> ReturnDecision:
    assert row.decision is not None
    return ReturnDecision(
        external_id=row.external_id,
        action=row.decision,
        location=row.location,
        service_id=row.service_id,
        at=row.decision_at,
        comment=row.decision_comment,
    )


async def _sent(session: AsyncSession, return_id: UUID, at: datetime | None) -> None:
    await session.execute(
        update(MarketplaceReturn).where(MarketplaceReturn.id == return_id).values(decision_sent_at=at)
    )


async def _heard(channel: HandlesReturns, connection: Connection, row: MarketplaceReturn) -> bool:
    """Whether the store has done what it may have been told before; then that is recorded."""
    found = await channel.returns_named([row.external_id])
    async with acting_for(connection.company_id) as session:
        await returns.take(session, connection, found)
        now = await returns.locked(session, row.id)
        assert now is not None
        if not returns.reached(now.state, row.decision or ""):
            return False
        await returns.decided(session, connection, row.id)
        return True


async def _answered(connection: Connection, row: MarketplaceReturn, result: ReturnResult) -> None:
    if result.again:
        async with acting_for(connection.company_id) as session:
            await _sent(session, row.id, None)
        raise Unavailable(f"the store asks to be told again: {result.message or result.code}")
    await _ended(connection, row, None if result.done else result.message or result.code or "no reason given")


async def _ended(connection: Connection, row: MarketplaceReturn, refused: str | None = None) -> None:
    async with acting_for(connection.company_id) as session:
        await returns.decided(session, connection, row.id, refused)
        await returns_touched(session, connection, [row.external_id])


# --- forgetting -----------------------------------------------------------------------------------------------------


@job(retry=PATIENTLY, name="channels.forget_return_comments")
async def forget_return_comments(company_id: UUID, order_ids: tuple[UUID, ...]) -> None:
    """Hears BuyersRedacted: what these buyers wrote to their returns goes."""
    async with acting_for(company_id) as session:
        await returns.forget_comments(session, order_ids)


async def forget_orphans(session: AsyncSession) -> None:
    """Daily, for all companies: comments of returns whose order never came go by age."""
    await returns.forget_orphans(session, before=clock.now() - timedelta(days=settings().buyer_data_days))
