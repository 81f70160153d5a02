"""Where Amazon writes its notifications, and which of them: one destination for the application, and a subscription
for each seller and type. Run again and again: what is missing is made again. Source: notifications v1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

import structlog

from shipcrowd.integrations.amazon import lwa
from shipcrowd.integrations.amazon import notifications as words
from shipcrowd.integrations.amazon.client import AmazonClient
from shipcrowd.integrations.amazon.operations import (
    CREATE_DESTINATION,
    CREATE_SUBSCRIPTION,
    DELETE_SUBSCRIPTION,
    GET_DESTINATIONS,
    GET_SUBSCRIPTION,
)
from shipcrowd.integrations.amazon.raw import objects, reading, text, within
from shipcrowd.integrations.amazon.refusals import NotDone
from shipcrowd.kernel import clock
from shipcrowd.kernel.outbound import Json, Malformed

log = structlog.get_logger(__name__)

NAME = "shipcrowd"
REMEMBERED = timedelta(hours=1)


@dataclass(frozen=True)
class Kind:
    """How a type is subscribed to."""

    version: str = "1.0"
    only: Mapping[str, Json] = field(default_factory=dict[str, Json])


KINDS: Mapping[str, Kind] = {
    words.ORDER_CHANGE: Kind(
        only={
            "eventFilter": {
                "eventFilterType": "ORDER_CHANGE",
                "orderChangeTypes": ["OrderStatusChange", "BuyerRequestedChange"],
            }
        }
    ),
    words.FEED_FINISHED: Kind("2020-09-04"),
    words.REPORT_FINISHED: Kind("2020-09-04"),
    words.FBA_SHIPMENT: Kind(),
    words.FBA_STOCK: Kind(),
}
"""What we want of each seller. The types about listings come over EventBridge only, and are not among them."""


class _Destinations:
    """The application's destination for a queue: the daily check of many sellers does not ask for it each time."""

    known: ClassVar[dict[tuple[str, str], tuple[datetime, str]]] = {}


async def reconcile(client: AmazonClient) -> list[str]:
    """Make the seller's subscriptions lead to our queue; the types in force, none where no queue is set up.

    A type Amazon refuses (for want of a role) does not keep the others from being made; only when none is in force
    the refusal is raised.
    """
    if not client.app.queue_arn:
        return []
    destination = await _destination(client)
    in_force: list[str] = []
    refusal: NotDone | None = None
    for kind in KINDS:
        try:
            await _subscribe(client, kind, destination)
            in_force.append(kind)
        except NotDone as refused:
            log.warning("amazon_subscription_refused", topic=kind, why=refused.code)
            refusal = refused
    if not in_force and refusal is not None:
        raise refusal
    return in_force


async def remove_all(client: AmazonClient) -> None:
    """Remove the seller's subscriptions of our types. The destination stays: it is every seller's."""
    for kind in KINDS:
        found = await _present(client, kind)
        if found is not None:
            await _remove(client, kind, found[0])


def forget_destinations() -> None:
    """Drop what this process knows of destinations."""
    _Destinations.known.clear()


async def _subscribe(client: AmazonClient, kind: str, destination: str) -> None:
    found = await _present(client, kind)
    if found is not None:
        subscription, leads_to, version = found
        if (leads_to, version) == (destination, KINDS[kind].version):
            return
        await _remove(client, kind, subscription)
    body: dict[str, Json] = {"payloadVersion": KINDS[kind].version, "destinationId": destination}
    if KINDS[kind].only:
        body["processingDirective"] = dict(KINDS[kind].only)
    try:
        await client.call(CREATE_SUBSCRIPTION, path={"notificationType": kind}, body=body)
    except NotDone as refused:
        # Made meanwhile, by another process or by a try whose answer was lost.
        if refused.status != 409 or await _present(client, kind) is None:
            raise


async def _present(client: AmazonClient, kind: str) -> tuple[str, str, str] | None:
    """The subscription's id, where it leads to, and its version."""
    try:
        answer = await client.call(GET_SUBSCRIPTION, path={"notificationType": kind})
    except NotDone as refused:
        if refused.status == 404:
            return None
        raise
    found = within(answer, "payload")
    if not found.get("subscriptionId"):
        return None
    return (
        text(found["subscriptionId"]),
        text(found.get("destinationId")),
        text(found.get("payloadVersion")) or KINDS[kind].version,
    )


async def _remove(client: AmazonClient, kind: str, subscription: str) -> None:
    try:
        await client.call(DELETE_SUBSCRIPTION, path={"notificationType": kind, "subscriptionId": subscription})
    except NotDone as refused:
        if refused.status != 404:
            raise


async def _destination(client: AmazonClient) -> str:
    arn = client.app.queue_arn
    key = (lwa.keys(client.app, await client.credentials()).client_id, arn)
    known = _Destinations.known.get(key)
    if known is not None and clock.now() - known[0] < REMEMBERED:
        return known[1]
    found = await _listed(client, arn) or await _created(client, arn)
    _Destinations.known[key] = (clock.now(), found)
    return found


async def _listed(client: AmazonClient, arn: str) -> str | None:
    answer = await client.call(GET_DESTINATIONS)
    for each in objects(answer.get("payload")):
        if text(within(each, "resource", "sqs").get("arn")) == arn:
            return text(each.get("destinationId")) or None
    return None


async def _created(client: AmazonClient, arn: str) -> str:
    body = {"name": NAME, "resourceSpecification": {"sqs": {"arn": arn}}}
    try:
        answer = await client.call(CREATE_DESTINATION, body=body)
    except NotDone as refused:
        found = await _listed(client, arn) if refused.status == 409 else None
        if found is None:
            raise
        return found
    made = within(answer, "payload")
    with reading("destination", made):
        destination = text(made["destinationId"])
    if not destination:
        raise Malformed("Amazon made a destination without an id")
    return destination
