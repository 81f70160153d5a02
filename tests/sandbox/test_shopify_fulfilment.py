"""Fulfilment orders and fulfilments: what ships, what is left, and what is refused in which words."""

from datetime import UTC, datetime

import pytest

from shipcrowd.sandbox.schemas import Knobs, NewEdit, NewLine, NewOrder

SHOP = "asha-crafts.myshopify.com"
TWO_LINES = NewOrder(lines=(NewLine(sku="BOT-1L-BLU", quantity=3), NewLine(sku="CHAI-250", quantity=1)))


async def open_fos(shopify, order):
    fos = (await shopify.data("OpenFulfillmentOrders", id=order.gid))["order"]["fulfillmentOrders"]["nodes"]
    return [fo for fo in fos if {"action": "CREATE_FULFILLMENT"} in fo["supportedActions"]]


async def fulfil(shopify, fo, lines=None, awb="34810000000001", **more):
    group = {"fulfillmentOrderId": fo["id"]}
    if lines is not None:
        group["fulfillmentOrderLineItems"] = lines
    tracking = {"company": "Delhivery", "number": awb, "url": f"https://track.example/{awb}"}
    answer = await shopify.data(
        "Fulfil", f={"lineItemsByFulfillmentOrder": [group], "trackingInfo": tracking, "notifyCustomer": True, **more}
    )
    return answer["fulfillmentCreate"]


async def test_an_order_comes_with_a_fulfilment_order_of_its_lines(shopify, desk):
    (fo,) = await open_fos(shopify, desk.place_order(SHOP, TWO_LINES))
    assert (fo["status"], fo["requestStatus"]) == ("OPEN", "UNSUBMITTED")
    assert fo["deliveryMethod"]["methodType"] == "SHIPPING"
    assert fo["assignedLocation"]["name"] == "Peenya warehouse"
    assert [(line["sku"], line["remainingQuantity"]) for line in fo["lineItems"]["nodes"]] == [
        ("BOT-1L-BLU", 3), ("CHAI-250", 1),
    ]  # fmt: skip


async def test_shipping_everything_closes_it(shopify, desk):
    placed = desk.place_order(SHOP, TWO_LINES)
    (fo,) = await open_fos(shopify, placed)
    made = await fulfil(shopify, fo)
    assert made["userErrors"] == []
    assert made["fulfillment"]["trackingInfo"] == [
        {"company": "Delhivery", "number": "34810000000001", "url": "https://track.example/34810000000001"}
    ]
    assert await open_fos(shopify, placed) == []
    order = (await shopify.data("OrderById", id=placed.gid))["order"]
    assert order["displayFulfillmentStatus"] == "FULFILLED"
    assert order["fulfillments"][0]["displayStatus"] == "FULFILLED"
    again = await fulfil(shopify, fo)
    number = fo["id"].rsplit("/")[-1]
    assert again["userErrors"] == [
        {"field": ["fulfillment"], "message": f"Fulfillment order {number} has an unfulfillable status= closed."}
    ]
    assert desk.stats().fulfilments_by_awb == {"34810000000001": "FULFILLED"}


async def test_what_a_partial_fulfilment_leaves_moves_to_a_new_fulfilment_order(shopify, desk):
    placed = desk.place_order(SHOP, TWO_LINES)
    (fo,) = await open_fos(shopify, placed)
    bottle = fo["lineItems"]["nodes"][0]
    made = await fulfil(shopify, fo, [{"id": bottle["id"], "quantity": 2}])
    assert made["userErrors"] == []
    (rest,) = await open_fos(shopify, placed)
    assert rest["id"] != fo["id"]
    assert [(line["sku"], line["remainingQuantity"]) for line in rest["lineItems"]["nodes"]] == [
        ("BOT-1L-BLU", 1), ("CHAI-250", 1),
    ]  # fmt: skip
    assert rest["lineItems"]["nodes"][0]["lineItem"]["id"] == bottle["lineItem"]["id"]
    assert desk.order(SHOP, placed.name).fulfillment_status == "PARTIALLY_FULFILLED"


async def test_a_shop_may_keep_the_rest_in_the_same_fulfilment_order(shopify, desk):
    desk.set_knobs(Knobs(split_remainder=False))
    placed = desk.place_order(SHOP, TWO_LINES)
    (fo,) = await open_fos(shopify, placed)
    await fulfil(shopify, fo, [{"id": fo["lineItems"]["nodes"][0]["id"], "quantity": 2}])
    (same,) = await open_fos(shopify, placed)
    assert (same["id"], same["status"]) == (fo["id"], "IN_PROGRESS")


async def test_more_than_remains_is_refused_and_ships_nothing(shopify, desk):
    placed = desk.place_order(SHOP, TWO_LINES)
    (fo,) = await open_fos(shopify, placed)
    refused = await fulfil(shopify, fo, [{"id": fo["lineItems"]["nodes"][1]["id"], "quantity": 2}])
    assert refused["userErrors"][0]["message"] == "Invalid fulfillment order line item quantity requested."
    assert desk.order(SHOP, placed.name).fulfilments == ()


async def test_orders_and_locations_cannot_be_mixed(shopify, desk):
    lines = (NewLine(sku="CHAI-250"), NewLine(sku="MAT-YOGA", location="Bhiwandi warehouse"))
    here, there = await open_fos(shopify, desk.place_order(SHOP, NewOrder(lines=lines)))
    (other,) = await open_fos(shopify, desk.place_order(SHOP, TWO_LINES))

    async def both(first, second):
        groups = [{"fulfillmentOrderId": one["id"]} for one in (first, second)]
        answer = await shopify.data("Fulfil", f={"lineItemsByFulfillmentOrder": groups})
        return answer["fulfillmentCreate"]["userErrors"][0]["message"]

    assert await both(here, other) == "All fulfillment orders must belong to the same order."
    assert "same location" in await both(here, there)
    assert (await fulfil(shopify, {"id": "gid://shopify/FulfillmentOrder/1"}))["userErrors"][0]["message"] == (
        "Fulfillment order does not exist."
    )


async def test_a_held_fulfilment_order_cannot_ship_until_it_is_released(shopify, desk):
    placed = desk.place_order(SHOP, TWO_LINES)
    (fo,) = await open_fos(shopify, placed)
    desk.hold_order(SHOP, placed.name, "HIGH_RISK_OF_FRAUD")
    assert await open_fos(shopify, placed) == []
    held = (await shopify.data("OpenFulfillmentOrders", id=placed.gid))["order"]["fulfillmentOrders"]["nodes"][0]
    assert held["fulfillmentHolds"][0]["reason"] == "HIGH_RISK_OF_FRAUD"
    assert held["fulfillmentHolds"][0]["heldByRequestingApp"] is False
    assert "on_hold" in (await fulfil(shopify, fo))["userErrors"][0]["message"]
    assert desk.order(SHOP, placed.name).fulfillment_status == "ON_HOLD"
    desk.release_order(SHOP, placed.name)
    assert (await fulfil(shopify, fo))["userErrors"] == []


async def test_scheduled_and_third_party_fulfilment_orders_are_not_ours_to_ship(shopify, desk):
    later = desk.place_order(SHOP, NewOrder(scheduled_for=datetime(2027, 1, 5, tzinfo=UTC)))
    theirs = desk.place_order(SHOP, NewOrder(third_party=True))
    assert await open_fos(shopify, later) == []
    assert await open_fos(shopify, theirs) == []
    assert desk.order(SHOP, later.name).fulfillment_status == "SCHEDULED"


async def test_a_cancelled_fulfilment_puts_its_lines_back(shopify, desk):
    placed = desk.place_order(SHOP, TWO_LINES)
    (fo,) = await open_fos(shopify, placed)
    made = await fulfil(shopify, fo)
    cancelled = (await shopify.data("CancelFulfilment", id=made["fulfillment"]["id"]))["fulfillmentCancel"]
    assert cancelled["fulfillment"]["status"] == "CANCELLED"
    (again,) = await open_fos(shopify, placed)
    assert again["id"] != fo["id"]
    assert sum(line["remainingQuantity"] for line in again["lineItems"]["nodes"]) == 4
    twice = await shopify.data("CancelFulfilment", id=made["fulfillment"]["id"])
    assert twice["fulfillmentCancel"]["userErrors"]


async def test_milestones_show_as_the_parcels_status(shopify, desk):
    placed = desk.place_order(SHOP, TWO_LINES)
    made = await fulfil(shopify, (await open_fos(shopify, placed))[0])
    for status in ("IN_TRANSIT", "OUT_FOR_DELIVERY", "DELIVERED"):
        event = {"fulfillmentId": made["fulfillment"]["id"], "status": status, "happenedAt": "2026-11-22T10:00:00Z"}
        pushed = (await shopify.data("TrackEvent", e=event))["fulfillmentEventCreate"]
        assert pushed["userErrors"] == []
        assert pushed["fulfillmentEvent"]["happenedAt"] == "2026-11-22T10:00:00Z"
    assert desk.order(SHOP, placed.name).fulfilments[0].display_status == "DELIVERED"
    missing = await shopify.data(
        "TrackEvent", e={"fulfillmentId": "gid://shopify/Fulfillment/1", "status": "DELIVERED"}
    )
    assert missing["fulfillmentEventCreate"]["userErrors"]


async def test_tracking_can_be_corrected_and_several_pieces_are_paired_by_position(shopify, desk):
    made = await fulfil(shopify, (await open_fos(shopify, desk.place_order(SHOP, TWO_LINES)))[0])
    tracking = {
        "company": "Bluedart",
        "numbers": ["771", "772"],
        "urls": ["https://t.example/771", "https://t.example/772"],
    }
    fixed = await shopify.data("UpdateTracking", id=made["fulfillment"]["id"], t=tracking, notify=False)
    assert [one["number"] for one in fixed["fulfillmentTrackingInfoUpdate"]["fulfillment"]["trackingInfo"]] == [
        "771",
        "772",
    ]


async def test_cancelling_an_order_closes_it_and_a_second_time_is_refused(shopify, desk):
    placed = desk.place_order(SHOP, TWO_LINES)
    cancel = {"id": placed.gid, "reason": "CUSTOMER", "restock": True, "m": {"originalPaymentMethodsRefund": True}}
    first = (await shopify.data("Cancel", **cancel))["orderCancel"]
    assert first["orderCancelUserErrors"] == []
    assert first["job"]["id"]
    order = (await shopify.data("OrderById", id=placed.gid))["order"]
    assert (order["cancelReason"], order["displayFinancialStatus"]) == ("CUSTOMER", "VOIDED")
    assert order["totalOutstandingSet"]["shopMoney"]["amount"] == "0.00"
    second = (await shopify.data("Cancel", **cancel))["orderCancel"]
    assert second["orderCancelUserErrors"][0]["code"] == "INVALID"


async def test_a_shipped_order_cannot_be_cancelled(shopify, desk):
    placed = desk.place_order(SHOP, TWO_LINES)
    await fulfil(shopify, (await open_fos(shopify, placed))[0])
    refused = await shopify.data("Cancel", id=placed.gid, reason="OTHER", restock=False)
    assert refused["orderCancel"]["orderCancelUserErrors"]
    assert not desk.order(SHOP, placed.name).cancelled


async def test_cash_collected_marks_the_order_paid_once(shopify, desk):
    placed = desk.place_order(SHOP, TWO_LINES)
    paid = (await shopify.data("PaidOnDelivery", input={"id": placed.gid}))["orderMarkAsPaid"]
    assert paid["order"]["displayFinancialStatus"] == "PAID"
    again = (await shopify.data("PaidOnDelivery", input={"id": placed.gid}))["orderMarkAsPaid"]
    assert again["userErrors"][0]["message"] == "Order cannot be marked as paid."


async def test_tags_are_added_once(shopify, desk):
    placed = desk.place_order(SHOP)
    for _ in range(2):
        tagged = await shopify.data("Tag", id=placed.gid, tags=["shipped-by-shipcrowd"])
    assert tagged["tagsAdd"]["node"]["id"] == placed.gid
    assert desk.order(SHOP, placed.name).tags == ("shipped-by-shipcrowd",)


@pytest.mark.parametrize("quantity", [0, 1, 5])
async def test_an_edit_changes_what_remains_to_be_shipped(shopify, desk, quantity):
    placed = desk.place_order(SHOP, TWO_LINES)
    desk.edit_order(SHOP, placed.name, NewEdit(quantities={"BOT-1L-BLU": quantity}))
    line = (await shopify.data("OrderById", id=placed.gid))["order"]["lineItems"]["nodes"][0]
    assert (line["quantity"], line["currentQuantity"], line["unfulfilledQuantity"]) == (3, quantity, quantity)
    (fo,) = await open_fos(shopify, placed)
    assert fo["lineItems"]["nodes"][0]["remainingQuantity"] == quantity
