"""Notifications, put into SQS as Amazon puts them: the raw JSON as the message's body.

They travel with the sandbox's post, so its knobs double, delay, reorder and lose them too. SendMessage is one HTTP
request; the queue is either the server `queues` runs on this machine or an app a test put under SQS's host name.
"""

import json
from collections.abc import Mapping

from shipcrowd.sandbox.amazon.call import record, stamp, texts
from shipcrowd.sandbox.amazon.goods import Listing
from shipcrowd.sandbox.amazon.orders import Order
from shipcrowd.sandbox.amazon.state import Amazon, App, Feed, Report, Seller, Subscription
from shipcrowd.sandbox.letters import Letter

ENVELOPES: dict[str, tuple[str, bool]] = {
    "ORDER_CHANGE": ("1.0", True),
    "FBA_OUTBOUND_SHIPMENT_STATUS": ("1.0", True),
    "FULFILLMENT_ORDER_STATUS": ("1.0", True),
    "FBA_INVENTORY_AVAILABILITY_CHANGES": ("1.0", True),
    "FEED_PROCESSING_FINISHED": ("2020-09-04", False),
    "REPORT_PROCESSING_FINISHED": ("2020-09-04", False),
}
"""Type → (payload version, whether its keys are written in Pascal case). Those that go to SQS; a subscription to
another type is taken and never hears anything."""

EVENT_BRIDGE_ONLY = frozenset(
    ("LISTINGS_ITEM_STATUS_CHANGE", "LISTINGS_ITEM_ISSUES_CHANGE", "LISTINGS_ITEM_MFN_QUANTITY_CHANGE")
)


def order_changed(world: Amazon, order: Order, why: str, *, kind: str = "OrderStatusChange") -> None:
    """ORDER_CHANGE to every subscription of the seller whose filter lets `kind` through."""
    seller = world.sellers[order.seller_id]
    body = {
        "OrderChangeNotification": {
            "NotificationLevel": "OrderLevel",
            "SellerId": seller.id,
            "AmazonOrderId": order.id,
            "OrderChangeType": kind,
            "OrderChangeTrigger": {"TimeOfOrderChange": stamp(order.updated_at), "ChangeReason": why},
            "Summary": _summary(order),
        }
    }
    for subscription in _subscribed(world, seller, "ORDER_CHANGE"):
        event_filter = record(record(subscription.directive).get("eventFilter"))
        wanted = texts(event_filter.get("orderChangeTypes"))
        if not wanted or kind in wanted:
            _send(world, subscription, body)


def _summary(order: Order) -> dict[str, object]:
    pending = order.status in ("PENDING", "PENDING_AVAILABILITY")
    units, shipped = sum(one.quantity for one in order.items), sum(one.shipped for one in order.items)
    programs = [word for flag, word in (("AMAZON_BUSINESS", "Business"), ("PRIME", "Prime")) if flag in order.programs]
    summary: dict[str, object] = {
        "MarketplaceId": order.marketplace,
        "OrderStatus": order.v0_status,
        "PurchaseDate": stamp(order.created_at),
        "DestinationPostalCode": None if pending else order.person.pincode,
        "FulfillmentType": "AFN" if order.fulfilled_by == "AMAZON" else "MFN",
        "OrderType": "StandardOrder",
        "NumberOfItemsShipped": shipped,
        "NumberOfItemsUnshipped": 0 if order.status == "CANCELLED" else units - shipped,
        "EarliestDeliveryDate": stamp(order.deliver_by[0]),
        "LatestDeliveryDate": stamp(order.deliver_by[1]),
        "EarliestShipDate": stamp(order.ship_by[0]),
        "LatestShipDate": stamp(order.ship_by[1]),
        "OrderPrograms": programs,
        "ShippingPrograms": ["EasyShip"] if order.easy_ship else [],
        "OrderItems": [
            {
                "OrderItemId": one.id,
                "SellerSKU": one.sku,
                "SupplySourceId": None,
                "OrderItemStatus": "Shipped" if one.shipped >= one.quantity else "Unshipped",
                "Quantity": one.quantity,
                "QuantityShipped": one.shipped,
                "IsBuyerRequestedCancel": one.cancel_reason is not None,
            }
            for one in order.items
        ],
    }
    if order.easy_ship:
        summary["EasyShipShipmentStatus"] = order.easy_ship.status
    return summary


def fba_shipment(world: Amazon, order: Order, shipment_id: str, status: str) -> None:
    seller = world.sellers[order.seller_id]
    body = {
        "FBAOutboundShipmentStatusNotification": {
            "SellerId": seller.id,
            "AmazonOrderId": order.id,
            "AmazonShipmentId": shipment_id,
            "ShipmentStatus": status,
        }
    }
    for subscription in _subscribed(world, seller, "FBA_OUTBOUND_SHIPMENT_STATUS"):
        _send(world, subscription, body)


def fba_stock(world: Amazon, seller: Seller, listing: Listing) -> None:
    inventory = {
        "InboundQuantityBreakdown": {"Working": 0, "Shipped": listing.inbound, "Receiving": 0},
        "Fulfillable": listing.quantity,
        "Unfulfillable": listing.unfulfillable,
        "Researching": 0,
        "ReservedQuantityBreakdown": {
            "WarehouseProcessing": 0,
            "WarehouseTransfer": 0,
            "PendingCustomerOrder": listing.reserved,
        },
        "FutureSupplyBuyable": 0,
        "PendingCustomerOrderInTransit": 0,
    }
    body: dict[str, object] = {
        "SellerId": seller.id,
        "FNSKU": listing.fnsku,
        "ASIN": listing.asin,
        "SKU": listing.sku,
        "FulfillmentInventoryByMarketplace": [
            {
                "MarketplaceId": seller.marketplaces[0],
                "ItemName": listing.title,
                "FulfillmentInventory": inventory,
                "Stores": [],
            }
        ],
    }
    for subscription in _subscribed(world, seller, "FBA_INVENTORY_AVAILABILITY_CHANGES"):
        _send(world, subscription, body)


def feed_finished(world: Amazon, feed: Feed) -> None:
    news = {
        "sellerId": feed.seller.id,
        "accountId": f"amzn1.merchant.o.{feed.seller.id}",
        "feedId": feed.id,
        "feedType": feed.type,
        "processingStatus": feed.status,
        **({"resultFeedDocumentId": feed.result.id} if feed.result else {}),
    }
    for subscription in _subscribed(world, feed.seller, "FEED_PROCESSING_FINISHED"):
        if subscription.app is feed.app:
            _send(world, subscription, {"feedProcessingFinishedNotification": news})


def report_finished(world: Amazon, report: Report) -> None:
    news = {
        "sellerId": report.seller.id,
        "accountId": f"amzn1.merchant.o.{report.seller.id}",
        "reportId": report.id,
        "reportType": report.type,
        "processingStatus": report.status,
        **({"reportDocumentId": report.document.id} if report.document else {}),
    }
    for subscription in _subscribed(world, report.seller, "REPORT_PROCESSING_FINISHED"):
        if subscription.app is report.app:
            _send(world, subscription, {"reportProcessingFinishedNotification": news})


def to_developer(world: Amazon, app: App, kind: str, payload: Mapping[str, object]) -> None:
    """What concerns the application itself goes to the queue set in the developer console, if one is."""
    if world.secret_queue is None:
        return
    now = world.now()
    body = {
        "notificationVersion": "1.0",
        "notificationType": kind,
        "payloadVersion": "1.0",
        "eventTime": stamp(now),
        "payload": payload,
        "notificationMetadata": {
            "applicationId": app.application_id,
            "subscriptionId": world.uuid(),
            "publishTime": stamp(now),
            "notificationId": world.uuid(),
        },
    }
    post(world, world.secret_queue, kind, body, lane="amazon developer")


def test_notification(world: Amazon, destination_arn: str, kind: str, payload: Mapping[str, object], app: App) -> str:
    """What sendTestNotification puts into a queue; its notification id."""
    notification_id = world.uuid()
    body = _enveloped(world, kind, payload, app, world.uuid(), notification_id)
    post(world, destination_arn, kind, body, lane="amazon test")
    return notification_id


def _subscribed(world: Amazon, seller: Seller, kind: str) -> list[Subscription]:
    """Revoked grants hear nothing, although their subscriptions still stand."""
    return [
        one
        for one in world.subscriptions.values()
        if one.seller is seller and one.type == kind and not seller.grants[one.app.client_id].revoked
    ]


def _send(world: Amazon, subscription: Subscription, payload: Mapping[str, object]) -> None:
    arn = subscription.destination.queue_arn
    if arn is None:
        return
    body = _enveloped(world, subscription.type, payload, subscription.app, subscription.id, world.uuid())
    post(world, arn, subscription.type, body, lane=f"amazon {subscription.seller.id}")


def _enveloped(
    world: Amazon, kind: str, payload: Mapping[str, object], app: App, subscription_id: str, notification_id: str
) -> dict[str, object]:
    version, pascal = ENVELOPES.get(kind, ("1.0", True))
    now = stamp(world.now())
    metadata = {
        "applicationId": app.application_id,
        "subscriptionId": subscription_id,
        "publishTime": now,
        "notificationId": notification_id,
    }
    body: dict[str, object] = {
        # The older types carry 1.0 here, the newer ones repeat their payload's version.
        "notificationVersion": "1.0" if pascal else version,
        "notificationType": kind,
        "payloadVersion": version,
        "eventTime": now,
        "payload": payload,
        "notificationMetadata": metadata,
    }
    if not pascal:
        return body
    return _capital(body) | {"NotificationMetadata": _capital(metadata)}


def _capital(record: Mapping[str, object]) -> dict[str, object]:
    return {name[0].upper() + name[1:]: value for name, value in record.items() if name != "notificationMetadata"}


# --- the queue ------------------------------------------------------------------------------------------------


def post(world: Amazon, arn: str, topic: str, body: object, *, lane: str) -> None:
    """One SendMessage to the queue of `arn`."""
    region, account, name = (arn.split(":") + [""] * 6)[3:6]
    endpoint = (world.queue_endpoint or f"https://sqs.{region}.amazonaws.com").rstrip("/")
    message = json.dumps(body, ensure_ascii=False)
    raw = json.dumps({"QueueUrl": f"{endpoint}/{account}/{name}", "MessageBody": message}).encode()
    world.postman.post(Letter(lane, topic, f"{endpoint}/", sqs_headers("SendMessage", region), raw))


def sqs_headers(action: str, region: str) -> dict[str, str]:
    """Of a request to an SQS server that does not check signatures; it reads service and region from them."""
    scope = f"Credential=sandbox/20260101/{region}/sqs/aws4_request"
    return {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"AmazonSQS.{action}",
        "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
    }
