"""One letter of a vendor's queue, taken in: stored in the inbox of the company whose store it is of.

A letter is the body a webhook would have; `webhooks` of the vendor says which store it is of. It is stored once,
however often it comes.
"""

from prometheus_client import Counter

from shipcrowd.channels import own_keys, webhooks
from shipcrowd.channels.contract import ChannelVendor
from shipcrowd.connections import service as connections
from shipcrowd.kernel.errors import ShipcrowdError
from shipcrowd.kernel.mailbox import Unusable
from shipcrowd.kernel.outbound import Malformed

STRAYS = Counter("shipcrowd_mailbox_strays_total", "Letters of stores nobody connected here", ["vendor"])


async def take(vendor: ChannelVendor, body: bytes) -> None:
    """Store one letter in the inbox of the company whose store it is of.

    Raises Unusable for what cannot be read, and for what is of no store and not about our own keys either: the operator
    has to look. A store nobody connected here is counted, and its letters are done with.
    """
    try:
        store = vendor.webhooks.store({}, body)
        delivery_id, topic = vendor.webhooks.delivery_id({}, body), vendor.webhooks.topic({}, body)
    except (ShipcrowdError, Malformed, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise Unusable(f"unreadable: {type(error).__name__}") from error
    if not all(words.isprintable() for words in (store, delivery_id, topic)):
        # The database takes no NUL and no half of a pair of surrogates: it would come again and again.
        raise Unusable("unreadable: its names hold what no name holds")
    if not store:
        await _about_us(vendor, body, webhooks.topic_of(topic))
        return
    route = await connections.route(vendor.slug, store)
    if route is None or route.released:
        STRAYS.labels(vendor.slug).inc()
        return
    await webhooks.keep(vendor, route, delivery_id=delivery_id, topic=topic, body=body, headers={})


async def _about_us(vendor: ChannelVendor, body: bytes, topic: str) -> None:
    try:
        known = await own_keys.take(vendor, body)
    except (ShipcrowdError, Malformed) as error:
        raise Unusable(f"{topic}: {error}") from error
    if not known:
        raise Unusable(f"{topic} concerns the application, not a store")
