import json
from datetime import timedelta

import httpx2
import pytest

from shipcrowd.couriers.contract import (
    FORMS_NEEDED,
    BookingLine,
    BookingRequest,
    Courier,
    FetchesLabels,
    FilledForm,
    Flow,
    HandsOver,
    Paper,
    Parcel,
    Payment,
    PickupPoint,
    Progress,
    TracksByItsOwnId,
)
from shipcrowd.integrations import flipkart as vendor
from shipcrowd.integrations.flipkart import courier as courier_module
from shipcrowd.integrations.flipkart.reading import spoken
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable, read_json
from shipcrowd.pincodes.address import Address

from .conftest import BASE, LOCATION, NOW, READ, details, done, failed, shipment, with_awb

PACK, DETAILS = "/v3/shipments/labels", "/v3/shipments/ship-1"
PDF = b"%PDF-1.4 a label"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(courier_module, "POLLS", (0, 0))


def states(*statuses: str, **more):
    """What reading the shipment answers, in turn."""
    return [{"shipments": [shipment("ship-1", status, **more)]} for status in statuses]


def request(shipment_id: str | None = "ship-1", units: int = 2) -> BookingRequest:
    here = PickupPoint(reference="p", name="Peenya", address=Address(), contact="Ravi")
    return BookingRequest(
        reference="01939d2e-7c1a-7000-8000-00000000a001",
        order_number="OD5",
        ordered_at=NOW,
        service="standard",
        flow=Flow.forward,
        payment=Payment.cod,
        to_collect=Money.rupees("1078"),
        declared_value=Money.rupees("1078"),
        ship_from=here,
        return_to=here,
        ship_to=Address(),
        lines=(BookingLine(name="Bottle", sku="BOT", units=units, unit_price=Money.rupees("499")),),
        weight_grams=425,
        length_mm=285,
        breadth_mm=90,
        height_mm=90,
        order_external_id=shipment_id,
    )


def test_it_is_a_courier_with_the_abilities_it_is_known_for(flipkart):
    opened = flipkart.courier()
    for ability in (Courier, FetchesLabels, TracksByItsOwnId, HandsOver):
        assert isinstance(opened, ability)
    assert vendor.logistics.marketplace
    assert not vendor.logistics.carries_charge
    with pytest.raises(Disconnected):
        vendor.logistics.open(None)  # type: ignore[arg-type]


async def test_it_offers_one_service_and_asks_nobody(flipkart):
    parcel = Parcel("560058", "560038", 425, 285, 90, 90, Payment.cod, Money.zero)
    [offer] = await flipkart.courier().offers(parcel)
    assert (offer.service, offer.cost) == ("standard", None)


# --- packing --------------------------------------------------------------------------------------------------------


async def test_booking_packs_and_waits_for_the_label(flipkart):
    flipkart.on(READ, *states("APPROVED", "PACKING_IN_PROGRESS", "PACKED")).on(PACK, done("ship-1"))
    flipkart.on(DETAILS, {"shipments": [details("ship-1", **with_awb())]})
    booking = await flipkart.courier().book(request())
    assert (booking.awb, booking.carrier) == ("FMPC0000000001", "E-Kart Logistics")
    assert (booking.courier_shipment_id, booking.courier_order_id) == ("ship-1", "OD512345600012345600")
    assert booking.label_url == f"{BASE}/sellers/v3/shipments/ship-1/labels"
    [body] = [json.loads(asked.content) for asked in flipkart.requests if asked.url.path.endswith(PACK)]
    assert body["shipments"] == [
        {
            "shipmentId": "ship-1",
            "locationId": LOCATION,
            "taxItems": [{"orderItemId": "12345600012345600", "quantity": 2, "taxRate": 0}],
            "invoices": [{"orderId": "OD512345600012345600", "invoiceDate": "2026-11-21"}],
            "subShipments": [
                {"subShipmentId": "SS-1", "dimensions": {"length": 28.5, "breadth": 9, "height": 9, "weight": 0.425}}
            ],
        }
    ]
    assert {lane for lane, _ in flipkart.paced} == {"hurry"}


@pytest.mark.parametrize("status", ["PACKED", "READY_TO_DISPATCH", "SHIPPED"])
async def test_what_is_packed_is_not_packed_again(flipkart, status):
    flipkart.on(READ, *states(status)).on(DETAILS, {"shipments": [details("ship-1", **with_awb())]})
    assert (await flipkart.courier().book(request())).awb == "FMPC0000000001"
    assert PACK not in flipkart.paths()


async def test_what_takes_longer_is_come_back_for(flipkart):
    flipkart.on(READ, *states("PACKING_IN_PROGRESS"))
    with pytest.raises(Unavailable) as raised:
        await flipkart.courier().book(request())
    assert raised.value.retry_after == courier_module.LATER_SECONDS
    assert not raised.value.maybe_received
    assert PACK not in flipkart.paths()


async def test_a_label_without_its_awb_is_come_back_for(flipkart):
    flipkart.on(READ, *states("PACKED")).on(DETAILS, {"shipments": [details("ship-1")]})
    with pytest.raises(Unavailable) as raised:
        await flipkart.courier().book(request())
    assert raised.value.retry_after


@pytest.mark.parametrize("lost", [httpx2.ReadTimeout("slow"), httpx2.Response(502), b"<html>"])
async def test_a_lost_answer_leaves_nothing_open_for_the_state_tells(flipkart, lost):
    flipkart.on(READ, *states("APPROVED")).on(PACK, lost)
    with pytest.raises(Unavailable) as raised:
        await flipkart.courier().book(request())
    assert not raised.value.maybe_received
    # The next try finds it packed.
    flipkart.on(READ, *states("PACKED")).on(DETAILS, {"shipments": [details("ship-1", **with_awb())]})
    assert (await flipkart.courier().book(request())).awb
    assert len(flipkart.bodies(PACK)) == 1


async def test_what_somebody_packed_meanwhile_is_booked_all_the_same(flipkart):
    flipkart.on(READ, *states("APPROVED", "PACKED"))
    flipkart.on(PACK, failed("ship-1", "OPERATION_NOT_ALLOWED", "already packed"))
    flipkart.on(DETAILS, {"shipments": [details("ship-1", **with_awb())]})
    assert (await flipkart.courier().book(request())).awb


@pytest.mark.parametrize(
    ("found", "asked", "code"),
    [
        (states("APPROVED", hold=True), request(), "on_hold"),
        (states("CANCELLED"), request(), "cancelled"),
        (states("FORM_FAILED"), request(), "forms_needed"),
        (states("TELEPORTED"), request(), "unknown_state"),
        (states("APPROVED", dispatchAfterDate=spoken(NOW + timedelta(hours=3))), request(), "too_early"),
        (states("APPROVED"), request(units=1), "whole_shipment"),
        (states("APPROVED", shipmentType="SELF"), request(), "not_standard"),
        (states("APPROVED", item={"serviceProfile": "FBF"}), request(), "not_standard"),
        ([{"shipments": []}], request(), "not_found"),
        (states("APPROVED"), request(None), "not_flipkart"),
    ],
)
async def test_what_cannot_be_packed_is_refused_and_nothing_is_asked(flipkart, found, asked, code):
    flipkart.on(READ, *found)
    with pytest.raises(Refused) as raised:
        await flipkart.courier().book(asked)
    assert raised.value.code == code
    assert PACK not in flipkart.paths()


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (failed("ship-1", "INVALID_SHIPMENTS", "Shipment not found for seller"), Refused),
        (failed("ship-1", "DEPENDENT_SYSTEM_CALL_FAILED", "later"), Unavailable),
    ],
)
async def test_a_failure_inside_a_200_is_a_failure(flipkart, answer, failure):
    flipkart.on(READ, *states("APPROVED")).on(PACK, answer)
    with pytest.raises(failure):
        await flipkart.courier().book(request())


async def test_of_many_one_that_cannot_be_packed_fails_alone(flipkart):
    def read(asked):
        ids = asked.url.params["shipmentIds"].split(",")
        return {"shipments": [shipment(each, hold=each == "s2") for each in ids if each != "s3"]}

    def packed(asked):
        ids = [each["shipmentId"] for each in read_json(asked.content)["shipments"] if each["shipmentId"] != "s4"]
        no = failed("s4", "INVALID_REQUEST_TAX", "no")
        return {"shipments": no["shipments"] + done(*ids)["shipments"]}

    flipkart.on(READ, read).on(PACK, packed)
    results = await flipkart.courier().pack([request(f"s{n}") for n in range(30)])
    assert [outcome.id for outcome in results] == [f"s{n}" for n in range(30)]
    refused = {outcome.id: outcome.code for outcome in results if not outcome.done}
    assert refused == {"s2": "on_hold", "s3": "not_found", "s4": "INVALID_REQUEST_TAX"}
    assert [len(body["shipments"]) for body in flipkart.bodies(PACK)] == [25, 3]


async def test_packages_of_a_shipment_that_has_several_go_with_the_sizes_flipkart_has(flipkart):
    size = {"length": 10, "breadth": 20, "height": 30, "weight": 1}
    subs = [{"subShipmentId": f"SS-{n}", "packages": [{"dimensions": size}]} for n in (1, 2)]
    flipkart.on(READ, *states("APPROVED", subShipments=subs), *states("PACKED")).on(PACK, done("ship-1"))
    flipkart.on(DETAILS, {"shipments": [details("ship-1", **with_awb())]})
    await flipkart.courier().book(request())
    [body] = flipkart.bodies(PACK)
    assert body["shipments"][0]["subShipments"] == [
        {"subShipmentId": "SS-1", "dimensions": size},
        {"subShipmentId": "SS-2", "dimensions": size},
    ]
    subs[1]["packages"] = []
    flipkart.on(READ, *states("APPROVED", subShipments=subs))
    with pytest.raises(Refused) as raised:
        await flipkart.courier().book(request())
    assert raised.value.code == "not_measured"


# --- papers ---------------------------------------------------------------------------------------------------------


async def test_a_label_is_fetched_from_flipkart_and_from_nowhere_else(flipkart):
    flipkart.on("/v3/shipments/ship-1/labels", PDF)
    assert await flipkart.courier().fetch_label(f"{BASE}/sellers/v3/shipments/ship-1/labels") == PDF
    for url in (
        "https://elsewhere.example/sellers/v3/shipments/ship-1/labels",
        f"{BASE}.example/sellers/v3/shipments/ship-1/labels",
        f"{BASE}/sellers/v3/shipments/a/b/labels",
        f"{BASE}/sellers/v2/returns",
    ):
        with pytest.raises(Refused):
            await flipkart.courier().fetch_label(url)
    assert len(flipkart.requests) == 1


@pytest.mark.parametrize(
    ("kind", "path", "asked"),
    [
        (Paper.invoice, "/v3/shipments/a%2Fb/invoices", {}),
        (Paper.bare_label, "/v3/shipments/a%2Fb/labelOnly/pdf", {"reprint": "true"}),
        (Paper.forms, "/v3/shipments/a%2Fb/forms", {}),
    ],
)
async def test_each_paper_is_asked_for_at_its_own_address(flipkart, kind, path, asked):
    flipkart.on(path, PDF)
    assert await flipkart.courier().paper(kind, "a/b") == PDF
    [request] = flipkart.requests
    assert dict(request.url.params) == asked
    assert request.headers["accept"] == "application/pdf"
    assert set(Paper) == vendor.logistics.papers


async def test_what_is_no_paper_is_said_in_flipkarts_words(flipkart):
    flipkart.on("/v3/shipments/a/forms", httpx2.Response(404, json={"errorMessage": "No forms are needed"}))
    with pytest.raises(Refused, match="No forms are needed"):
        await flipkart.courier().paper(Paper.forms, "a")
    flipkart.on("/v3/shipments/a/invoices", {"invoices": []})
    with pytest.raises(Malformed):
        await flipkart.courier().paper(Paper.invoice, "a")


async def test_forms_that_were_filled_in_let_the_shipment_go_and_are_told_once(flipkart):
    flipkart.on(READ, *states("FORM_FAILED", "PACKING_IN_PROGRESS")).on("/v3/shipments/forms/updateAck", done("ship-1"))
    for _ in range(2):
        await flipkart.courier().forms_done("ship-1", [FilledForm("FORM 27C", "ACK-1")])
    assert flipkart.bodies("/v3/shipments/forms/updateAck") == [
        {"shipments": [{"shipmentId": "ship-1", "forms": [{"name": "FORM 27C", "ackNumber": "ACK-1"}]}]}
    ]


@pytest.mark.parametrize("told", [["FORM 27C"], [{"name": "FORM 27C", "ackNumber": None}]])
async def test_the_forms_that_are_wanted_are_named(flipkart, told):
    flipkart.on(READ, *states("FORM_FAILED", forms=told))
    with pytest.raises(Refused, match="FORM 27C") as raised:
        await flipkart.courier().book(request())
    assert raised.value.code == FORMS_NEEDED


# --- handing over ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [True, False])
async def test_counts_and_the_code_for_the_driver(flipkart, wrapped):
    ekart = {
        "vendorGroupCode": "Ekart Logistics",
        "count": 14,
        "isMps": False,
        "pickUpDate": {"after": spoken(NOW), "before": spoken(NOW + timedelta(hours=4))},
        "otc": {"code": "4821", "error_code": None},
    }
    other = {"vendorGroupCode": "Delhivery", "count": None, "is_mps": True, "otc": {"error_code": "OTC_UNAVAILABLE"}}
    found = [ekart, other]
    flipkart.on("/v3/shipments/handover/counts", {"resultManifestDetails": found} if wrapped else found)
    flipkart.on("/v3/shipments/manifest", PDF)
    courier = flipkart.courier()
    flipkart.on(READ, *states("PACKED"))
    first, second = await courier.hand_overs(["ship-1"])
    assert first.place == LOCATION
    assert (first.carrier, first.parcels, first.code, first.pickup_from) == ("Ekart Logistics", 14, "4821", NOW)
    assert (second.parcels, second.multi_package, second.code, second.pickup_from) == (0, True, None, None)
    assert await courier.manifest_pdf(first) == PDF
    assert await courier.manifest_pdf(second) == PDF
    asked = [body["params"] for body in flipkart.bodies("/v3/shipments/manifest")]
    assert asked[0]["pickupDate"] == {"from": spoken(NOW), "to": spoken(NOW + timedelta(hours=4))}
    assert asked[1] == {"vendorGroupCode": "Delhivery", "locationId": LOCATION, "isMps": True}


# --- on its way -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "back", "progress"),
    [
        ("PACKED", False, Progress.pickup_pending),
        ("READY_TO_DISPATCH", False, Progress.pickup_pending),
        ("PICKUP_COMPLETE", False, Progress.picked_up),
        ("SHIPPED", False, Progress.in_transit),
        ("DELIVERED", False, Progress.delivered),
        ("RETURNED", False, Progress.delivered),
        ("CANCELLED", False, Progress.cancelled),
        ("SHIPPED", True, Progress.rto_initiated),
        ("RETURNED", True, Progress.rto_delivered),
        ("TELEPORTED", False, None),
    ],
)
async def test_the_state_is_the_scan(flipkart, status, back, progress):
    flipkart.on(READ, *states(status, item={"courierReturn": back}))
    replies = await flipkart.courier().scans_of({"FMPC1": "ship-1", "FMPC2": "ship-2"})
    [scan] = replies["FMPC1"].scans
    assert (scan.status, scan.progress) == (status, progress)
    assert scan.at.tzinfo
    assert replies["FMPC2"].error
    assert len(flipkart.requests) == 1


async def test_a_shipment_without_a_time_of_change_moves_nothing(flipkart):
    flipkart.on(READ, *states("SHIPPED", updatedAt=None))
    assert (await flipkart.courier().scans_of({"FMPC1": "ship-1"}))["FMPC1"].error


async def test_what_is_packed_is_not_cancelled_by_us_and_an_awb_finds_nothing(flipkart):
    results = await flipkart.courier().cancel(["A", "B"])
    assert [(result.awb, result.accepted) for result in results] == [("A", False), ("B", False)]
    assert (await flipkart.courier().scans(["A"]))["A"].error
    assert await flipkart.courier().cancel([]) == []
    assert await flipkart.courier().scans_of({}) == {}
    assert flipkart.requests == []
