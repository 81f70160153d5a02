"""Orders v2026-01-01: search and its rules, what an order tells, confirmation and cancellation."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from shipcrowd.sandbox.amazon.schemas import AmazonKnobChange, NewAmazonLine, NewAmazonOrder, OrderKind
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.refusals import NotPossible
from shipcrowd.sandbox.schemas import NewFault

SELLER = "A1INSELLER0001"
ORDERS = "/orders/2026-01-01/orders"
ALL = ["BUYER", "RECIPIENT", "PROCEEDS", "CANCELLATION", "FULFILLMENT", "PACKAGES", "PAYMENT"]


def ago(**span):
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


async def read(spapi, order_id, included=ALL):
    return (await spapi.get(f"{ORDERS}/{order_id}", includedData=included))["order"]


def parcel(order, **changes):
    detail = {
        "packageReferenceId": "1",
        "carrierCode": "Delhivery",
        "shippingMethod": "Surface",
        "trackingNumber": "1490812345678",
        "shipDate": "2026-11-20T12:40:00Z",
        "orderItems": [{"orderItemId": one.id, "quantity": one.quantity} for one in order.items],
        **changes,
    }
    return {"marketplaceId": "A21TJRUUN4KGV", "packageDetail": {k: v for k, v in detail.items() if v is not None}}


async def confirm(spapi, order, **changes):
    path = f"/orders/v0/orders/{order.id}/shipmentConfirmation"
    return await spapi.call("POST", path, parcel(order, **changes))


def two_kurtas(**more):
    return NewAmazonOrder(lines=(NewAmazonLine(sku="KURTA-BLU-M", quantity=2),), **more)


# --- search


async def test_pages_hold_every_order_once_oldest_change_first(spapi, amazon):
    placed = [amazon.place_order(SELLER, NewAmazonOrder(placed_at=datetime.now(UTC))).id for _ in range(7)]
    found, token, after = [], None, ago(hours=1)
    for _ in range(3):
        extra = {"paginationToken": token} if token else {}
        page = await spapi.get(ORDERS, lastUpdatedAfter=after, maxResultsPerPage=3, **extra)
        found += [one["orderId"] for one in page["orders"]]
        assert page["lastUpdatedBefore"]
        token = page.get("pagination", {}).get("nextToken")
    assert token is None
    assert found == placed


async def test_a_page_token_is_bound_to_its_filters_and_to_a_day(spapi, amazon):
    for _ in range(3):
        amazon.place_order(SELLER)
    after = ago(hours=1)
    page = await spapi.get(ORDERS, lastUpdatedAfter=after, maxResultsPerPage=1)
    token = page["pagination"]["nextToken"]
    wider = await spapi.get(ORDERS, lastUpdatedAfter=after, maxResultsPerPage=50, paginationToken=token)
    assert len(wider["orders"]) == 2, "the page's size may change"
    other = {"lastUpdatedAfter": after, "paginationToken": token, "fulfilledBy": "MERCHANT"}
    assert (await spapi.call("GET", ORDERS, **other)).status_code == 400
    garbled = {"lastUpdatedAfter": after, "paginationToken": "not-a-token"}
    assert (await spapi.call("GET", ORDERS, **garbled)).status_code == 400
    amazon.pass_time(24 * 3600 + 1)
    await spapi.sign_in()
    assert (await spapi.call("GET", ORDERS, lastUpdatedAfter=after, paginationToken=token)).status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"createdAfter": "2026-01-01T00:00:00Z", "lastUpdatedAfter": "2026-01-01T00:00:00Z"},
        {"createdAfter": "2026-01-01T00:00:00Z", "lastUpdatedBefore": "2026-01-02T00:00:00Z"},
        {"createdAfter": "2026-01-03T00:00:00Z", "createdBefore": "2026-01-02T00:00:00Z"},
        {"createdAfter": "2026-01-03T00:00:00Z", "createdBefore": "2099-01-02T00:00:00Z"},
        {"createdAfter": "yesterday"},
        {"createdAfter": "2026-01-01T00:00:00Z", "maxResultsPerPage": "101"},
        {"createdAfter": "2026-01-01T00:00:00Z", "fulfillmentStatuses": "Unshipped"},
        {"createdAfter": "2026-01-01T00:00:00Z", "includedData": "EVERYTHING"},
    ],
)
async def test_search_refuses_what_breaks_its_rules(spapi, query):
    reply = await spapi.call("GET", ORDERS, **query)
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["code"] == "InvalidInput"


async def test_filters_by_status_and_fulfiller_and_the_two_date_families(spapi, amazon):
    old = datetime.now(UTC) - timedelta(days=3)
    pending = amazon.place_order(SELLER, NewAmazonOrder(pending=True, placed_at=old))
    fba = amazon.place_order(SELLER, NewAmazonOrder(kind=OrderKind.fba, placed_at=old))

    async def ids(**query):
        return {one["orderId"] for one in (await spapi.get(ORDERS, **query))["orders"]}

    assert await ids(createdAfter=ago(days=4)) == {pending.id, fba.id}
    assert await ids(createdAfter=ago(days=4), fulfilledBy="AMAZON") == {fba.id}
    assert await ids(createdAfter=ago(days=4), fulfillmentStatuses=["PENDING", "SHIPPED"]) == {pending.id}
    amazon.release(pending.id)
    assert await ids(lastUpdatedAfter=ago(hours=1)) == {pending.id}
    assert await ids(createdAfter=ago(hours=1)) == set()


async def test_by_default_the_last_two_minutes_are_not_searched(spapi, amazon):
    amazon.set_knobs(AmazonKnobChange(search_lag_seconds=120))
    placed = amazon.place_order(SELLER)
    assert (await spapi.get(ORDERS, lastUpdatedAfter=ago(hours=1)))["orders"] == []
    amazon.pass_time(121)
    (found,) = (await spapi.get(ORDERS, lastUpdatedAfter=ago(hours=1)))["orders"]
    assert found["orderId"] == placed.id


# --- what an order tells


async def test_a_cod_order_names_its_cash(spapi, amazon):
    placed = amazon.place_order(SELLER, two_kurtas(kind=OrderKind.cod))
    order = await read(spapi, placed.id)
    assert order["payment"] == {"paymentExecutions": [{"paymentMethod": "CashOnDelivery"}]}
    assert order["proceeds"]["grandTotal"] == {"amount": "1408.00", "currencyCode": "INR"}
    assert {one["type"] for one in order["proceeds"]["breakdowns"]} == {"ITEM", "COD_FEE"}
    (item,) = order["orderItems"]
    assert item["product"]["price"]["unitPrice"]["amount"] == "699.00"
    assert item["fulfillment"]["shipping"]["shippingConstraints"]["cashOnDelivery"] == "MANDATORY"


async def test_a_gift_card_pays_a_part_of_cod(spapi, amazon):
    placed = amazon.place_order(SELLER, two_kurtas(kind=OrderKind.cod, gift_card="400"))
    card, cash = (await read(spapi, placed.id))["payment"]["paymentExecutions"]
    assert (card["paymentMethod"], card["paymentAmount"]["amount"]) == ("GiftCard", "400.00")
    assert (cash["paymentMethod"], cash["paymentAmount"]["amount"]) == ("CashOnDelivery", "1008.00")
    assert placed.to_collect == "1008.00"


async def test_only_what_is_asked_for_is_told(spapi, amazon):
    placed = amazon.place_order(SELLER)
    bare = await read(spapi, placed.id, [])
    assert not {"buyer", "recipient", "proceeds", "payment", "fulfillment", "packages"} & bare.keys()
    assert bare["orderItems"]


async def test_a_pending_order_has_neither_total_nor_address(spapi, amazon):
    placed = amazon.place_order(SELLER, NewAmazonOrder(pending=True))
    order = await read(spapi, placed.id)
    assert order["fulfillment"]["fulfillmentStatus"] == "PENDING"
    assert not {"buyer", "recipient", "proceeds", "payment"} & order.keys()
    assert "price" not in order["orderItems"][0]["product"]
    amazon.release(placed.id)
    assert (await read(spapi, placed.id))["recipient"]["deliveryAddress"]["postalCode"] == placed.pincode
    with pytest.raises(NotPossible):
        amazon.release(placed.id)


async def test_personal_data_needs_the_role_and_a_merchant_order(spapi, amazon):
    told, withheld = amazon.place_order(SELLER), amazon.place_order(SELLER, NewAmazonOrder(personal_data=False))
    fba = amazon.place_order(SELLER, NewAmazonOrder(kind=OrderKind.fba))
    assert (await read(spapi, told.id))["recipient"]["deliveryAddress"]["phone"]
    assert not {"buyer", "recipient"} & (await read(spapi, withheld.id)).keys()
    ship_to = (await read(spapi, fba.id))["recipient"]["deliveryAddress"]
    assert ship_to.keys() == {"city", "stateOrRegion", "postalCode", "countryCode"}
    amazon.set_seller(SELLER, personal_data=False)
    assert not {"buyer", "recipient"} & (await read(spapi, told.id)).keys()


async def test_the_phone_is_gone_after_the_latest_delivery_date(spapi, amazon):
    placed = amazon.place_order(SELLER)
    amazon.pass_time(8 * 86400)
    await spapi.sign_in()
    ship_to = (await read(spapi, placed.id))["recipient"]["deliveryAddress"]
    assert "phone" not in ship_to
    assert ship_to["name"]


async def test_a_buyers_wish_to_cancel_stands_on_the_items(spapi, amazon):
    placed = amazon.place_order(SELLER)
    before = (await read(spapi, placed.id))["lastUpdatedTime"]
    amazon.ask_to_cancel(placed.id, "Ordered by mistake")
    order = await read(spapi, placed.id)
    assert order["orderItems"][0]["cancellation"]["cancellationRequest"] == {
        "requester": "BUYER",
        "cancelReason": "Ordered by mistake",
    }
    assert order["fulfillment"]["fulfillmentStatus"] == "UNSHIPPED"
    assert order["lastUpdatedTime"] > before


async def test_a_broken_order_spoils_only_itself(spapi, amazon):
    good, bad = amazon.place_order(SELLER), amazon.place_order(SELLER, NewAmazonOrder(broken=True))
    spapi.held = False
    page = await spapi.get(ORDERS, lastUpdatedAfter=ago(hours=1), includedData=ALL)
    shapes = {one["orderId"]: one["createdTime"] for one in page["orders"]}
    assert shapes[bad.id] == "yesterday"
    assert shapes[good.id] != "yesterday"
    amazon.mend(bad.id)
    spapi.held = True
    assert (await read(spapi, bad.id))["recipient"]


async def test_an_order_nobody_has_is_a_404_and_no_number_a_400(spapi):
    assert (await spapi.call("GET", f"{ORDERS}/402-1234567-1234567")).status_code == 404
    assert (await spapi.call("GET", f"{ORDERS}/1001")).status_code == 400


async def test_answers_are_really_held_to_the_models(spapi, amazon, published_operation):
    assert published_operation("GET", ORDERS) == "searchOrders"
    bad = amazon.place_order(SELLER, NewAmazonOrder(broken=True))
    with pytest.raises(AssertionError, match="getOrder 200"):
        await spapi.call("GET", f"{ORDERS}/{bad.id}")


# --- v0's buyer and address


async def test_v0_tells_buyers_to_a_restricted_token_alone(spapi, amazon):
    placed = amazon.place_order(SELLER)
    address = f"/orders/v0/orders/{placed.id}/address"
    buyer = f"/orders/v0/orders/{placed.id}/buyerInfo"
    assert "Name" not in (await spapi.get(address))["payload"]["ShippingAddress"]
    assert (await spapi.get(buyer))["payload"].keys() == {"AmazonOrderId"}
    asked = {"restrictedResources": [{"method": "GET", "path": "/orders/v0/orders/{orderId}/address"}]}
    made = await spapi.post("/tokens/2021-03-01/restrictedDataToken", asked)
    assert made["restrictedDataToken"].startswith("Atz.sprdt|")
    spapi.token = made["restrictedDataToken"]
    assert (await spapi.get(address))["payload"]["ShippingAddress"]["Name"]
    assert (await spapi.call("GET", buyer)).status_code == 403, "the token opens what it names and no more"


async def test_restricted_tokens_are_refused_without_role_or_reason(spapi, amazon):
    path = "/tokens/2021-03-01/restrictedDataToken"
    nothing = await spapi.call("POST", path, {"restrictedResources": []})
    listings = {"restrictedResources": [{"method": "GET", "path": "/listings/2021-08-01/items/A/B"}]}
    assert (nothing.status_code, (await spapi.call("POST", path, listings)).status_code) == (400, 400)
    amazon.set_seller(SELLER, personal_data=False)
    asked = {"restrictedResources": [{"method": "GET", "path": "/orders/v0/orders/{orderId}/address"}]}
    assert (await spapi.call("POST", path, asked)).status_code == 403
    assert amazon.world.restricted == {}


# --- confirmation


async def test_parcels_ship_an_order_in_parts(spapi, amazon):
    placed = amazon.place_order(SELLER, two_kurtas())
    item = placed.items[0].id
    one = [{"orderItemId": item, "quantity": 1}]
    first = await confirm(spapi, placed, orderItems=one)
    assert (first.status_code, first.content) == (204, b"")
    assert amazon.order(placed.id).status == "PARTIALLY_SHIPPED"
    await confirm(spapi, placed, packageReferenceId="2", trackingNumber="T-2", orderItems=one)
    order = await read(spapi, placed.id)
    assert order["fulfillment"]["fulfillmentStatus"] == "SHIPPED"
    assert [one["trackingNumber"] for one in order["packages"]] == ["1490812345678", "T-2"]
    assert order["orderItems"][0]["fulfillment"] == {"quantityFulfilled": 2, "quantityUnfulfilled": 0}


async def test_the_same_reference_again_edits(spapi, amazon):
    placed = amazon.place_order(SELLER, two_kurtas())
    assert (await confirm(spapi, placed)).status_code == 204
    assert (await confirm(spapi, placed, trackingNumber="CORRECTED")).status_code == 204
    (package,) = amazon.order(placed.id).packages
    assert package.tracking == "CORRECTED"
    late = await confirm(spapi, placed, packageReferenceId="2")
    assert (late.status_code, late.json()["errors"][0]["code"]) == (400, "PackageToUpdateNotFound")


@pytest.mark.parametrize(
    "changes",
    [
        {"packageReferenceId": 1},
        {"packageReferenceId": "0"},
        {"packageReferenceId": "A1"},
        {"carrierCode": "Other"},
        {"carrierCode": "Xpressbees"},
        {"trackingNumber": None},
        {"shipDate": "soon"},
        {"orderItems": []},
        {"orderItems": [{"orderItemId": "1", "quantity": 1}]},
    ],
)
async def test_a_confirmation_that_is_wrong_ships_nothing(spapi, amazon, changes):
    placed = amazon.place_order(SELLER, two_kurtas())
    assert (await confirm(spapi, placed, **changes)).status_code == 400
    assert amazon.order(placed.id) == placed


async def test_more_units_than_are_left_are_refused(spapi, amazon):
    placed = amazon.place_order(SELLER, two_kurtas())
    three = [{"orderItemId": placed.items[0].id, "quantity": 3}]
    assert (await confirm(spapi, placed, orderItems=three)).status_code == 400
    twice = [{"orderItemId": placed.items[0].id, "quantity": 2}] * 2
    assert (await confirm(spapi, placed, orderItems=twice)).status_code == 400
    assert amazon.order(placed.id).status == "UNSHIPPED"


async def test_another_carrier_goes_by_its_name(spapi, amazon):
    placed = amazon.place_order(SELLER)
    assert (await confirm(spapi, placed, carrierCode="Other", carrierName="Xpressbees")).status_code == 204
    assert amazon.order(placed.id).packages[0].carrier == "Xpressbees"


@pytest.mark.parametrize(
    "new",
    [
        NewAmazonOrder(kind=OrderKind.fba),
        NewAmazonOrder(kind=OrderKind.easy_ship),
        NewAmazonOrder(ship_plus=True),
        NewAmazonOrder(pending=True),
    ],
)
async def test_some_orders_are_not_the_sellers_to_confirm(spapi, amazon, new):
    placed = amazon.place_order(SELLER, new)
    assert (await confirm(spapi, placed)).status_code == 400
    assert amazon.order(placed.id) == placed


# --- cancellation


async def test_a_seller_cancels_a_whole_order(spapi, amazon):
    placed = amazon.place_order(SELLER)
    path = f"{ORDERS}/{placed.id}/cancellation"
    assert (await spapi.call("PUT", path, {"cancelReasonCode": "BECAUSE"})).status_code == 400
    assert (await spapi.call("PUT", path, {"cancelReasonCode": "NO_INVENTORY"})).status_code == 204
    assert amazon.order(placed.id).status == "CANCELLED"
    assert (await spapi.call("PUT", path, {"cancelReasonCode": "NO_INVENTORY"})).status_code == 400


async def test_cancellation_can_be_missing_and_never_undoes_a_shipment(spapi, amazon):
    shipped, open_ = amazon.place_order(SELLER), amazon.place_order(SELLER)
    await confirm(spapi, shipped)
    sent = {"cancelReasonCode": "BUYER_CANCELLED"}
    assert (await spapi.call("PUT", f"{ORDERS}/{shipped.id}/cancellation", sent)).status_code == 400
    amazon.set_knobs(AmazonKnobChange(cancellation=False))
    assert (await spapi.call("PUT", f"{ORDERS}/{open_.id}/cancellation", sent)).status_code == 403
    assert [one.status for one in amazon.orders(SELLER)] == ["SHIPPED", "UNSHIPPED"]


# --- limits and faults


async def test_the_bucket_empties_and_fills_and_a_429_gives_no_hint(spapi, amazon):
    placed = amazon.place_order(SELLER)
    path = f"{ORDERS}/{placed.id}"
    replies = [await spapi.call("GET", path) for _ in range(31)]
    assert [one.status_code for one in replies] == [200] * 30 + [429]
    assert replies[0].headers["x-amzn-ratelimit-limit"] == "0.5"
    last = replies[-1]
    assert last.json()["errors"][0]["code"] == "QuotaExceeded"
    assert last.headers["x-amzn-errortype"] == "TooManyRequestsException"
    assert not {"retry-after", "x-amzn-ratelimit-limit"} & set(last.headers)
    amazon.pass_time(2)
    assert (await spapi.call("GET", path)).status_code == 200
    assert (await spapi.call("GET", path)).status_code == 429
    stats = amazon.stats()
    assert stats.overdrawn == {"A1INSELLER0001 getOrder": 2}
    assert stats.requests["getOrder"] == 33


async def test_each_seller_has_buckets_of_their_own_and_limits_can_be_off(spapi, amazon):
    query = {"lastUpdatedAfter": "2026-01-01T00:00:00Z"}
    amazon.set_knobs(AmazonKnobChange(rates={"searchOrders": (0.01, 2)}))
    assert [(await spapi.call("GET", ORDERS, **query)).status_code for _ in range(3)] == [200, 200, 429]
    spapi.seller = amazon.create_seller()
    await spapi.sign_in()
    reply = await spapi.call("GET", ORDERS, **query)
    assert (reply.status_code, reply.headers["x-amzn-ratelimit-limit"]) == (200, "0.01")
    amazon.set_knobs(AmazonKnobChange(enforce_limits=False))
    assert [(await spapi.call("GET", ORDERS, **query)).status_code for _ in range(3)] == [200] * 3
    assert sum(amazon.stats().overdrawn.values()) == 3, "counted all the same"


async def test_faults_strike_amazon_by_operation(spapi, amazon, desk):
    placed = amazon.place_order(SELLER)
    for kind, status in ((FaultKind.throttled, 429), (FaultKind.unavailable, 503)):
        desk.add_fault(NewFault(vendor="amazon", operation="getOrder", kind=kind))
        reply = await spapi.call("GET", f"{ORDERS}/{placed.id}")
        assert reply.status_code == status
        assert "retry-after" not in reply.headers
    assert amazon.stats().overdrawn == {}, "an armed 429 is not the caller's fault"
    desk.add_fault(NewFault(vendor="amazon", operation="confirmShipment", kind=FaultKind.timeout_after))
    spapi.http.timeout = httpx2.Timeout(0.2)
    with pytest.raises(httpx2.ReadTimeout):
        await confirm(spapi, placed)
    assert amazon.order(placed.id).status == "SHIPPED"
