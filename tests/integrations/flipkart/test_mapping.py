from datetime import UTC, datetime

import pytest

from shipcrowd.integrations.flipkart import mapping, words
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Malformed, read_json
from shipcrowd.orders.schemas import Fulfilment, Payment, SourceState

from .conftest import LOCATION, details, shipment, with_awb

ID = "8c2a1f54-0b7e-4b0d-9d4b-51c0a6f3e9d7"


def items(*entries):
    """A shipment's items, each the usual one with these changes."""
    return [shipment(item=entry)["orderItems"][0] for entry in entries]


def paise(rupees: str) -> Money:
    return Money.rupees(rupees)


def test_a_shipment_is_an_order_and_shares_the_number_of_its_checkout():
    order = mapping.incoming_order(shipment(), details())
    assert (order.external_id, order.external_ref, order.number) == (ID, None, "OD512345600012345600")
    assert order.placed_at == datetime(2026, 11, 20, 12, 45, 57, tzinfo=UTC)
    assert order.source_updated_at == datetime(2026, 11, 20, 12, 47, 1, tzinfo=UTC)
    assert order.ship_by == datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
    assert (order.state, order.fulfilment) == (SourceState.open, Fulfilment.marketplace_logistics)
    assert (order.payment, order.currency) == (Payment.cod, "INR")
    assert (order.subtotal, order.shipping, order.discount) == (paise("998"), paise("80"), Money.zero)
    assert (order.total, order.to_collect) == (paise("1078"), paise("1078"))
    assert order.weight_grams == 420
    [line] = order.lines
    assert (line.external_id, line.sku, line.quantity, line.to_ship) == ("12345600012345600", "BOT-1L-BLU", 2, None)
    assert (line.unit_price, line.discount, line.hsn) == (paise("499"), Money.zero, "73239390")
    assert (line.external_product_id, line.external_variant_id) == ("BOTXZ7Q9EXAMPLE1", "BOTXZ7Q9EXAMPLE1:BOT-1L-BLU")
    assert order.attributes["location"] == LOCATION


# --- prices ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "units"), [("998.00", 3), ("100.00", 7), ("0.01", 2), ("499", 1), ("0", 2)])
def test_a_line_adds_up_to_the_paisa_whatever_it_is_divided_by(price, units):
    raw = read_json(f'{{"sellingPrice": {price}, "customerPrice": {price}}}')
    [line] = mapping.incoming_order(shipment(item={"quantity": units, "priceComponents": raw})).lines
    assert line.unit_price * units - line.discount == paise(price)
    assert line.discount < Money(units)


def test_what_flipkart_takes_off_is_taken_off_what_the_buyer_pays():
    price = {"sellingPrice": 998, "shippingCharge": 80, "totalPrice": 1078, "flipkartDiscount": 78}
    order = mapping.incoming_order(shipment(item={"priceComponents": price}))
    assert (order.total, order.to_collect, order.discount) == (paise("1000"), paise("1000"), paise("78"))
    assert order.lines[0].discount == paise("78")
    del price["totalPrice"]
    assert mapping.incoming_order(shipment(item={"priceComponents": price})).total == paise("1000")


@pytest.mark.parametrize("price", [None, {}, {"sellingPrice": None}, {"sellingPrice": "a lot"}, []])
def test_a_price_that_is_not_there_is_never_made_up(price):
    with pytest.raises(Malformed):
        mapping.incoming_order(shipment(item={"priceComponents": price}))


def test_what_is_prepaid_is_not_collected_and_where_both_are_in_one_parcel_the_cash_part_is():
    prepaid = mapping.incoming_order(shipment(item={"paymentType": "PREPAID"}))
    assert (prepaid.payment, prepaid.to_collect, prepaid.total) == (Payment.prepaid, Money.zero, paise("1078"))
    raw = shipment()
    raw["orderItems"] = items({}, {"orderItemId": "2", "paymentType": "PREPAID"})
    both = mapping.incoming_order(raw)
    assert (both.payment, both.to_collect, both.total) == (Payment.cod, paise("1078"), paise("2156"))


def test_a_way_of_paying_we_do_not_know_asks_for_a_person():
    assert mapping.incoming_order(shipment(item={"paymentType": "BARTER"})).state is SourceState.attention


# --- how far it is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("APPROVED", SourceState.open),
        ("PACKING_IN_PROGRESS", SourceState.open),
        ("FORM_FAILED", SourceState.open),
        ("PACKED", SourceState.open),
        ("READY_TO_DISPATCH", SourceState.open),
        ("PICKUP_COMPLETE", SourceState.shipped),
        ("SHIPPED", SourceState.shipped),
        ("DELIVERED", SourceState.delivered),
        ("COMPLETED", SourceState.delivered),
        ("RETURN_REQUESTED", SourceState.delivered),
        ("RETURNED", SourceState.delivered),
        ("CANCELLED", SourceState.cancelled),
        ("approved", SourceState.open),
        ("TELEPORTED", SourceState.attention),
    ],
)
def test_every_state_of_flipkarts_is_one_of_ours(status, state):
    order = mapping.incoming_order(shipment(status=status))
    assert order.state is state
    assert order.attributes["status"] == status.upper()


def test_the_tables_hold_the_same_states():
    assert set(words.STEPS) == set(words.STATES) == set(words.PRE_DISPATCH) | set(words.POST_DISPATCH)
    assert set(words.PROGRESS) | {"APPROVED", "PACKING_IN_PROGRESS", "FORM_FAILED"} == set(words.STEPS) | {"CANCELLED"}


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        (("SHIPPED", "APPROVED"), SourceState.open),
        (("DELIVERED", "SHIPPED"), SourceState.shipped),
        (("CANCELLED", "DELIVERED"), SourceState.delivered),
        (("SHIPPED", "TELEPORTED"), SourceState.attention),
        (("CANCELLED", "CANCELLED"), SourceState.cancelled),
    ],
)
def test_the_live_item_that_is_least_far_says_how_far_the_order_is(statuses, state):
    raw = shipment()
    raw["orderItems"] = items(*({"orderItemId": str(n), "status": status} for n, status in enumerate(statuses)))
    assert mapping.incoming_order(raw).state is state


@pytest.mark.parametrize(("status", "held"), [("APPROVED", True), ("PACKED", True), ("SHIPPED", False)])
def test_a_hold_keeps_back_what_has_not_left(status, held):
    order = mapping.incoming_order(shipment(status=status, hold=True))
    assert (order.state is SourceState.on_hold) == held
    assert bool(order.hold_reasons) == held


def test_what_is_coming_back_undelivered_was_not_delivered():
    order = mapping.incoming_order(shipment(status="RETURNED", item={"courierReturn": True}))
    assert order.state is SourceState.shipped
    assert "rto" in order.tags


def test_what_left_is_not_shipped_by_us_again():
    assert mapping.incoming_order(shipment(status="SHIPPED")).lines[0].to_ship == 0


def test_forms_that_failed_stand_out():
    assert "forms-failed" in mapping.incoming_order(shipment(status="FORM_FAILED")).tags


# --- cancelled in part ----------------------------------------------------------------------------------------------


def test_units_cancelled_of_an_item_are_subtracted_and_the_order_lives_on():
    half = {"sellingPrice": 499, "shippingCharge": 40, "customerPrice": 539}
    raw = shipment()
    raw["orderItems"] = items(
        {"quantity": 1, "priceComponents": half}, {"quantity": 1, "priceComponents": half, "status": "CANCELLED"}
    )
    order = mapping.incoming_order(raw)
    [line] = order.lines
    assert (order.state, line.quantity, line.unit_price) == (SourceState.open, 1, paise("499"))
    assert (order.total, order.to_collect) == (paise("539"), paise("539"))
    assert "partly-cancelled" in order.tags


def test_an_item_cancelled_whole_stays_as_a_line_of_none_and_costs_nothing():
    raw = shipment()
    raw["orderItems"] = items({}, {"orderItemId": "2", "status": "CANCELLED"})
    order = mapping.incoming_order(raw)
    assert [line.quantity for line in order.lines] == [2, 0]
    assert (order.total, order.to_collect) == (paise("1078"), paise("1078"))


def test_an_order_cancelled_whole_keeps_its_amounts_and_collects_nothing():
    order = mapping.incoming_order(shipment(status="CANCELLED"))
    assert (order.state, order.total, order.to_collect) == (SourceState.cancelled, paise("1078"), Money.zero)
    assert [line.quantity for line in order.lines] == [0]
    assert order.lines[0].unit_price == paise("499")


# --- who ships, and to whom -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "profile", "fulfilment"),
    [
        ("NORMAL", "NON_FBF", Fulfilment.marketplace_logistics),
        ("EXPRESS", "Seller_Fulfilment", Fulfilment.marketplace_logistics),
        ("NORMAL", "FBF_LITE", Fulfilment.marketplace_logistics),
        ("NORMAL", "Smart_Fulfilment", Fulfilment.marketplace_logistics),
        ("SELF", "NON_FBF", Fulfilment.seller),
        ("NORMAL", "FBF", Fulfilment.marketplace_warehouse),
        ("SELF", "Flipkart_Fulfilment", Fulfilment.marketplace_warehouse),
    ],
)
def test_who_ships(kind, profile, fulfilment):
    raw = shipment(shipmentType=kind, item={"serviceProfile": profile})
    assert mapping.incoming_order(raw).fulfilment is fulfilment


def test_the_phone_is_the_buyers_own_and_for_self_ship_only():
    ours = mapping.incoming_order(shipment(shipmentType="SELF"), details())
    assert ours.ship_to is not None
    assert (ours.ship_to.name, ours.ship_to.phone, ours.ship_to.pincode) == ("Asha Rao", "9000000001", "560038")
    assert (ours.ship_to.line1, ours.ship_to.line2) == ("12, 4th Cross", "Indiranagar, Near park")
    assert not ours.pii_withheld
    theirs = mapping.incoming_order(shipment(), details())
    assert theirs.ship_to is not None
    assert theirs.ship_to.phone is None


@pytest.mark.parametrize("mask", ["XXXXXXXXXX", "**********", "xxxxx xxxxx", "", None])
def test_what_is_masked_is_missing_and_nothing_is_put_in_its_place(mask):
    masked = {"firstName": mask, "addressLine1": mask, "contactNumber": mask, "city": "Pune", "pincode": "411 004"}
    order = mapping.incoming_order(shipment(shipmentType="SELF"), details(deliveryAddress=masked, buyerDetails={}))
    assert order.pii_withheld
    assert order.ship_to is not None
    assert (order.ship_to.name, order.ship_to.phone, order.ship_to.line1) == ("", None, "")
    assert (order.ship_to.city, order.ship_to.pincode) == ("Pune", "411004")


def test_without_details_the_buyer_is_withheld():
    order = mapping.incoming_order(shipment())
    assert order.pii_withheld
    assert order.ship_to is None


# --- oddities -------------------------------------------------------------------------------------------------------


def test_a_sku_wrapped_in_quotation_marks_is_unwrapped():
    [line] = mapping.incoming_order(shipment(item={"sku": "&quot;BOT-1L-BLU&quot;", "fsn": '"BOTX"'})).lines
    assert (line.sku, line.external_product_id) == ("BOT-1L-BLU", "BOTX")


@pytest.mark.parametrize(
    ("said", "hour"),
    [
        ("2026-11-20T18:17:01.000+05:30", 12),
        ("2026-11-20T18:17:01+05:30", 12),
        ("2026-11-20T12:47:01Z", 12),
        ("2026-11-20T18:17:01", 12),
    ],
)
def test_a_time_is_read_with_any_zone_and_without_one_is_indian(said, hour):
    assert mapping.incoming_order(shipment(updatedAt=said)).source_updated_at.hour == hour


def test_without_a_time_of_change_an_order_is_as_old_as_itself():
    order = mapping.incoming_order(shipment(updatedAt=None))
    assert order.source_updated_at == order.placed_at


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        "shipment",
        {},
        shipment(orderItems=[]),
        shipment(orderItems=None),
        shipment(shipmentId=None),
        shipment(item={"quantity": -1}),
        shipment(item={"quantity": 1.5}),
        shipment(item={"quantity": True}),
        shipment(item={"quantity": None}),
        shipment(item={"status": ["APPROVED"]}),
        shipment(item={"orderDate": "yesterday"}),
        shipment(updatedAt="soon"),
        shipment(subShipments="none"),
    ],
)
def test_what_cannot_be_read_is_malformed_and_quotes_nothing(broken):
    with pytest.raises(Malformed) as raised:
        mapping.incoming_order(broken, details())
    assert "Asha" not in str(raised.value)


@pytest.mark.parametrize("weights", [[], [None], [0.4, None], [0]])
def test_a_weight_is_known_of_all_packages_or_not_at_all(weights):
    subs = [{"packages": [{"id": "p", "dimensions": {"weight": weight}}]} for weight in weights]
    assert mapping.incoming_order(shipment(subShipments=subs)).weight_grams is None


def test_weights_add_up():
    subs = [{"packages": [{"dimensions": {"weight": 0.4205}}, {"dimensions": {"weight": 1}}]}]
    assert mapping.incoming_order(shipment(subShipments=subs)).weight_grams == 1421


@pytest.mark.parametrize("hsn", [None, "", "12", "12345678901", "7323-93"])
def test_an_hsn_that_is_none_is_left_out(hsn):
    assert mapping.incoming_order(shipment(item={"hsn": hsn})).lines[0].hsn is None


def test_replacements_and_express_are_told_by_either_spelling():
    raw = shipment(shipmentType="EXPRESS", item={"is_replacement": None, "isReplacement": True})
    assert {"express", "replacement"} <= set(mapping.incoming_order(raw).tags)


def test_the_awb_stands_on_the_shipment_or_inside_it():
    assert mapping.courier_of(details()) is None
    assert mapping.courier_of(details(**with_awb())) == ("FMPC0000000001", "E-Kart Logistics")
    leg = {"courierDetails": {"pickupDetails": {"trackingId": "FMPC2"}, "deliveryDetails": None}}
    assert mapping.courier_of(details(**leg)) == ("FMPC2", "Flipkart")


def test_words_we_do_not_know_are_named_by_field():
    raw = shipment(status="TELEPORTED", shipmentType="DRONE", item={"paymentType": "BARTER", "serviceProfile": "X"})
    assert set(words.unknown_words(mapping.incoming_order(raw).attributes)) == {
        ("status", "TELEPORTED"),
        ("shipment_type", "DRONE"),
        ("payment_type", "BARTER"),
        ("service_profile", "X"),
    }
    assert words.unknown_words(mapping.incoming_order(shipment()).attributes) == []


def test_no_personal_data_stands_in_the_attributes():
    order = mapping.incoming_order(shipment(shipmentType="SELF"), details())
    assert not any("Asha" in word or "9000000001" in word or "Cross" in word for word in order.attributes.values())


# --- listings -------------------------------------------------------------------------------------------------------


def test_a_listing_is_known_by_product_and_sku():
    raw = {
        "listing_id": "LSTBOT",
        "product_id": "BOTX",
        "sku_id": "&quot;BOT-1L&quot;",
        "price": {"mrp": 1499, "flipkart_selling_price": 499},
        "tax": {"hsn": "73239390", "tax_code": "GST_18"},
    }
    listing = mapping.listing(raw)
    assert mapping.split_variant(listing.external_variant_id) == ("BOTX", "BOT-1L")
    assert (listing.sku, listing.price, listing.hsn, listing.stock_id) == ("BOT-1L", paise("499"), "73239390", "LSTBOT")
    for broken in ({}, {"product_id": "BOTX"}, {"sku_id": "BOT-1L", "product_id": ""}):
        with pytest.raises(Malformed):
            mapping.listing(broken)


def test_stock_that_is_not_told_is_unknown_and_not_none():
    assert mapping.stock({"product_id": "BOTX"}) is None
    assert mapping.stock({"locations": None}) is None
    assert mapping.stock({"locations": []}) == {}
    told = [{"id": "LOC1", "inventory": 5}, {"id": "LOC2", "inventory": 0}, {"id": "LOC3"}]
    assert mapping.stock({"locations": told}) == {"LOC1": 5, "LOC2": 0}


@pytest.mark.parametrize("id_", ["", "BOTX", ":SKU", "BOTX:"])
def test_what_is_no_variant_of_ours_is_told_apart(id_):
    assert mapping.split_variant(id_) is None


def test_a_sku_may_hold_a_colon():
    assert mapping.split_variant(mapping.variant("BOTX", "A:B")) == ("BOTX", "A:B")


@pytest.mark.parametrize(
    ("carrier", "code"),
    [
        ("Delhivery Surface", "DELHIVERY"),
        ("Blue Dart", "Other"),
        ("Ravi & Sons", "Other"),
    ],
)
def test_a_carrier_whose_code_nobody_knows_goes_as_other(carrier, code):
    assert words.partner_code(carrier) == code


@pytest.mark.parametrize(
    ("said", "reason"),
    [("Out of stock", "not_enough_inventory"), ("B2B buyer", "b2b_order"), ("whatever", "cannot_procure_item")],
)
def test_a_reason_is_one_of_flipkarts_three(said, reason):
    assert words.cancel_reason(said) == reason
