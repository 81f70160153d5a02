"""What stores push: once is enough, any order will do, and what is not theirs leaves no trace."""

import json
from pathlib import Path
from typing import Any

import pytest

from shipcrowd.sandbox.schemas import Knobs, NewEdit
from tests.journeys.world import API, BOTTLE, Seller, World, an_order, buyer, kinds

CREATED = "orders/create"


@pytest.fixture
def payload() -> dict[str, Any]:
    """A cash on delivery order of two lamps to Vadodara, as its webhook says it."""
    found: dict[str, Any] = json.loads((Path(__file__).parent / "payloads" / "order_created_cod.json").read_text())
    return found


async def test_a_signed_webhook_becomes_an_order_by_itself(seller: Seller, payload: dict[str, Any]):
    assert (await seller.webhook(CREATED, payload)).status_code == 200
    await seller.settle()
    order = await seller.order("#7001")
    assert (order["payment"], order["total_paise"], order["to_collect_paise"]) == ("cod", 1298_00, 1298_00)
    assert (order["ship_to"]["name"], order["pincode"], order["units"]) == ("Nirmala Patel", "390007", 2)
    (delivery,) = await seller.deliveries()
    assert (delivery["topic"], delivery["outcome"]) == (CREATED, "handled")


async def test_the_address_of_one_store_takes_its_webhooks_too(seller: Seller, payload: dict[str, Any]):
    answer = await seller.webhook(CREATED, payload, at=f"/webhooks/shopify/{seller.store_id}")
    assert answer.status_code == 200
    await seller.settle()
    assert (await seller.order("#7001"))["state"] == "ready"


async def test_the_same_delivery_twice_is_one_order_and_one_delivery(seller: Seller, payload: dict[str, Any]):
    named = {"x_shopify_webhook_id": "b4f1c1b2-0001"}
    assert (await seller.webhook(CREATED, payload, **named)).status_code == 200
    await seller.settle()
    before = await seller.seen()
    assert (await seller.webhook(CREATED, payload, **named)).status_code == 200
    await seller.nothing_happened(before)
    assert len(await seller.orders()) == 1


async def test_the_same_order_in_a_second_delivery_changes_nothing(seller: Seller, payload: dict[str, Any]):
    for _ in range(2):
        assert (await seller.webhook(CREATED, payload)).status_code == 200
        await seller.settle()
    assert [order["number"] for order in await seller.orders()] == ["#7001"]
    assert kinds(await seller.order("#7001")).count("placed") == 1
    second, _ = await seller.deliveries()
    assert "nothing newer" in second["note"]


async def test_a_delivery_replayed_with_another_body_is_not_believed(seller: Seller, payload: dict[str, Any]):
    named = {"x_shopify_webhook_id": "b4f1c1b2-0002"}
    await seller.webhook(CREATED, payload, **named)
    await seller.settle()
    before = await seller.seen()
    # The id is not part of what is signed, so a second body under it can be genuine, and is still no new delivery.
    cheaper = payload | {"total_price": "1.00", "current_total_price": "1.00", "total_outstanding": "1.00"}
    assert (await seller.webhook(CREATED, cheaper, **named)).status_code == 200
    await seller.nothing_happened(before)
    # And one that was not signed as it stands is nobody's.
    refused = await seller.webhook(CREATED, cheaper, signed=json.dumps(payload).encode(), **named)
    assert refused.status_code == 401
    await seller.nothing_happened(before)


async def test_news_out_of_order_never_moves_an_order_back(world: World, seller: Seller, payload: dict[str, Any]):
    newer = payload | {"updated_at": "2026-11-20T12:00:00+05:30", "note": "Ring three times"}
    await seller.webhook(CREATED, newer)
    await seller.settle()
    await seller.webhook(CREATED, payload)
    await seller.settle()
    assert (await seller.order("#7001"))["note"] == "Ring three times"


async def test_a_store_that_sends_everything_twice_and_in_disorder_is_read_right(world: World, seller: Seller):
    world.desk.set_knobs(Knobs(duplicate=1.0, reorder=1.0))
    made = world.desk.place_order(seller.shop, an_order(lines=[{"sku": BOTTLE, "quantity": 3}]))
    world.desk.edit_order(seller.shop, made.name, NewEdit(shipping_address=buyer(address1="77, the new flat")))
    world.desk.edit_order(seller.shop, made.name, NewEdit(quantities={BOTTLE: 2}))
    await seller.settle()
    order = await seller.order(made.name)
    assert (order["units"], order["ship_to"]["line1"]) == (2, "77, the new flat")
    assert len(await seller.orders()) == 1


@pytest.mark.parametrize(
    ("named", "headers"),
    [
        ("of another body", {"signed": b"{}"}),
        ("with another secret", {"secret": "guessed"}),
        ("left out", {"x_shopify_hmac_sha256": ""}),
        ("in another alphabet", {"x_shopify_hmac_sha256": "न"}),
    ],
)
async def test_a_forged_webhook_is_refused_and_leaves_no_trace(
    seller: Seller, payload: dict[str, Any], named: str, headers: dict[str, Any]
):
    before = await seller.seen()
    if not all(str(value).isascii() for value in headers.values()):
        headers = {name: value.encode() for name, value in headers.items()}
    answer = await seller.webhook(CREATED, payload, **headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "forged_webhook")
    await seller.nothing_happened(before)


async def test_a_store_nobody_connected_gets_the_same_answer_as_a_forger(seller: Seller, payload: dict[str, Any]):
    before = await seller.seen()
    unknown = await seller.webhook(CREATED, payload, shop="nobody-here.myshopify.com")
    forged = await seller.webhook(CREATED, payload, secret="guessed")
    assert unknown.status_code == forged.status_code == 401
    assert unknown.json() == forged.json()
    await seller.nothing_happened(before)


async def test_one_store_cannot_speak_for_another(world: World, seller: Seller, payload: dict[str, Any]):
    """Shopify signs for all stores of an app with one secret: the address and the header must agree."""
    other = await world.seller("Nila Ceramics")
    before, others = await seller.seen(), await other.seen()
    answer = await seller.webhook(CREATED, payload, at=f"/webhooks/shopify/{other.store_id}")
    assert answer.status_code == 401
    await seller.nothing_happened(before)
    await other.nothing_happened(others)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "empty_webhook"),
        (b"<order/>", 400, "unreadable_webhook"),
        (b'{"id": 1', 400, "unreadable_webhook"),
        (b"[" * 100_000, 400, "unreadable_webhook"),
        (b'{"id": "' + b"x" * (1024 * 1024) + b'"}', 413, "body_too_large"),
    ],
    ids=["empty", "xml", "cut in half", "a hundred thousand brackets", "over a megabyte"],
)
async def test_a_body_that_is_no_webhook_is_refused_and_not_kept(seller: Seller, body: bytes, status: int, code: str):
    before = await seller.seen()
    answer = await seller.webhook(CREATED, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    await seller.nothing_happened(before)


async def test_a_large_body_is_refused_even_when_its_size_is_not_announced(seller: Seller):
    before = await seller.seen()

    async def pieces():
        for _ in range(40):
            yield b"x" * 64 * 1024

    answer = await seller.http.post(f"{API}/webhooks/shopify", content=pieces(), headers={"x-shopify-topic": CREATED})
    assert answer.status_code == 413
    await seller.nothing_happened(before)


async def test_a_topic_we_do_not_know_is_accepted_and_kept(seller: Seller, payload: dict[str, Any]):
    answer = await seller.webhook("orders/teleported", payload)
    assert answer.status_code == 200
    await seller.settle()
    assert await seller.orders() == []
    (delivery,) = await seller.deliveries()
    assert (delivery["topic"], delivery["outcome"]) == ("orders/teleported", "ignored")
    assert "orders/teleported" in delivery["note"]


async def test_a_webhook_that_cannot_be_read_is_kept_shown_and_replayed(seller: Seller, payload: dict[str, Any]):
    seller_sees = payload | {"line_items": [{"id": 1, "quantity": "many"}]}
    assert (await seller.webhook(CREATED, seller_sees)).status_code == 200
    await seller.settle()
    assert await seller.orders() == []
    (delivery,) = await seller.deliveries(outcome="failed")
    (item,) = await seller.failed_items()
    assert item["reason"]
    assert "Patel" not in item["reason"]
    # Read again it is still unreadable; a proper delivery of the order resolves nothing by itself, a fix does.
    await seller.post(f"/integrations/shopify/webhooks/{delivery['id']}/replay")
    await seller.settle()
    (again,) = await seller.failed_items()
    assert (again["id"], again["times"]) == (item["id"], item["times"] + 1)


async def test_a_paused_store_is_not_read_and_what_happened_meanwhile_is_read_on_resume(world: World, seller: Seller):
    store = f"/integrations/shopify/stores/{seller.store_id}"
    await seller.post(f"{store}/pause")
    made = world.desk.place_order(seller.shop, an_order())
    await seller.settle()
    assert await seller.orders() == []
    await seller.post(f"{store}/resume")
    await seller.settle()
    assert (await seller.order(made.name))["state"] == "ready"
