"""What a store has still to be told of a parcel, and when it is tried again: pure bookkeeping on the announcement. The
jobs are in `retelling`.

A step is tried for some minutes by its own job. After that the clock takes it up, further and further apart, for a
week. A wish of the seller's (another delivery date, that the parcel is ready) stands until the store has answered it,
whatever happens to the job that told of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import announcements, sweeps
from shipcrowd.channels.announcements import GAVE_UP, LAST_WORDS, MOVED, OVER
from shipcrowd.channels.models import Announcement, AnnouncementState
from shipcrowd.connections.models import Connection
from shipcrowd.kernel import clock
from shipcrowd.kernel.errors import Conflict
from shipcrowd.kernel.ids import new_id
from shipcrowd.shipping import service as shipping
from shipcrowd.shipping.models import Shipment

GONE = ("cancelled", "refused")
"""States of a parcel that will surely not go."""

AGAIN: Sequence[timedelta] = tuple(timedelta(hours=hours) for hours in (1, 2, 4, 8, 24, 24, 24, 24, 24, 24))
"""How long after each failure by the clock the next try is: a week, all in all."""


class StoreNotToldOfIt(Conflict):
    """The store is not told of this parcel, or did not take the news of it."""


# --- tried again ----------------------------------------------------------------------------------------------------


async def put_off(session: AsyncSession, shipment_ids: Sequence[UUID]) -> None:
    """These parcels' store did not answer, however often it was asked: the clock asks again, further apart each time.
    After the last time it is said that nobody does any more."""
    query = select(Announcement).where(Announcement.shipment_id.in_(list(shipment_ids))).order_by(Announcement.id)
    rows = (await session.execute(query.with_for_update().execution_options(populate_existing=True))).scalars().all()
    for row in rows:
        if row.agains < len(AGAIN):
            row.again_at, row.agains = clock.now() + AGAIN[row.agains], row.agains + 1
        else:
            row.again_at, row.last_error = None, row.last_error or GAVE_UP
            await announcements.alert(session, row, GAVE_UP)


# --- wishes ---------------------------------------------------------------------------------------------------------


async def wish_date(session: AsyncSession, connection: Connection, shipment_id: UUID, expected: datetime) -> None:
    """The store is to be told that a parcel comes on another day; a later wish takes the place of one not told yet.
    Raises StoreNotToldOfIt."""
    facts = await shipping.dispatch_facts(session, shipment_id)
    if facts is None or facts.order_external_ref is None or not sweeps.settings_of(connection).announce:
        raise StoreNotToldOfIt
    await _wish(session, connection, {shipment_id: facts.order_external_ref}, expected_at=expected)
    dead = (AnnouncementState.refused.value, AnnouncementState.withdrawn.value)
    found = await session.scalar(select(Announcement.state).where(Announcement.shipment_id == shipment_id))
    if found in dead:
        raise StoreNotToldOfIt(f"the news of it was {found}")


async def wish_ready(session: AsyncSession, connection: Connection, parcels: Mapping[UUID, str]) -> None:
    """The marketplace is to be told that these parcels (id → their order's reference) are ready."""
    await _wish(session, connection, parcels, ready_asked_at=clock.now())


async def _wish(session: AsyncSession, connection: Connection, parcels: Mapping[UUID, str], **wished: datetime) -> None:
    values = [
        {
            "company_id": connection.company_id,
            "id": new_id(),
            "shipment_id": shipment_id,
            "connection_id": connection.id,
            "order_ref": order_ref,
            "created_at": clock.now(),
            **wished,
        }
        for shipment_id, order_ref in sorted(parcels.items())
    ]
    if values:
        made = insert(Announcement).values(values)
        key = [Announcement.company_id, Announcement.shipment_id]
        await session.execute(made.on_conflict_do_update(index_elements=key, set_=wished))


async def ready_answered(session: AsyncSession, shipment_ids: Sequence[UUID]) -> None:
    """The marketplace took these for ready, or refused to, or they went meanwhile."""
    answered = update(Announcement).where(Announcement.shipment_id.in_(list(shipment_ids)))
    await session.execute(answered.values(ready_asked_at=None))


async def still_ready(session: AsyncSession, shipment_ids: Sequence[UUID]) -> Sequence[UUID]:
    """Of these, the parcels whose marketplace has not answered yet."""
    query = select(Announcement.shipment_id).where(
        Announcement.shipment_id.in_(list(shipment_ids)), Announcement.ready_asked_at.is_not(None)
    )
    return (await session.execute(query)).scalars().all()


# --- reading --------------------------------------------------------------------------------------------------------


def waiting(connection_id: UUID) -> Select[UUID]:
    """Shipments whose store has not been told yet."""
    return select(Announcement.shipment_id).where(
        Announcement.connection_id == connection_id, Announcement.state == AnnouncementState.pending.value
    )


def behind(connection_id: UUID) -> Select[UUID]:
    """Parcels the store knows of that moved on since it was told of them last."""
    return (
        select(Announcement.shipment_id)
        .join(Shipment, (Shipment.company_id == Announcement.company_id) & (Shipment.id == Announcement.shipment_id))
        .where(
            Announcement.connection_id == connection_id,
            Announcement.state == AnnouncementState.sent.value,
            Announcement.dispatch_ref.is_not(None),
            Announcement.last_milestone.is_(None) | Announcement.last_milestone.not_in(LAST_WORDS),
            Announcement.last_milestone_at.is_(None) | (Announcement.last_milestone_at < Shipment.moved_at),
            Shipment.state.in_(MOVED),
        )
    )


def to_correct(connection_id: UUID) -> Select[UUID]:
    """Parcels the store knows by a wrong AWB."""
    return select(Announcement.shipment_id).where(
        Announcement.connection_id == connection_id,
        Announcement.state == AnnouncementState.sent.value,
        Announcement.wrong_awb,
    )


def to_withdraw(connection_id: UUID) -> Select[UUID]:
    """Parcels that will not go, of which the store was told and never that they do not."""
    return (
        select(Announcement.shipment_id)
        .join(Shipment, (Shipment.company_id == Announcement.company_id) & (Shipment.id == Announcement.shipment_id))
        .where(
            Announcement.connection_id == connection_id,
            Announcement.state == AnnouncementState.sent.value,
            Announcement.last_error == "",
            Shipment.state.in_(GONE),
        )
    )


def dates_of(connection_id: UUID) -> Select[UUID]:
    """Parcels whose store has to be told of another date."""
    return select(Announcement.shipment_id).where(
        Announcement.connection_id == connection_id, Announcement.expected_at.is_not(None)
    )


def ready_of(connection_id: UUID) -> Select[UUID]:
    """Parcels whose marketplace has to be told that they are ready."""
    return select(Announcement.shipment_id).where(
        Announcement.connection_id == connection_id, Announcement.ready_asked_at.is_not(None)
    )


async def due(session: AsyncSession, shipment_id: UUID) -> tuple[UUID, Sequence[str]] | None:
    """The store of a parcel, and the names of the steps it may have to be told, in their order."""
    row = await session.scalar(select(Announcement).where(Announcement.shipment_id == shipment_id))
    facts = await shipping.dispatch_facts(session, shipment_id)
    if row is None or facts is None:
        return None
    steps = ["ready"] if row.ready_asked_at is not None else []
    if facts.state in OVER:
        steps.append("withdraw")
    elif row.state == AnnouncementState.pending:
        steps.append("announce")
    else:
        steps += [*(["anew"] if row.wrong_awb else []), "progress", "date"]
    return row.connection_id, steps
