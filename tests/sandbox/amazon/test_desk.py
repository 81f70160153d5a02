"""Amazon's desk over HTTP and by its page, the same draws from the same seed, and that it stays small and quick."""

import inspect
import time
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from shipcrowd.sandbox.amazon.desk import AmazonDesk
from shipcrowd.sandbox.amazon.desk_client import AmazonDeskClient
from shipcrowd.sandbox.amazon.schemas import (
    AmazonKnobChange,
    NewAmazonOrder,
    NewSeller,
    OrderKind,
    StockChange,
)
from shipcrowd.sandbox.amazon.state import AmazonKnobs, Kept
from shipcrowd.sandbox.app import HOSTS, sandbox
from shipcrowd.sandbox.client import DeskClient
from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.refusals import NotPossible, Unknown

HERE = "http://127.0.0.1:8100"
SELLER = "A1INSELLER0001"
ORDERS = "/orders/2026-01-01/orders"


@pytest.fixture
async def client(desk):
    async with DeskClient(HERE, transport=httpx2.ASGITransport(sandbox(desk))) as made:
        yield made.amazon


@pytest.fixture
async def page(desk):
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(sandbox(desk)), base_url=HERE) as made:
        yield made


def test_the_client_has_every_verb_of_the_desk():
    verbs = {name for name, _ in inspect.getmembers(AmazonDesk, inspect.isfunction) if not name.startswith("_")}
    assert verbs - {"close"} - set(dir(AmazonDeskClient)) == set()


def test_every_knob_can_be_turned():
    assert set(AmazonKnobChange.model_fields) == set(AmazonKnobs.__dataclass_fields__)


async def test_a_day_at_amazon_over_http(client):
    seller = await client.create_seller(NewSeller(name="Noor Textiles", seller_id="A3NOORTEXTILE"))
    with pytest.raises(NotPossible):
        await client.create_seller(NewSeller(seller_id=seller.id))
    assert (await client.set_seller(seller.id, personal_data=False)).personal_data is False
    pending = await client.place_order(seller.id, NewAmazonOrder(pending=True))
    assert (await client.release(pending.id)).status == "UNSHIPPED"
    assert (await client.ask_to_cancel(pending.id)).cancel_requested
    assert (await client.cancel(pending.id)).status == "CANCELLED"
    fba = await client.place_order(seller.id, NewAmazonOrder(kind=OrderKind.fba))
    assert (await client.ship_fba(fba.id)).status == "SHIPPED"
    broken = await client.place_order(seller.id, NewAmazonOrder(broken=True))
    await client.mend(broken.id)
    await client.resend(broken.id)
    assert [one.id for one in await client.orders(seller.id)] == [pending.id, fba.id, broken.id]
    for wrong in (client.deliver, client.release):
        with pytest.raises(NotPossible):
            await wrong(broken.id)
    with pytest.raises(NotPossible):
        await client.move_easy_ship(broken.id, "Delivered")
    with pytest.raises(Unknown):
        await client.order("402-0000000-0000000")
    level = await client.set_stock(seller.id, StockChange(sku="NEW ONE", quantity=3, by_amazon=True, inbound=4))
    assert level in await client.listings(seller.id)
    assert (level.quantity, level.inbound, level.by_amazon) == (3, 4, True)
    assert (await client.refresh_token(seller.id)).startswith("Atzr|")
    own = await client.private_app(seller.id)
    assert own.seller_id == seller.id
    await client.revoke(seller.id)
    assert not (await client.sellers())[0].connected
    assert await client.feeds(seller.id) == await client.parcels(seller.id) == []
    with pytest.raises(Unknown):
        await client.advance_parcel("1")
    with pytest.raises(Unknown):
        await client.move_parcel("1", "Lost")
    with pytest.raises(Unknown):
        await client.parcel("1")
    assert await client.advance_feeds() == 0
    stats = await client.stats()
    assert stats.orders_by_status == {"CANCELLED": 1, "SHIPPED": 1, "UNSHIPPED": 1}


async def test_settings_over_http(client, desk):
    await client.set_knobs(AmazonKnobChange(poison="bomb", feed_work_seconds=1))
    assert (desk.amazon.world.knobs.poison, desk.amazon.world.knobs.feed_work_seconds) == ("bomb", 1)
    await client.set_knobs(AmazonKnobChange(listing_seconds=2))
    assert desk.amazon.world.knobs.poison == "bomb"
    await client.set_knobs(AmazonKnobChange(poison=None))
    assert (desk.amazon.world.knobs.poison, desk.amazon.world.knobs.listing_seconds) == (None, 2)
    before = desk.amazon.world.now()
    await client.pass_time(3600)
    assert desk.amazon.world.now() - before >= timedelta(hours=1)
    with pytest.raises(NotPossible):
        await client.pass_time(-1)
    old = desk.amazon.world.app.secret
    assert await client.rotate_secret() == desk.amazon.world.app.secret != old
    await client.announce_secret_expiry()
    opened = await client.open_queue("over-http")
    assert opened.arn.endswith(":over-http")
    assert desk.amazon.world.secret_queue == opened.arn


async def test_consent_over_http(client, desk):
    seller = await client.create_seller()
    application = desk.credentials.amazon_application_id
    asked = f"application_id={application}&state=s&redirect_uri=https://app.example/back"
    back = await client.approve(f"https://sellercentral.amazon.in/apps/authorize/consent?{asked}", seller.id)
    assert back.startswith("https://app.example/back?state=s&selling_partner_id=")
    start = await client.appstore_link(seller.id, "https://app.example/login")
    assert "amazon_callback_uri=https%3A%2F%2Fsellercentral.amazon.in" in start


async def test_the_page_shows_and_drives_amazon(page, desk, spapi, amazon):
    done = await page.post("/desk/do/amazon-order", data={"seller": SELLER, "kind": "easy_ship_cod", "cancel": "on"})
    assert done.status_code == 303
    (order,) = amazon.orders(SELLER)
    shown = (await page.get(done.headers["location"])).text
    assert order.id in shown
    assert "buyer wants to cancel" in shown
    assert "src=" not in shown
    await spapi.get("/sellers/v1/marketplaceParticipations")
    assert "getMarketplaceParticipations 1" in (await page.get("/desk")).text
    for what, form in (
        ("amazon-seller", {"name": "<i>Noor</i>"}),
        ("amazon-stock", {"seller": SELLER, "sku": "BOT-1L-BLU", "quantity": "7"}),
        ("amazon-cancel", {"order": order.id}),
        ("amazon-feeds", {}),
        ("amazon-rotate", {}),
        ("amazon-revoke", {"seller": SELLER}),
    ):
        assert "wrong=1" not in (await page.post(f"/desk/do/{what}", data=form)).headers["location"], what
    assert "<i>Noor" not in (await page.get("/desk")).text
    assert amazon.order(order.id).status == "CANCELLED"
    assert not amazon.sellers()[0].connected
    for what, form in (("amazon-release", {"order": order.id}), ("amazon-fly", {}), ("amazon-mend", {"order": "x"})):
        assert "wrong=1" in (await page.post(f"/desk/do/{what}", data=form)).headers["location"], what
    await page.post("/desk/do/fault", data={"operation": "amazon createFeed", "kind": "unavailable", "times": "2"})
    assert desk.armed_faults()[0].operation == "createFeed"


def test_the_same_seed_is_the_same_day():
    def day(seed):
        amazon = Desk(seed=seed).amazon
        seller = amazon.create_seller()
        return [seller.id] + [
            amazon.place_order(seller.id).model_dump(include={"id", "items", "pincode"}) for _ in range(5)
        ]

    assert day(4) == day(4)
    assert day(4) != day(5)


def test_each_of_amazons_hosts_has_one_stand_in():
    hosts = (
        "sellingpartnerapi-eu.amazon.com",
        "sellingpartnerapi-na.amazon.com",
        "api.amazon.com",
        "sellercentral.amazon.in",
        "tortuga-prod-eu.s3-eu-west-1.amazonaws.com",
    )
    for host in hosts:
        assert sum(bool(pattern.fullmatch(host)) for pattern, _ in HOSTS) == 1
    assert not any(pattern.fullmatch("sellingpartnerapi-eu.amazon.com.evil.example") for pattern, _ in HOSTS)


def test_what_is_kept_is_bounded():
    kept = Kept[int, str](3)
    for number in range(10):
        kept[number] = "x"
    assert list(kept) == [7, 8, 9]


@pytest.mark.slow
async def test_ten_thousand_orders_are_swept_quickly(spapi, amazon):
    amazon.set_knobs(AmazonKnobChange(enforce_limits=False))
    day = datetime.now(UTC) - timedelta(days=1)
    placed = {
        amazon.place_order(SELLER, NewAmazonOrder(placed_at=day + timedelta(seconds=5 * n))).id for n in range(10_000)
    }
    spapi.held = False
    included = ["BUYER", "RECIPIENT", "PROCEEDS", "FULFILLMENT", "PACKAGES", "PAYMENT", "CANCELLATION"]
    query = {"lastUpdatedAfter": (day - timedelta(hours=1)).isoformat(), "includedData": included}
    found, token, started = set(), None, time.monotonic()
    while True:
        answer = await spapi.get(ORDERS, **query, **({"paginationToken": token} if token else {}))
        found |= {one["orderId"] for one in answer["orders"]}
        token = answer.get("pagination", {}).get("nextToken")
        if token is None:
            break
    assert found == placed
    assert 10_000 / (time.monotonic() - started) > 800


@pytest.mark.slow
async def test_a_caller_that_keeps_the_published_pace_is_never_over_it(spapi, amazon):
    """A day of one seller on Amazon's clock: a sweep every 15 minutes and an order read every two seconds at most."""
    placed = amazon.place_order(SELLER)
    spapi.held = False
    for tick in range(24 * 4):
        await spapi.sign_in()
        await spapi.get(ORDERS, lastUpdatedAfter="2026-01-01T00:00:00Z")
        for _ in range(4):
            await spapi.get(f"{ORDERS}/{placed.id}")
            amazon.pass_time(2)
        amazon.pass_time(15 * 60 - 8)
        assert amazon.stats().overdrawn == {}, f"after {tick + 1} quarters of an hour"
    assert amazon.stats().requests["searchOrders"] == 96
