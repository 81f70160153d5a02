"""What stands in the database, as the tests ask for it."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select

from shipcrowd.channels.models import Announcement, FailedItem, StoreSync, SyncEntry
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection
from shipcrowd.kernel import db, inbox, tenancy
from shipcrowd.orders.models import Order


async def connection(company: UUID, connection_id: UUID) -> Connection:
    async with tenancy.acting_for(company) as session:
        return await connections.get(session, connection_id)


async def sync(company: UUID, connection_id: UUID) -> StoreSync:
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(StoreSync).where(StoreSync.id == connection_id))).scalar_one()


async def order_numbers(company: UUID) -> list[str]:
    async with tenancy.acting_for(company) as session:
        return sorted((await session.execute(select(Order.number))).scalars())


async def one_order(company: UUID, external_id: str) -> Order:
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(Order).where(Order.external_id == external_id))).scalar_one()


async def deliveries(company: UUID) -> Sequence[inbox.Delivery]:
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(inbox.Delivery).order_by(inbox.Delivery.received_at))).scalars().all()


async def every_delivery() -> int:
    async with tenancy.acting_for_platform(why="test") as session:
        return (await session.execute(select(func.count()).select_from(inbox.Delivery))).scalar_one()


async def failed(company: UUID) -> Sequence[FailedItem]:
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(FailedItem).order_by(FailedItem.external_id))).scalars().all()


async def log(company: UUID, what: str = "orders") -> Sequence[SyncEntry]:
    async with tenancy.acting_for(company) as session:
        query = select(SyncEntry).where(SyncEntry.what == what).order_by(SyncEntry.started_at)
        return (await session.execute(query)).scalars().all()


async def announcements(company: UUID) -> Sequence[Announcement]:
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(Announcement))).scalars().all()


async def only(company: UUID) -> None:
    """Leave this company's jobs in the queue: what is run by the clock is run for the stores of other tests as well."""
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute(
            "DELETE FROM pgqueuer WHERE headers ->> 'company' IS DISTINCT FROM $1", str(company)
        )


async def jobs_waiting(company: UUID) -> int:
    async with tenancy.unowned() as session:
        return await (await db.driver(session)).fetchval(
            "SELECT count(*) FROM pgqueuer WHERE status IN ('queued', 'picked') AND headers ->> 'company' = $1",
            str(company),
        )
