"""Our bookings in Velocity's words, and its answers in ours."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipcrowd.couriers.contract import Flow, Mode, Payment
from shipcrowd.integrations.velocity import carriers, mapping
from shipcrowd.integrations.velocity.client import encoded
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Malformed, Refused

GRAMS = st.integers(min_value=1, max_value=mapping.MAX_GRAMS)
MILLIMETRES = st.integers(min_value=1, max_value=5_000)


@given(GRAMS)
def test_kilograms_on_the_wire_are_exactly_the_given_grams_and_never_fewer(grams):
    sent = json.loads(encoded({"weight": mapping.kilograms(grams)}), parse_float=Decimal)["weight"]
    assert Decimal(sent) * 1000 == grams
    assert Decimal(sent) * 1000 >= grams


@given(MILLIMETRES)
def test_centimetres_on_the_wire_are_exactly_the_given_millimetres_and_never_fewer(millimetres):
    sent = json.loads(encoded({"length": mapping.centimetres(millimetres)}), parse_float=Decimal)["length"]
    assert Decimal(sent) * 10 == millimetres


@given(st.integers(min_value=0, max_value=10**11))
def test_rupees_on_the_wire_lose_no_paisa(paise):
    sent = json.loads(encoded([mapping.rupees(Money(paise))]), parse_float=Decimal)[0]
    assert Money.rupees(sent) == Money(paise)


def test_a_forward_order_carries_what_velocity_asks_for(booking_request):
    body = json.loads(encoded(mapping.forward_order(booking_request, "27202")), parse_float=str)
    assert body["order_id"] == booking_request.reference
    assert body["order_date"] == "2026-11-20 09:35"  # IST
    assert body["channel_id"] == "27202"
    assert body["carrier_id"] == "CAR2CHKPXAC5T"
    assert body["billing_customer_name"] == "Anjali Deshmukh"
    assert body["billing_address"] == "Flat 7, Shanti Niwas, Karve Road"
    assert body["billing_phone"] == "9822044556"
    assert body["billing_country"] == "India"
    assert body["payment_method"] == "COD"
    assert body["cod_collectible"] == "1299.50"
    assert body["sub_total"] == "1299.50"
    assert (body["weight"], body["length"], body["breadth"], body["height"]) == ("0.74", "30.5", 22, "4.5")
    assert (body["pickup_location"], body["warehouse_id"]) == ("Peenya Godown", "WH7QK2")
    assert body["vendor_details"]["pin_code"] == "560058"
    assert body["vendor_details"]["phone"] == "9845011223"
    assert [(i["sku"], i["units"], i["selling_price"], i["discount"]) for i in body["order_items"]] == [
        ("KRT-M", 2, "599.75", "0.00"),
        ("STL-1", 1, "150.00", "50.00"),
    ]


def test_a_prepaid_order_collects_nothing(booking_request):
    body = mapping.forward_order(replace(booking_request, payment=Payment.prepaid), "27202")
    assert (body["payment_method"], body["cod_collectible"]) == ("PREPAID", 0)


def test_a_return_is_picked_up_at_the_buyers_and_brought_to_the_warehouse(return_request):
    body = mapping.reverse_order(return_request, "27202")
    assert body["pickup_customer_name"] == "Anjali Deshmukh"
    assert body["pickup_pincode"] == "411004"
    assert body["pickup_isd_code"] == "91"
    assert body["shipping_customer_name"] == "Ravi Kulkarni"
    assert body["shipping_pincode"] == "560058"
    assert body["warehouse_id"] == "WH7QK2"
    assert body["payment_method"] == "PREPAID"
    assert body["total_discount"] == Decimal("50.00")
    assert [item["qc_enable"] for item in body["order_items"]] == [False, False]


def test_a_pickup_point_without_a_name_of_its_own_uses_its_contact(booking_request):
    point = booking_request.ship_from
    body = mapping.warehouse(replace(point, address=point.address.model_copy(update={"name": ""})))
    assert body["contact_person"] == "Ravi Kulkarni"
    assert body["gst_no"] == "29AAPFU0939F1ZR"
    assert body["address_attributes"]["zip"] == "560058"


def test_a_pickup_point_without_gstin_sends_none(booking_request):
    assert "gst_no" not in mapping.warehouse(replace(booking_request.ship_from, gstin=None))


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ({"weight_grams": 0}, "validation", "weight"),
        ({"weight_grams": 30_001}, "validation", "30 kg"),
        ({"height_mm": 0}, "validation", "height"),
        ({"to_collect": Money.zero}, "validation", "collect"),
        ({"lines": ()}, "validation", "items"),
    ],
)
def test_what_velocity_would_silently_default_is_refused_first(booking_request, change, code, word):
    with pytest.raises(Refused) as refused:
        mapping.forward_order(replace(booking_request, **change), "27202")
    assert refused.value.code == code
    assert word in refused.value.message


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("phone", "12345", "mobile"),
        ("pincode", "41100", "pincode"),
        ("state", " ", "state"),
        ("line1", "", "street"),
        ("country", "NP", "India"),
    ],
)
def test_a_buyers_address_with_a_gap_is_refused_naming_the_gap(booking_request, field, value, word):
    ship_to = booking_request.ship_to.model_copy(update={field: value})
    with pytest.raises(Refused, match=word):
        mapping.forward_order(replace(booking_request, ship_to=ship_to), "27202")


def test_an_unregistered_pickup_point_is_told_by_name(booking_request):
    point = replace(booking_request.ship_from, registered_as=None)
    with pytest.raises(Refused, match="Peenya Godown") as refused:
        mapping.forward_order(replace(booking_request, ship_from=point), "27202")
    assert refused.value.code == "warehouse_not_registered"


def test_a_booking_reads_charges_label_routing_and_pickup(payload):
    booking = mapping.booking(payload("forward_booked_in_one_step")["payload"])
    assert booking.awb == "14325600917744"
    assert booking.carrier == "Delhivery"
    assert booking.courier_order_id == "ORD7KD20QW"
    assert booking.courier_shipment_id == "SHI5MM41ZA"
    assert booking.charged == Money.rupees("93.90")
    assert booking.applied_weight_grams == 750
    assert booking.pickup_date == date(2026, 11, 23)
    assert booking.pickup_token == "PKP-88120"
    assert (booking.routing_code, booking.rto_routing_code) == ("PNQ/KRV", "BLR/PNY")
    assert booking.label_url is not None
    assert booking.label_url.endswith("_shipping_label.pdf")


def test_a_return_booking_is_charged_freight_and_platform_fee(payload):
    booking = mapping.booking(payload("return_booked")["payload"])
    assert booking.awb == "R77120934"
    assert booking.courier_order_id == "RET3H8Y2PL"
    assert booking.charged == Money.rupees("86.50")


@pytest.mark.parametrize(
    ("charges", "charged"),
    [
        ({}, None),
        ({"frwd_charges": {"shipping_charges": "n/a"}}, None),
        ({"frwd_charges": {"shipping_charges": "40", "cod_charges": None}}, Money.rupees("40")),
        ({"frwd_charges": {"shipping_charges": "40", "cod_charges": "?"}}, None),
        ({"frwd_charges": {"shipping_charges": Decimal("1040.5")}}, Money.rupees("1040.50")),
    ],
)
def test_a_charge_that_cannot_be_read_is_unknown_never_zero(charges, charged):
    assert mapping.charges(charges) == charged


def test_a_booking_without_an_awb_is_malformed(payload):
    with pytest.raises(Malformed):
        mapping.booking(payload("forward_created_without_awb")["payload"])


def test_a_carrier_we_do_not_know_keeps_its_name():
    booking = mapping.booking({"awb_code": "1", "courier_company_id": "CARNEW", "courier_name": "Ghoda Express"})
    assert booking.carrier == "Ghoda Express"


def test_the_lane_of_a_return_is_prepaid(parcel):
    assert mapping.lane(parcel)["payment_mode"] == "cod"
    lane = mapping.lane(replace(parcel, flow=Flow.reverse))
    assert (lane["payment_mode"], lane["shipment_type"]) == ("prepaid", "return")


def test_offers_are_ranked_named_from_the_table_and_without_retired_services():
    offers = mapping.offers(
        {
            "serviceability_results": [
                {"carrier_id": "CARR5H4WQY3PM", "carrier_name": "Ekart"},
                {"carrier_id": "CARISGEX1QMVB", "carrier_name": "BLUEDART AIR"},
                {"carrier_id": "CAR0EPDPJXXL4", "carrier_name": "DTDC"},
                {"carrier_id": "CARO0ZZQH1H6U", "carrier_name": "Delhivery"},
                {"carrier_id": "CAR2CHKPXAC5T", "carrier_name": "Delhivery"},
                {"carrier_id": "CARNEW", "carrier_name": "Xpressbees Air"},
                {"carrier_id": None},
                "noise",
            ],
            "zone": "zone_d",
        }
    )
    assert [(o.service, o.name, o.carrier, o.mode) for o in offers] == [
        ("CAR2CHKPXAC5T", "Delhivery Standard", "Delhivery", Mode.surface),
        ("CARISGEX1QMVB", "Bluedart Air", "Bluedart", Mode.air),
        ("CARR5H4WQY3PM", "Ekart Standard", "Ekart", Mode.surface),
        ("CARNEW", "Xpressbees Air", "XpressBees", Mode.air),
    ]
    assert {offer.zone for offer in offers} == {"d"}
    assert all(offer.cost is None for offer in offers)


def test_a_zone_we_do_not_know_is_none():
    result = {"serviceability_results": [{"carrier_id": "CARR5H4WQY3PM"}], "zone": "north"}
    assert mapping.offers(result)[0].zone is None


def test_a_retired_service_is_booked_as_its_successor(booking_request):
    body = mapping.forward_order(replace(booking_request, service="CARCVBWTPRH08"), "27202")
    assert body["carrier_id"] == "CARR5H4WQY3PM"


def test_every_successor_is_an_active_service():
    successors = [s.successor for s in carriers.SERVICES.values() if s.successor]
    assert len(successors) == 3
    assert all(carriers.SERVICES[id].active for id in successors)


def test_heavy_services_state_their_slab():
    assert carriers.SERVICES["CARBYISS34LSS"].min_grams == 20_000


def test_totals_count_parcels_by_bucket_and_skip_what_is_no_count():
    payload = {
        "summary": {
            "delivered": {"count": 12, "sum_of_cod_orders": "9100.00"},
            "lost": {"count": "0"},
            "odd": {"count": "many"},
            "absurd": {"count": "1e999999999"},
            "total_shipments": 12,
        }
    }
    assert mapping.totals(payload) == {"delivered": 12, "lost": 0, "total_shipments": 12}
