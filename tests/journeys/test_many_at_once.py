"""Many orders with one click, and the same click twice."""

import asyncio
from io import BytesIO

from pypdf import PdfReader

from tests.journeys.world import UNSERVED, Seller, World, an_order, buyer


async def test_twelve_orders_ship_in_bulk_with_a_result_for_each_and_one_pdf(world: World, seller: Seller):
    placed = [world.desk.place_order(seller.shop, an_order(cod=bool(n % 2))) for n in range(9)]
    placed += [
        world.desk.place_order(seller.shop, an_order(shipping_address=buyer(zip=UNSERVED))),
        world.desk.place_order(seller.shop, an_order(shipping_address=buyer(phone=None), no_phone=True)),
        world.desk.place_order(seller.shop, an_order(lines=[{"sku": "GIFT-BOX", "grams": 0}])),
    ]
    await seller.settle()
    ids = {order["number"]: order["id"] for order in await seller.orders()}
    wanted = [ids[order.name] for order in placed]
    run = await seller.post("/shipments/bulk", {"order_ids": wanted, "choose": "cheapest"})
    assert (run["total"], run["done"], run["finished"]) == (12, 0, False)
    await seller.settle(impatient=True)
    run = await seller.get(f"/shipments/bulk/{run['id']}")
    assert (run["done"], run["finished"]) == (12, True)
    found = {item["order_id"]: item for item in run["items"]}
    assert [found[one]["state"] for one in wanted] == ["booked"] * 9 + ["refused"] * 3
    assert [found[one]["code"] for one in wanted[9:]] == ["not_serviceable", "not_bookable", "not_measured"]
    assert all(found[one]["message"] for one in wanted[9:])
    awbs = [found[one]["awb"] for one in wanted[:9]]
    assert len(set(awbs)) == 9

    labels = PdfReader(BytesIO(await seller.pdf("GET", f"/shipments/bulk/{run['id']}/labels.pdf")))
    assert len(labels.pages) == 9
    printed = [page.extract_text() for page in labels.pages]
    assert all(any(awb in text for text in printed) for awb in awbs)
    shipments = await seller.shipments()
    slips = await seller.pdf("POST", "/shipments/packing-slips", {"shipment_ids": [one["id"] for one in shipments]})
    assert len(PdfReader(BytesIO(slips)).pages) >= 1
    assert sum(one["charge_paise"] for one in shipments) == 5000_00 - (await seller.money())[0]
    await seller.books_are_right()


async def test_a_bulk_run_that_empties_the_wallet_books_what_it_can_and_says_which_not(world: World):
    poor = await world.seller(rupees=250)
    for _ in range(5):
        world.desk.place_order(poor.shop, an_order())
    await poor.settle()
    run = await poor.post("/shipments/bulk", {"order_ids": [order["id"] for order in await poor.orders()]})
    await poor.settle(impatient=True)
    items = (await poor.get(f"/shipments/bulk/{run['id']}"))["items"]
    booked = [item for item in items if item["state"] == "booked"]
    refused = [item for item in items if item["state"] == "refused"]
    assert booked
    assert refused
    assert {item["code"] for item in refused} == {"insufficient_balance"}
    assert len(booked) == len(await poor.shipments())
    available, held = await poor.money()
    assert (available >= 0, held) == (True, 0)


async def test_the_same_order_twice_in_one_run_is_one_parcel(world: World, seller: Seller):
    order = await seller.place()
    run = await seller.post("/shipments/bulk", {"order_ids": [order["id"], order["id"]]})
    assert run["total"] == 1
    await seller.settle(impatient=True)
    assert len(await seller.shipments()) == 1


async def test_a_repeated_booking_with_the_same_key_is_one_parcel_and_one_charge(world: World, seller: Seller):
    quote = await seller.quote(await seller.place())
    want = {"quote_id": quote["id"], "service": quote["options"][0]["service"]}
    first = await seller.post("/shipments", want, key="click-1")
    second = await seller.post("/shipments", want, key="click-1")
    assert second == first
    assert await seller.money() == (5000_00 - first["charge_paise"], first["charge_paise"])
    await seller.settle()
    third = await seller.post("/shipments", want, key="click-1")
    assert third["id"] == first["id"]
    assert len(world.desk.parcels(first["id"])) == 1
    other = await seller.refused("POST", "/shipments", want | {"service": "x"}, key="click-1", status=422)
    assert other["code"] == "key_reused"


async def test_two_clicks_at_the_same_moment_are_one_parcel(world: World, seller: Seller):
    quote = await seller.quote(await seller.place())
    want = {"quote_id": quote["id"], "service": quote["options"][0]["service"]}
    answers = await asyncio.gather(*(seller.post("/shipments", want, key="double-click") for _ in range(4)))
    assert len({answer["id"] for answer in answers}) == 1
    await seller.settle()
    assert len(await seller.shipments()) == 1
    assert len(world.desk.parcels(answers[0]["id"])) == 1


async def test_two_clicks_without_a_key_are_still_one_parcel(world: World, seller: Seller):
    quote = await seller.quote(await seller.place())
    want = {"quote_id": quote["id"], "service": quote["options"][0]["service"]}
    answers = await asyncio.gather(*(seller.send("POST", "/shipments", want) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [202, 422, 422, 422]
    await seller.settle()
    assert len(await seller.shipments()) == 1


async def test_every_post_that_makes_something_can_be_repeated(world: World, seller: Seller):
    order = {
        "payment": "prepaid",
        "ship_to": {
            "name": "Imran Sheikh", "phone": "9820000102", "line1": "Flat 7, Sea Breeze", "city": "Mumbai",
            "state": "Maharashtra", "pincode": "400050",
        },
        "lines": [{"name": "Steel bottle", "units": 1, "unit_price_paise": 499_00, "weight_grams": 420}],
    }  # fmt: skip
    made = [await seller.post("/orders", order, key="order-1") for _ in range(2)]
    assert made[0]["id"] == made[1]["id"]
    runs = [await seller.post("/shipments/bulk", {"order_ids": [made[0]["id"]]}, key="bulk-1") for _ in range(2)]
    assert runs[0]["id"] == runs[1]["id"]
    funded = {"amount_paise": 100_00, "note": "recharge"}
    before, _ = await seller.money()
    for _ in range(2):
        await seller.post("/wallet/fund", funded, key="fund-1")
    assert await seller.money() == (before + 100_00, 0)
    await seller.settle(impatient=True)
    assert len(await seller.orders()) == len(await seller.shipments()) == 1
    by_hand = {"order_id": (await seller.place())["id"], "carrier": "DTDC", "awb": "D7654321"}
    typed = [await seller.post("/shipments/manual", by_hand, key="hand-1") for _ in range(2)]
    assert typed[0]["id"] == typed[1]["id"]


async def test_a_key_of_one_company_is_not_anothers(world: World, seller: Seller):
    other = await world.seller("Nila Ceramics")
    funded = {"amount_paise": 100_00, "note": "recharge"}
    for one in (seller, other):
        await one.post("/wallet/fund", funded, key="fund-1")
        assert await one.money() == (5100_00, 0)
