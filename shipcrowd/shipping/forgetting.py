"""Receivers are forgotten with their orders' buyers.

The rule: a parcel that ended forgets its receiver at once. A parcel still under way keeps what its courier needs, the
sealed receiver and the label, until it ends; then the daily job takes them. What the courier does not need goes at once
even so: remarks of scans, and neither remarks nor a proof of delivery are taken in any more. A parcel whose state has
not changed for as long as buyers are kept at all counts as ended. AWB, weights, charges, city, state and pincode stay.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.couriers import vendors
from shipcrowd.documents import keeping
from shipcrowd.kernel import clock, crypto, inbox, tenancy
from shipcrowd.kernel.events import IDS_A_MESSAGE
from shipcrowd.kernel.inbox import Naming
from shipcrowd.kernel.jobs import enqueue_many, job, on
from shipcrowd.pincodes.address import Address
from shipcrowd.settings import settings
from shipcrowd.shipping.booking import about
from shipcrowd.shipping.labels import key_of
from shipcrowd.shipping.models import ENDED, TO_FORGET, ScanRow, Shipment
from shipcrowd.shipping.papers import invoice_key_of

SWEEP = 1000
"""Parcels a transaction of the daily job looks at."""

PATIENTLY = on(Exception, times=8, first=2.0)
"""The database's bad moment, and the document store's."""


@job(retry=PATIENTLY)
async def forget_receivers(company_id: UUID, order_ids: tuple[UUID, ...]) -> None:
    """The buyers of these orders are forgotten: so are the receivers of their parcels, each when its time has come."""
    async with tenancy.acting_for(company_id) as session:
        shipment_ids = await _ask(session, order_ids)
        unread = await _couriers_news(session, shipment_ids)
        await _hand_out(session, {company_id: shipment_ids})
        for (owner, courier), chunk in unread.items():
            await empty_unread.enqueue(
                session, company_id=owner, courier=courier, of_company_id=company_id, shipment_ids=tuple(chunk)
            )


async def _ask(session: AsyncSession, order_ids: Sequence[UUID]) -> Sequence[UUID]:
    """Note that these orders' parcels are to forget their receivers, and take what no courier needs."""
    company_id = tenancy.company_of(session)
    query = select(Shipment.id).where(Shipment.company_id == company_id, Shipment.order_id.in_(list(order_ids)))
    shipment_ids = (await session.execute(query.order_by(Shipment.id).with_for_update())).scalars().all()
    await session.execute(
        update(Shipment)
        .where(Shipment.company_id == company_id, Shipment.id.in_(shipment_ids), Shipment.redact_asked_at.is_(None))
        .values(redact_asked_at=clock.now())
    )
    await session.execute(
        update(ScanRow)
        .where(ScanRow.company_id == company_id, ScanRow.shipment_id.in_(shipment_ids), ScanRow.remark != "")
        .values(remark="")
    )
    return shipment_ids


@job(retry=PATIENTLY)
async def forget_shipments(company_id: UUID, shipment_ids: tuple[UUID, ...]) -> None:
    """Take the receivers of those of these parcels (at most 100) that no courier needs them for any more."""
    async with tenancy.acting_for(company_id) as session:
        query = select(Shipment).where(
            Shipment.company_id == company_id, Shipment.id.in_(shipment_ids), text(TO_FORGET), _over()
        )
        found = (await session.execute(query.order_by(Shipment.id).with_for_update())).scalars().all()
        for shipment in found:
            nobody = Address().model_dump_json().encode()
            shipment.pii = crypto.keyring().seal(nobody, about(company_id, shipment.id))
            shipment.pod = None
            shipment.reason = None  # the courier's words
            shipment.redacted_at = shipment.redacted_at or clock.now()
        papers = [each.id for each in found if each.label_key or each.label_url or _may_have_papers(each)]
    # Only now: whoever stores one after this sees that it must not stay (`labels.fetch`, `papers.fetch_invoice`).
    for shipment_id in papers:
        await keeping.store().delete(key_of(company_id, shipment_id))
        await keeping.store().delete(invoice_key_of(company_id, shipment_id))
    async with tenancy.acting_for(company_id) as session:
        await session.execute(
            update(Shipment)
            .where(Shipment.company_id == company_id, Shipment.id.in_(papers))
            .values(label_key=None, label_url=None, label_until=None, invoice_key=None)
        )


def _may_have_papers(shipment: Shipment) -> bool:
    """Also where the row knows of none: whoever stored one may have died before it wrote that down."""
    return shipment.awb is not None and bool(vendors.vendor(shipment.courier).papers)


def _over() -> ColumnElement[bool]:
    silent = clock.now() - timedelta(days=settings().buyer_data_days)
    return or_(Shipment.redacted_at.is_not(None), Shipment.state.in_(ENDED), Shipment.moved_at < silent)


@job(seconds=1800)
async def forget_ended() -> None:
    """Daily: parcels that were to forget their receivers and were still under way, and have ended since."""
    after: tuple[UUID, UUID] | None = None
    while True:
        query = (
            select(Shipment.company_id, Shipment.id, _over().label("over"))
            .where(text(TO_FORGET))
            .order_by(Shipment.company_id, Shipment.id)
            .limit(SWEEP)
        )
        if after is not None:
            query = query.where(tuple_(Shipment.company_id, Shipment.id) > tuple_(*after))
        async with tenancy.acting_for_platform(why="forget receivers of ended parcels") as session:
            page = (await session.execute(query)).all()
            due: Mapping[UUID, list[UUID]] = defaultdict(list)
            for row in page:
                if row.over:
                    due[row.company_id].append(row.id)
            await _hand_out(session, due)
        if len(page) < SWEEP:
            return
        after = (page[-1].company_id, page[-1].id)


async def _hand_out(session: AsyncSession, due: Mapping[UUID, Sequence[UUID]]) -> None:
    payloads = [
        {"company_id": company_id, "shipment_ids": tuple(ids[start : start + IDS_A_MESSAGE])}
        for company_id, ids in due.items()
        for start in range(0, len(ids), IDS_A_MESSAGE)
    ]
    await enqueue_many(session, forget_shipments, payloads)


# --- couriers' news nobody could read -------------------------------------------------------------------------------


async def _couriers_news(session: AsyncSession, shipment_ids: Sequence[UUID]) -> Mapping[tuple[UUID, str], list[UUID]]:
    """(owner of the courier account, courier) → the parcels booked with it. News that was read has no body any more."""
    query = select(Shipment.id, Shipment.account_company_id, Shipment.courier).where(
        Shipment.company_id == tenancy.company_of(session), Shipment.id.in_(shipment_ids), Shipment.awb.is_not(None)
    )
    found: Mapping[tuple[UUID, str], list[UUID]] = defaultdict(list)
    for row in await session.execute(query):
        found[(row.account_company_id, row.courier)].append(row.id)
    return found


@job(retry=PATIENTLY)
async def empty_unread(
    company_id: UUID,
    courier: str,
    of_company_id: UUID,
    shipment_ids: tuple[UUID, ...],
    after: UUID | None = None,
) -> None:
    """One step through the courier news of `company_id` that could not be read: what names these parcels of
    `of_company_id` is emptied. The platform's shared accounts get news of everybody's parcels."""
    async with tenancy.acting_for(of_company_id) as session:
        query = select(Shipment.awb, Shipment.id).where(Shipment.id.in_(shipment_ids), Shipment.awb.is_not(None))
        names = [name for row in await session.execute(query) for name in (row.awb, str(row.id))]
    async with tenancy.acting_for(company_id) as session:
        following = await inbox.empty_failed(session, vendor=courier, naming=Naming(words=tuple(names)), after=after)
        if following is not None:
            await empty_unread.enqueue(
                session,
                company_id=company_id,
                courier=courier,
                of_company_id=of_company_id,
                shipment_ids=shipment_ids,
                after=following,
            )
