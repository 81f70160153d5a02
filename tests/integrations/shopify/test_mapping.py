import copy
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shipcrowd.integrations.shopify import mapping, watch, words
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Malformed, read_json
from shipcrowd.orders.schemas import IncomingOrder, Payment, SourceState


def rupees(text: str) -> Money:
    return Money.rupees(text)


def bag(amount: str) -> dict[str, Any]:
    return {"shopMoney": {"amount": amount, "currencyCode": "INR"}}


@pytest.fixture
def read_order(payload):
    """`read_order(field=value, …)`: the order as GraphQL gives it, changed so, mapped."""

    def read(**changes: Any) -> IncomingOrder:
        return mapping.incoming_order(payload("order_read_prepaid") | changes)

    return read


@pytest.fixture
def announced_order(payload):
    """`announced_order(field=value, …)`: a COD order as a webhook gives it, changed so, mapped."""

    def read(**changes: Any) -> IncomingOrder:
        return mapping.order_from_payload(payload("order_created_cod") | changes)

    return read


# --- as GraphQL gives it ----------------------------------------------------------------------------------------


def test_a_paid_order_reads_whole(read_order):
    order = read_order()
    assert (order.external_id, order.external_ref) == ("7300000000042", "gid://shopify/Order/7300000000042")
    assert order.number == "#KB-311"
    assert order.placed_at == datetime(2026, 11, 20, 5, 0, 58, tzinfo=UTC)
    assert order.source_updated_at == datetime(2026, 11, 20, 6, 15, 30, tzinfo=UTC)
    assert (order.payment, order.state, order.to_collect) == (Payment.prepaid, SourceState.open, Money.zero)
    assert (order.total, order.discount, order.tax) == (rupees("2700"), rupees("300"), rupees("411.86"))
    assert (order.currency, order.taxes_included, order.weight_grams) == ("INR", True, 3600)
    assert order.buyer_gstin == "04AABCU9603R1ZV"
    assert order.tags == ("wholesale",)
    assert order.ship_by == datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
    assert order.ship_to is not None
    assert order.ship_to.gaps() == {}
    assert (order.ship_to.company, order.ship_to.state, order.ship_to.country) == ("Singh Traders", "Chandigarh", "IN")
    assert order.ship_to.email == "kabir@example.in"
    assert not order.pii_withheld
    assert not order.test


def test_a_line_counts_what_is_left_of_it_and_its_share_of_tax_and_discount(read_order):
    lamp, note = read_order().lines
    assert (lamp.external_id, lamp.sku, lamp.name, lamp.variant) == ("1801", "LMP-BRS", "Brass lamp", "Large")
    assert (lamp.quantity, lamp.to_ship) == (2, 2)
    assert (lamp.unit_price, lamp.discount) == (rupees("1000"), rupees("200"))
    assert lamp.tax == Money(27457)  # two thirds of ₹411.86, to the paisa
    assert lamp.tax_rate_bp == 1800
    assert (lamp.hsn, lamp.weight_grams) == ("940510", 1200)
    assert (lamp.external_product_id, lamp.external_variant_id) == ("4801", "2801")
    assert (note.sku, note.variant, note.requires_shipping, note.hsn) == (None, None, False, None)
    assert (note.external_product_id, note.external_variant_id) == (None, None)


@pytest.mark.parametrize(
    ("weight", "grams"),
    [
        ({"value": 350, "unit": "GRAMS"}, 350),
        ({"value": 0.4505, "unit": "KILOGRAMS"}, 451),
        ({"value": 2, "unit": "POUNDS"}, 907),
        ({"value": 10, "unit": "OUNCES"}, 283),
        ({"value": 0, "unit": "KILOGRAMS"}, None),
        ({"value": 3, "unit": "STONES"}, None),
        (None, None),
    ],
)
def test_weights_come_in_grams_whatever_the_unit(payload, weight, grams: int | None):
    raw = payload("order_read_prepaid")
    raw["lineItems"]["nodes"][0]["variant"]["inventoryItem"]["measurement"] = {"weight": weight}
    assert mapping.incoming_order(raw).lines[0].weight_grams == grams


@pytest.mark.parametrize(
    ("code", "hsn"), [("94051090", "94051090"), ("9405.10", "940510"), ("94", None), ("123456789", None), ("n/a", None)]
)
def test_only_what_can_be_an_hsn_is_kept_as_one(payload, code: str, hsn: str | None):
    raw = payload("order_read_prepaid")
    raw["lineItems"]["nodes"][0]["variant"]["inventoryItem"]["harmonizedSystemCode"] = code
    assert mapping.incoming_order(raw).lines[0].hsn == hsn


def test_a_deleted_product_leaves_a_line_without_references(payload):
    raw = payload("order_read_prepaid")
    raw["lineItems"]["nodes"][0] |= {"variant": None, "product": None}
    line = mapping.incoming_order(raw).lines[0]
    assert (line.sku, line.external_variant_id, line.weight_grams) == ("LMP-BRS", None, None)


def test_what_is_owed_and_not_the_total_is_collected(read_order):
    order = read_order(
        displayFinancialStatus="PARTIALLY_PAID",
        paymentGatewayNames=["Razorpay", "Cash on Delivery (COD)"],
        totalOutstandingSet=bag("2400.5"),
    )
    assert (order.payment, order.to_collect, order.total) == (Payment.cod, rupees("2400.50"), rupees("2700"))


def test_a_manual_transaction_can_name_cash_on_delivery_too(read_order):
    manual = {"gateway": "manual", "formattedGateway": "Pay on delivery", "manualPaymentGateway": True}
    changes = {"displayFinancialStatus": "PENDING", "totalOutstandingSet": bag("2700"), "paymentGatewayNames": []}
    assert read_order(**changes, transactions=[manual]).payment is Payment.cod
    assert read_order(**changes, transactions=[manual | {"manualPaymentGateway": False}]).payment is Payment.prepaid


def test_holds_are_shown_with_their_reasons(read_order):
    held = {
        "id": "gid://shopify/FulfillmentOrder/1",
        "status": "ON_HOLD",
        "requestStatus": "UNSUBMITTED",
        "fulfillmentHolds": [{"id": "h", "reason": "INCORRECT_ADDRESS"}, {"id": "i", "reason": "OTHER"}],
        "deliveryMethod": None,
    }
    order = read_order(displayFulfillmentStatus="ON_HOLD", fulfillmentOrders={"nodes": [held]})
    assert (order.state, order.hold_reasons) == (SourceState.on_hold, ("incorrect_address", "other"))


def test_what_a_fulfilment_service_has_in_hand_asks_for_attention(read_order):
    elsewhere = {"id": "f", "status": "IN_PROGRESS", "requestStatus": "ACCEPTED", "fulfillmentHolds": []}
    order = read_order(fulfillmentOrders={"nodes": [elsewhere]})
    assert (order.state, order.hold_reasons) == (SourceState.attention, ("with_fulfilment_service",))


@pytest.mark.parametrize("method", ["PICK_UP", "LOCAL", "RETAIL", "NONE", "PICKUP_POINT"])
def test_what_the_buyer_collects_is_not_shipped(read_order, method: str):
    order = read_order(
        fulfillmentOrders={"nodes": [{"id": "f", "status": "OPEN", "deliveryMethod": {"methodType": method}}]}
    )
    assert order.state is SourceState.nothing_to_ship


def test_shipped_is_delivered_once_every_parcel_that_counts_is(read_order):
    def state(*parcels: tuple[str, str]) -> SourceState:
        fulfilments = [{"id": str(n), "status": s, "displayStatus": d} for n, (s, d) in enumerate(parcels)]
        return read_order(displayFulfillmentStatus="FULFILLED", fulfillments=fulfilments).state

    assert state() is SourceState.shipped
    assert state(("SUCCESS", "IN_TRANSIT"), ("SUCCESS", "DELIVERED")) is SourceState.shipped
    assert state(("SUCCESS", "DELIVERED"), ("CANCELLED", "CANCELED")) is SourceState.delivered


def test_test_orders_are_flagged(read_order):
    assert read_order(test=True).test


def test_a_buyer_shopify_keeps_from_us_is_told_apart_from_no_buyer(payload):
    body = payload("order_read_by_an_unapproved_app")
    assert mapping.incoming_order(body["data"]["order"], withheld=True).pii_withheld
    town = {"city": "Mumbai", "province": "Maharashtra", "zip": "400052", "countryCodeV2": "IN", "name": None}
    hidden = payload("order_read_prepaid") | {"shippingAddress": town, "customer": None, "phone": None, "email": None}
    assert mapping.incoming_order(hidden | {"billingAddress": None}).pii_withheld
    assert not mapping.incoming_order(hidden | {"requiresShipping": False}, withheld=True).pii_withheld


def test_another_currency_is_kept_as_it_is(read_order):
    assert read_order(currencyCode="USD").currency == "USD"


def test_unknown_words_never_raise_and_are_counted(read_order):
    before = watch.UNKNOWN_WORDS.labels("fulfillment_status")._value.get()
    order = watch.notice(read_order(displayFulfillmentStatus="BEAMED_UP"))
    assert order.state is SourceState.attention
    assert order.attributes["fulfillment_status"] == "BEAMED_UP"
    assert watch.UNKNOWN_WORDS.labels("fulfillment_status")._value.get() == before + 1
    assert read_order(displayFinancialStatus="BARTERED").state is SourceState.attention
    assert words.unknown_words({"financial_status": "BARTERED", "fulfillment_status": "OPEN"}) == [
        ("financial_status", "BARTERED")
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        {"currentTotalPriceSet": None},
        {"currentTotalPriceSet": bag("a lot")},
        {"currencyCode": None},
        {"updatedAt": "yesterday"},
        {"updatedAt": "2026-11-20T06:15:30"},
        {"lineItems": {"nodes": [{"id": "gid://shopify/LineItem/1"}]}},
        {"lineItems": {"nodes": "none"}},
        {"shippingAddress": "Khar West"},
        {"name": 5},
    ],
)
def test_an_order_of_another_shape_is_malformed_and_keeps_its_raw_form(payload, spoil: dict[str, Any]):
    with pytest.raises(Malformed) as raised:
        mapping.incoming_order(payload("order_read_prepaid") | spoil)
    assert "7300000000042" in raised.value.raw
    assert "Kabir" not in str(raised.value)


# --- as a webhook gives it --------------------------------------------------------------------------------------


def test_a_cod_order_reads_whole_from_the_webhook(announced_order):
    order = announced_order()
    assert (order.external_id, order.number) == ("6204500000017", "#MEH2087")
    assert order.external_ref == "gid://shopify/Order/6204500000017"
    assert order.placed_at == datetime(2026, 11, 18, 16, 10, 10, tzinfo=UTC)
    assert (order.payment, order.state) == (Payment.cod, SourceState.open)
    assert order.to_collect == order.total == rupees("2418")
    assert (order.subtotal, order.shipping, order.discount) == (rupees("2348"), rupees("70"), rupees("100"))
    assert order.buyer_gstin == "27AAPFU0939F1ZV"
    assert order.tags == ("diwali", "repeat buyer")
    assert order.note == "Ring twice"
    assert order.weight_grams == 1150
    assert order.ship_to is not None
    assert (order.ship_to.pincode, order.ship_to.mobile) == ("400052", "9820012345")
    assert order.ship_to.gaps() == {}
    kurta, diya = order.lines  # the bag was taken off the order
    assert (kurta.sku, kurta.quantity, kurta.to_ship, kurta.weight_grams) == ("KRT-IND-M", 2, 2, 350)
    assert (kurta.unit_price, kurta.discount) == (rupees("899"), rupees("73.46"))
    assert (kurta.tax, kurta.tax_rate_bp) == (rupees("184"), 1200)
    assert (diya.sku, diya.variant, diya.external_variant_id) == (None, None, "9202")


def test_part_paid_cash_on_delivery_collects_the_rest(payload):
    order = mapping.order_from_payload(payload("order_created_part_prepaid_cod"))
    assert (order.payment, order.to_collect, order.total) == (Payment.cod, rupees("2118"), rupees("2418"))


def test_a_blank_shipping_address_means_the_billing_one_and_the_customers_phone(payload):
    order = mapping.order_from_payload(payload("order_created_ships_to_billing"))
    assert order.ship_to is not None
    assert (order.ship_to.name, order.ship_to.pincode) == ("Rahul Nair", "560034")
    assert (order.ship_to.state, order.ship_to.mobile) == ("Karnataka", "9886054321")
    assert order.state is SourceState.open


def test_a_digital_order_gets_no_address_made_up_for_it(payload):
    raw = payload("order_created_ships_to_billing")
    for item in raw["line_items"]:
        item["requires_shipping"] = False
    order = mapping.order_from_payload(raw)
    assert order.ship_to is None
    assert order.bill_to is not None
    assert order.state is SourceState.nothing_to_ship


def test_a_payload_of_years_ago_maps_as_well(payload):
    order = mapping.order_from_payload(payload("order_created_by_an_old_api"))
    assert (order.external_id, order.external_ref) == ("880012", "gid://shopify/Order/880012")
    assert (order.payment, order.to_collect, order.shipping) == (Payment.cod, rupees("540"), rupees("40"))
    assert (order.lines[0].quantity, order.lines[0].to_ship, order.lines[0].weight_grams) == (2, None, 180)
    assert order.ship_to is not None
    assert order.ship_to.gaps() == {}
    assert order.weight_grams is None


def test_part_payment_of_unknown_size_asks_for_attention(payload):
    raw = payload("order_created_part_prepaid_cod")
    del raw["total_outstanding"]
    order = mapping.order_from_payload(raw)
    assert (order.state, order.to_collect) == (SourceState.attention, Money.zero)


def test_a_webhook_knows_what_was_shipped_and_delivered(payload, announced_order):
    lines = payload("order_created_cod")["line_items"]
    for line in lines:
        del line["fulfillable_quantity"]
        line["fulfillment_status"] = "fulfilled"
    parcel = {"status": "success", "shipment_status": "delivered"}
    order = announced_order(fulfillment_status="fulfilled", fulfillments=[parcel], line_items=lines)
    assert order.state is SourceState.delivered
    assert [line.to_ship for line in order.lines] == [0, 0]
    assert announced_order(fulfillment_status="partial").state is SourceState.partially_shipped


def test_a_partly_refunded_line_carries_its_share_of_the_discount(payload):
    raw = payload("order_created_cod")
    raw["line_items"][0]["current_quantity"] = 1
    line = mapping.order_from_payload(raw).lines[0]
    assert (line.quantity, line.discount, line.tax) == (1, rupees("36.73"), rupees("92"))


def test_the_lines_own_discount_serves_where_there_are_no_allocations(payload):
    raw = payload("order_created_cod")
    raw["line_items"][0] |= {"discount_allocations": [], "total_discount": "10.00"}
    assert mapping.order_from_payload(raw).lines[0].discount == rupees("10")


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        ({"id": None, "total_price": None}, "price"),
        ({"line_items": [{"id": 4}]}, "quantity"),
        ({"currency": 5}, "currency"),
    ],
)
def test_a_payload_of_another_shape_is_malformed(payload, spoil: dict[str, Any], what: str):
    raw = payload("order_created_cod") | spoil
    if "total_price" in spoil:
        del raw["current_total_price"]
    with pytest.raises(Malformed, match=what):
        mapping.order_from_payload(raw)


# --- the rules --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cod"),
    [
        ("Cash on Delivery (COD)", True),
        ("cash_on_delivery", True),
        ("Cash-On-Delivery", True),
        ("Pay on delivery", True),
        ("COD", True),
        ("gokwik_cod", True),
        ("Partial COD by Simpl", True),
        ("कैश ऑन डिलीवरी", True),
        ("Codashop", False),
        ("Encode Pay", False),
        ("razorpay", False),
        ("Bank Deposit", False),
        ("manual", False),
    ],
)
def test_which_names_mean_cash_on_delivery(announced_order, name: str, cod: bool):
    order = announced_order(payment_gateway_names=[name])
    assert (order.payment is Payment.cod) is cod
    assert (order.state is SourceState.payment_pending) is not cod
    assert (order.to_collect > Money.zero) is cod


@pytest.mark.parametrize(
    ("financial", "outstanding", "gateway", "payment", "state"),
    [
        ("pending", "500", "COD", Payment.cod, SourceState.open),
        (None, "500", "COD", Payment.cod, SourceState.open),
        ("pending", "0", "COD", Payment.prepaid, SourceState.open),
        ("pending", "500", "Bank Deposit", Payment.prepaid, SourceState.payment_pending),
        (None, "500", "razorpay", Payment.prepaid, SourceState.payment_pending),
        (None, "0", "", Payment.prepaid, SourceState.open),
        ("partially_paid", "500", "razorpay", Payment.prepaid, SourceState.payment_pending),
        ("expired", "500", "razorpay", Payment.prepaid, SourceState.payment_pending),
        ("authorized", "500", "razorpay", Payment.prepaid, SourceState.open),
        ("paid", "0", "COD", Payment.prepaid, SourceState.open),
        ("partially_refunded", "0", "razorpay", Payment.prepaid, SourceState.open),
        ("refunded", "0", "razorpay", Payment.prepaid, SourceState.cancelled),
        ("voided", "500", "COD", Payment.prepaid, SourceState.cancelled),
        ("bartered", "500", "COD", Payment.prepaid, SourceState.attention),
    ],
)
def test_how_an_order_is_paid(announced_order, financial, outstanding, gateway, payment, state):
    order = announced_order(
        financial_status=financial, total_outstanding=outstanding, payment_gateway_names=[gateway] if gateway else []
    )
    assert (order.payment, order.state) == (payment, state)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, SourceState.open),
        ({"displayFulfillmentStatus": None}, SourceState.open),
        ({"displayFulfillmentStatus": "OPEN"}, SourceState.open),
        ({"displayFulfillmentStatus": "PENDING_FULFILLMENT"}, SourceState.open),
        ({"displayFulfillmentStatus": "IN_PROGRESS"}, SourceState.open),
        ({"displayFulfillmentStatus": "SCHEDULED"}, SourceState.on_hold),
        ({"displayFulfillmentStatus": "PARTIALLY_FULFILLED"}, SourceState.partially_shipped),
        ({"displayFulfillmentStatus": "REQUEST_DECLINED"}, SourceState.attention),
        ({"displayFulfillmentStatus": "RESTOCKED"}, SourceState.cancelled),
        ({"displayFulfillmentStatus": "FULFILLMENT_NOT_REQUIRED"}, SourceState.nothing_to_ship),
        ({"requiresShipping": False}, SourceState.nothing_to_ship),
        ({"requiresShipping": False, "displayFulfillmentStatus": "FULFILLED"}, SourceState.nothing_to_ship),
        ({"cancelledAt": "2026-11-20T06:00:00Z"}, SourceState.cancelled),
        (
            {"cancelledAt": "2026-11-20T06:00:00Z", "displayFulfillmentStatus": "FULFILLED"},
            SourceState.cancelled,
        ),
        ({"displayFinancialStatus": "REFUNDED"}, SourceState.cancelled),
        ({"displayFinancialStatus": "REFUNDED", "displayFulfillmentStatus": "FULFILLED"}, SourceState.shipped),
        ({"lineItems": {"nodes": []}}, SourceState.nothing_to_ship),
    ],
)
def test_how_far_an_order_is(read_order, changes: dict[str, Any], state: SourceState):
    assert read_order(**changes).state is state


@pytest.mark.parametrize(
    ("shipping", "order", "customer", "billing", "expected"),
    [
        ("098200 12345", "+919999999999", None, None, "098200 12345"),
        ("022 2640 1111", "+919999999999", None, None, "+919999999999"),
        (None, None, "+918888888888", "+917777777777", "+918888888888"),
        (" ", None, None, "+917777777777", "+917777777777"),
        ("022 2640 1111", None, None, None, "022 2640 1111"),
        (None, None, None, None, None),
    ],
)
def test_the_first_indian_mobile_wins_else_the_first_number(
    read_order, payload, shipping, order, customer, billing, expected
):
    raw = payload("order_read_prepaid")
    found = read_order(
        shippingAddress=raw["shippingAddress"] | {"phone": shipping},
        billingAddress=raw["billingAddress"] | {"phone": billing},
        phone=order,
        customer=raw["customer"] | {"defaultPhoneNumber": {"phoneNumber": customer}},
    )
    assert found.ship_to is not None
    assert found.ship_to.phone == expected


@pytest.mark.parametrize(
    ("address", "country", "pincode"),
    [
        ({"countryCodeV2": "IN", "zip": " 560 038 "}, "IN", "560038"),
        ({"countryCodeV2": None, "country": "India", "zip": "560-038"}, "IN", "560038"),
        ({"countryCodeV2": None, "country": "United States", "zip": "40202"}, "ZZ", "40202"),
        ({"countryCodeV2": "ae", "zip": ""}, "AE", ""),
        ({"countryCodeV2": None, "zip": "560038"}, "IN", "560038"),
    ],
)
def test_countries_and_pincodes(read_order, payload, address: dict[str, Any], country: str, pincode: str):
    order = read_order(shippingAddress=payload("order_read_prepaid")["shippingAddress"] | address)
    assert order.ship_to is not None
    assert (order.ship_to.country, order.ship_to.pincode) == (country, pincode)


@pytest.mark.parametrize(
    ("name", "code", "state"),
    [
        ("Karnataka", "KA", "Karnataka"),
        (None, "OR", "Odisha"),
        ("", "OD", "Odisha"),
        (None, "XX", "XX"),
        (None, None, ""),
    ],
)
def test_old_and_new_state_codes_mean_the_same(name, code, state: str):
    assert words.province(name, code) == state


@pytest.mark.parametrize(
    ("attributes", "gstin"),
    [
        ([("GST No.", "27 AAPFU 0939 F1ZV")], "27AAPFU0939F1ZV"),
        ([("gstin", "mine is 27AAPFU0939F1ZV")], "27AAPFU0939F1ZV"),
        ([("Buyer GSTIN", "27AAPFU0939F1ZV ")], "27AAPFU0939F1ZV"),
        ([("gst", "no"), ("GSTIN", "04AABCU9603R1ZV")], "04AABCU9603R1ZV"),
        ([("pan", "27AAPFU0939F1ZV")], None),
        ([], None),
    ],
)
def test_a_buyers_gstin_is_found_where_themes_put_it(attributes, gstin):
    assert words.gstin(attributes) == gstin


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("Delhivery", "Delhivery"),
        ("delhivery surface", "Delhivery"),
        ("Blue Dart Air", "Bluedart"),
        ("XPRESSBEES", "XpressBees"),
        ("Ekart Logistics", "Ekart"),
        ("India Post", "India Post"),
        ("Amazon Shipping", "Amazon Shipping"),
    ],
)
def test_carriers_are_spelled_as_shopify_spells_them(ours: str, theirs: str):
    assert words.carrier(ours) == theirs


@pytest.mark.parametrize(
    ("reason", "theirs"),
    [
        ("Customer changed their mind", "CUSTOMER"),
        ("out_of_stock", "INVENTORY"),
        ("suspected fraud by customer", "FRAUD"),
        ("payment declined", "DECLINED"),
        ("staff mistake", "STAFF"),
        ("moon phase", "OTHER"),
    ],
)
def test_a_reason_in_anyones_words_is_one_of_shopifys(reason: str, theirs: str):
    assert words.cancel_reason(reason) == theirs


@pytest.mark.parametrize(
    ("gid", "tail"),
    [
        ("gid://shopify/Order/5123", "5123"),
        ("5123", "5123"),
        (5123, "5123"),
        ("gid://shopify/InventoryLevel/58?inventory_item_id=38", "58"),
    ],
)
def test_ids_have_a_long_and_a_short_form(gid, tail: str):
    assert words.tail(gid) == tail


# --- listings ---------------------------------------------------------------------------------------------------


VARIANT: dict[str, Any] = {
    "id": "gid://shopify/ProductVariant/2801",
    "sku": " LMP-BRS ",
    "title": "Large",
    "price": "1000.00",
    "barcode": "8901234567894",
    "inventoryItem": {
        "id": "gid://shopify/InventoryItem/3801",
        "tracked": True,
        "harmonizedSystemCode": "940510",
        "measurement": {"weight": {"value": 1.2, "unit": "KILOGRAMS"}},
    },
    "product": {"id": "gid://shopify/Product/4801", "title": "Brass lamp", "status": "ACTIVE"},
}


def test_a_variant_reads_as_a_listing():
    found = mapping.listing(VARIANT)
    assert (found.external_variant_id, found.external_product_id, found.stock_id) == ("2801", "4801", "3801")
    assert (found.sku, found.title, found.price) == ("LMP-BRS", "Brass lamp - Large", rupees("1000"))
    assert (found.barcode, found.hsn, found.weight_grams) == ("8901234567894", "940510", 1200)


def test_an_only_variant_goes_by_its_products_name():
    bare = VARIANT | {"title": "Default Title", "sku": "", "barcode": None, "price": None, "inventoryItem": None}
    found = mapping.listing(bare)
    assert (found.title, found.sku, found.barcode, found.price, found.stock_id) == (
        "Brass lamp",
        None,
        None,
        None,
        None,
    )


def test_a_variant_of_another_shape_is_malformed():
    with pytest.raises(Malformed):
        mapping.listing(VARIANT | {"product": None})


# --- what Shopify publishes ---------------------------------------------------------------------------------------

SAMPLES = Path(os.environ.get("SHIPCROWD_SAMPLES") or Path(__file__).parents[4] / "shared" / "samples") / "shopify"


@pytest.mark.skipif(not (SAMPLES / "order.json").exists(), reason="Shopify's published samples are not here")
def test_the_published_sample_order_maps():
    raw = read_json((SAMPLES / "order.json").read_bytes())
    order = mapping.order_from_payload(raw)
    inside = raw["order"]
    assert order.external_id == str(inside["id"])
    assert order.number == inside["name"]
    assert order.total == rupees(inside["total_price"])
    assert order.currency == "USD"
    assert len(order.lines) == len(inside["line_items"])
    assert order.state is SourceState.open
    assert order.payment is Payment.prepaid
    assert order.ship_to is not None
    assert order.ship_to.country == "US"


@pytest.mark.skipif(not (SAMPLES / "orders.json").exists(), reason="Shopify's published samples are not here")
def test_the_published_sample_list_of_orders_maps():
    for raw in read_json((SAMPLES / "orders.json").read_bytes())["orders"]:
        order = mapping.order_from_payload(copy.deepcopy(raw))
        assert order.external_id == str(raw["id"])
        json.loads(order.model_dump_json())
