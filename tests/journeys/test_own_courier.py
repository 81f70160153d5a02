"""A seller's own account at a courier: connected, billed by the courier, sick, well again, and cut."""

import json

import pytest

from shipcrowd.integrations.velocity import webhooks as velocity
from shipcrowd.kernel import audit, clock, tenancy
from shipcrowd.shipping import webhooks as doors
from tests.journeys.world import API, an_order

MINE, PASSWORD = "+919811122233", "saffron-gate-44"
ACCOUNT = {"username": "98111 22233", "password": PASSWORD}


@pytest.fixture(autouse=True)
def my_login(world):
    world.desk.velocity.accounts[MINE] = PASSWORD
    yield
    del world.desk.velocity.accounts[MINE]
    doors.forget_secrets()


async def of(seller):
    (velocity_,) = [each for each in await seller.get("/couriers") if each["slug"] == "velocity"]
    return velocity_


async def connected(seller):
    return await seller.post("/couriers/velocity/connect", {"credentials": ACCOUNT, "name": "Our Velocity"})


async def test_couriers_say_what_they_can_do_and_what_connecting_asks_for(seller):
    found = await of(seller)
    assert (found["books_with"], found["billed_by"], found["accounts"]) == ("platform", "wallet", [])
    assert {"registers_pickup_points", "books_returns", "sends_webhooks"} <= set(found["abilities"])
    assert [(f["name"], f["secret"], f["required"]) for f in found["fields"]] == [
        ("username", False, True), ("password", True, True), ("channel_id", False, False),
        ("webhook_secret", True, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("credentials", "fields"),
    [
        ({"username": MINE, "password": "not-this-one"}, ["credentials"]),
        ({"username": "abc", "password": "x"}, ["credentials.username"]),
        ({"username": MINE}, ["credentials.password"]),
        ({"username": MINE, "password": "x", "token": "mine"}, ["credentials.token"]),
    ],
)
async def test_what_the_courier_does_not_take_is_named_and_nothing_is_saved(seller, credentials, fields):
    body = {"credentials": credentials}
    problem = await seller.refused("POST", "/couriers/velocity/connect", body, status=422)
    assert [each["field"] for each in problem.get("errors", [problem])] == fields
    assert "not-this-one" not in json.dumps(problem)
    assert (await of(seller))["accounts"] == []


async def test_parcels_of_an_own_account_are_billed_by_the_courier_and_the_wallet_is_not_touched(seller, world):
    made = await connected(seller)
    account = made["account"]
    assert (account["login"], account["level"], account["has_webhook_secret"]) == ("…2233", "ok", True)
    assert account["webhook_url"].endswith(f"/webhooks/velocity/{account['id']}")
    await seller.settle()
    (place,) = (await seller.get("/places"))["items"]
    assert (account["id"], "registered") in {(each["account_id"], each["state"]) for each in place["registrations"]}
    before = await seller.money()
    order = await seller.place(an_order(cod=True))
    options = (await seller.quote(order))["options"]
    assert {(o["billed_by"], o["account_name"], o["price_paise"], o["account_id"]) for o in options} == {
        ("courier", "Our Velocity", 0, account["id"])
    }
    assert all("cheapest" not in option["tags"] for option in options)
    shipment = await seller.book(order)
    await seller.settle()
    shipment = await seller.shipment(shipment["id"])
    assert (shipment["state"], shipment["charge_paise"]) == ("pickup_pending", 0)
    assert await seller.money() == before
    assert world.desk.velocity.by_awb[shipment["awb"]].account == MINE
    cancelled = await seller.post(f"/shipments/{shipment['id']}/cancel")
    assert cancelled["state"] == "cancelling"


async def test_news_signed_with_the_shown_secret_moves_a_parcel_and_the_secret_is_not_shown_again(seller, world):
    made = await connected(seller)
    shipment = await seller.ship()
    body = json.dumps({"awb": shipment["awb"], "status": "PICKED UP", "updated_at": clock.now().isoformat()}).encode()
    door = made["account"]["webhook_url"].removeprefix(API)
    topic = "SHIPMENT_STATUS_UPDATE"

    async def post(secret):
        headers = velocity.sign(secret, topic, body, clock.now())
        return await seller.http.post(f"{API}{door}", content=body, headers=headers)

    assert (await post(world.courier_secret)).status_code == 401
    assert (await post(made["webhook_secret"])).status_code == 200
    await seller.settle()
    assert (await seller.shipment(shipment["id"]))["state"] == "picked_up"
    shown = json.dumps(
        [await seller.get("/couriers"), await seller.get(f"/couriers/velocity/accounts/{made['account']['id']}")]
    )
    assert made["webhook_secret"] not in shown and PASSWORD not in shown and MINE not in shown
    path = f"/couriers/velocity/accounts/{made['account']['id']}"
    again = await seller.post(f"{path}/webhook-secret")
    assert again["webhook_secret"] != made["webhook_secret"]
    assert (await post(made["webhook_secret"])).status_code == 401


async def test_a_changed_password_is_told_and_the_platforms_account_does_not_take_over(seller, world):
    made = await connected(seller)
    path = f"/couriers/velocity/accounts/{made['account']['id']}"
    order = await seller.place()
    world.desk.velocity.accounts[MINE] = "another-gate-45"
    world.desk.velocity.tokens.clear()
    problem = await seller.refused("POST", "/quotes", {"order_id": order["id"]}, status=409)
    assert problem["code"] == "no_courier_to_ask" and "sign in again" in problem["detail"]
    assert (await seller.get(path))["level"] == "broken"
    assert (await of(seller))["books_with"] is None
    await seller.refused("POST", "/quotes", {"order_id": order["id"]}, status=409)
    wrong = {"credentials": {"password": "still-wrong"}}
    await seller.refused("PATCH", path, wrong, status=422)
    assert (await seller.get(path))["level"] == "broken"
    other = {"credentials": {"username": world.desk.credentials.velocity_username}}
    assert (await seller.refused("PATCH", path, other, status=422))["code"] == "other_login"
    now = await seller.ask("PATCH", path, {"credentials": {"password": "another-gate-45"}})
    assert (now["level"], now["has_webhook_secret"]) == ("ok", True)
    assert (await seller.quote(order))["options"][0]["billed_by"] == "courier"
    assert (await seller.post(f"{path}/test"))["ok"] is True


async def test_an_account_is_paused_until_its_parcels_have_arrived_and_then_cut(seller, world):
    made = await connected(seller)
    path = f"/couriers/velocity/accounts/{made['account']['id']}"
    shipment = await seller.ship()
    problem = await seller.refused("DELETE", path, status=409)
    assert (problem["code"], problem["under_way"]) == ("parcels_under_way", 1)
    assert (await seller.get(path))["status"] == "connected"
    paused = await seller.post(f"{path}/pause")
    assert (paused["level"], paused["parcels_under_way"]) == ("attention", 1)
    order = await seller.place()
    assert {option["billed_by"] for option in (await seller.quote(order))["options"]} == {"wallet"}
    assert (await seller.post(f"/shipments/{shipment['id']}/cancel"))["state"] == "cancelling"
    answer = await seller.send("DELETE", path, anyway=True)
    assert answer.status_code == 204
    assert (await of(seller))["accounts"] == []
    async with tenancy.acting_for(seller.company_id) as session:
        done = [entry.action for entry in await audit.of(session, f"connection:{made['account']['id']}")]
    assert set(done) == {"courier.connected", "courier.paused", "courier.disconnected"}


async def test_sign_ins_are_not_tried_without_end(seller):
    for _ in range(10):
        await seller.refused(
            "POST", "/couriers/velocity/connect", {"credentials": ACCOUNT | {"password": "x"}}, status=422
        )
    await seller.refused("POST", "/couriers/velocity/connect", {"credentials": ACCOUNT}, status=429)


async def test_a_place_without_an_e_mail_is_told_with_the_owners(seller, world):
    place = {
        "name": "Peenya shed", "contact": "Latha", "phone": "9845011111", "line1": "Shed 9", "city": "Bengaluru",
        "state": "Karnataka", "pincode": "560058",
    }  # fmt: skip
    made = await seller.post("/places", place)
    await seller.settle()
    (registration,) = (await seller.get(f"/places/{made['id']}"))["registrations"]
    assert (registration["state"], registration["error"]) == ("registered", None)
    assert (await seller.get(f"/places/{made['id']}"))["email"] is None
    quote = await seller.quote(await seller.place(), place_id=made["id"])
    shipment = await seller.post("/shipments", {"quote_id": quote["id"], "service": quote["options"][0]["service"]})
    await seller.settle()
    assert (await seller.shipment(shipment["id"]))["state"] == "pickup_pending"
