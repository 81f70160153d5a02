"""What Amazon's notifications say, in either of their two spellings. Pure.

The older types write `NotificationType`, the newer ones `notificationType`: names are compared without case. The body
of a queue's message is the notification itself, with no envelope around it. Source: the official schemas.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shipcrowd.channels.contract import (
    ChannelEvent,
    FeedFinished,
    ListingsReady,
    MarketplaceStockChanged,
    NothingToDo,
    OrderTouched,
)
from shipcrowd.integrations.amazon import reports
from shipcrowd.integrations.amazon.raw import obj, shown, text
from shipcrowd.kernel.outbound import Json, Malformed, read_json

ORDER_CHANGE = "ORDER_CHANGE"
FEED_FINISHED = "FEED_PROCESSING_FINISHED"
REPORT_FINISHED = "REPORT_PROCESSING_FINISHED"
FBA_SHIPMENT = "FBA_OUTBOUND_SHIPMENT_STATUS"
FBA_STOCK = "FBA_INVENTORY_AVAILABILITY_CHANGES"
NEW_SECRET = "APPLICATION_OAUTH_CLIENT_NEW_SECRET"  # noqa: S105 - a notification's name
SECRET_EXPIRES = "APPLICATION_OAUTH_CLIENT_SECRET_EXPIRY"  # noqa: S105 - a notification's name

MERCHANT = "amzn1.merchant.o."
"""How the id of a seller's account begins; the merchant token follows."""

ABOUT_AN_ORDER = frozenset({ORDER_CHANGE, FBA_SHIPMENT})
ABOUT_THE_APPLICATION = frozenset({NEW_SECRET, SECRET_EXPIRES})


@dataclass(frozen=True)
class Notification:
    """`id` is the same however often it is delivered. `seller` is blank for what concerns the application. `about`
    holds the fields of the payload, their names in lower case."""

    type: str
    id: str
    seller: str
    about: Mapping[str, Json]

    @property
    def order(self) -> str:
        return text(self.about.get("amazonorderid"))


def read(body: bytes) -> Notification:
    """Raises Malformed for what is no notification of Amazon's."""
    raw = _lower(read_json(body))
    kind = text(raw.get("notificationtype"))
    if not kind:
        raise Malformed("a notification without a type", shown(raw))
    about = _about(raw.get("payload"))
    metadata = _lower(raw.get("notificationmetadata"))
    return Notification(kind, text(metadata.get("notificationid")), _seller(about), about)


def events(notification: Notification) -> list[ChannelEvent]:
    """What it means for a store. An order is never taken from a notification: it is a hint to read the order."""
    if notification.type in ABOUT_AN_ORDER:
        if not notification.order:
            raise Malformed(f"{notification.type} names no order", shown(dict(notification.about)))
        return [OrderTouched(notification.order)]
    about = notification.about
    if notification.type == FEED_FINISHED:
        feed = text(about.get("feedid"))
        if not feed:
            raise Malformed("a feed's end names no feed", shown(dict(about)))
        return [FeedFinished(feed)]
    if notification.type == FBA_STOCK:
        return [MarketplaceStockChanged()]
    if notification.type == REPORT_FINISHED and text(about.get("reporttype")) == reports.LISTINGS:
        return [ListingsReady()]
    return [NothingToDo(notification.type)]


def _seller(about: Mapping[str, Json]) -> str:
    """The merchant token; where only the account is named, it is the end of that."""
    account = text(about.get("accountid"))
    named = account.removeprefix(MERCHANT) if account.startswith(MERCHANT) else ""
    return text(about.get("sellerid")) or named


def _about(payload: Json) -> dict[str, Json]:
    """The payload's fields, whether they stand in it or in the one object inside it."""
    fields = _lower(payload)
    if "sellerid" in fields or len(fields) != 1:
        return fields
    [inner] = fields.values()
    return _lower(inner) if isinstance(inner, dict) else fields


def _lower(value: Json) -> dict[str, Json]:
    return {name.lower(): inner for name, inner in obj(value).items()}
