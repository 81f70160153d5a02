"""Which vendors exist, who listens to which event, what runs by the clock: the tables a newcomer reads first."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import failures
from shipcrowd.channels import jobs as channel_jobs
from shipcrowd.channels import open as channel_open
from shipcrowd.channels import vendors as channels
from shipcrowd.channels.contract import ChannelVendor
from shipcrowd.connections import jobs as connection_jobs
from shipcrowd.couriers import vendors as couriers
from shipcrowd.couriers.contract import CourierVendor
from shipcrowd.identity.models import Company
from shipcrowd.integrations import amazon, flipkart, manual, shopify, velocity
from shipcrowd.kernel import clock, events, idempotency, inbox, jobs, pace, tenancy
from shipcrowd.kernel.events import Event
from shipcrowd.kernel.jobs import Job, Schedule, job
from shipcrowd.ledger import jobs as ledger_jobs
from shipcrowd.locations.events import PlaceChanged
from shipcrowd.orders import jobs as order_jobs
from shipcrowd.orders import retention
from shipcrowd.orders.events import BuyersRedacted, OrderCancelAsked
from shipcrowd.settings import settings
from shipcrowd.shipping import forgetting, handing
from shipcrowd.shipping import jobs as shipping_jobs
from shipcrowd.shipping.events import (
    ParcelsReady,
    ShipmentAwbChanged,
    ShipmentBooked,
    ShipmentCancelled,
    ShipmentMoved,
)

CHANNELS: Sequence[ChannelVendor] = (shopify.vendor, amazon.vendor, flipkart.vendor)
COURIERS: Sequence[CourierVendor] = (
    velocity.vendor,
    manual.vendor,
    flipkart.logistics,
    amazon.easy_ship_vendor,
    amazon.shipping_vendor,
)

LISTENERS: Mapping[type[Event], Sequence[Job[...]]] = {
    PlaceChanged: (shipping_jobs.register_place,),
    OrderCancelAsked: (shipping_jobs.cancel_with_order,),
    BuyersRedacted: (forgetting.forget_receivers, channel_jobs.forget_return_comments),
    ShipmentBooked: (channel_jobs.announce,),
    ShipmentMoved: (channel_jobs.progress,),
    ShipmentAwbChanged: (channel_jobs.announce_anew,),
    ShipmentCancelled: (channel_jobs.withdraw,),
    ParcelsReady: (channel_jobs.parcels_ready,),
}


@job(name="wiring.tidy_up", seconds=1800)
async def tidy_up() -> None:
    """Delete what has served its time: job logs, stored answers, full buckets; and set every company's own tidying and
    forgetting going, a page of companies at a time."""
    async with tenancy.unowned() as session:
        await jobs.prune_log(session, older_than=timedelta(days=settings().job_log_days))
        await pace.forget_idle(session)
    await idempotency.forget(_tidying)
    async with _tidying() as session:
        await _set_going(session, [tenancy.PLATFORM_COMPANY])
    after = tenancy.PLATFORM_COMPANY
    while True:
        async with _tidying() as session:
            query = select(Company.id).where(Company.id > after).order_by(Company.id).limit(COMPANIES_AT_ONCE)
            page = (await session.execute(query)).scalars().all()
            await _set_going(session, page)
        if len(page) < COMPANIES_AT_ONCE:
            return
        after = page[-1]


def _tidying() -> AbstractAsyncContextManager[AsyncSession]:
    return tenancy.acting_for_platform(why="tidying up")


async def _set_going(session: AsyncSession, company_ids: Sequence[UUID]) -> None:
    payloads = [{"company_id": company_id} for company_id in company_ids]
    for work in FOR_EACH_COMPANY:
        await jobs.enqueue_many(session, work, payloads, keys=[str(company_id) for company_id in company_ids])


@job(name="wiring.tidy_company")
async def tidy_company(company_id: UUID) -> None:
    """One bounded step through a company's old deliveries and failed items; the next is enqueued with it."""
    now = clock.now()
    kept = timedelta(days=settings().failed_delivery_days)
    failed, sooner = now - kept, retention.strict_cuts(kept, now)
    async with tenancy.acting_for(company_id) as session:
        more = await inbox.forget(session, dealt_with=now - DEALT_WITH, failed=failed, noted=now - NOTED, sooner=sooner)
        more |= await failures.forget_looks(session, failed_before=failed, sooner=sooner)
        if more:
            await tidy_company.enqueue(session, company_id=company_id)


FOR_EACH_COMPANY: Sequence[Job[...]] = (tidy_company, order_jobs.forget_buyers)
"""Once a day for every company."""

COMPANIES_AT_ONCE = 500
DEALT_WITH = timedelta(days=30)
"""Deliveries that were dealt with stay this long: so late may a repeat come, and count for nothing."""
NOTED = timedelta(days=365)
"""What could not be read stays this long as a note of what never got in."""


# Cron lines are read in IST.
SCHEDULES: Sequence[Schedule] = (
    Schedule("* * * * *", shipping_jobs.sweep_tracking),
    Schedule("*/5 * * * *", channel_jobs.sweep_all),
    Schedule("*/5 * * * *", channel_jobs.stock_due),
    Schedule("*/15 * * * *", channel_jobs.read_due),
    Schedule("*/15 * * * *", channel_jobs.returns_due),
    Schedule("*/15 * * * *", channel_jobs.untold_due),
    Schedule("30 5 * * *", channel_jobs.resubscribe_all),
    Schedule("0 3 * * *", tidy_up),
    Schedule("30 3 * * *", channel_jobs.tidy),
    Schedule("45 3 * * *", connection_jobs.forget),
    Schedule("15 4 * * *", forgetting.forget_ended),
    Schedule("15 * * * *", ledger_jobs.check_invariants),
    Schedule("45 * * * *", shipping_jobs.check_books),
    Schedule("*/15 * * * *", handing.refresh_labels),
)


def wire() -> None:
    """Make the tables above known to the modules below them; once a process."""
    channels.use(CHANNELS)
    couriers.use(COURIERS, at_store=channel_open.open_courier)
    events.listen(LISTENERS)


def describe() -> Mapping[str, Any]:
    """What is wired, for `shipcrowd doctor` and the generated reference."""
    return {
        "channels": [vendor.slug for vendor in CHANNELS],
        "couriers": [vendor.slug for vendor in COURIERS],
        "listeners": {event.__name__: [listener.name for listener in heard] for event, heard in LISTENERS.items()},
        "schedules": {schedule.job.name: schedule.cron for schedule in SCHEDULES},
        "jobs": sorted(jobs.REGISTRY),
    }
