import contextlib
import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipcrowd.integrations.amazon import mapping, words
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Malformed
from shipcrowd.orders.schemas import Fulfilment, IncomingOrder, Payment, SourceState

INR = "INR"


def rupees(text: str) -> Money:
    return Money.rupees(text)


def inr(amount: str) -> dict[str, str]:
    return {"amount": amount, "currencyCode": INR}


@pytest.fixture
def raw(payload) -> dict[str, Any]:
    return payload("order_cash_on_delivery")


def read(raw: dict[str, Any]) -> IncomingOrder:
    return mapping.incoming_order(raw)


def test_an_order_to_be_paid_on_delivery(raw):
    order = read(raw)
    assert order.external_id == order.number == "403-7781200-1193301"
    assert order.placed_at == datetime(2026, 11, 19, 4, 11, 9, 310000, UTC)
    assert order.source_updated_at == datetime(2026, 11, 19, 4, 41, 55, 902000, UTC)
    assert (order.state, order.fulfilment) == (SourceState.open, Fulfilment.seller)
    assert (order.payment, order.total, order.to_collect) == (Payment.cod, rupees("1499"), rupees("1499"))
    assert (order.subtotal, order.shipping, order.discount) == (rupees("1509"), rupees("40"), rupees("50"))
    assert order.tax == rupees("90.31")
    assert order.ship_by == datetime(2026, 11, 20, 18, 29, 59, tzinfo=UTC)
    assert order.tags == ("Prime",)
    assert (order.hold_reasons, order.pii_withheld) == ((), False)
    assert order.attributes == {
        "fulfillment_status": "UNSHIPPED",
        "fulfilled_by": "MERCHANT",
        "service_level": "EXPEDITED",
        "programs": "PRIME",
        "marketplace_id": "A21TJRUUN4KGV",
        "seller_order_id": "MS-2201",
        "deliver_by": "2026-11-24T18:29:59Z",
        "payment_methods": "CashOnDelivery",
        "purchase_order": "PO-77",
    }


def test_its_lines(raw):
    first, second = read(raw).lines
    assert (first.external_id, first.sku, first.external_variant_id) == ("51122334455001", "DUP/IND 01", "DUP/IND 01")
    assert (first.quantity, first.to_ship, first.unit_price) == (2, 2, rupees("599.50"))
    assert (first.tax, first.discount, first.external_product_id) == (rupees("57.10"), Money.zero, "B0EXAMPLE2")
    assert (second.discount, second.unit_price) == (rupees("50"), rupees("310"))


def test_its_address(raw):
    to = read(raw).ship_to
    assert to is not None
    assert (to.name, to.mobile, to.email) == ("Meera Nair", "9000000001", "k3x9p2example@marketplace.amazon.in")
    assert (to.line1, to.line2) == ("Flat 4B, Lotus Towers", "MG Road, Near metro pillar 212")
    assert (to.city, to.state, to.pincode, to.country) == ("KOCHI", "KERALA", "682016", "IN")
    assert to.gaps() == {}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("PENDING_AVAILABILITY", SourceState.payment_pending),
        ("PENDING", SourceState.payment_pending),
        ("UNSHIPPED", SourceState.open),
        ("PARTIALLY_SHIPPED", SourceState.partially_shipped),
        ("SHIPPED", SourceState.shipped),
        ("CANCELLED", SourceState.cancelled),
        ("Canceled", SourceState.cancelled),
        ("UNFULFILLABLE", SourceState.attention),
        ("INVOICE_UNCONFIRMED_2031", SourceState.attention),
        (None, SourceState.attention),
    ],
)
def test_how_it_stands(raw, status, state):
    raw["fulfillment"]["fulfillmentStatus"] = status
    assert read(raw).state is state


@pytest.mark.parametrize(
    ("by", "programs", "fulfilment", "held"),
    [
        ("MERCHANT", [], Fulfilment.seller, False),
        ("MERCHANT", ["AMAZON_EASY_SHIP", "PRIME"], Fulfilment.marketplace_logistics, False),
        ("AMAZON", [], Fulfilment.marketplace_warehouse, False),
        ("AMAZON", ["AMAZON_EASY_SHIP"], Fulfilment.marketplace_warehouse, False),
        ("ROBOT", [], Fulfilment.seller, True),
        (None, None, Fulfilment.seller, True),
    ],
)
def test_who_ships_it(raw, by, programs, fulfilment, held):
    raw["fulfillment"]["fulfilledBy"], raw["programs"] = by, programs
    order = read(raw)
    assert order.fulfilment is fulfilment
    assert bool(order.hold_reasons) is held


def test_words_amazon_adds_are_kept_raw_and_counted(raw):
    raw["programs"] = ["PRIME", "MOON_DELIVERY"]
    raw["fulfillment"] |= {"fulfillmentStatus": "TELEPORTED", "fulfillmentServiceLevel": "INSTANT"}
    order = words.notice(read(raw))
    assert order.tags == ("Prime", "MOON_DELIVERY")
    assert dict(words.unknown_words(order)) == {
        "fulfillment_status": "TELEPORTED",
        "service_level": "INSTANT",
        "program": "MOON_DELIVERY",
    }


def test_a_pending_order_has_neither_total_nor_address(raw):
    for part in ("proceeds", "payment", "recipient", "buyer"):
        del raw[part]
    raw["fulfillment"]["fulfillmentStatus"] = "PENDING"
    for item in raw["orderItems"]:
        del item["proceeds"]
        item["product"].pop("price")
        item["fulfillment"] = {"quantityFulfilled": 0, "quantityUnfulfilled": 0}
    order = read(raw)
    assert (order.state, order.total, order.currency) == (SourceState.payment_pending, Money.zero, "INR")
    assert (order.ship_to, order.pii_withheld) == (None, True)
    assert [line.quantity for line in order.lines] == [2, 1]
    assert [line.to_ship for line in order.lines] == [None, None]


def test_a_buyer_we_may_not_see_leaves_the_order_and_the_place(raw):
    raw["recipient"]["deliveryAddress"] = {
        "city": "KOCHI",
        "stateOrRegion": "KERALA",
        "postalCode": "682016",
        "countryCode": "IN",
    }
    raw["buyer"] = {}
    order = read(raw)
    assert order.pii_withheld
    assert order.ship_to is not None
    assert (order.ship_to.city, order.ship_to.pincode, order.ship_to.name) == ("KOCHI", "682016", "")
    assert order.payment is Payment.cod


def test_an_address_whose_first_line_is_blank_uses_the_second(raw):
    to = raw["recipient"]["deliveryAddress"]
    to["addressLine1"] = None
    to["countryCode"] = ""
    address = read(raw).ship_to
    assert address is not None
    assert (address.line1, address.line2, address.country) == ("MG Road", "Near metro pillar 212", "ZZ")


# --- money ----------------------------------------------------------------------------------------------------------


def pay(raw, *executions, signs=True):
    raw["payment"] = {"paymentExecutions": list(executions)} if executions else None
    if not signs:
        for item in raw["orderItems"]:
            item["fulfillment"].pop("shipping", None)
    return read(raw)


@pytest.mark.parametrize("method", ["CashOnDelivery", "CASH_ON_DELIVERY", "COD", "Cash on Delivery"])
def test_cash_on_delivery_however_it_is_spelled(raw, method):
    assert pay(raw, {"paymentMethod": method}, signs=False).payment is Payment.cod


def test_a_prepaid_order(raw):
    order = pay(raw, {"paymentMethod": "CreditCard", "paymentAmount": inr("1499.00")}, signs=False)
    assert (order.payment, order.to_collect, order.hold_reasons) == (Payment.prepaid, Money.zero, ())


def test_where_the_payment_is_not_shown_the_signs_on_the_lines_decide(raw):
    order = pay(raw)
    assert (order.payment, order.to_collect, order.hold_reasons) == (Payment.cod, rupees("1499"), ())
    order = pay(raw, signs=False)
    assert (order.payment, order.to_collect) == (Payment.prepaid, Money.zero)


def test_a_fee_for_cash_on_delivery_is_a_sign_too(raw):
    raw["orderItems"][0]["proceeds"]["breakdowns"].append({"type": "COD_FEE", "subtotal": inr("29.00")})
    assert pay(raw, signs=False).payment is Payment.cod


def test_a_gift_card_and_cash_collects_the_cash(raw):
    card = {"paymentMethod": "GiftCard", "paymentAmount": inr("500.00")}
    order = pay(raw, card, {"paymentMethod": "CashOnDelivery", "paymentAmount": inr("999.00")})
    assert order.to_collect == rupees("999")
    order = pay(raw, card, {"paymentMethod": "CashOnDelivery"})
    assert order.to_collect == rupees("999")


def test_signs_that_disagree_hold_the_booking(raw):
    order = pay(raw, {"paymentMethod": "CreditCard"})
    assert order.payment is Payment.cod
    assert order.hold_reasons == ("Amazon does not clearly say whether the buyer pays on delivery",)


def test_cash_of_an_unknown_amount_holds_the_booking(raw):
    del raw["proceeds"]
    for item in raw["orderItems"]:
        del item["proceeds"]
        item["product"].pop("price")
    order = read(raw)
    assert (order.payment, order.to_collect) == (Payment.cod, Money.zero)
    assert order.hold_reasons == ("Amazon does not say how much the buyer pays on delivery",)


def test_a_missing_total_is_what_the_lines_add_up_to(raw):
    del raw["proceeds"]
    assert read(raw).total == rupees("1499")


def test_a_missing_unit_price_is_worked_out_of_the_goods(raw):
    raw["orderItems"][0]["product"]["price"] = None
    assert read(raw).lines[0].unit_price == rupees("570.95")


def test_a_foreign_order_keeps_its_currency(raw):
    text = json.dumps(raw).replace('"INR"', '"AED"')
    order = read(json.loads(text))
    assert (order.currency, order.total) == ("AED", rupees("1499"))


def test_a_marketplace_we_do_not_know_without_any_amount(raw):
    del raw["proceeds"]
    for item in raw["orderItems"]:
        del item["proceeds"]
        item["product"].pop("price")
    raw["salesChannel"]["marketplaceId"] = "A0UNKNOWN"
    assert read(raw).currency == "XXX"


# --- units ----------------------------------------------------------------------------------------------------------


def test_a_partly_shipped_order(raw):
    raw["fulfillment"]["fulfillmentStatus"] = "PARTIALLY_SHIPPED"
    raw["orderItems"][0]["fulfillment"] |= {"quantityFulfilled": 1, "quantityUnfulfilled": 1}
    order = read(raw)
    assert order.state is SourceState.partially_shipped
    assert [(line.quantity, line.to_ship) for line in order.lines] == [(2, 1), (1, 1)]


def test_units_cancelled_out_of_an_order_are_not_shipped(raw):
    raw["orderItems"][0]["fulfillment"] |= {"quantityFulfilled": 0, "quantityUnfulfilled": 1}
    raw["orderItems"][1] |= {"fulfillment": {}, "cancellation": {"cancellationExecution": {"cancelledBy": "AMAZON"}}}
    assert [(line.quantity, line.to_ship) for line in read(raw).lines] == [(1, 1), (0, 0)]


def test_an_order_that_does_not_count_its_units(raw):
    for item in raw["orderItems"]:
        del item["fulfillment"]
    assert [(line.quantity, line.to_ship) for line in read(raw).lines] == [(2, None), (1, None)]
    raw["orderItems"][0]["fulfillment"] = {"quantityFulfilled": 1}
    assert (read(raw).lines[0].quantity, read(raw).lines[0].to_ship) == (2, 1)


@pytest.mark.parametrize("statuses", [["DELIVERED"], ["DELIVERED", "CANCELLED"]])
def test_an_order_all_of_whose_packages_arrived_is_delivered(raw, statuses):
    raw["fulfillment"]["fulfillmentStatus"] = "SHIPPED"
    raw["packages"] = [
        {"packageReferenceId": str(n), "packageStatus": {"status": status}} for n, status in enumerate(statuses)
    ]
    assert read(raw).state is SourceState.delivered
    raw["packages"].append({"packageReferenceId": "9", "packageStatus": {"status": "IN_TRANSIT"}})
    assert read(raw).state is SourceState.shipped


def test_a_pickup_in_the_shop_ships_nothing(raw):
    raw["programs"] = ["IN_STORE_PICK_UP"]
    assert read(raw).state is SourceState.nothing_to_ship


# --- a buyer's wish -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("requester", ["BUYER", "SOMEONE"])
def test_a_buyer_who_asks_to_cancel_holds_the_booking(raw, requester):
    raw["orderItems"][1]["cancellation"] = {"cancellationRequest": {"requester": requester, "cancelReason": "late"}}
    assert read(raw).hold_reasons == ("the buyer asks to cancel",)


def test_a_wish_that_was_answered_holds_nothing(raw):
    raw["orderItems"][1]["cancellation"] = {
        "cancellationRequest": {"requester": "BUYER"},
        "cancellationExecution": {"cancelledBy": "MERCHANT"},
    }
    assert read(raw).hold_reasons == ()
    del raw["orderItems"][1]["cancellation"]["cancellationExecution"]
    raw["fulfillment"]["fulfillmentStatus"] = "SHIPPED"
    assert read(raw).hold_reasons == ()


def test_a_business_buyers_gstin(raw):
    raw["tax"] = {
        "taxRegistrations": [
            {"taxRegistrationType": "VAT", "taxRegistrationNumber": "GB123"},
            {"taxRegistrationType": "BUSINESS", "taxRegistrationNumber": "29aaaca1111a1z5"},
        ]
    }
    assert read(raw).buyer_gstin == "29AAACA1111A1Z5"


# --- what cannot be read --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda o: o.pop("orderId"),
        lambda o: o.update(orderId=""),
        lambda o: o.pop("createdTime"),
        lambda o: o.update(lastUpdatedTime="yesterday"),
        lambda o: o.update(lastUpdatedTime="2026-11-19T04:11:09"),
        lambda o: o.pop("orderItems"),
        lambda o: o.update(orderItems={"a": 1}),
        lambda o: o.update(orderItems=["x"]),
        lambda o: o["orderItems"][0].pop("orderItemId"),
        lambda o: o["orderItems"][0].update(quantityOrdered="many"),
        lambda o: o["orderItems"][0].update(quantityOrdered=-1),
        lambda o: o["proceeds"]["grandTotal"].update(amount="lots"),
        lambda o: o["orderItems"][0]["product"]["price"]["unitPrice"].update(currencyCode="USD"),
        lambda o: o.update(recipient=["x"]),
        lambda o: o.update(programs="PRIME"),
    ],
)
def test_what_cannot_be_read_is_malformed_and_quotes_no_buyer(raw, change):
    change(raw)
    with pytest.raises(Malformed) as raised:
        read(raw)
    assert "Meera" not in str(raised.value)
    assert raised.value.raw


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_nothing_in_any_place_raises_anything_but_malformed(data):
    order = copy.deepcopy(_ORDER)
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = order
        while True:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = data.draw(st.sampled_from(list(keys)))
            if isinstance(place[key], (dict, list)) and place[key] and data.draw(st.booleans()):
                place = place[key]
                continue
            place[key] = data.draw(_JSON)
            break
    with contextlib.suppress(Malformed):
        assert read(order).external_id


_ORDER: dict[str, Any] = json.loads((Path(__file__).parent / "payloads" / "order_cash_on_delivery.json").read_text())
