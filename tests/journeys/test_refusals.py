"""What cannot be shipped is refused by name, before any money moves; after the fix it is shipped."""

from typing import Any

import pytest

from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.schemas import Knobs, NewFault
from tests.journeys.world import BOX, UNSERVED, Seller, World, an_order, buyer, kinds

BOOKING = "forward-order-orchestration"


async def test_a_pincode_nobody_serves_is_refused_at_the_price(seller: Seller):
    order = await seller.place(an_order(shipping_address=buyer(city="Agartala", province="Tripura", zip=UNSERVED)))
    before = await seller.seen()
    problem = await seller.refused("POST", "/quotes", {"order_id": order["id"]}, status=422)
    assert (problem["code"], problem["field"]) == ("not_serviceable", "pincode")
    assert UNSERVED in problem["detail"]
    await seller.nothing_happened(before)


async def test_cash_is_refused_where_couriers_take_prepaid_only(world: World, seller: Seller):
    world.desk.set_knobs(Knobs(prepaid_only=("600004",)))
    cash, paid = await seller.place(an_order(cod=True)), await seller.place(an_order())
    problem = await seller.refused("POST", "/quotes", {"order_id": cash["id"]}, status=422)
    assert problem["code"] == "not_serviceable"
    assert (await seller.quote(paid))["options"]


@pytest.mark.parametrize(
    ("order", "field"),
    [
        (an_order(shipping_address=buyer(phone=None), no_phone=True), "phone"),
        (an_order(shipping_address=buyer(zip="1234")), "pincode"),
        (an_order(shipping_address=buyer(address1="", address2="")), "line1"),
        (an_order(shipping_address=buyer(country="United States", country_code="US", zip="40202")), "country"),
    ],
    ids=["no phone", "a pincode of four digits", "no street", "abroad"],
)
async def test_an_incomplete_address_is_named_and_nothing_is_asked_of_the_courier(
    world: World, seller: Seller, order: Any, field: str
):
    placed = await seller.place(order)
    assert field in placed["problems"]
    before = await seller.seen()
    problem = await seller.refused("POST", "/quotes", {"order_id": placed["id"]}, status=422)
    assert problem["code"] == "not_bookable"
    assert field in {each["field"] for each in problem["errors"]}
    await seller.nothing_happened(before)


async def test_a_parcel_nobody_weighed_is_not_guessed(seller: Seller):
    order = await seller.place(an_order(lines=[{"sku": "GIFT-BOX", "grams": 0}]))
    before = await seller.seen()
    problem = await seller.refused("POST", "/quotes", {"order_id": order["id"]}, status=422)
    assert (problem["code"], problem["field"]) == ("not_measured", "weight_grams")
    await seller.nothing_happened(before)
    weighed = await seller.quote(order, weight_grams=700)
    assert weighed["weight_grams"] == 700


async def test_a_parcel_nobody_measured_is_not_guessed(world: World):
    newcomer = await world.newcomer("Nila Ceramics")
    await newcomer.settle_in()
    await newcomer.ask("PUT", "/shipping/preferences", {"box": None})
    await newcomer.connect()
    order = await newcomer.place(an_order())
    problem = await newcomer.refused("POST", "/quotes", {"order_id": order["id"]}, status=422)
    assert (problem["code"], problem["field"]) == ("not_measured", "length_mm")
    assert (await newcomer.quote(order, **BOX))["options"]


async def test_without_a_pickup_place_there_is_nothing_to_quote(world: World):
    newcomer = await world.newcomer("Nila Ceramics")
    await newcomer.connect()
    order = await newcomer.place(an_order())
    problem = await newcomer.refused("POST", "/quotes", {"order_id": order["id"], **BOX}, status=422)
    assert problem["code"] == "no_pickup_place"


async def test_without_enough_money_nothing_is_booked_and_the_sum_lacking_is_named(world: World):
    poor = await world.seller(rupees=20)
    quote = await poor.quote(await poor.place(an_order()))
    option = quote["options"][0]
    before = await poor.seen()
    want = {"quote_id": quote["id"], "service": option["service"]}
    problem = await poor.refused("POST", "/shipments", want, status=409)
    assert problem["code"] == "insufficient_balance"
    assert (problem["needed_paise"], problem["available_paise"]) == (option["price_paise"], 20_00)
    await poor.nothing_happened(before)
    await poor.post("/wallet/fund", {"amount_paise": 500_00, "note": "recharge"})
    shipment = await poor.post("/shipments", want)
    await poor.settle()
    assert (await poor.shipment(shipment["id"]))["state"] == "pickup_pending"


async def test_a_quote_names_its_services_and_grows_old(seller: Seller):
    order = await seller.place()
    quote = await seller.quote(order)
    before = await seller.seen()
    wrong = {"quote_id": quote["id"], "service": "PIGEON"}
    assert (await seller.refused("POST", "/shipments", wrong, status=422))["code"] == "no_such_option"
    await seller.nothing_happened(before)


async def test_an_order_that_has_a_parcel_is_not_booked_again(seller: Seller):
    order = await seller.place()
    first, second = await seller.quote(order), await seller.quote(order)
    service = first["options"][0]["service"]
    await seller.post("/shipments", {"quote_id": first["id"], "service": service})
    before = await seller.money()
    for quote in (first, second):
        again = {"quote_id": quote["id"], "service": service}
        problem = await seller.refused("POST", "/shipments", again, status=422)
        assert (problem["code"], problem["field"]) == ("not_bookable", "state")
    assert await seller.money() == before
    assert len(await seller.shipments()) == 1


async def test_the_couriers_refusal_gives_the_money_back_and_after_the_fix_the_order_is_booked(
    world: World, seller: Seller
):
    order = await seller.place()
    quote = await seller.quote(order)
    world.desk.set_knobs(Knobs(unserviceable=("600004",)))
    shipment = await seller.post("/shipments", {"quote_id": quote["id"], "service": quote["options"][0]["service"]})
    await seller.settle()
    refused = await seller.shipment(shipment["id"])
    assert refused["state"] == "refused"
    assert "600004" in refused["reason"]
    assert refused["reason_code"]
    assert await seller.money() == (5000_00, 0)
    order = await seller.order(order["number"])
    assert (order["state"], kinds(order)[-1]) == ("ready", "refused")
    assert seller.at_store(order["number"]).fulfilments == ()

    fixed = order["ship_to"] | {"city": "Bengaluru", "state": "Karnataka", "pincode": "560038"}
    await seller.ask("PATCH", f"/orders/{order['id']}", {"ship_to": fixed})
    again = await seller.book(order)
    await seller.settle()
    again = await seller.shipment(again["id"])
    assert (again["state"], again["pincode"]) == ("pickup_pending", "560038")
    (parcel,) = world.desk.parcels(again["id"])
    assert parcel.to_pincode == "560038"
    (told,) = seller.at_store(order["number"]).fulfilments
    assert told.numbers == (again["awb"],)


async def test_a_missing_phone_is_typed_in_and_the_store_does_not_take_it_away_again(world: World, seller: Seller):
    order = await seller.place(an_order(shipping_address=buyer(phone=None), no_phone=True))
    fixed = order["ship_to"] | {"phone": "9840011111"}
    await seller.ask("PATCH", f"/orders/{order['id']}", {"ship_to": fixed})
    world.desk.resend_webhook(seller.shop, order["number"])
    await seller.settle()
    order = await seller.order(order["number"])
    assert (order["ship_to"]["phone"], order["problems"]) == ("9840011111", {})
    assert (await seller.book(order))["state"] == "booking"


async def test_a_courier_that_is_down_is_asked_again_and_the_parcel_booked_once(world: World, seller: Seller):
    order = await seller.place()
    shipment = await seller.book(order)
    world.desk.add_fault(NewFault(vendor="velocity", operation=BOOKING, kind=FaultKind.throttled, times=2))
    await seller.settle()
    assert (await seller.shipment(shipment["id"]))["state"] == "booking"
    await seller.books_are_right()
    await seller.settle(impatient=True)
    assert (await seller.shipment(shipment["id"]))["state"] == "pickup_pending"
    assert len(world.desk.parcels(shipment["id"])) == 1


async def test_when_no_courier_answers_the_price_the_seller_is_asked_to_wait(world: World, seller: Seller):
    order = await seller.place()
    world.desk.add_fault(NewFault(vendor="velocity", operation="*", kind=FaultKind.unavailable, times=None))
    before = await seller.seen()
    problem = await seller.refused("POST", "/quotes", {"order_id": order["id"]}, status=503)
    assert problem["code"] == "couriers_unavailable"
    world.desk.clear_faults()
    await seller.nothing_happened(before)


async def test_another_companys_order_parcel_and_store_do_not_exist(world: World, seller: Seller):
    other = await world.seller("Nila Ceramics")
    shipment = await seller.ship()
    before = await seller.seen()
    for method, path, body in (
        ("GET", f"/orders/{shipment['order_id']}", None),
        ("PATCH", f"/orders/{shipment['order_id']}", {"weight_grams": 1}),
        ("POST", "/quotes", {"order_id": shipment["order_id"]}),
        ("GET", f"/shipments/{shipment['id']}", None),
        ("POST", f"/shipments/{shipment['id']}/cancel", {}),
        ("POST", f"/shipments/{shipment['id']}/void", {}),
        ("GET", f"/shipments/{shipment['id']}/label.pdf", None),
        ("GET", f"/integrations/shopify/stores/{seller.store_id}", None),
        ("DELETE", f"/integrations/shopify/stores/{seller.store_id}", None),
    ):
        await other.refused(method, path, body, status=404)
    await seller.nothing_happened(before)


async def test_without_signing_in_or_without_the_browsers_token_nothing_is_done(world: World, seller: Seller):
    order = await seller.place()
    before = await seller.seen()
    async with world.visitor() as stranger:
        assert (await stranger.get("/api/v1/orders")).status_code == 401
        assert (await stranger.post("/api/v1/quotes", json={"order_id": order["id"]})).status_code == 401
    csrf, seller.csrf = seller.csrf, ""
    answer = await seller.send("POST", f"/orders/{order['id']}/cancel", {"reason": "no"})
    assert answer.status_code == 403
    seller.csrf = csrf
    await seller.nothing_happened(before)
