"""Stores themselves: connected, read, left, and asked to forget."""

import pytest

from shipcrowd.kernel import db, tenancy
from shipcrowd.sandbox.schemas import Knobs
from tests.journeys.world import BOTTLE, Seller, World, an_order, kinds, personal

SCOPES = ("read_orders", "write_orders", "read_products", "write_inventory", "read_inventory", "read_locations",
          "read_merchant_managed_fulfillment_orders", "write_merchant_managed_fulfillment_orders")  # fmt: skip


async def rows(seller: Seller, table: str) -> int:
    async with tenancy.acting_for(seller.company_id) as session:
        return await (await db.driver(session)).fetchval(f"SELECT count(*) FROM {table}")


@pytest.mark.parametrize(
    ("credentials", "store", "field"),
    [
        ({"access_token": "shpat_0123456789abcdef"}, None, "credentials"),
        ({"access_token": "short"}, None, "credentials.access_token"),
        ({}, None, "credentials.access_token"),
        ({"access_token": "shpat_0123456789abcdef", "nonsense": "x"}, None, "credentials.nonsense"),
        ({"access_token": "shpat_0123456789abcdef"}, "no-such-shop.myshopify.com", "credentials"),
        ({"access_token": "shpat_0123456789abcdef"}, "https://evil.example", "shop"),
    ],
    ids=["a wrong token", "too short", "nothing", "an unknown field", "no such shop", "no shop's address"],
)
async def test_wrong_credentials_are_refused_by_field_and_nothing_is_saved(
    world: World, credentials: dict[str, str], store: str | None, field: str
):
    newcomer = await world.newcomer("Nila Ceramics")
    body = {"store": store or newcomer.shop, "credentials": credentials}
    problem = await newcomer.refused("POST", "/integrations/shopify/connect", body, status=422)
    assert problem["field"] == field
    assert problem["detail"]
    assert "shpat_0123456789abcdef" not in str(problem)
    assert await newcomer.get("/integrations/shopify/stores", closed=True) == []
    assert await rows(newcomer, "connections") == 0


async def test_a_pasted_token_connects_and_its_own_secret_signs_its_webhooks(world: World):
    newcomer = await world.newcomer("Nila Ceramics")
    await newcomer.settle_in()
    token, secret = world.desk.custom_token(newcomer.shop, SCOPES)
    body = {"store": newcomer.shop, "credentials": {"access_token": token, "app_secret": secret}}
    made = await newcomer.post("/integrations/shopify/connect", body)
    assert (made["status"], made["external_id"]) == ("connected", newcomer.shop)
    assert token not in str(made)
    assert secret not in str(made)
    await newcomer.settle()
    assert (await newcomer.place())["state"] == "ready"


async def test_a_sign_in_comes_back_once_for_the_store_it_was_started_for(world: World):
    newcomer = await world.newcomer("Nila Ceramics")
    consent = await newcomer.send("GET", "/integrations/shopify/install", shop=newcomer.shop)
    back = world.desk.approve(consent.headers["location"])
    forged = await newcomer.http.get(back.replace("hmac=", "hmac=0"))
    assert forged.status_code == 401
    assert await rows(newcomer, "connections") == 0
    assert (await newcomer.http.get(back)).status_code == 200
    assert not (await newcomer.http.get(back)).is_success  # the nonce is spent
    assert await rows(newcomer, "connections") == 1


async def test_a_store_of_another_company_is_refused_by_name(world: World, seller: Seller):
    other = await world.newcomer("Nila Ceramics")
    consent = await other.send("GET", "/integrations/shopify/install", shop=seller.shop)
    answer = await other.http.get(world.desk.approve(consent.headers["location"]))
    assert (answer.status_code, answer.json()["code"]) == (409, "connected_elsewhere")
    assert await rows(other, "connections") == 0
    assert (await seller.place())["state"] == "ready"


async def test_the_first_sweep_reads_what_was_there_and_another_what_webhooks_lost(world: World):
    newcomer = await world.newcomer("Nila Ceramics")
    await newcomer.settle_in()
    early = [world.desk.place_order(newcomer.shop, an_order()).name for _ in range(3)]
    await newcomer.connect()
    assert {order["number"] for order in await newcomer.orders()} == set(early)
    world.desk.set_knobs(Knobs(lose=1.0))
    late = world.desk.place_order(newcomer.shop, an_order()).name
    await newcomer.settle()
    assert len(await newcomer.orders()) == 3
    await newcomer.post(f"/integrations/shopify/stores/{newcomer.store_id}/sync/orders")
    await newcomer.settle()
    assert {order["number"] for order in await newcomer.orders()} == {*early, late}
    last = (await newcomer.get(f"/integrations/shopify/stores/{newcomer.store_id}/sync/logs"))["items"][0]
    assert (last["inserted"], last["failed"], last["error"]) == (1, 0, "")


async def test_one_unreadable_order_costs_itself_only_is_shown_and_replayed_after_a_fix(world: World, seller: Seller):
    world.desk.set_knobs(Knobs(lose=1.0))
    good = [world.desk.place_order(seller.shop, an_order()).name for _ in range(2)]
    bad = world.desk.place_order(seller.shop, an_order(lines=[{"sku": BOTTLE}]))
    line = world.desk.shopify.shops[seller.shop].orders[bad.id].lines[0]
    line.current_quantity = 2_000_000  # nobody orders that
    good += [world.desk.place_order(seller.shop, an_order()).name for _ in range(2)]
    store = f"/integrations/shopify/stores/{seller.store_id}"
    await seller.post(f"{store}/sync/orders")
    await seller.settle()
    assert {order["number"] for order in await seller.orders()} == set(good)
    (item,) = await seller.failed_items()
    assert (item["external_id"], item["times"]) == (str(bad.id), 1)
    assert personal(item["reason"]) == []
    whole = await seller.get(f"/integrations/shopify/failed-items/{item['id']}")
    assert bad.name in str(whole["raw"])
    assert (await seller.get("/integrations/health"))["level"] == "attention"

    await seller.post(f"/integrations/shopify/failed-items/{item['id']}/replay")
    await seller.settle()
    (again,) = await seller.failed_items()
    assert again["times"] == 2
    line.current_quantity = 1
    await seller.post(f"/integrations/shopify/failed-items/{item['id']}/replay")
    await seller.settle()
    assert await seller.failed_items() == []
    assert (await seller.order(bad.name))["units"] == 1
    (resolved,) = await seller.failed_items(resolved=True)
    assert resolved["id"] == item["id"]
    assert (await seller.get("/integrations/health"))["level"] == "ok"


async def test_a_store_that_removes_the_app_is_left_and_can_come_back(world: World, seller: Seller):
    order = await seller.place()
    world.desk.uninstall(seller.shop)
    await seller.settle()
    store = await seller.get(f"/integrations/shopify/stores/{seller.store_id}")
    assert store["status"] == "left"
    assert (await seller.order(order["number"]))["state"] == "ready"
    missed = world.desk.place_order(seller.shop, an_order())
    await seller.settle()
    assert len(await seller.orders()) == 1
    problem = await seller.refused("POST", f"/integrations/shopify/stores/{seller.store_id}/sync/orders", status=409)
    assert problem["code"] == "wrong_connection_state"
    before = seller.store_id
    await seller.connect()
    assert seller.store_id == before
    await seller.settle()
    assert (await seller.order(missed.name))["state"] == "ready"


async def test_what_is_booked_while_a_store_is_away_is_told_when_it_is_back(world: World, seller: Seller):
    order = await seller.place()
    world.desk.uninstall(seller.shop)
    await seller.settle()
    shipment = await seller.book(order)
    await seller.settle()
    assert seller.at_store(order["number"]).fulfilments == ()
    await seller.connect()
    await seller.settle()
    shipment = await seller.shipment(shipment["id"])
    (told,) = seller.at_store(order["number"]).fulfilments
    assert told.numbers == (shipment["awb"],)


async def test_a_buyer_who_asks_to_be_forgotten_is(world: World, seller: Seller):
    kept = await seller.place(an_order(shipping_address=an_order().shipping_address, email="other@mail.example"))
    order = await seller.place(an_order(email="meenakshi@mail.example"))
    world.desk.privacy(seller.shop, "customers/redact", order["number"])
    await seller.settle()
    after = await seller.order(order["number"])
    assert personal(after) == []
    assert "meenakshi@mail.example" not in str(after)
    assert (after["total_paise"], after["city"]) == (order["total_paise"], "Chennai")
    assert "redacted" in kinds(after)
    assert kept["number"] != order["number"]
    # The store's later news of that order does not bring the buyer back.
    world.desk.resend_webhook(seller.shop, order["number"])
    await seller.settle()
    assert personal(await seller.order(order["number"])) == []


async def test_a_store_that_asks_for_its_buyers_data_is_noted_and_one_that_leaves_for_good_is_emptied(
    world: World, seller: Seller
):
    order = await seller.place()
    world.desk.privacy(seller.shop, "customers/data_request", order["number"])
    await seller.settle()
    assert (await seller.order(order["number"]))["ship_to"]["name"] == "Meenakshi Sundaram"
    assert (await seller.deliveries())[0][
        "note"
    ] == "a buyer asks for the data you hold of them; 1 orders of theirs are here"
    world.desk.uninstall(seller.shop)
    world.desk.privacy(seller.shop, "shop/redact")
    await seller.settle()
    assert personal(await seller.order(order["number"])) == []
