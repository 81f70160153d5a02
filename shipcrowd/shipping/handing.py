"""Between the label and the pickup: labels that end are fetched again before they do, and parcels that lie there with
one for too long are pointed out."""

from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import select, update

from shipcrowd.couriers import vendors
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.jobs import enqueue_many, job, on
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable
from shipcrowd.orders import service as orders
from shipcrowd.shipping import labels, tracking
from shipcrowd.shipping.accounts import NoCourierAccount
from shipcrowd.shipping.models import Shipment, State

log = structlog.get_logger(__name__)

FETCH_AGAIN = timedelta(hours=2)
"""This long before a label ends another is fetched."""
LATE_AFTER = timedelta(hours=20)
"""A parcel of a courier whose labels end, and that still lies there this long after it was packed, is pointed out:
whether its label came or not."""
AFTER_TROUBLE = timedelta(hours=1)
AT_ONCE = 500
WAITING = (State.pickup_pending, State.pickup_failed)


@job(name="shipping.refresh_labels")
async def refresh_labels() -> None:
    """By the clock: labels that are about to end, of parcels that were not picked up; and parcels that lie too long."""
    now = clock.now()
    async with tenancy.acting_for_platform(why="labels that end") as session:
        ending = await session.execute(
            select(Shipment.company_id, Shipment.id)
            .where(Shipment.label_until <= now + FETCH_AGAIN, Shipment.state.in_(WAITING))
            .order_by(Shipment.label_until)
            .limit(AT_ONCE)
        )
        payloads = [{"company_id": row.company_id, "shipment_id": row.id} for row in ending]
        keys = [str(payload["shipment_id"]) for payload in payloads]
        await enqueue_many(session, refresh_label, payloads, keys=keys)
        late = (
            select(Shipment.company_id, Shipment.id)
            .where(
                Shipment.courier.in_([vendor.slug for vendor in vendors.vendors() if vendor.label_hours]),
                Shipment.state.in_(WAITING),
                Shipment.late_told_at.is_(None),
                Shipment.booked_at <= now - LATE_AFTER,
            )
            .order_by(Shipment.booked_at)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        ).cte("late")
        found = await session.execute(
            update(Shipment)
            .where(Shipment.company_id == late.c.company_id, Shipment.id == late.c.id)
            .values(late_told_at=now)
            .returning(Shipment.company_id, Shipment.id)
        )
        lying = [{"company_id": row.company_id, "shipment_id": row.id} for row in found]
        await enqueue_many(session, point_out, lying, keys=[str(each["shipment_id"]) for each in lying])


@job(retry=on(Unavailable, Malformed, times=6, first=60), name="shipping.refresh_label")
async def refresh_label(company_id: UUID, shipment_id: UUID) -> None:
    """Fetch a label that is about to end once more; the old one is printed until the new one is there."""
    try:
        await labels.fetch(company_id, shipment_id, good_until=clock.now() + FETCH_AGAIN)
    except (Refused, Disconnected, NoCourierAccount) as failure:
        log.warning("label not fetched again", shipment=str(shipment_id), because=type(failure).__name__)
        await _later(company_id, shipment_id)


@refresh_label.exhausted
async def _later(company_id: UUID, shipment_id: UUID) -> None:
    """It cannot be fetched now. Those of a store that is gone must not keep everybody else's waiting."""
    async with tenancy.acting_for(company_id) as session:
        ending = update(Shipment).where(Shipment.id == shipment_id, Shipment.label_until.is_not(None))
        await session.execute(ending.values(label_until=clock.now() + FETCH_AGAIN + AFTER_TROUBLE))


@job(name="shipping.point_out")
async def point_out(company_id: UUID, shipment_id: UUID) -> None:
    """Put on the order's timeline that its parcel was packed long ago and is not on its way."""
    hours = int(LATE_AFTER.total_seconds() // 3600)
    await _tell(company_id, shipment_id, "not_dispatched", f"packed {hours} hours ago and not handed over yet")


async def _tell(company_id: UUID, shipment_id: UUID, kind: str, words: str) -> None:
    async with tenancy.acting_for(company_id) as session:
        found = await tracking.locked(session, shipment_id)
        if found is not None and found[1].state in WAITING:
            order, shipment = found
            details = {"shipment_id": str(shipment_id)}
            orders.tell(session, order, kind, f"{shipment.number}: {words}", actor="system", details=details)
