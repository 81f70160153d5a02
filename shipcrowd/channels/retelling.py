"""Telling stores again what they could not be told: by the clock, and all at once when a store is back."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import structlog
from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import untold
from shipcrowd.channels.announcing import announce, announce_anew, progress, tell_date, withdraw
from shipcrowd.channels.dispatching import enqueue_ready, mark_dispatched
from shipcrowd.channels.models import Announcement
from shipcrowd.connections.models import Connection, Status
from shipcrowd.kernel import batches, clock, tenancy
from shipcrowd.kernel.jobs import Job, enqueue_many, job
from shipcrowd.kernel.outbound import OutsideFailure
from shipcrowd.kernel.tenancy import acting_for

log = structlog.get_logger(__name__)

STEPS: Mapping[str, Job[[UUID, UUID]]] = {
    "announce": announce,
    "anew": announce_anew,
    "progress": progress,
    "date": tell_date,
    "withdraw": withdraw,
}


@job(name="channels.tell_again", seconds=600)
async def tell_again(company_id: UUID, shipment_id: UUID) -> None:
    """Once more everything a store has not heard of a parcel; where it does not answer, later again."""
    async with acting_for(company_id) as session:
        found = await untold.due(session, shipment_id)
    if found is None:
        return
    connection_id, steps = found
    try:
        for step in steps:
            if step == "ready":
                await mark_dispatched.run(company_id, connection_id, [shipment_id])
            else:
                await STEPS[step].run(company_id, shipment_id)
    except OutsideFailure as failure:
        log.warning("a store could not be told again", shipment=str(shipment_id), because=type(failure).__name__)
        async with acting_for(company_id) as session:
            await untold.put_off(session, [shipment_id])


@tell_again.exhausted
async def _not_told(company_id: UUID, shipment_id: UUID) -> None:
    async with acting_for(company_id) as session:
        await untold.put_off(session, [shipment_id])


@job(name="channels.untold_due")
async def untold_due() -> None:
    """By the clock: the parcels whose store is to be told again, page by page. Those of a store that cannot be used
    wait for it."""
    while True:
        async with tenancy.acting_for_platform(why="tell stores again") as session:
            due = (
                select(Announcement.company_id, Announcement.id)
                .join(
                    Connection,
                    (Connection.company_id == Announcement.company_id) & (Connection.id == Announcement.connection_id),
                )
                .where(Announcement.again_at <= clock.now(), Connection.status == Status.connected.value)
                .order_by(Announcement.again_at)
                .limit(batches.AT_ONCE)
                .with_for_update(skip_locked=True, of=Announcement)
            ).cte("due")
            rows = await session.execute(
                update(Announcement)
                .where(Announcement.company_id == due.c.company_id, Announcement.id == due.c.id)
                .values(again_at=None)
                .returning(Announcement.company_id, Announcement.shipment_id)
            )
            found = [{"company_id": row.company_id, "shipment_id": row.shipment_id} for row in rows]
            await enqueue_many(session, tell_again, found, keys=[str(each["shipment_id"]) for each in found])
        if len(found) < batches.AT_ONCE:
            return


async def go_on(session: AsyncSession, connection: Connection) -> None:
    """The store may be used (again): tell it everything it has not heard, however much that is."""
    for work, query in (
        (withdraw, untold.to_withdraw(connection.id)),
        (announce, untold.waiting(connection.id)),
        (announce_anew, untold.to_correct(connection.id)),
        (progress, untold.behind(connection.id)),
        (tell_date, untold.dates_of(connection.id)),
    ):
        await _each(session, connection, work, query)
    async for page in batches.ids(session, untold.ready_of(connection.id), Announcement.shipment_id):
        await enqueue_ready(session, connection, page)


async def _each(session: AsyncSession, connection: Connection, work: Job[[UUID, UUID]], query: Select[UUID]) -> None:
    company_id = connection.company_id
    async for page in batches.ids(session, query, Announcement.shipment_id):
        await enqueue_many(session, work, _payloads(company_id, page), keys=[f"{company_id}:{each}" for each in page])


def _payloads(company_id: UUID, shipment_ids: Sequence[UUID]) -> list[Mapping[str, UUID]]:
    return [{"company_id": company_id, "shipment_id": shipment_id} for shipment_id in shipment_ids]
