"""Flipkart in the whole product, on the real database: connected, read, told, packed, tracked."""

import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import httpx2
import pytest
import time_machine
from fastapi import FastAPI
from sqlalchemy import select, update

from shipcrowd import wiring
from shipcrowd.channels import jobs as channel_jobs
from shipcrowd.channels import service, vendors, webhooks
from shipcrowd.channels.contract import PATH_TOPIC
from shipcrowd.connections import routes
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, Status
from shipcrowd.couriers import vendors as couriers
from shipcrowd.documents import keeping
from shipcrowd.integrations.flipkart import courier as courier_module
from shipcrowd.integrations.flipkart import webhooks as signing
from shipcrowd.integrations.flipkart.reading import moment, spoken
from shipcrowd.integrations.flipkart.webhooks import Key
from shipcrowd.kernel import clock, db, events, outbound, problems, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.outbound import Disconnected, read_json
from shipcrowd.orders.models import Order, OrderEvent, OrderState
from shipcrowd.settings import settings
from shipcrowd.shipping import booking, bulk, handing, jobs, manifests, preferences, quoting
from shipcrowd.shipping.models import Shipment, State
from shipcrowd.shipping.preferences import Box, Preferences
from shipcrowd.shipping.quoting import Package
from tests import make
from tests.support import drain

from .conftest import details, path_of, shipment, with_awb

PDF = b"%PDF-1.4 Flipkart's label"
TOKEN = "/oauth-service/oauth/token"


@pytest.fixture(autouse=True)
def _now() -> None:
    """Here the clock runs."""


class Far:
    """Flipkart with one seller's shipments in it."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}
        self.token = "token-of-today"
        self.minted = 0
        self.calls: list[str] = []
        self.ready = "SUCCESS"
        self.good_secret = "her-secret"
        self.labels_come = True

    def put(self, shipment_id: str, status: str = "APPROVED", **more: Any) -> None:
        at = {"updatedAt": spoken(clock.now()), "dispatchAfterDate": spoken(clock.now() - timedelta(hours=1))}
        self.held[shipment_id] = shipment(shipment_id, status, **(at | more))

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = path_of(request)
        self.calls.append(path)
        if path == TOKEN:
            if request.headers["authorization"] != httpx2.BasicAuth("her-app", self.good_secret)._auth_header:
                return httpx2.Response(401, json={"error": "unauthorized", "error_description": "Bad credentials"})
            self.minted += 1
            return httpx2.Response(200, json={"access_token": self.token, "expires_in": 5183999})
        if request.headers["authorization"] != f"Bearer {self.token}":
            return httpx2.Response(401, json={"error": "invalid_token"})
        if path.endswith(("/labels", "/invoices")) and request.method == "GET":
            if not self.labels_come:
                return httpx2.Response(503, content=b"<html>Gateway Time-out</html>")
            return httpx2.Response(200, content=PDF)
        return httpx2.Response(200, content=json.dumps(self.answer(path, request)))

    def answer(self, path: str, request: httpx2.Request) -> Any:
        if path == "/locations/allLocations":
            return {"locations": [{"locationId": "LOC1", "locationName": "Peenya"}]}
        if path == "/v3/shipments/filter":
            return {"hasMore": False, "shipments": self.matching(read_json(request.content)["filter"])}
        if path == "/v3/shipments":
            ids = request.url.params["shipmentIds"].split(",")
            return {"shipments": [self.held[each] for each in ids if each in self.held]}
        if path == "/v3/shipments/labels":
            asked = [each["shipmentId"] for each in read_json(request.content)["shipments"]]
            for each in asked:
                self.put(each, "PACKED")
            return {"shipments": [{"shipmentId": each, "status": "SUCCESS"} for each in asked]}
        if path == "/v3/shipments/dispatch":
            asked = read_json(request.content)["shipmentIds"]
            code = {"errorCode": "OPERATION_NOT_ALLOWED", "errorMessage": "on hold"}
            return {"shipments": [{"shipmentId": each, "status": self.ready} | code for each in asked]}
        ids = path.removeprefix("/v3/shipments/").split(",")
        return {"shipments": [details(each, **with_awb(f"FMPC-{each}")) for each in ids]}

    def matching(self, wanted: Any) -> list[Any]:
        return [
            raw
            for raw in self.held.values()
            if raw["orderItems"][0]["status"] in wanted["states"]
            and wanted.get("hold", raw["hold"]) == raw["hold"]
            and moment(raw["updatedAt"]) >= moment(wanted["modifiedDate"]["from"])
        ]


@pytest.fixture
async def far(monkeypatch, tmp_path) -> AsyncIterator[Far]:
    made = Far()
    keeping.use(tmp_path.as_uri())
    monkeypatch.setattr(courier_module, "POLLS", (0,))
    before = (vendors._Vendors.known, couriers._Vendors.known, couriers._Vendors.at_store, events._Wired.listeners)
    wiring.wire()
    # The limits are tried elsewhere; here nobody waits for a turn.
    wide = dict.fromkeys(vendors.vendor("flipkart").paces, (10000.0, 10000.0))
    vendors.use([replace(vendors.vendor("flipkart"), paces=wide)])
    # Other tests leave an account of the platform's in this database, with credentials of their own making.
    own = [each for each in couriers.vendors() if not each.shared]
    couriers.use(own, at_store=couriers._Vendors.at_store)
    outbound.use_wire(transport=httpx2.MockTransport(made))
    routes._Known.by_account.clear()
    webhooks.forget_doors()
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    yield made
    outbound.use_wire()
    vendors._Vendors.known, couriers._Vendors.known, couriers._Vendors.at_store, events._Wired.listeners = before


@pytest.fixture
async def seller() -> UUID:
    return await make.company()


async def connected(
    company: UUID, name: str | None = None, secret: str = "her-secret", **more: str
) -> tuple[UUID, str]:
    name = name or f"seller{new_id().hex[-12:]}"
    given = {"app_id": "her-app", "app_secret": secret, **more}
    connection = await service.connect_pasted(company, platform="flipkart", store=name, given=given, actor="user:asha")
    return connection, name


async def order(company: UUID, shipment_id: str) -> Order:
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(Order).where(Order.external_id == shipment_id))).scalar_one()


async def parcel(company: UUID) -> Shipment:
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(Shipment))).scalar_one()


async def test_an_own_application_is_connected_by_minting_and_the_store_is_read(far, seller):
    far.put("ship-1")
    await connected(seller)
    assert far.calls[:2] == [TOKEN, "/locations/allLocations"]
    await drain()
    found = await order(seller, "ship-1")
    assert (found.number, found.state, found.fulfilment) == ("OD512345600012345600", "ready", "marketplace_logistics")
    assert found.gaps == {}  # Flipkart knows the buyer; we need not
    assert far.minted == 1


async def test_signing_in_is_bound_by_its_nonce_for_the_callback_names_no_store(far, seller, monkeypatch):
    for name, value in (("APP_ID", "her-app"), ("APP_SECRET", far.good_secret)):
        monkeypatch.setenv(f"SHIPCROWD_FLIPKART_{name}", value)
    settings.cache_clear()
    try:
        url = await service.start_sign_in(seller, platform="flipkart", store="Seller-77", actor="user:asha")
        state = dict(parse_qsl(urlsplit(url).query))["state"]
        query = [("code", "c0de"), ("state", state)]
        with pytest.raises(connections.SignInStale):
            await service.finish_sign_in(seller, platform="flipkart", query=query, actor="user:mallory")
        assert far.calls == []
        made = await service.finish_sign_in(seller, platform="flipkart", query=query, actor="user:asha")
        with pytest.raises(connections.SignInStale):
            await service.finish_sign_in(seller, platform="flipkart", query=query, actor="user:asha")
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    async with tenancy.acting_for(seller) as session:
        row = await connections.get(session, made)
        held = connections.credentials(row, vendors.vendor("flipkart").credentials)
    assert (row.external_id, held.kind, held.seller_id) == ("seller-77", "signed_in", "seller-77")
    assert far.minted == 1


async def test_wrong_keys_are_told_in_flipkarts_words_and_nothing_is_saved(far, seller):
    with pytest.raises(service.CannotConnect, match="Bad credentials"):
        await connected(seller, secret="wrong")
    async with tenancy.acting_for(seller) as session:
        assert (await session.execute(select(Connection))).scalars().all() == []


async def test_a_token_that_died_is_minted_anew_and_one_that_stays_dead_asks_to_sign_in_again(far, seller):
    connection, _ = await connected(seller)
    await drain()
    far.token = "token-of-tomorrow"
    far.put("ship-2")
    async with tenancy.acting_for(seller) as session:
        await channel_jobs.sweep.enqueue(session, company_id=seller, connection_id=connection)
    await drain()
    assert await order(seller, "ship-2")
    far.token, far.good_secret = "another", "changed"
    async with tenancy.acting_for(seller) as session:
        await channel_jobs.sweep.enqueue(session, company_id=seller, connection_id=connection)
    await drain()
    async with tenancy.acting_for(seller) as session:
        row = (await session.execute(select(Connection).where(Connection.id == connection))).scalar_one()
    assert row.status == Status.disconnected
    assert "Check the application id and secret" in row.reason
    with pytest.raises(Disconnected):
        await couriers.open_at_store("flipkart", seller, connection)


# --- notifications --------------------------------------------------------------------------------------------------


async def posted(name: str, body: bytes, headers: dict[str, str], route: str = "") -> int:
    app = FastAPI()
    problems.install(app)
    app.include_router(webhooks.router, prefix="/api/v1")
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://us") as http:
        address = f"/api/v1/webhooks/flipkart/{name}" + (f"/{route}" if route else "")
        return (await http.post(address, content=body, headers=headers)).status_code


def signed(name: str, body: bytes, *, secret: str = "her-secret", route: str = "", **late) -> dict[str, str]:
    url = f"{settings().public_url.rstrip('/')}/api/v1/webhooks/flipkart/{name}" + (f"/{route}" if route else "")
    key = Key("fklogin", secret, 900, app_id="her-app", url=url).written()
    headers = signing.sign(key, "t", name, body, clock.now() - timedelta(**late))
    return {each: value for each, value in headers.items() if not each.startswith("x-flipkart")}


def said(shipment_id: str, event: str = "shipment_created") -> bytes:
    what = {"eventType": event, "shipmentId": shipment_id, "timestamp": spoken(clock.now()), "attributes": {}}
    return json.dumps(what).encode()


async def test_a_notification_brings_the_shipment_as_flipkart_has_it_and_twice_is_once(far, seller):
    _, name = await connected(seller)
    await drain()
    far.put("ship-3", hold=True)
    body = said("ship-3")
    assert await posted(name, body, signed(name, body)) == 200
    assert await posted(name, body, signed(name, body)) == 200
    await drain()
    assert (await order(seller, "ship-3")).state == OrderState.pending
    assert far.calls.count("/v3/shipments") == 1


async def test_the_address_a_store_shows_is_the_one_that_is_signed(far, seller):
    connection, name = await connected(seller)
    async with tenancy.acting_for(seller) as session:
        shown = channel_jobs.webhook_url(await connections.get(session, connection))
    key = Key("fklogin", "her-secret", 900, app_id="her-app", url=shown).written()
    body = json.dumps({"eventType": "shipment_packed", "shipmentId": "ship-9", "attributes": {}}).encode()
    headers = signing.sign(key, "shipment_packed", name, body, clock.now())
    assert await posted(shown.rpartition("/")[2], body, headers) == 200


async def test_each_of_the_plans_addresses_takes_what_is_signed_for_it(far, seller):
    _, name = await connected(seller)
    await drain()
    for n, route in enumerate(signing.ROUTES):
        far.put(f"by-{n}")
        body = json.dumps({"shipmentId": f"by-{n}"}).encode()
        assert await posted(name, body, signed(name, body, route=route), route) == 200, route
        assert await posted(name, body, signed(name, body), route) == 401, route
    await drain()
    assert await order(seller, "by-0")
    body = said("x")
    assert await posted(name, body, signed(name, body, route="nowhere"), "nowhere") == 200
    assert await posted(name, body, signed(name, body), "nowhere") == 401


async def test_a_sender_does_not_say_which_address_it_came_to(far, seller):
    _, name = await connected(seller)
    await drain()
    body = said("ship-4")
    by_route = signed(name, body, route="order-placed") | {PATH_TOPIC: "order-placed"}
    assert await posted(name, body, by_route) == 401
    assert await posted(name, body, signed(name, body) | {PATH_TOPIC: "order-placed"}) == 200


async def test_a_signed_body_without_a_time_is_taken_in_once_however_late_it_comes_again(far, seller):
    _, name = await connected(seller, webhook_secret="hush")
    await drain()
    far.put("ship-16")
    body = json.dumps({"event": "order.created", "shipmentId": "ship-16"}).encode()
    headers = {"x-flipkart-signature": hmac.new(b"hush", body, "sha256").hexdigest()}
    assert await posted(name, body, headers) == 200
    await drain()
    calls = len(far.calls)
    with time_machine.travel(clock.now() + timedelta(days=20)):
        assert await posted(name, body, headers) == 200  # whoever sent it is answered; nothing is done
        await drain()
    assert len(far.calls) == calls
    assert await posted(name, body.replace(b"ship-16", b"ship-17"), headers) == 401


async def test_what_is_forged_or_old_is_refused_and_leaves_no_trace(far, seller):
    _, name = await connected(seller)
    await drain()
    calls, body = len(far.calls), said("ship-4")
    far.put("ship-4")
    for headers in (signed(name, body, secret="guessed"), signed(name, body, minutes=20), signed("another", body), {}):
        assert await posted(name, body, headers) == 401
    await drain()
    assert len(far.calls) == calls


# --- packing --------------------------------------------------------------------------------------------------------

BOX = Package(weight_grams=425, length_mm=285, breadth_mm=90, height_mm=90)


async def ready(far: Far, seller: UUID, shipment_id: str, **more: Any) -> Order:
    far.put(shipment_id, **more)
    await connected(seller)
    await drain()
    return await order(seller, shipment_id)


async def booked(seller: UUID, found: Order) -> Shipment:
    """Booked here; Flipkart is asked by the job that waits."""
    quote = await quoting.quote(seller, found.id, package=BOX)
    async with tenancy.acting_for(seller) as session:
        made = await booking.book(session, quote.id, service="standard", actor="user:asha")
        await jobs.request_label.enqueue(session, company_id=seller, shipment_id=made.id)
    return made


async def shipped(seller: UUID, found: Order) -> Shipment:
    await booked(seller, found)
    await drain()
    return await parcel(seller)


async def test_flipkarts_courier_is_the_only_one_offered_and_costs_nothing_here(far, seller):
    found = await ready(far, seller, "ship-5")
    quote = await quoting.quote(seller, found.id, package=BOX)
    assert [(each.courier, each.service, each.price_paise) for each in quoting.options_of(quote)] == [
        ("flipkart", "standard", 0)
    ]
    with pytest.raises(quoting.NotBookable):
        async with tenancy.acting_for(seller) as session:
            await booking.book_by_hand(
                session, found.id, carrier="Delhivery", awb="DL149081", package=BOX, place_id=None, actor="user:asha"
            )


async def test_booking_packs_at_flipkart_fetches_its_label_and_follows_it(far, seller):
    made = await shipped(seller, await ready(far, seller, "ship-6"))
    assert (made.state, made.awb, made.carrier) == (State.pickup_pending, "FMPC-ship-6", "E-Kart Logistics")
    assert (made.courier_shipment_id, made.charge_paise.paise) == ("ship-6", 0)
    assert made.label_key is not None
    far.put("ship-6", "SHIPPED")
    async with tenancy.acting_for(seller) as session:
        await jobs.track_one(session, made)
    await drain()
    assert (await parcel(seller)).state == State.in_transit
    assert far.calls.count("/v3/shipments/labels") == 1


@pytest.mark.parametrize("status", ["APPROVED", "PACKING_IN_PROGRESS", "PACKED"])
async def test_a_worker_that_dies_between_packing_and_recording_is_followed_by_one_that_looks(far, seller, status):
    name = f"ship-{status}"
    found = await ready(far, seller, name)
    made = await booked(seller, found)
    async with tenancy.acting_for(seller) as session:
        assert await booking.start_attempt(session, made.id) is not None  # and is killed: Flipkart heard it, or not
    far.put(name, status)
    if status == "PACKING_IN_PROGRESS":
        await drain()
        assert (await parcel(seller)).state == State.booking
        far.put(name, "PACKED")
    await drain(skip_waits=True)
    done = await parcel(seller)
    assert (done.state, done.awb) == (State.pickup_pending, f"FMPC-{name}")
    assert far.calls.count("/v3/shipments/labels") == (1 if status == "APPROVED" else 0)


async def test_a_worker_that_dies_after_packing_many_leaves_them_to_the_next(far, seller, monkeypatch):
    class Killed(BaseException):
        """The worker is gone, and nothing of its is recorded."""

    async def die(*_: Any) -> None:
        raise Killed

    for name in ("ship-21", "ship-22"):
        far.put(name)
    found = await ready(far, seller, "ship-23")
    ids = [(await order(seller, name)).id for name in ("ship-21", "ship-22")]
    async with tenancy.acting_for(seller) as session:
        await preferences.put(session, Preferences(box=Box(length_mm=285, breadth_mm=90, height_mm=90)))
        run = await bulk.start(session, [*ids, found.id], choose="cheapest", place_id=None, actor="user:asha")
    for each in (*ids, found.id):
        await jobs.ship_order.run(seller, run.id, each)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(jobs, "_book_each", die)
        await jobs.prepare_labels.run(seller, run.id, found.connection_id)
    await drain(skip_waits=True)
    async with tenancy.acting_for(seller) as session:
        parcels = (await session.execute(select(Shipment))).scalars().all()
    assert {(each.state, each.awb) for each in parcels} == {
        (State.pickup_pending, f"FMPC-ship-{n}") for n in (21, 22, 23)
    }
    assert far.calls.count("/v3/shipments/labels") == 1


async def test_what_flipkart_holds_meanwhile_is_refused_and_can_be_booked_later(far, seller):
    found = await ready(far, seller, "ship-7")
    far.put("ship-7", hold=True)
    made = await shipped(seller, found)
    assert (made.state, made.reason_code) == (State.refused, "on_hold")
    assert (await order(seller, "ship-7")).state == OrderState.ready


async def test_a_self_ship_order_goes_to_every_courier_but_flipkarts(far, seller):
    found = await ready(far, seller, "ship-8", shipmentType="SELF")
    assert found.fulfilment == "seller"
    with pytest.raises(quoting.NoCourierToAsk, match="connect a courier"):
        await quoting.quote(seller, found.id, package=BOX)


async def test_what_flipkart_ships_from_its_warehouse_is_read_only(far, seller):
    found = await ready(far, seller, "ship-9", item={"serviceProfile": "FBF"})
    assert found.state == OrderState.ignored
    with pytest.raises(quoting.NotBookable):
        await quoting.quote(seller, found.id, package=BOX)


# --- between the label and the pickup -------------------------------------------------------------------------------

LABEL = "/v3/shipments/{}/labels"


async def told(seller: UUID, made: Shipment) -> list[str]:
    """Kinds of what stands on the order's timeline."""
    async with tenancy.acting_for(seller) as session:
        query = select(OrderEvent.kind).where(OrderEvent.order_id == made.order_id)
        return list((await session.execute(query)).scalars())


async def by_the_clock() -> None:
    async with tenancy.unowned() as session:
        await handing.refresh_labels.enqueue(session)
    await drain()


async def age(seller: UUID, hours: float) -> None:
    """Let the seller's only parcel be older."""
    made = await parcel(seller)
    older = timedelta(hours=hours)
    async with tenancy.acting_for(seller) as session:
        values = {"label_until": made.label_until - older, "booked_at": made.booked_at - older}
        await session.execute(update(Shipment).where(Shipment.id == made.id).values(**values))


async def test_a_label_is_fetched_again_two_hours_before_it_ends_and_not_before(far, seller):
    made = await shipped(seller, await ready(far, seller, "ship-10"))
    path = LABEL.format("ship-10")
    assert made.label_until - clock.now() > timedelta(hours=23)
    await age(seller, 21.5)
    await by_the_clock()
    assert far.calls.count(path) == 1
    await age(seller, 1)
    await by_the_clock()
    assert far.calls.count(path) == 2
    assert (await parcel(seller)).label_until - clock.now() > timedelta(hours=23)
    await by_the_clock()
    assert far.calls.count(path) == 2


async def test_a_parcel_that_lies_there_for_20_hours_is_pointed_out_once(far, seller):
    made = await shipped(seller, await ready(far, seller, "ship-11"))
    await age(seller, 19)
    await by_the_clock()
    assert "not_dispatched" not in await told(seller, made)
    await age(seller, 2)
    await by_the_clock()
    await by_the_clock()
    assert (await told(seller, made)).count("not_dispatched") == 1


async def test_a_parcel_whose_label_never_came_is_pointed_out_as_well(far, seller):
    far.labels_come = False
    made = await shipped(seller, await ready(far, seller, "ship-15"))
    assert (made.label_key, made.label_until) == (None, None)
    with time_machine.travel(clock.now() + timedelta(hours=19)):
        await by_the_clock()
    assert "not_dispatched" not in await told(seller, made)
    with time_machine.travel(clock.now() + timedelta(hours=21)):
        await by_the_clock()
        await by_the_clock()
    assert (await told(seller, made)).count("not_dispatched") == 1


async def test_what_left_keeps_its_label_and_is_not_pointed_out(far, seller):
    made = await shipped(seller, await ready(far, seller, "ship-12"))
    far.put("ship-12", "SHIPPED")
    async with tenancy.acting_for(seller) as session:
        await jobs.track_one(session, made)
    await drain()
    left = await parcel(seller)
    assert (left.label_until, left.label_key) == (None, made.label_key)
    calls = far.calls.count(LABEL.format("ship-12"))
    with time_machine.travel(clock.now() + timedelta(hours=30)):
        await by_the_clock()
    assert far.calls.count(LABEL.format("ship-12")) == calls
    assert "not_dispatched" not in await told(seller, made)


async def test_a_label_that_cannot_be_fetched_again_makes_room_for_others(far, seller):
    made = await shipped(seller, await ready(far, seller, "ship-13"))
    async with tenancy.acting_for(seller) as session:
        await service.pause(session, made.account_id, platform="flipkart", actor="user:asha")
    await age(seller, 23)
    await by_the_clock()
    assert far.calls.count(LABEL.format("ship-13")) == 1
    later = (await parcel(seller)).label_until
    assert later > clock.now() + handing.FETCH_AGAIN
    await by_the_clock()
    assert (await parcel(seller)).label_until == later  # not looked at again for an hour
    async with tenancy.acting_for(seller) as session:
        await service.resume(session, made.account_id, platform="flipkart", actor="user:asha")
    await age(seller, 1)
    await by_the_clock()
    assert far.calls.count(LABEL.format("ship-13")) == 2


@pytest.mark.parametrize("answer", ["SUCCESS", "FAILURE"])
async def test_closing_a_manifest_tells_flipkart_that_the_parcels_are_ready(far, seller, answer):
    made = await shipped(seller, await ready(far, seller, f"ship-{answer}"))
    far.ready = answer
    async with tenancy.acting_for(seller) as session:
        manifest = await manifests.create(session, [made.id])
        await manifests.close(session, manifest.id)
    await drain()
    assert far.calls.count("/v3/shipments/dispatch") == 1
    kind = "dispatch_refused" if answer == "FAILURE" else "dispatch_told"
    assert [each for each in await told(seller, made) if each.startswith("dispatch_")] == [kind]
