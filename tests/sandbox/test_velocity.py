"""The courier's endpoints, each with its own envelope, as its documents show them."""

import asyncio
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import BytesIO

import httpx2
import pytest
import time_machine
import zxingcpp
from pypdf import PdfReader
from pypdfium2 import PdfDocument

from shipcrowd.sandbox.refusals import NotPossible
from shipcrowd.sandbox.schemas import Knobs, NewScan
from shipcrowd.sandbox.velocity.labels import FONTS, bars
from shipcrowd.sandbox.velocity.lanes import zone

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


# --- signing in -----------------------------------------------------------------------------------------------


async def test_signing_in_gives_a_raw_token_for_a_day(velocity, desk):
    with time_machine.travel(NOW, tick=False) as clock:
        reply = await velocity.http.post(
            f"{velocity.base}/auth-token", json={"username": "+919000000000", "password": "sandbox-password"}
        )
        assert reply.json()["expires_at"] == "2026-11-23T15:30:00", "on an Indian clock, without an offset"
        velocity.token = reply.json()["token"]
        assert (await velocity.post("order-tracking", {"awbs": ["1"]})).status_code == 200
        clock.shift(timedelta(hours=24))
        expired = await velocity.post("order-tracking", {"awbs": ["1"]})
        assert expired.status_code == 401
        assert "error" in expired.json()


async def test_a_bad_login_and_a_bearer_prefix_are_401(velocity):
    reply = await velocity.http.post(f"{velocity.base}/auth-token", json={"username": "+91", "password": "no"})
    assert (reply.status_code, list(reply.json())) == (401, ["error"])
    velocity.token = f"Bearer {velocity.token}"
    assert (await velocity.post("order-tracking", {"awbs": ["1"]})).status_code == 401


# --- lanes and warehouses -------------------------------------------------------------------------------------


async def test_a_lane_answers_with_carriers_and_zone_but_no_prices(velocity):
    lane = {"from": "560058", "to": "400050", "payment_mode": "cod", "shipment_type": "forward"}
    body = (await velocity.post("serviceability", lane)).json()
    assert body["status"] == "SUCCESS"
    assert body["result"]["zone"] == "zone_c"
    assert {"carrier_id": "CAR2CHKPXAC5T", "carrier_name": "Delhivery Standard"} in body["result"][
        "serviceability_results"
    ]
    assert set(body["result"]["serviceability_results"][0]) == {"carrier_id", "carrier_name"}


ZONES = [
    ("560058", "560011", "zone_a"),
    ("560058", "562101", "zone_b"),
    ("560058", "110005", "zone_c"),
    ("560058", "141002", "zone_d"),
    ("560058", "781024", "zone_e"),
    ("190001", "560058", "zone_e"),
]


@pytest.mark.parametrize(("origin", "destination", "expected"), ZONES)
def test_the_zone_follows_from_the_first_digits(origin, destination, expected):
    assert zone(origin, destination) == expected


async def test_an_unserved_pincode_is_422_or_an_empty_list(velocity, desk):
    lane = {"from": "560058", "to": "194401", "payment_mode": "prepaid", "shipment_type": "forward"}
    refused = await velocity.post("serviceability", lane)
    assert refused.status_code == 422
    assert refused.json()["pincode"] == "194401"
    desk.set_knobs(Knobs(unserviceable_as_empty=True))
    assert (await velocity.post("serviceability", lane)).json()["result"]["serviceability_results"] == []
    desk.set_knobs(Knobs(unserviceable=("400050",)))
    assert (await velocity.post("serviceability", lane)).json()["result"]["serviceability_results"]


async def test_cash_is_not_collected_everywhere(velocity):
    lane = {"from": "560058", "to": "194101", "shipment_type": "forward"}
    assert (await velocity.post("serviceability", {**lane, "payment_mode": "cod"})).status_code == 422
    assert (await velocity.post("serviceability", {**lane, "payment_mode": "prepaid"})).status_code == 200


async def test_a_warehouse_is_registered_or_refused_field_by_field(velocity):
    reply = await velocity.post("warehouse", {"name": "W", "phone_number": "12", "email": "a@b.example"})
    assert reply.status_code == 400
    assert set(reply.json()["errors"]) == {"phone_number", "contact_person"}
    assert (await velocity.warehouse()).startswith("WH")


async def test_booking_needs_a_registered_warehouse(velocity, forward, desk):
    body = forward("WHNONE")
    missing = await velocity.post("forward-order-orchestration", body)
    assert (missing.status_code, missing.json()["warehouse_id"]) == (404, "WHNONE")
    desk.set_knobs(Knobs(missing_warehouse_status=400))
    assert (await velocity.post("forward-order-orchestration", body)).status_code == 400
    assert desk.parcels() == []


# --- booking --------------------------------------------------------------------------------------------------


async def test_one_call_books_labels_and_prices(velocity, forward, desk):
    booked = await velocity.book(forward)
    assert booked["order_id"].startswith("ORD")
    assert booked["shipment_id"].startswith("SHI")
    assert (booked["awb_generated"], booked["label_generated"], booked["cod"]) == (1, 1, 1)
    assert booked["courier_name"] == "Delhivery Standard", "left blank, the best is chosen"
    assert booked["assigned_date_time"]["timezone"] == "Asia/Kolkata"
    assert booked["assigned_date_time"]["date"].endswith("+05:30")
    assert isinstance(booked["charges"]["frwd_charges"]["shipping_charges"], str)
    assert booked["charges"]["frwd_charges"]["cod_charges"] == "30.00"
    assert "frwd_charges" not in booked
    (parcel,) = desk.parcels("SC-1001")
    assert (parcel.awb, parcel.cod_paise, parcel.to_name) == (booked["awb_code"], 99800, "Asha Rao")


BAD_FIELDS = [
    ({"billing_phone": "919845000101"}, "billing_phone"),
    ({"billing_pincode": "4000"}, "billing_pincode"),
    ({"order_items": []}, "order_items"),
    ({"payment_method": "Barter"}, "payment_method"),
    ({"cod_collectible": 0}, "cod_collectible"),
    ({"weight": 0}, "weight"),
    ({"weight": 31}, "weight"),
    ({"print_label": None}, "print_label"),
    ({"order_date": "22/11/2026"}, "order_date"),
    ({"pickup_location": "Somewhere else"}, "pickup_location"),
    ({"billing_customer_name": " "}, "billing_customer_name"),
]


@pytest.mark.parametrize(("changes", "field"), BAD_FIELDS)
async def test_a_bad_field_is_400_and_named_and_books_nothing(velocity, forward, desk, changes, field):
    reply = await velocity.post("forward-order-orchestration", forward(await velocity.warehouse(), **changes))
    assert reply.status_code == 400
    assert field in reply.json()["errors"]
    assert field in reply.json()["message"]
    assert desk.parcels() == []


BUSINESS = [
    ({"carrier_id": "CARO0ZZQH1H6U"}, "no longer active"),
    ({"carrier_id": "CARNONSENSE00"}, "Courier assignment failed"),
    ({"billing_pincode": "744301"}, "not serviceable"),
    ({"billing_pincode": "781024", "carrier_id": "CARR5H4WQY3PM"}, "does not service"),
]


@pytest.mark.parametrize(("changes", "words"), BUSINESS)
async def test_a_business_refusal_is_422_with_a_reason(velocity, forward, desk, changes, words):
    reply = await velocity.post("forward-order-orchestration", forward(await velocity.warehouse(), **changes))
    assert reply.status_code == 422
    assert words in reply.json()["message"]
    assert desk.stats().parcels == 0


async def test_booking_in_two_steps(velocity, forward):
    taken = (await velocity.post("forward-order", forward(await velocity.warehouse()))).json()["payload"]
    assert (taken["awb_generated"], taken["applied_weight"]) == (0, None)
    assert "awb_code" not in taken
    step = {"shipment_id": taken["shipment_id"], "carrier_id": "CAR2FZNOLGJ2X"}
    booked = (await velocity.post("forward-order-shipment", step)).json()["payload"]
    assert (booked["order_id"], booked["courier_name"]) == (taken["order_id"], "Bluedart Standard")
    assert (await velocity.post("forward-order-shipment", step)).status_code == 422
    assert (await velocity.post("forward-order-shipment", {"shipment_id": "SHINONE"})).status_code == 404


async def test_the_same_order_id_twice_is_two_parcels_unless_the_knob_refuses(velocity, forward, desk):
    body = forward(await velocity.warehouse())
    for _ in range(2):
        assert (await velocity.post("forward-order-orchestration", body)).status_code == 200
    assert desk.stats().parcels_by_order == {"SC-1001": 2}
    desk.set_knobs(Knobs(reject_duplicate_orders=True))
    third = await velocity.post("forward-order-orchestration", body)
    assert (third.status_code, third.json()["message"]) == (422, "Order already exists")
    assert len(desk.parcels("SC-1001")) == 2


async def test_the_label_is_a_one_page_pdf_with_the_number_on_it(velocity, forward, http):
    with time_machine.travel(NOW, tick=False) as clock:
        booked = await velocity.book(forward)
        assert ".s3.ap-south-1.amazonaws.com/" in booked["label_url"]
        assert f"{booked['awb_code']}_shipping_label.pdf" in booked["label_url"]
        reply = await http.get(booked["label_url"])
        assert reply.headers["content-type"] == "application/pdf"
        (page,) = PdfReader(BytesIO(reply.content)).pages
        assert (page.mediabox.width, page.mediabox.height) == (288, 432)
        text = page.extract_text()
        assert booked["awb_code"] in text
        assert "COD  Rs 998.00" in text
        clock.shift(timedelta(days=8))
        assert (await http.get(booked["label_url"])).status_code == 403
    assert (await http.get("https://velocity-shazam-prod.s3.ap-south-1.amazonaws.com/nothing")).status_code == 404


@pytest.mark.skipif(not FONTS.is_dir(), reason="the fonts are not in place: run `python tools/assets.py`")
async def test_the_label_shows_the_address_in_its_own_script_and_a_barcode_that_scans(velocity, forward, http):
    hindi = {"billing_customer_name": "रमा", "billing_last_name": "वर्मा", "billing_address": "मकान 14, गांधी नगर"}
    booked = await velocity.book(forward, **hindi)
    label = (await http.get(booked["label_url"])).content
    with closing(PdfDocument(label)) as drawn:
        said = drawn[0].get_textpage().get_text_bounded()
        bitmap = drawn[0].render(scale=203 / 72, grayscale=True)
        flat = bytes(bitmap.buffer)
        rows = b"".join(flat[y * bitmap.stride : y * bitmap.stride + bitmap.width] for y in range(bitmap.height))
    (code,) = zxingcpp.read_barcodes(memoryview(rows).cast("B", (bitmap.height, bitmap.width)))
    assert (code.text, code.format) == (booked["awb_code"], zxingcpp.BarcodeFormat.Code39)
    assert "रमा" in said and "मकान 14" in said and "9845000101" in said and "?" not in said


async def test_some_bookings_come_back_without_a_label(velocity, forward, desk):
    desk.set_knobs(Knobs(label_missing=1.0))
    booked = await velocity.book(forward)
    assert (booked["awb_generated"], booked["label_generated"], booked["label_url"]) == (1, 0, None)


@pytest.mark.parametrize("prefix", ["3481", "77", "SF", "VEHF", "R"])
def test_every_sign_of_an_awb_has_bars(prefix):
    assert sum(bars(f"{prefix}0123456789VEL")) == 16 * (len(prefix) + 15) - 1


async def test_an_address_is_corrected_before_pickup_only(velocity, forward, desk):
    booked = await velocity.book(forward)
    change = {"order_id": "SC-1001", "billing_customer_name": "Usha", "billing_phone": "9845000999"}
    assert (await velocity.post("order", change, "PUT")).json()["status"] == 1
    assert desk.parcel(booked["awb_code"]).to_name == "Usha Rao"
    assert (await velocity.post("order", {**change, "billing_phone": "1"}, "PUT")).status_code == 400
    assert (await velocity.post("order", {"order_id": "SC-none"}, "PUT")).status_code == 404
    desk.scan(booked["awb_code"], NewScan(status="PICKED UP"))
    assert (await velocity.post("order", change, "PUT")).status_code == 422


# --- tracking, cancelling, reports ----------------------------------------------------------------------------


async def test_tracking_answers_each_number_on_its_own(velocity, forward, desk):
    booked = await velocity.book(forward)
    awb = booked["awb_code"]
    desk.fail_delivery(awb, "CUSTOMER NOT AVAILABLE")
    desk.deliver(awb)
    result = (await velocity.post("order-tracking", {"awbs": [awb, "0000"]})).json()["result"]
    assert list(result["0000"]) == ["error"]
    data = result[awb]["tracking_data"]
    assert data["shipment_status"] == "delivered"
    assert data["track_url"] == f"https://shipfastt.in/track/{awb}"
    assert data["shipment_track"][0]["delivered_date"]
    activities = [one["activity"] for one in data["shipment_track_activities"]]
    assert activities == [
        "DELIVERED",
        "OUT FOR DELIVERY",
        "DELIVERY ATTEMPTED - CUSTOMER NOT AVAILABLE",
        "OUT FOR DELIVERY",
        "REACHED HUB",
        "IN TRANSIT",
        "PICKED UP",
        "OUT FOR PICKUP",
        "MANIFESTED",
    ], "newest first"
    dates = [one["date"] for one in data["shipment_track_activities"]]
    assert dates == sorted(dates, reverse=True)
    assert len(set(dates)) == len(dates)


async def test_anothers_parcel_is_not_found(velocity, forward, desk):
    awb = (await velocity.book(forward))["awb_code"]
    desk.velocity.accounts["+919111111111"] = "pw"
    await velocity.sign_in("+919111111111", "pw")
    assert "error" in (await velocity.post("order-tracking", {"awbs": [awb]})).json()["result"][awb]


async def test_cancelling_is_a_request_that_is_carried_out_later(velocity, forward, desk):
    with time_machine.travel(NOW, tick=False) as clock:
        awb = (await velocity.book(forward))["awb_code"]
        reply = await velocity.post("cancel-order", {"awbs": [awb]})
        assert "in progress" in reply.json()["message"]
        assert desk.parcel(awb).status == "CANCELLATION REQUESTED"
        clock.shift(timedelta(seconds=5))
        assert desk.parcel(awb).status == "CANCELLED"


async def test_what_is_under_way_cannot_be_cancelled_and_takes_the_whole_call_down(velocity, forward, desk):
    moving = (await velocity.book(forward))["awb_code"]
    waiting = (await velocity.book(forward, order_id="SC-1002"))["awb_code"]
    desk.scan(moving, NewScan(status="IN TRANSIT"))
    refused = await velocity.post("cancel-order", {"awbs": [waiting, moving]})
    assert refused.status_code == 422
    assert refused.json()["current_status"] == "IN TRANSIT"
    assert desk.parcel(waiting).status == "MANIFESTED"
    assert (await velocity.post("cancel-order", {"awbs": [waiting] * 51})).status_code == 400
    assert (await velocity.post("cancel-order", {"awbs": []})).status_code == 400


async def test_the_report_counts_what_was_made_in_a_period_by_bucket(velocity, forward, desk):
    delivered = (await velocity.book(forward))["awb_code"]
    await velocity.book(forward, order_id="SC-2", payment_method="PREPAID", cod_collectible=0)
    desk.deliver(delivered)
    start = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    end = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    period = {"start_date_time": start, "end_date_time": end, "shipment_type": "forward"}
    body = (await velocity.post("reports", period)).json()
    assert body["status"] == "SUCCESS"
    summary = body["payload"]["summary"]
    assert summary["delivered"] == {"count": 1, "sum_of_prepaid_orders": 0.0, "sum_of_cod_orders": 998.0}
    assert summary["pickup_pending"]["sum_of_prepaid_orders"] == 998.0
    assert summary["total_shipments"] == 2
    assert (await velocity.post("reports", {**period, "shipment_type": "return"})).json()["payload"]["summary"][
        "total_shipments"
    ] == 0


# --- returns --------------------------------------------------------------------------------------------------


def reverse(warehouse_id, **changes):
    person = {
        "customer_name": "Asha",
        "address": "14, 3rd Main",
        "city": "Mumbai",
        "state": "Maharashtra",
        "country": "India",
        "phone": "9845000101",
    }
    return {
        "order_id": "RET-1",
        "order_date": "2026-11-22",
        **{f"pickup_{name}": value for name, value in person.items()},
        "pickup_pincode": "400050",
        **{f"shipping_{name}": value for name, value in person.items()},
        "shipping_pincode": 560058,
        "warehouse_id": warehouse_id,
        "order_items": [
            {"name": "Bottle", "sku": "BOT", "units": 1, "selling_price": 499, "qc_enable": True,
             "qc_product_image": "https://img.example/b.jpg"}
        ],
        "payment_method": "PREPAID",
        "total_discount": "0",
        "sub_total": 499,
        "length": 20, "breadth": 15, "height": 10, "weight": 0.42,
        "request_pickup": True,
        **changes,
    }  # fmt: skip


async def test_a_return_is_booked_in_one_step(velocity, desk):
    reply = await velocity.post("reverse-order-orchestration", reverse(await velocity.warehouse()))
    booked = reply.json()["payload"]
    assert (booked["is_return"], booked["cod"]) == (1, 0)
    assert booked["awb_code"].startswith("R")
    assert booked["charges"]["qc"] == "15.00"
    assert desk.parcel(booked["awb_code"]).status == "RETURN PICKUP SCHEDULED"
    desk.deliver(booked["awb_code"])
    assert desk.parcel(booked["awb_code"]).status == "RETURN DELIVERED"


async def test_a_return_is_booked_in_two_steps(velocity):
    warehouse = await velocity.warehouse()
    taken = (await velocity.post("reverse-order", reverse(warehouse))).json()["payload"]
    assert taken["return_id"].startswith("RET")
    step = {"return_id": taken["return_id"], "warehouse_id": warehouse, "carrier_id": ""}
    booked = (await velocity.post("reverse-order-shipment", step)).json()["payload"]
    assert booked["order_id"] is None
    assert booked["shipment_id"].startswith("SHI")


async def test_a_quality_check_needs_a_picture_and_at_most_two_skus(velocity):
    warehouse = await velocity.warehouse()
    item = {"name": "B", "sku": "B", "units": 1, "selling_price": 1, "qc_enable": True}
    assert (
        await velocity.post("reverse-order-orchestration", reverse(warehouse, order_items=[item]))
    ).status_code == 400
    items = [{**item, "sku": str(n), "qc_product_image": "https://img.example/b.jpg"} for n in range(3)]
    booked = (await velocity.post("reverse-order-orchestration", reverse(warehouse, order_items=items))).json()
    assert booked["payload"]["charges"]["qc"] == "0.00"


# --- failed deliveries, lists, money ---------------------------------------------------------------------------


async def test_a_failed_delivery_can_be_tried_again_or_sent_back(velocity, forward, desk):
    awb = (await velocity.book(forward))["awb_code"]
    assert (await velocity.post("reattempt", {"awb": awb})).status_code == 422
    desk.fail_delivery(awb)
    assert (await velocity.post("reattempt", {"awb": awb, "comments": "call first"})).json()["success"] is True
    desk.fail_delivery(awb, "CUSTOMER REFUSED")
    assert (await velocity.post("initiate-rto", {"awb": awb})).json()["data"] == {"awb": awb}
    assert desk.parcel(awb).status == "RTO INITIATED"


async def test_a_parcel_is_sent_back_only_once_it_was_picked_up(velocity, forward, desk):
    awb = (await velocity.book(forward))["awb_code"]
    with pytest.raises(NotPossible):
        desk.rto(awb)
    desk.fail_delivery(awb)
    assert desk.rto(awb, all_the_way=True).status == "RTO DELIVERED"
    with pytest.raises(NotPossible):
        desk.deliver(awb)


async def test_parcels_are_found_by_our_order_id(velocity, forward):
    booked = await velocity.book(forward)
    await velocity.book(forward, order_id="SC-1002")
    listed = (await velocity.post("shipments", {"page": {"number": 1}, "per_page": 20, "search": "SC-1001"})).json()
    assert [one["attributes"]["tracking_number"] for one in listed["data"]] == [booked["awb_code"]]
    assert (await velocity.post("shipments", {"page": 2, "per_page": 1})).json()["meta"]["total"] == 2


async def test_cash_is_remitted_when_there_is_a_utr_not_when_there_is_a_date(velocity, forward, desk):
    cash = (await velocity.book(forward))["awb_code"]
    prepaid = (await velocity.book(forward, order_id="SC-2", payment_method="PREPAID", cod_collectible=0))["awb_code"]
    desk.deliver(cash)
    rows = (await velocity.post("cod-remittance", {"awbs": [cash, prepaid, "none", cash]})).json()["data"]
    assert rows[0]["utr_no"] is None
    assert rows[0]["remittance_date"]
    assert "prepaid order" in rows[1]["error"]
    assert "does not exist" in rows[2]["error"]
    assert len(rows) == 3
    assert desk.remit_cod("UTR123") == [cash]
    assert (await velocity.post("cod-remittance", {"awbs": [cash]})).json()["data"][0]["utr_no"] == "UTR123"
    assert desk.remit_cod("UTR124") == []


async def test_advancing_everything_ends_with_everything_delivered(velocity, forward, desk):
    for n in range(3):
        await velocity.book(forward, order_id=f"SC-{n}")
    steps = 0
    while desk.advance_all():
        steps += 1
    assert steps == 6
    assert desk.stats().parcels_by_status == {"DELIVERED": 3}


async def test_the_budget_is_kept_when_asked_for(velocity, desk):
    desk.set_knobs(Knobs(enforce_budget=True))
    for _ in range(20):
        await velocity.warehouse()
    reply = await velocity.post("warehouse", {})
    assert reply.status_code == 429
    assert 0 < int(reply.headers["Retry-After"]) <= 60


async def test_an_unknown_endpoint_is_404(velocity):
    assert (await velocity.post("settlement-status", {})).status_code == 404


async def test_the_desk_knows_whose_order_a_parcel_is_and_what_can_happen_to_it(velocity, forward, desk):
    placed = desk.place_order("asha-crafts.myshopify.com")
    awb = (await velocity.book(forward))["awb_code"]
    (parcel,) = desk.parcels()
    assert (parcel.order_name, parcel.moves) == (None, ("advance", "deliver", "fail"))
    desk.fulfil_elsewhere("asha-crafts.myshopify.com", placed.name, awb)
    desk.scan(awb, NewScan(status="IN TRANSIT"))
    (parcel,) = desk.parcels()
    assert (parcel.order_name, parcel.moves) == (placed.name, ("advance", "deliver", "fail", "rto"))
    desk.deliver(awb)
    assert desk.parcel(awb).moves == ()


async def test_a_cancellation_is_carried_out_without_anybody_asking_again(served, velocity, forward):
    url, desk = served
    desk.set_knobs(Knobs(cancel_seconds=0.1))
    async with httpx2.AsyncClient(timeout=5, trust_env=False) as http:
        courier = type(velocity)(http, base=f"{url}/shazam.velocity.in/custom/api/v1")
        await courier.sign_in(desk.credentials.velocity_username, desk.credentials.velocity_password)
        awb = (await courier.book(forward))["awb_code"]
        await courier.post("cancel-order", {"awbs": [awb]})
        parcel = desk.velocity.by_awb[awb]
        assert parcel.status == "CANCELLATION REQUESTED"
        async with asyncio.timeout(10):
            while parcel.status != "CANCELLED":
                await asyncio.sleep(0.05)
