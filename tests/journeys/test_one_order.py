"""One order, from the buyer's click to the parcel in her hands."""

from io import BytesIO

from pypdf import PdfReader

from tests.journeys.world import BOTTLE, Seller, World, an_order, kinds


async def test_an_order_is_imported_quoted_booked_labelled_handed_over_delivered_and_the_store_told(
    world: World, seller: Seller
):
    order = await seller.place(an_order())
    assert (order["state"], order["payment"], order["problems"]) == ("ready", "prepaid", {})
    assert (order["ship_to"]["name"], order["pincode"]) == ("Meenakshi Sundaram", "600004")
    assert order["to_collect_paise"] == 0

    quote = await seller.quote(order)
    prices = [option["price_paise"] for option in quote["options"]]
    assert prices == sorted(prices)
    assert len(prices) > 3
    assert "cheapest" in quote["options"][0]["tags"]

    booking = await seller.post("/shipments", {"quote_id": quote["id"], "service": quote["options"][0]["service"]})
    assert (booking["state"], booking["awb"]) == ("booking", None)
    assert await seller.money() == (5000_00 - prices[0], prices[0])
    await seller.books_are_right()

    await seller.settle()
    shipment = await seller.shipment(booking["id"])
    assert shipment["state"] == "pickup_pending"
    assert await seller.money() == (5000_00 - prices[0], 0)
    (parcel,) = world.desk.parcels(shipment["id"])
    assert (parcel.awb, parcel.to_pincode, parcel.cod_paise) == (shipment["awb"], "600004", 0)
    assert parcel.weight_grams == order["weight_grams"]
    (told,) = seller.at_store(order["number"]).fulfilments
    assert told.numbers == (shipment["awb"],)
    assert told.urls == (shipment["tracking_url"],)

    label = await seller.pdf("GET", f"/shipments/{shipment['id']}/label.pdf")
    assert len(PdfReader(BytesIO(label)).pages) == 1
    manifest = await seller.post("/manifests", {"shipment_ids": [shipment["id"]]})
    await seller.post(f"/manifests/{manifest['id']}/close")
    handed = await seller.post(f"/manifests/{manifest['id']}/handover", {"to": "Velocity's driver"})
    assert (handed["state"], handed["parcels"]) == ("handed_over", 1)
    paper = await seller.pdf("GET", f"/manifests/{manifest['id']}/manifest.pdf")
    assert shipment["awb"] in PdfReader(BytesIO(paper)).pages[0].extract_text()

    seen: list[str] = []
    for _ in range(6):
        world.desk.advance(shipment["awb"])
        await seller.settle()
        seen.append((await seller.shipment(shipment["id"]))["state"])
    assert [state for n, state in enumerate(seen) if state != seen[n - 1]] == [
        "pickup_pending", "picked_up", "in_transit", "out_for_delivery", "delivered",
    ]  # fmt: skip

    after = await seller.shipment(shipment["id"])
    assert after["delivered_at"] is not None
    assert after["next_check_at"] is None
    assert {scan["via"] for scan in after["scans"]} == {"webhook"}
    assert after["proof_of_delivery"]["receiver"] == "Meenakshi Sundaram"
    (told,) = seller.at_store(order["number"]).fulfilments
    assert told.events[-1] == "DELIVERED"
    assert told.display_status == "DELIVERED"
    done = await seller.order(order["number"])
    assert done["state"] == "delivered"
    assert {"placed", "booking", "booked", "shipment_delivered"} <= set(kinds(done))
    await seller.books_are_right()


async def test_a_cash_on_delivery_parcel_collects_what_the_order_owes(world: World, seller: Seller):
    shipment = await seller.ship(an_order(cod=True, lines=[{"sku": BOTTLE, "quantity": 2}]))
    assert (shipment["payment"], shipment["to_collect_paise"]) == ("cod", 998_00)
    (parcel,) = world.desk.parcels(shipment["id"])
    assert parcel.cod_paise == 998_00
    bill = shipment["charge"]["bill"]
    assert bill["total_paise"] == shipment["charge_paise"]
    assert "cod" in {charge["code"] for charge in bill["charges"]}
    world.desk.deliver(shipment["awb"])
    await seller.settle()
    assert (await seller.shipment(shipment["id"]))["state"] == "delivered"
    await seller.books_are_right()


async def test_what_was_paid_online_is_not_collected_again(world: World, seller: Seller):
    shipment = await seller.ship(an_order(payment="partial", paid_online="100.00", lines=[{"sku": BOTTLE}]))
    assert (shipment["payment"], shipment["to_collect_paise"]) == ("cod", 399_00)
    (parcel,) = world.desk.parcels(shipment["id"])
    assert parcel.cod_paise == 399_00


async def test_an_order_that_is_not_paid_yet_waits_until_it_is(world: World, seller: Seller):
    order = await seller.place(an_order(payment="bank"))
    assert (order["state"], order["source_state"]) == ("pending", "payment_pending")
    problem = await seller.refused("POST", "/quotes", {"order_id": order["id"]}, status=422)
    assert (problem["code"], problem["field"]) == ("not_bookable", "state")
    assert await seller.shipments() == []
    assert await seller.money() == (5000_00, 0)
