"""The courier's webhooks: nobody documents them, so both shapes in use are sent, signed over the raw body."""

import hashlib
import hmac

import pytest

from shipcrowd.sandbox.refusals import NotPossible
from shipcrowd.sandbox.schemas import Knobs, NewScan, WebhookShape, WebhookTarget

TARGET = WebhookTarget(url="https://app.example/velocity", secret="whsec", api_key="key-1")


async def test_a_scan_is_announced_in_the_typed_shape(velocity, forward, desk, receiver):
    awb = (await velocity.book(forward))["awb_code"]
    desk.velocity_webhook(TARGET)
    desk.scan(awb, NewScan(status="OUT FOR DELIVERY", location="Andheri", remark="with Ravi"))
    await desk.drain()
    (got,) = receiver.received
    assert got.headers["x-velocity-signature"] == hmac.new(b"whsec", got.body, hashlib.sha256).hexdigest()
    assert got.headers["x-velocity-event-type"] == "SHIPMENT_STATUS_UPDATE"
    assert int(got.headers["x-velocity-timestamp"]) > 0
    assert got.headers["x-api-key"] == "key-1"
    body = got.json
    assert body["event_type"] == "SHIPMENT_STATUS_UPDATE"
    assert body["webhook_id"]
    assert body["shipment_data"]["awb"] == awb
    assert body["shipment_data"]["status"] == "OUT FOR DELIVERY"
    assert body["shipment_data"]["current_location"] == "Andheri"
    assert body["shipment_data"]["cod_amount"] == 998.0


async def test_a_scan_is_announced_in_the_flat_shape(velocity, forward, desk, receiver):
    awb = (await velocity.book(forward))["awb_code"]
    desk.velocity_webhook(TARGET)
    desk.set_knobs(Knobs(webhook_shape=WebhookShape.flat))
    desk.fail_delivery(awb, "PHONE SWITCHED OFF")
    await desk.drain()
    last = receiver.received[-1].json
    assert last["awb_code"] == awb
    assert last["shipment_status"] == "DELIVERY ATTEMPTED"
    assert last["activity"] == "DELIVERY ATTEMPTED - PHONE SWITCHED OFF"


async def test_booking_weighing_and_paying_out_are_announced(velocity, forward, desk, receiver):
    desk.velocity_webhook(TARGET)
    awb = (await velocity.book(forward))["awb_code"]
    desk.weigh(awb, 1240)
    desk.deliver(awb)
    desk.remit_cod("UTR9")
    await desk.drain()
    assert receiver.topics[0] == "SHIPMENT_CREATED"
    assert receiver.topics[-1] == "SETTLEMENT_COMPLETED"
    weight = next(one.json for one in receiver.received if "weight_data" in one.json)
    assert (weight["weight_data"]["scanned_weight"], weight["weight_data"]["unit"]) == (1240, "g")
    delivered = next(
        one.json for one in receiver.received if one.json.get("shipment_data", {}).get("status") == "DELIVERED"
    )
    assert delivered["shipment_data"]["pod_details"]["receiver_name"] == "Asha Rao"
    assert receiver.received[-1].json["settlement_data"]["shipments"][0]["awb"] == awb


async def test_scans_can_arrive_twice_and_out_of_order(velocity, forward, desk, receiver):
    awb = (await velocity.book(forward))["awb_code"]
    desk.velocity_webhook(TARGET)
    desk.set_knobs(Knobs(reorder=1.0, duplicate=1.0))
    desk.advance(awb)
    desk.set_knobs(Knobs(reorder=0.0))
    desk.advance(awb)
    await desk.drain()
    statuses = [one.json["shipment_data"]["status"] for one in receiver.received]
    assert statuses == ["PICKED UP", "PICKED UP", "OUT FOR PICKUP", "OUT FOR PICKUP"]


async def test_a_status_nobody_knows_is_announced_too(velocity, forward, desk, receiver):
    awb = (await velocity.book(forward))["awb_code"]
    desk.velocity_webhook(TARGET)
    desk.scan(awb, NewScan(status="HELD BY MONKEYS"))
    await desk.drain()
    assert receiver.received[0].json["shipment_data"]["status"] == "HELD BY MONKEYS"


def test_webhooks_go_only_to_this_machine(desk):
    with pytest.raises(NotPossible):
        desk.velocity_webhook(WebhookTarget(url="https://elsewhere.example/hook", secret="s"))
