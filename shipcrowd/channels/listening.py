"""Vendors' queues, read by the workers: what stands in them enters where webhooks do.

A letter leaves its queue once it is stored: in the inbox of its company (`taking`), or among those that could not be
handled (`letters`). The queue behind it, where one is set up, is read as well: the queue itself puts there what was
given out too often, which after a bad hour of ours are good letters.
"""

import asyncio
from dataclasses import replace

import structlog

from shipcrowd.channels import letters, vendors
from shipcrowd.channels.contract import ChannelVendor
from shipcrowd.channels.open import app_settings
from shipcrowd.channels.taking import take
from shipcrowd.kernel import mailbox

log = structlog.get_logger(__name__)


async def listen(stop: asyncio.Event) -> None:
    """Read every vendor's queue that is set up, until `stop` is set; not before, even where none is."""
    boxes = [(vendor, box) for vendor in vendors.vendors() if (box := vendor.mailbox(app_settings(vendor))) is not None]
    behind = [
        (vendor, replace(box, url=box.failed_url, failed_url=None, consumers=1))
        for vendor, box in boxes
        if box.failed_url is not None
    ]

    async def read(vendor: ChannelVendor, box: mailbox.Mailbox) -> None:
        async def handle(body: bytes) -> None:
            await take(vendor, body)

        async def keep(body: bytes, because: str) -> None:
            await letters.keep(vendor, body, because)

        log.info("listening", vendor=vendor.slug, consumers=box.consumers)
        await mailbox.consume(vendor.slug, box, handle, keep, stop)

    await asyncio.gather(*(read(vendor, box) for vendor, box in [*boxes, *behind]))
    await stop.wait()
