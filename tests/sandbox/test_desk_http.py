"""The desk driven over HTTP and by its page does what it does in memory."""

import asyncio
import inspect

import httpx2
import pytest

from shipcrowd.sandbox.app import sandbox
from shipcrowd.sandbox.client import DeskClient
from shipcrowd.sandbox.desk import KNOB_OWNERS, Desk
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.refusals import NotPossible, Unknown
from shipcrowd.sandbox.schemas import Knobs, NewFault, NewOrder, NewScan, Payment, WebhookTarget

SHOP = "asha-crafts.myshopify.com"
HERE = "http://127.0.0.1:8100"


@pytest.fixture
async def client(desk):
    async with DeskClient(HERE, transport=httpx2.ASGITransport(sandbox(desk))) as made:
        yield made


@pytest.fixture
async def page(desk):
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(sandbox(desk)), base_url=HERE) as made:
        yield made


def test_the_client_has_every_verb_of_the_desk():
    verbs = {name for name, _ in inspect.getmembers(Desk, inspect.isfunction) if not name.startswith("_")}
    assert verbs - set(dir(DeskClient)) == set()


def test_every_knob_has_an_owner(desk):
    assert set(KNOB_OWNERS) == set(Knobs.model_fields)
    desk.set_knobs(Knobs(duplicate=0.5, index_lag_seconds=4, unserviceable=("111111",), token_seconds=60))
    assert desk.postman.knobs.duplicate == 0.5
    assert desk.shopify.knobs.index_lag_seconds == 4
    assert desk.velocity.knobs.unserviceable == frozenset({"111111"})
    assert desk.velocity.knobs.token_seconds == 60


async def test_orders_are_placed_and_changed_over_http(client):
    placed = await client.place_order(SHOP, NewOrder(payment=Payment.prepaid, tags=("gift",)))
    assert (placed.financial_status, placed.tags) == ("PAID", ("gift",))
    assert (await client.orders(SHOP))[0] == placed
    held = await client.hold_order(SHOP, placed.name, "INCORRECT_ADDRESS")
    assert held.fulfillment_status == "ON_HOLD"
    assert (await client.release_order(SHOP, placed.name)).fulfillment_status == "UNFULFILLED"
    assert (await client.cancel_order(SHOP, placed.name)).cancelled
    with pytest.raises(NotPossible, match="already been cancelled"):
        await client.cancel_order(SHOP, placed.name)
    with pytest.raises(Unknown):
        await client.order(SHOP, "#9999")
    with pytest.raises(NotPossible):
        await client.create_shop(SHOP)


async def test_parcels_are_moved_over_http(client, velocity, forward):
    awb = (await velocity.book(forward))["awb_code"]
    assert (await client.advance(awb)).status == "OUT FOR PICKUP"
    assert (await client.scan(awb, NewScan(status="IN TRANSIT", location="Pune"))).scans[-1].location == "Pune"
    assert (await client.fail_delivery(awb, "CUSTOMER REFUSED")).scans[-1].remark == "CUSTOMER REFUSED"
    assert (await client.rto(awb)).status == "RTO INITIATED"
    assert await client.advance_all() == 1
    assert len(await client.parcels("SC-1001")) == 1
    assert await client.parcels("SC-none") == []
    assert (await client.stats()).parcels_by_status == {"RTO IN TRANSIT": 1}


async def test_faults_knobs_and_webhooks_over_http(client, desk):
    armed = await client.add_fault(NewFault(vendor="velocity", kind=FaultKind.slow, seconds=1))
    assert await client.armed_faults() == [armed]
    await client.clear_faults()
    assert await client.armed_faults() == []
    await client.set_knobs(Knobs(duplicate=0.25))
    assert desk.postman.knobs.duplicate == 0.25
    await client.velocity_webhook(WebhookTarget(url="http://127.0.0.1:9/hook", secret="s"))
    with pytest.raises(NotPossible):
        await client.velocity_webhook(WebhookTarget(url="https://elsewhere.example", secret="s"))
    token, secret = await client.custom_token(SHOP, ["read_orders"])
    assert token.startswith("shpat_")
    assert secret.startswith("shpss_")
    assert await client.letters() == []


async def test_a_body_the_desk_does_not_understand_is_refused(page):
    reply = await page.post(f"/desk/api/shops/{SHOP}/orders", json={"payement": "cod"})
    assert reply.status_code == 422


async def test_the_page_shows_orders_parcels_and_webhooks(page, desk, velocity, forward, subscribe):
    await subscribe("ORDERS_CREATE")
    placed = desk.place_order(SHOP)
    awb = (await velocity.book(forward, billing_customer_name="<b>Asha</b>"))["awb_code"]
    await desk.drain()
    shown = await page.get("/desk")
    assert shown.status_code == 200
    assert placed.name in shown.text
    assert awb in shown.text
    assert "orders/create" in shown.text
    assert "<b>Asha</b>" not in shown.text
    assert "http://" not in shown.text.replace(HERE, ""), "no outside assets"
    assert "src=" not in shown.text


async def test_the_forms_of_the_page_work(page, desk, velocity, forward):
    awb = (await velocity.book(forward))["awb_code"]
    done = await page.post("/desk/do/shopify-order", data={"shop": SHOP, "payment": "cod", "pincode": "411001"})
    assert done.status_code == 303
    assert "was placed" in (await page.get(done.headers["location"])).text
    await page.post("/desk/do/velocity-fail", data={"awb": awb, "reason": "CUSTOMER REFUSED"})
    assert desk.parcel(awb).status == "DELIVERY ATTEMPTED"
    wrong = await page.post("/desk/do/velocity-rto", data={"awb": "nope"})
    assert "there is no parcel nope" in (await page.get(wrong.headers["location"])).text
    await page.post("/desk/do/fault", data={"operation": "velocity auth-token", "kind": "slow", "times": "3"})
    assert desk.armed_faults()[0].times == 3
    opened = await page.post("/desk/do/shopify-shop", data={"domain": "Not A Domain"})
    assert "wrong=1" in opened.headers["location"]
    await page.post("/desk/do/shopify-shop", data={"domain": "new-shop.myshopify.com"})
    assert len(desk.shops()) == 2


@pytest.mark.parametrize("what", ["dance", "shopify-dance", "velocity-dance", "amazon-dance", "flipkart-dance"])
async def test_a_form_there_is_not_is_told_to_the_person(page, what):
    reply = await page.post(f"/desk/do/{what}", data={})
    assert f"the desk cannot {what}" in (await page.get(reply.headers["location"])).text


async def test_the_page_counts_the_sellers_of_every_marketplace(page, desk):
    desk.amazon.create_seller()
    desk.flipkart.create_seller()
    shown = (await page.get("/desk")).text
    assert "<span>1 Amazon seller</span>" in shown
    assert "<span>1 Flipkart seller</span>" in shown


@pytest.mark.parametrize("path", ["/desk", "/desk/api/stats"])
async def test_the_desk_answers_only_under_a_loopback_name(desk, path):
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(sandbox(desk)), base_url="http://rebound.example:8100"
    ) as foreign:
        assert (await foreign.get(path)).status_code == 403


async def test_a_form_on_another_site_cannot_drive_the_desk(page, desk):
    reply = await page.post(
        "/desk/do/shopify-order", data={"shop": SHOP, "payment": "cod"}, headers={"origin": "https://evil.example"}
    )
    assert reply.status_code == 403
    assert desk.orders(SHOP) == []


async def test_the_whole_round_works_over_sockets(served):
    """Shop, subscription, order, webhook to a loopback address, booking: in another server, over real HTTP."""
    base, _ = served
    heard = []

    async def listener(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(
            next(line for line in head.decode().splitlines() if line.lower().startswith("content-length"))[15:]
        )
        heard.append((head.decode(), await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(listener, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, DeskClient(base) as client, httpx2.AsyncClient(trust_env=False) as http:
        await client.create_shop("over-sockets.myshopify.com")
        token, _ = await client.custom_token("over-sockets.myshopify.com", ["read_orders"])
        query = f'mutation {{ webhookSubscriptionCreate(topic: ORDERS_CREATE, webhookSubscription: {{uri: "http://127.0.0.1:{port}/in"}}) {{ userErrors {{ message }} }} }}'  # noqa: E501
        made = await http.post(
            f"{base}/over-sockets.myshopify.com/admin/api/2026-10/graphql.json",
            headers={"X-Shopify-Access-Token": token},
            json={"query": query},
        )
        assert made.json()["data"]["webhookSubscriptionCreate"]["userErrors"] == []
        await client.place_order("over-sockets.myshopify.com")
        await client.drain()
    assert "orders/create" in heard[0][0]
    assert heard[0][1].startswith(b'{"id":')
