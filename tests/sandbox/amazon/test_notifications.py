"""Destinations, subscriptions, and what comes out of the queue."""

import json
import os
from pathlib import Path

import httpx2
import jsonschema_rs
import pytest

from shipcrowd.sandbox.amazon.queues import ask
from shipcrowd.sandbox.amazon.schemas import NewAmazonLine, NewAmazonOrder, OrderKind, StockChange
from shipcrowd.sandbox.schemas import Knobs

SELLER = "A1INSELLER0001"
NOTES = "/notifications/v1"


SPECS = Path(os.environ.get("SHIPCROWD_SPECS", Path(__file__).parents[4] / "shared" / "specs"))


@pytest.fixture
def schema():
    """A validator of one of Amazon's notification schemas."""
    found = SPECS / "amazon" / "schemas" / "notifications"
    if not found.exists():
        pytest.skip(f"Amazon's notification schemas are not at {found}; set SHIPCROWD_SPECS")

    def check(name, message):
        jsonschema_rs.Draft7Validator(json.loads((found / f"{name}.json").read_text())).validate(message)

    return check


async def test_an_order_change_is_announced_as_the_schema_says(spapi, amazon, desk, queue, schema):
    await spapi.subscribe("ORDER_CHANGE")
    placed = amazon.place_order(SELLER, NewAmazonOrder(kind=OrderKind.easy_ship, pending=True))
    amazon.release(placed.id)
    await desk.drain()
    pending, released = queue.of("ORDER_CHANGE")
    for one in (pending, released):
        schema("OrderChangeNotification", one)
    told = released["Payload"]["OrderChangeNotification"]
    assert (told["AmazonOrderId"], told["SellerId"]) == (placed.id, SELLER)
    assert told["Summary"]["OrderStatus"] == "Unshipped"
    assert told["Summary"]["EasyShipShipmentStatus"] == "PendingSchedule"
    assert pending["Payload"]["OrderChangeNotification"]["Summary"]["DestinationPostalCode"] is None
    ids = {one["NotificationMetadata"]["NotificationId"] for one in queue.messages}
    assert len(ids) == 2
    assert queue.raw[0]["QueueUrl"] == "https://sqs.eu-west-1.amazonaws.com/111122223333/spapi"


async def test_the_filter_of_a_subscription_is_kept(spapi, amazon, desk, queue):
    only = {"eventFilter": {"eventFilterType": "ORDER_CHANGE", "orderChangeTypes": ["BuyerRequestedChange"]}}
    await spapi.subscribe("ORDER_CHANGE", processingDirective=only)
    placed = amazon.place_order(SELLER)
    amazon.ask_to_cancel(placed.id)
    await desk.drain()
    (one,) = queue.messages
    assert one["Payload"]["OrderChangeNotification"]["OrderChangeType"] == "BuyerRequestedChange"


async def test_fba_tells_of_shipments_and_stock(spapi, amazon, desk, queue, schema):
    await spapi.subscribe("FBA_OUTBOUND_SHIPMENT_STATUS", "FBA_INVENTORY_AVAILABILITY_CHANGES")
    line = NewAmazonLine(sku="MAT-YOGA-FBA", quantity=2)
    placed = amazon.place_order(SELLER, NewAmazonOrder(kind=OrderKind.fba, lines=(line,)))
    amazon.ship_fba(placed.id)
    amazon.set_stock(SELLER, StockChange(sku="MAT-YOGA-FBA", quantity=40, by_amazon=True))
    await desk.drain()
    (shipped,) = queue.of("FBA_OUTBOUND_SHIPMENT_STATUS")
    schema("FBAOutboundShipmentStatusNotification", shipped)
    first, second = queue.of("FBA_INVENTORY_AVAILABILITY_CHANGES")
    schema("FBAInventoryAvailabilityChangeNotification", first)
    stock = [
        one["Payload"]["FulfillmentInventoryByMarketplace"][0]["FulfillmentInventory"]["Fulfillable"]
        for one in (first, second)
    ]
    assert stock == [98, 40]


async def test_nobody_who_did_not_subscribe_hears_anything(spapi, amazon, desk, queue):
    await spapi.subscribe("ORDER_CHANGE")
    other = amazon.create_seller()
    amazon.place_order(other.id)
    await desk.drain()
    assert queue.messages == []
    amazon.revoke(SELLER)
    amazon.place_order(SELLER)
    await desk.drain()
    assert queue.messages == []


async def test_duplicates_and_disorder_on_demand(spapi, amazon, desk, queue):
    await spapi.subscribe("ORDER_CHANGE")
    desk.set_knobs(Knobs(duplicate=1))
    amazon.place_order(SELLER)
    await desk.drain()
    first, second = queue.messages
    assert first == second
    desk.set_knobs(Knobs(duplicate=0, reorder=0.5))
    queue.messages.clear()
    placed = [amazon.place_order(SELLER).id for _ in range(12)]
    await desk.drain()
    heard = [one["Payload"]["OrderChangeNotification"]["AmazonOrderId"] for one in queue.messages]
    assert sorted(heard) == sorted(placed)
    assert heard != placed
    desk.set_knobs(Knobs(reorder=0, lose=1))
    amazon.place_order(SELLER)
    await desk.drain()
    assert len(queue.messages) == 12


async def test_destinations_and_subscriptions_are_kept_made_once_and_deleted(spapi):
    await spapi.subscribe("ORDER_CHANGE")
    grantless = await spapi.grantless()
    (destination,) = (await grantless.get(f"{NOTES}/destinations"))["payload"]
    assert (await grantless.get(f"{NOTES}/destinations/{destination['destinationId']}"))["payload"] == destination
    same = {"name": "again", "resourceSpecification": destination["resource"]}
    assert (await grantless.call("POST", f"{NOTES}/destinations", same)).status_code == 409
    body = {"payloadVersion": "1.0", "destinationId": destination["destinationId"]}
    assert (await spapi.call("POST", f"{NOTES}/subscriptions/ORDER_CHANGE", body)).status_code == 409
    made = (await spapi.get(f"{NOTES}/subscriptions/ORDER_CHANGE"))["payload"]
    listed = await spapi.get(f"{NOTES}/subscriptions", notificationTypes=["ORDER_CHANGE", "FEED_PROCESSING_FINISHED"])
    assert listed["payload"]["subscriptions"] == [made]
    path = f"{NOTES}/subscriptions/ORDER_CHANGE/{made['subscriptionId']}"
    assert (await grantless.get(path))["payload"] == made
    in_use = await grantless.call("DELETE", f"{NOTES}/destinations/{destination['destinationId']}")
    assert in_use.status_code == 409
    assert (await grantless.call("DELETE", path)).status_code == 200
    assert (await grantless.call("DELETE", path)).status_code == 404
    assert (await spapi.call("GET", f"{NOTES}/subscriptions/ORDER_CHANGE")).status_code == 404
    gone = await grantless.call("DELETE", f"{NOTES}/destinations/{destination['destinationId']}")
    assert gone.status_code == 200


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("FBA_OUTBOUND_ORDER_STATUS", "1.0"),  # the plan's word; there is no such type
        ("ORDER_STATUS_CHANGE", "1.0"),  # removed
        ("ORDER_CHANGE", "2020-09-04"),
        ("LISTINGS_ITEM_STATUS_CHANGE", "1.0"),  # EventBridge only
    ],
)
async def test_wrong_types_and_versions_are_refused(spapi, kind, version, amazon):
    await spapi.subscribe()
    grantless = await spapi.grantless()
    (destination,) = (await grantless.get(f"{NOTES}/destinations"))["payload"]
    body = {"payloadVersion": version, "destinationId": destination["destinationId"]}
    assert (await spapi.call("POST", f"{NOTES}/subscriptions/{kind}", body)).status_code == 400
    assert amazon.stats().subscriptions == 0


@pytest.mark.parametrize("arn", ["spapi", "arn:aws:sns:eu-west-1:1:x", "arn:aws:sqs:eu-west-1:111122223333:spapi.fifo"])
async def test_only_a_standard_queue_is_a_destination(spapi, arn):
    grantless = await spapi.grantless()
    body = {"name": "shipcrowd", "resourceSpecification": {"sqs": {"arn": arn}}}
    assert (await grantless.call("POST", f"{NOTES}/destinations", body)).status_code == 400


async def test_a_test_notification_reaches_the_queue(spapi, desk, queue):
    await spapi.subscribe()
    grantless = await spapi.grantless()
    (destination,) = (await grantless.get(f"{NOTES}/destinations"))["payload"]
    body = {"destinationId": destination["destinationId"], "testNotification": {"payloadVersion": "1.0"}}
    made = await grantless.post(f"{NOTES}/subscriptions/ORDER_CHANGE/testNotification", body)
    await desk.drain()
    (heard,) = queue.of("ORDER_CHANGE")
    assert heard["NotificationMetadata"]["NotificationId"] == made["payload"]["notificationId"]


async def test_a_real_queue_server_hands_the_message_over(spapi, amazon, desk):
    opened = await amazon.open_queue()
    assert await amazon.open_queue() == opened, "the same queue again"
    grantless = await spapi.grantless()
    spec = {"name": "shipcrowd", "resourceSpecification": {"sqs": {"arn": opened.arn}}}
    destination = (await grantless.post(f"{NOTES}/destinations", spec))["payload"]
    body = {"payloadVersion": "1.0", "destinationId": destination["destinationId"]}
    await spapi.post(f"{NOTES}/subscriptions/ORDER_CHANGE", body)
    placed = amazon.place_order(SELLER)
    await desk.drain()
    async with httpx2.AsyncClient(base_url=opened.endpoint, trust_env=False) as sqs:
        got = await ask(sqs, "ReceiveMessage", QueueUrl=opened.url, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        told = await ask(sqs, "GetQueueAttributes", QueueUrl=opened.url, AttributeNames=["RedrivePolicy"])
    (message,) = got["Messages"]
    assert json.loads(message["Body"])["Payload"]["OrderChangeNotification"]["AmazonOrderId"] == placed.id
    assert json.loads(told["Attributes"]["RedrivePolicy"])["deadLetterTargetArn"] == opened.dead_letter_arn
    assert amazon.stats().notifications == {"delivered": 1}


async def test_a_queue_begins_empty_and_a_lost_queue_is_a_failed_letter(spapi, amazon, desk):
    desk.set_knobs(Knobs(webhook_retry_seconds=()))
    opened = await amazon.open_queue()
    async with httpx2.AsyncClient(base_url=opened.endpoint, trust_env=False) as sqs:
        assert "Messages" not in await ask(sqs, "ReceiveMessage", QueueUrl=opened.url)
        await spapi.subscribe("ORDER_CHANGE")  # to a queue nobody made
        amazon.place_order(SELLER)
        await desk.drain()
        with pytest.raises(LookupError, match="QueueDoesNotExist"):
            await ask(sqs, "ReceiveMessage", QueueUrl=f"{opened.endpoint}/111122223333/spapi")
    assert amazon.stats().notifications == {"failed": 1}
