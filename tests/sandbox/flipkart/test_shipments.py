"""Searching and reading shipments at the stand-in for Flipkart."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine

from shipcrowd.kernel import clock
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.flipkart import wire
from shipcrowd.sandbox.flipkart.schemas import Cancellation, Dates, Hold, Kind, KnobChange, Many, NewItem
from shipcrowd.sandbox.flipkart.state import Knobs
from shipcrowd.sandbox.schemas import NewFault

from .conftest import HOST

TWO = (NewItem(sku="BOT-1L-BLU", quantity=3, shipping="30.00", discount="10.00"), NewItem(sku="CHAI-250"))


async def test_a_shipment_is_listed_as_the_documents_show_it(flipkart, place):
    made = place(kind=Kind.standard_cod, items=(NewItem(sku="BOT-1L-BLU", quantity=2, shipping="80", discount="8"),))
    page = (await flipkart.filter()).json()
    assert (page["hasMore"], page["nextPageUrl"]) == (False, None)
    (listed,) = page["shipments"]
    assert listed["shipmentId"] == made.id
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+05:30", listed["dispatchByDate"])
    assert (listed["hold"], listed["shipmentType"], listed["locationId"]) == (False, "NORMAL", flipkart.location)
    (line,) = listed["orderItems"]
    assert line["orderId"].startswith("OD")
    assert (line["paymentType"], line["status"], line["quantity"]) == ("COD", "APPROVED", 2)
    assert line["priceComponents"] == {
        "sellingPrice": 998.0,
        "shippingCharge": 80.0,
        "totalPrice": 1078.0,
        "flipkartDiscount": 8.0,
        "customerPrice": 1070.0,
    }, "prices are those of the line, all units together"
    assert made.to_collect == "1070.00"
    assert listed["subShipments"][0]["packages"][0]["packageSku"] == "BOT-1L-BLU"


async def test_what_is_held_is_left_out_unless_it_is_asked_for(flipkart, place, fk):
    plain, held = place(), place(kind=Kind.on_hold)
    assert await flipkart.found() == [plain.id]
    assert await flipkart.found(hold=False) == [plain.id]
    assert await flipkart.found(hold=True) == [held.id]
    fk.release(flipkart.seller.id, held.id)
    assert set(await flipkart.found()) == {plain.id, held.id}


async def test_what_is_late_released_shows_by_its_change_and_not_by_its_order_date(flipkart, place, fk):
    now = clock.now()
    held = place(kind=Kind.on_hold, placed_at=now - timedelta(days=3))
    fk.release(flipkart.seller.id, held.id)
    window = {"from": wire.moment(now - timedelta(hours=1)), "to": wire.moment(now + timedelta(hours=1))}
    assert await flipkart.found(modifiedDate=window) == [held.id]
    assert await flipkart.found(orderDate=window) == []


async def test_each_type_finds_its_own_states(flipkart, place, fk):
    seller = flipkart.seller.id
    new, shipped, gone = place(), place(), place()
    fk.world.sellers[seller].shipments[shipped.id].items[0].status = "READY_TO_DISPATCH"
    assert fk.move(seller, shipped.id).status == "PICKUP_COMPLETE"
    fk.cancel(seller, gone.id)
    assert await flipkart.found() == [new.id]
    assert await flipkart.found("postDispatch") == [shipped.id]
    assert await flipkart.found("cancelled", cancellationType="buyerCancellation") == [gone.id]
    assert await flipkart.found("cancelled", cancellationType="sellerCancellation") == []


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("preDispatch", {"states": ["SHIPPED"]}),
        ("preDispatch", {"states": []}),
        ("preDispatch", {"type": "everything"}),
        ("preDispatch", {"hold": "no"}),
        ("preDispatch", {"modifiedDate": {"after": "2026-11-20"}}),
        ("preDispatch", {"modifiedAfter": "2026-11-20"}),
        ("preDispatch", {"serviceProfiles": ["ALL"]}),
        ("cancelled", {}),
        ("cancelled", {"cancellationType": "anybody"}),
    ],
)
async def test_a_filter_that_makes_no_sense_is_a_400(flipkart, kind, wrong):
    asked = {"type": kind, "states": ["CANCELLED"] if kind == "cancelled" else ["APPROVED"], **wrong}
    reply = await flipkart.call("POST", "/v3/shipments/filter", {"filter": asked})
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["severity"] == "ERROR"


async def test_the_next_page_is_relative_and_lacks_the_base_path(flipkart, fk):
    fk.place_many(flipkart.seller.id, Many(count=45))
    first = (await flipkart.filter()).json()
    assert first["nextPageUrl"].startswith("/v3/shipments/filter?next_token=")
    assert len(first["shipments"]) == 20
    assert (await flipkart.http.get(HOST + first["nextPageUrl"])).status_code == 404
    everything = await flipkart.found()
    assert len(everything) == len(set(everything)) == 45
    dates = [fk.world.sellers[flipkart.seller.id].shipments[one].ordered_at for one in everything]
    assert dates == sorted(dates)


async def test_a_larger_page_than_twenty_is_cut_to_twenty(flipkart, fk):
    fk.place_many(flipkart.seller.id, Many(count=30))
    asked = {"filter": {"type": "preDispatch", "states": ["APPROVED"]}, "pagination": {"pageSize": 100}}
    page = await flipkart.post("/v3/shipments/filter", asked)
    assert len(page["shipments"]) == 20
    asked["pagination"] = {"pageSize": 0}
    assert (await flipkart.call("POST", "/v3/shipments/filter", asked)).status_code == 400


async def test_a_token_of_another_seller_or_none_is_a_400(flipkart, fk):
    fk.place_many(flipkart.seller.id, Many(count=21))
    url = (await flipkart.filter()).json()["nextPageUrl"]
    other = fk.create_seller()
    flipkart.seller = other
    await flipkart.sign_in()
    assert (await flipkart.call("GET", url)).status_code == 400
    assert (await flipkart.call("GET", "/v3/shipments/filter?next_token=abc")).status_code == 400


async def test_pages_drift_when_shipments_leave_while_they_are_read(flipkart, fk):
    seller = flipkart.seller.id
    fk.place_many(seller, Many(count=60))
    fk.set_knobs(KnobChange(drift="leave", drift_per_page=2))
    found = await flipkart.found()
    assert len(found) == 56, "two slipped past at each of the two page ends"
    held = set(await flipkart.found(hold=True))
    assert len(held) == 4
    assert held <= set(found)
    fk.set_knobs(KnobChange(drift="off"))
    assert len(set(found) | set(await flipkart.found())) == 60


async def test_pages_by_time_of_change_drift_when_shipments_are_touched(flipkart, fk):
    fk.place_many(flipkart.seller.id, Many(count=40))
    fk.set_knobs(KnobChange(drift="touch"))
    found = await flipkart.found(sort={"field": "modifiedDate", "order": "asc"})
    assert len(set(found)) == 39, "the first moved to the end, so the twenty-first became the twentieth"
    assert len(await flipkart.found()) == 40, "the order date does not change"


async def test_other_filters(flipkart, place):
    hosur = flipkart.seller.locations[1].id
    there = place(location_id=hosur, items=(NewItem(sku="CHAI-250"),))
    own = place(kind=Kind.self_ship)
    quick = place(express=True)
    fbf = place(kind=Kind.fbf)
    assert await flipkart.found(locationId=hosur) == [there.id]
    assert await flipkart.found(shipmentTypes=["SELF"]) == [own.id]
    assert await flipkart.found(dispatchServiceTiers=["EXPRESS"]) == [quick.id]
    assert await flipkart.found(serviceProfiles=["FBF"]) == [fbf.id]
    assert fbf.id not in await flipkart.found(), "FBF comes only when asked for"
    assert there.id in await flipkart.found(sku=["CHAI-250"], locationId=hosur)


async def test_shipments_are_read_by_one_kind_of_id(flipkart, place):
    one = place()
    two = place(order_id=one.order_id)
    by_order = await flipkart.get(f"/v3/shipments?orderIds={one.order_id}")
    assert {it["shipmentId"] for it in by_order["shipments"]} == {one.id, two.id}
    by_item = await flipkart.get(f"/v3/shipments?orderItemIds={two.items[0].id}")
    assert [it["shipmentId"] for it in by_item["shipments"]] == [two.id]
    assert (await flipkart.get("/v3/shipments?shipmentIds=nobody"))["shipments"] == []
    both = await flipkart.call("GET", f"/v3/shipments?orderIds=a&shipmentIds={one.id}")
    many = await flipkart.call("GET", "/v3/shipments?shipmentIds=" + ",".join(str(n) for n in range(101)))
    assert (both.status_code, many.status_code) == (400, 400)


async def test_the_buyers_name_and_phone_come_only_with_self_ship(flipkart, place, fk):
    standard, own = place(pincode="560038"), place(kind=Kind.self_ship)
    answer = await flipkart.get(f"/v3/shipments/{standard.id},{own.id}")
    theirs, ours = answer["shipments"]
    assert theirs["deliveryAddress"]["pinCode"] == "560038"
    assert "contactNumber" not in theirs["deliveryAddress"]
    assert theirs["buyerDetails"] == {"firstName": None, "lastName": None}
    assert re.fullmatch(r"\d{10}", ours["deliveryAddress"]["contactNumber"])
    assert ours["buyerDetails"]["firstName"]
    fk.set_knobs(KnobChange(personal_data="masked"))
    masked = (await flipkart.get(f"/v3/shipments/{standard.id}"))["shipments"][0]["deliveryAddress"]
    assert re.fullmatch(r"xxxxxx\d{4}", masked["contactNumber"])
    assert masked["firstName"].endswith("****")
    assert (await flipkart.call("GET", "/v3/shipments/nobody")).status_code == 404


async def test_the_other_dialect_writes_what_the_documents_write_elsewhere(flipkart, place, fk):
    made = place(kind=Kind.self_ship)
    fk.set_knobs(KnobChange(dialect="other"))
    (told,) = (await flipkart.get(f"/v3/shipments/{made.id}"))["shipments"]
    assert "pincode" in told["deliveryAddress"]
    assert "courierDetails" in told
    listed = await flipkart.read(made)
    assert "id" in listed["subShipments"][0]["packages"][0]
    assert "isReplacement" in listed["orderItems"][0]


@pytest.mark.parametrize("way", ["reduced", "split"])
async def test_a_part_of_the_quantity_can_be_cancelled(flipkart, place, fk, way):
    fk.set_knobs(KnobChange(partial_cancel=way))
    made = place(items=TWO)
    before = sum(Decimal(item.customer_price) for item in made.items)
    fk.cancel(flipkart.seller.id, made.id, Cancellation(quantities={"BOT-1L-BLU": 1}))
    lines = (await flipkart.read(made))["orderItems"]
    live = [one for one in lines if one["status"] != "CANCELLED"]
    assert [one["quantity"] for one in live] == [2, 1]
    assert live[0]["priceComponents"]["customerPrice"] == pytest.approx(998 + 20 - 6.67, abs=0.01)
    assert len(lines) == (2 if way == "reduced" else 3)
    if way == "split":
        assert sum(one["priceComponents"]["customerPrice"] for one in lines) == pytest.approx(float(before), abs=0.001)
    assert made.id in await flipkart.found()


async def test_a_cancelled_line_leaves_the_others_alive(flipkart, place, fk):
    made = place(items=TWO)
    shown = fk.cancel(flipkart.seller.id, made.id, Cancellation(quantities={"CHAI-250": 1}, by="marketplace"))
    assert (shown.status, [item.status for item in shown.items]) == ("APPROVED", ["APPROVED", "CANCELLED"])
    assert await flipkart.found() == [made.id]
    assert await flipkart.found("cancelled", cancellationType="marketplaceCancellation") == [made.id]


async def test_a_part_on_hold_holds_the_shipment(flipkart, place, fk):
    made = place(items=TWO)
    assert fk.hold(flipkart.seller.id, made.id, Hold(quantities={"BOT-1L-BLU": 2})).hold
    assert await flipkart.found(hold=True) == [made.id]


async def test_dates_change_and_move_the_time_of_change(flipkart, place, fk):
    made = place(placed_at=clock.now() - timedelta(hours=5))
    by = clock.now() + timedelta(days=2)
    changed = fk.change_dates(flipkart.seller.id, made.id, Dates(dispatch_by=by))
    assert changed.dispatch_by == by
    assert changed.updated_at > made.updated_at


async def test_a_quoted_sku_and_a_shipment_no_reader_can_read(flipkart, place, fk):
    quoted, broken, sound = place(quoted_sku=True), place(), place()
    assert (await flipkart.read(quoted))["orderItems"][0]["sku"].startswith("&quot;")
    fk.malform(flipkart.seller.id, broken.id)
    page = (await flipkart.filter()).json()["shipments"]
    assert next(one for one in page if one["shipmentId"] == broken.id)["orderItems"] is None
    assert next(one for one in page if one["shipmentId"] == sound.id)["orderItems"]
    fk.malform(flipkart.seller.id, broken.id, malformed=False)
    assert (await flipkart.read(broken))["orderItems"]


async def test_a_store_over_ten_a_second_or_a_thousand_an_hour_is_throttled(flipkart, fk, desk):
    usual = Knobs()
    fk.set_knobs(KnobChange(per_second=usual.per_second, per_hour=usual.per_hour))
    with time_machine.travel(clock.now(), tick=False) as traveller:
        statuses = [(await flipkart.filter()).status_code for _ in range(12)]
        assert statuses == [200] * 10 + [429] * 2
        traveller.shift(timedelta(seconds=1))
        assert (await flipkart.filter()).status_code == 200
        other = fk.create_seller()
        told = fk.stats()
        assert told.over_limit
        assert told.most_in_a_second == 12
        assert told.traffic[flipkart.seller.id].refused == 2
        assert told.traffic[other.id].over_limit is False
        fk.set_knobs(KnobChange(per_second=0))
        statuses = [(await flipkart.filter()).status_code for _ in range(990)]
        assert statuses == [200] * 989 + [429], "a refused call does not count"
        fk.set_knobs(KnobChange(per_hour=0))
        assert (await flipkart.filter()).status_code == 200


@pytest.mark.parametrize(("kind", "status"), [(FaultKind.throttled, 429), (FaultKind.unavailable, 503)])
async def test_faults_strike_an_operation(flipkart, desk, kind, status):
    desk.add_fault(NewFault(vendor="flipkart", operation="shipments.filter", kind=kind))
    assert (await flipkart.get("/v3/shipments?orderIds=OD1"))["shipments"] == []
    struck = await flipkart.filter()
    assert struck.status_code == status
    assert ("html" in struck.headers["content-type"]) is (status == 503)
    assert (await flipkart.filter()).status_code == 200
