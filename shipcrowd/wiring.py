"""Which vendors exist, who listens to which event, what runs by the clock: the tables a newcomer reads first."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from shipcrowd.channels import jobs as channel_jobs
from shipcrowd.channels import vendors as channels
from shipcrowd.channels.contract import ChannelVendor
from shipcrowd.connections import jobs as connection_jobs
from shipcrowd.couriers import vendors as couriers
from shipcrowd.couriers.contract import CourierVendor
from shipcrowd.integrations import amazon, manual, shopify, velocity
from shipcrowd.kernel import events, idempotency, inbox, jobs, pace, tenancy
from shipcrowd.kernel.events import Event
from shipcrowd.kernel.jobs import Job, Schedule, job
from shipcrowd.ledger import jobs as ledger_jobs
from shipcrowd.locations.events import PlaceChanged
from shipcrowd.orders.events import OrderCancelAsked
from shipcrowd.settings import settings
from shipcrowd.shipping import jobs as shipping_jobs
from shipcrowd.shipping.events import ShipmentBooked, ShipmentCancelled, ShipmentMoved

CHANNELS: Sequence[ChannelVendor] = (shopify.vendor, amazon.vendor)
COURIERS: Sequence[CourierVendor] = (velocity.vendor, manual.vendor)

LISTENERS: Mapping[type[Event], Sequence[Job[...]]] = {
    PlaceChanged: (shipping_jobs.register_place,),
    OrderCancelAsked: (shipping_jobs.cancel_with_order,),
    ShipmentBooked: (channel_jobs.announce,),
    ShipmentMoved: (channel_jobs.progress,),
    ShipmentCancelled: (channel_jobs.withdraw,),
}


@job(name="wiring.tidy_up")
async def tidy_up() -> None:
    """Delete what has served its time: job logs, stored answers, dealt-with webhooks, full buckets."""
    async with tenancy.unowned() as session:
        await jobs.prune_log(session, older_than=timedelta(days=settings().job_log_days))
        await pace.forget_idle(session)
    async with tenancy.acting_for_platform(why="tidying up") as session:
        await idempotency.forget(session)
        await inbox.forget(session, older_than=timedelta(days=30))


# Cron lines are read in IST.
SCHEDULES: Sequence[Schedule] = (
    Schedule("* * * * *", shipping_jobs.sweep_tracking),
    Schedule("*/5 * * * *", channel_jobs.sweep_all),
    Schedule("30 5 * * *", channel_jobs.resubscribe_all),
    Schedule("0 3 * * *", tidy_up),
    Schedule("30 3 * * *", channel_jobs.tidy),
    Schedule("45 3 * * *", connection_jobs.forget),
    Schedule("15 * * * *", ledger_jobs.check_invariants),
    Schedule("45 * * * *", shipping_jobs.check_books),
)


def wire() -> None:
    """Make the tables above known to the modules below them; once a process."""
    channels.use(CHANNELS)
    couriers.use(COURIERS)
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
