"""What happens at Amazon, told to the product through the stand-in: the whole way from the wire to the order."""

import json
from datetime import timedelta

import httpx2
import pytest
import time_machine
from sqlalchemy import select

from shipcrowd import wiring
from shipcrowd.app import create_app
from shipcrowd.channels import jobs, service, vendors
from shipcrowd.channels.models import FailedItem, SyncEntry
from shipcrowd.connections.models import Status
from shipcrowd.couriers import vendors as courier_vendors
from shipcrowd.integrations.amazon import subscriptions, webhooks
from shipcrowd.integrations.amazon import vendor as amazon_vendor
from shipcrowd.kernel import audit, clock, db, events, inbox, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.jobs import run_one
from shipcrowd.orders import jobs as order_jobs
from shipcrowd.orders import pii, queries
from shipcrowd.orders import service as orders
from shipcrowd.sandbox.amazon import trade
from shipcrowd.sandbox.amazon.orders import Package
from shipcrowd.sandbox.amazon.schemas import OrderKind
from shipcrowd.settings import settings
from tests.channels import look
from tests.integrations.amazon.stand_in import ASHA, connection_of, forget, order_of
from tests.support import dequeue, drain

DAY = timedelta(days=1)
BOX = {"weight_grams": 520, "length_mm": 280, "breadth_mm": 110, "height_mm": 110}
PLACE = {
    "name": "Okhla",
    "contact": "Imran",
    "phone": "9810022334",
    "line1": "C-54, Phase I",
    "city": "New Delhi",
    "pincode": "110020",
}


async def why(company, external_id) -> dict[str, str]:
    """What keeps the order from being booked."""
    return orders.why_not_bookable(await order_of(company, external_id))


@pytest.fixture
def seller(amazons):
    return amazons.seller()


@pytest.fixture
async def store(amazons, company, seller):
    return await amazons.connect(company, seller)


# --- which orders are booked ----------------------------------------------------------------------------------------


async def test_a_buyers_wish_to_cancel_holds_the_booking_until_it_is_withdrawn(amazons, company, seller, store):
    order = amazons.place(seller)
    await amazons.settle()
    assert await why(company, order) == {}
    amazons.desk.ask_to_cancel(order)
    await amazons.settle()
    assert await why(company, order) == {"holds": "held: the buyer asks to cancel"}

    known = amazons.desk.world.orders[order]
    for item in known.items:
        item.cancel_reason = None
    trade.touch(amazons.desk.world, known)
    amazons.desk.resend(order)
    await amazons.settle()
    assert await why(company, order) == {}


async def test_a_pending_order_is_seen_and_not_booked_until_it_is_paid(amazons, company, seller, store):
    order = amazons.place(seller, pending=True)
    await amazons.settle()
    assert (await why(company, order))["state"] == "the buyer has not paid yet"
    amazons.desk.release(order)
    await amazons.settle()
    assert await why(company, order) == {}


async def test_units_shipped_at_amazon_are_not_shipped_again(amazons, company, seller, store):
    order = amazons.place(seller, lines=({"sku": "BOT-1L-BLU", "quantity": 3},))
    await amazons.settle()
    known, now = amazons.desk.world.orders[order], amazons.desk.world.now()
    package = Package("1", "BlueDart", "BD1", "", now, now, {known.items[0].id: 2})
    trade.confirm(amazons.desk.world, known, package)
    await amazons.settle()
    async with tenancy.acting_for(company) as session:
        found = await queries.whole(session, (await order_of(company, order)).id)
    assert found.order.state == "ready"
    assert [orders.open_units_of(line) for line in found.lines] == [1]


async def test_an_order_of_amazons_warehouse_is_visible_and_read_only(amazons, company, seller, store):
    order = amazons.place(seller, kind=OrderKind.fba)
    await amazons.settle()
    found = await order_of(company, order)
    assert (found.fulfilment, found.state) == ("marketplace_warehouse", "ignored")
    assert "the marketplace ships this order" in (await why(company, order))["fulfilment"]
    async with tenancy.acting_for(company) as session:
        rows, _ = await queries.page_of(session, queries.OrderFilter(), after=None, limit=10)
    assert found.id in {row.id for row in rows}


# --- the buyer ------------------------------------------------------------------------------------------------------


async def test_an_order_without_its_buyer_waits_and_a_buyer_amazon_stops_showing_stays(amazons, company, seller, store):
    order = amazons.place(seller, personal_data=False)
    await amazons.settle()
    assert (await order_of(company, order)).pii_withheld
    assert await why(company, order) == {"ship_to": "the store did not show us the buyer's address"}

    amazons.desk.world.orders[order].personal = True  # the role was granted: the next reading shows the buyer
    amazons.desk.resend(order)
    await amazons.settle()
    shown = pii.buyer_of(await order_of(company, order))
    assert shown.ship_to is not None
    assert await why(company, order) == {}

    amazons.desk.set_seller(seller.id, personal_data=False)  # and taken away again
    trade.touch(amazons.desk.world, amazons.desk.world.orders[order])
    await amazons.sweep(company, store)
    after = await order_of(company, order)
    assert pii.buyer_of(after).ship_to == shown.ship_to
    assert (after.pii_withheld, await why(company, order)) == (False, {})


async def test_buyers_are_gone_30_days_after_delivery_from_everywhere_and_no_reading_brings_them_back(
    amazons, company, seller, store, monkeypatch
):
    monkeypatch.setenv("SHIPCROWD_BUYER_DATA_DAYS", "400")
    monkeypatch.setenv("SHIPCROWD_FAILED_DELIVERY_DAYS", "400")
    settings.cache_clear()
    before, events._Wired.listeners = events._Wired.listeners, {}
    events.listen(wiring.LISTENERS)
    delivered, broken = amazons.place(seller), amazons.place(seller, broken=True)
    known = amazons.desk.world.orders[delivered]
    await amazons.settle()
    await amazons.sweep(company, store)  # one that cannot be read is kept with what it looked like
    now = amazons.desk.world.now()
    trade.confirm(
        amazons.desk.world,
        known,
        Package("1", "BlueDart", "BD1", "", now, now, {i.id: i.quantity for i in known.items}),
    )
    amazons.desk.deliver(delivered)
    await amazons.settle()
    assert (await order_of(company, delivered)).state == "delivered"
    words = [known.person.name, known.person.phone, known.person.line1, amazons.desk.world.orders[broken].person.name]
    assert await stands(company, words)

    async def a_day_later(days: int) -> None:
        amazons.desk.pass_time(1)
        async with tenancy.acting_for(company) as session:
            await order_jobs.forget_buyers.enqueue(session, company_id=company)
            await wiring.tidy_company.enqueue(session, company_id=company)
        await drain()

    with time_machine.travel(clock.now() + 29 * DAY, tick=True):
        await a_day_later(29)
        assert pii.buyer_of(await order_of(company, delivered)).ship_to is not None
    with time_machine.travel(clock.now() + 31 * DAY, tick=True):
        await a_day_later(31)
        assert await stands(company, words) == []
        trade.touch(amazons.desk.world, known)  # still shown by Amazon, and read again
        amazons.desk.resend(delivered)
        await amazons.settle()
        assert known.updated_at - (await order_of(company, delivered)).source_updated_at < timedelta(milliseconds=1)
        assert await stands(company, words) == []
    events._Wired.listeners = before


async def stands(company, words) -> list[str]:
    """Where one of these words is held of the company, sealed values opened."""
    found = []
    async with tenancy.acting_for(company) as session:
        for each in (await session.execute(select(orders.Order))).scalars():
            found += [f"order {word}" for word in words if word in pii.buyer_of(each).model_dump_json()]
        for item in (await session.execute(select(FailedItem))).scalars():
            found += ["failed item"] if item.raw is not None else []
        for delivery in await inbox.recent(session):
            if delivery.body is not None:
                body = inbox.opened(delivery)[1].decode()
                found += [f"inbox {word}" for word in words if word in body]
        rows = await (await db.driver(session)).fetch("SELECT words FROM order_events")
        found += [f"timeline {word}" for word in words for row in rows if word in row["words"]]
    return found


# --- the connection -------------------------------------------------------------------------------------------------


async def test_subscriptions_are_looked_after_daily_and_removed_with_the_store(amazons, company, seller, store):
    assert len(amazons.desk.world.subscriptions) == len(subscriptions.KINDS)
    gone = next(key for key, one in amazons.desk.world.subscriptions.items() if one.type == "ORDER_CHANGE")
    del amazons.desk.world.subscriptions[gone]
    async with tenancy.unowned() as session:
        await jobs.resubscribe_all.enqueue(session)
    (round_,) = await dequeue()
    await run_one(round_)
    await look.only(company)
    await amazons.settle()
    assert {one.type for one in amazons.desk.world.subscriptions.values()} == set(subscriptions.KINDS)
    await service.disconnect(company, store, platform="amazon", actor=ASHA)
    async with tenancy.acting_for(company) as session:
        query = select(SyncEntry.error).where(SyncEntry.what == "unsubscribe")
        assert (await session.execute(query)).scalars().all() == [""]
    assert amazons.desk.world.subscriptions == {}


async def test_a_revoked_seller_signs_in_again_and_the_others_go_on(amazons, company, seller, store):
    other = amazons.seller()
    others = await amazons.connect(company, other)
    amazons.desk.revoke(seller.id)
    forget()
    with time_machine.travel(clock.now() + timedelta(hours=2), tick=True):
        amazons.desk.pass_time(0)
        lost, kept = amazons.place(seller), amazons.place(other)
        for each in (store, others):
            await amazons.sweep(company, each)
        cut = await connection_of(company, store)
        assert cut.status == Status.disconnected
        assert "sign in to Amazon again" in cut.reason
        asked = dict(amazons.desk.world.requests)
        await amazons.sweep(company, store)  # its jobs stop
        assert amazons.desk.world.requests == asked
        assert await order_of(company, kept)
        async with tenancy.acting_for(company) as session:
            assert (await session.execute(select(orders.Order.id).where(orders.Order.external_id == lost))).all() == []

        given = {"refresh_token": amazons.desk.refresh_token(seller.id)}
        await service.connect_pasted(company, platform="amazon", store=seller.id, given=given, actor=ASHA)
        await amazons.settle()
        assert (await connection_of(company, store)).status == Status.connected
        assert await order_of(company, lost)  # nothing was lost meanwhile


async def test_a_seller_who_comes_from_amazons_app_store_is_connected(amazons, company, seller):
    amazons.whole.postman.receivers["127.0.0.1:8000"] = amazons.post
    login = f"{settings().public_url}/api/v1/integrations/amazon/login"
    came = httpx2.URL(amazons.desk.appstore_link(seller.id, login)).params.multi_items()
    back = await service.arrive_to_sign_in(company, platform="amazon", query=came, actor=ASHA)
    async with httpx2.AsyncClient(transport=amazons.wire) as browser:
        answer = await browser.get(back)
    assert answer.status_code == 302, answer.text
    query = httpx2.URL(answer.headers["location"]).params.multi_items()
    store = await service.finish_sign_in(company, platform="amazon", query=query, actor=ASHA)
    assert (await connection_of(company, store)).external_id == seller.id


# --- the plan's endpoints -------------------------------------------------------------------------------------------


@pytest.fixture
async def api(amazons, monkeypatch):
    """Somebody signed in to a company of their own."""
    monkeypatch.setenv("SHIPCROWD_ENVIRONMENT", "test")
    monkeypatch.setenv("SHIPCROWD_AMAZON_RELAY_SECRET", "relay-secret")
    settings.cache_clear()
    couriers, events_ = courier_vendors._Vendors, events._Wired
    before = (couriers.known, couriers.at_store, events_.listeners)
    wiring.wire()
    vendors.use([amazon_vendor])
    name = new_id().hex[-8:]
    body = {"company_name": name, "name": "Asha", "email": f"{name}@shop.example", "password": "brass-lamps-2026"}
    transport = httpx2.ASGITransport(create_app())
    async with httpx2.AsyncClient(transport=transport, base_url="https://shipcrowd.test") as http:
        await http.post("/api/v1/auth/register", json=body)
        signed = await http.post("/api/v1/auth/login", json={"email": body["email"], "password": body["password"]})
        http.headers["x-csrf-token"] = signed.json()["csrf_token"]
        yield http
    couriers.known, couriers.at_store, events_.listeners = before


async def test_the_ten_endpoints_of_the_plan_answer_under_their_own_names(amazons, api, seller):
    at = "/api/v1/integrations/amazon"
    given = {"store": seller.id, "credentials": {"refresh_token": amazons.desk.refresh_token(seller.id)}}
    connected = await api.post(f"{at}/connect", json=given)
    assert connected.status_code == 201, connected.text
    await amazons.settle()
    store = connected.json()["id"]
    assert [each["external_id"] for each in (await api.get(f"{at}/stores")).json()] == [seller.id]
    assert (await api.post(f"{at}/stores/{store}/test")).json()["ok"] is True

    placed = amazons.place(seller)
    accepted = await api.post(f"{at}/stores/{store}/sync-orders")
    assert accepted.status_code == 202
    follow = accepted.json()["follow"]
    assert follow == f"{at}/stores/{store}/sync-status"
    await amazons.settle()
    assert (await api.get(follow)).status_code == 200
    [order] = (await api.get("/api/v1/orders")).json()["items"]
    assert order["number"] == placed

    assert (await api.get(f"{at}/stores/{store}/fba-inventory")).status_code == 200
    label = await api.post(f"{at}/stores/{store}/generate-label", json={"order_id": order["id"]})
    assert label.status_code == 422  # no pickup place, no box: it says what is missing
    assert label.headers["content-type"].startswith("application/problem+json")
    told = {"order": placed, "carrier": "BlueDart", "awb": "BD123456789"}
    placeless = await api.post(f"{at}/stores/{store}/update-tracking", json=told)
    assert (placeless.status_code, placeless.json()["code"]) == (422, "no_pickup_place")
    assert amazons.desk.order(placed).packages == ()
    assert (await api.post("/api/v1/places", json=PLACE)).status_code == 201
    recorded = await api.post(f"{at}/stores/{store}/update-tracking", json=told | BOX)
    assert recorded.status_code == 202, recorded.text
    assert recorded.json()["awb"] == "BD123456789"
    await amazons.settle()
    assert [package.tracking for package in amazons.desk.order(placed).packages] == ["BD123456789"]

    note = json.dumps(
        {
            "NotificationType": "ORDER_CHANGE",
            "Payload": {"OrderChangeNotification": {"SellerId": seller.id, "AmazonOrderId": placed}},
            "NotificationMetadata": {"NotificationId": str(new_id())},
        }
    ).encode()
    address = f"/api/v1/webhooks/amazon/{store}/sqs-notification"
    assert (await api.post(address, content=note)).status_code == 401
    signed = webhooks.sign("relay-secret", "", seller.id, note, clock.now())
    assert (await api.post(address, content=note, headers=signed)).status_code == 200
    await amazons.settle()

    assert (await api.delete(f"{at}/stores/{store}")).status_code == 204
    assert (await api.get(f"{at}/stores")).json() == []


async def test_the_store_says_that_its_consent_ends_on_its_page_and_in_the_api(amazons, api, seller):
    given = {"store": seller.id, "credentials": {"refresh_token": amazons.desk.refresh_token(seller.id)}}
    store = (await api.post("/api/v1/integrations/amazon/connect", json=given)).json()["id"]
    await amazons.settle()
    path = f"/api/v1/integrations/amazon/stores/{store}"
    company = (await api.get("/api/v1/auth/me")).json()["company_id"]
    assert "consent" not in (await api.get(path)).json()["health"]["words"]
    async with tenancy.acting_for(company) as session:
        assert await audit.of(session, f"connection:{store}")
        authorized = clock.now() - 340 * DAY
        await _authorized(session, company, store, authorized)
    said = (await api.get(path)).json()["health"]
    assert (said["level"], "consent ends: sign in there again within 2" in said["words"]) == ("attention", True)
    page = (await api.get(f"/stores/{store}", headers={"accept": "text/html"})).text
    assert "consent ends: sign in there again" in page


async def _authorized(session, company, store, at) -> None:
    """As if the seller had consented then."""
    from uuid import UUID

    from shipcrowd.connections import sealing
    from shipcrowd.connections import service as connections
    from shipcrowd.integrations.amazon.account import AmazonCredentials

    connection = await connections.get(session, UUID(store))
    held = connections.credentials(connection, AmazonCredentials)
    connection.credentials = sealing.seal(
        held.model_copy(update={"authorized_at": at}), connection.company_id, connection.id
    )
