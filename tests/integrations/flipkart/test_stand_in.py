"""The product and the stand-in for Flipkart, which read its documents apart: what the two agree on is tried here, over
the product's own API."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from shipcrowd import wiring
from shipcrowd.app import routers
from shipcrowd.channels import jobs as channel_jobs
from shipcrowd.channels import vendors, webhooks
from shipcrowd.channels.models import Announcement, MarketplaceReturn
from shipcrowd.connections import routes
from shipcrowd.couriers import vendors as couriers
from shipcrowd.couriers.contract import Progress
from shipcrowd.documents import keeping
from shipcrowd.identity.guard import signed_in
from shipcrowd.identity.member import Member
from shipcrowd.identity.permissions import Role
from shipcrowd.integrations.flipkart import courier as courier_module
from shipcrowd.kernel import clock, db, events, inbox, outbound, problems, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.orders.models import Order, OrderEvent
from shipcrowd.sandbox.app import InProcess, sandbox
from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.flipkart.desk import FlipkartDesk
from shipcrowd.sandbox.flipkart.schemas import (
    Cancellation,
    Kind,
    KnobChange,
    NewItem,
    NewReturn,
    NewShipment,
    NotificationTarget,
    RefuseItem,
    ReturnSource,
    SellerView,
    ShipmentView,
)
from shipcrowd.settings import settings
from shipcrowd.shipping.models import Shipment
from tests import make
from tests.locations import make as places
from tests.support import drain

URL = "https://shipcrowd.test"
SEEDS = count(1000)
"""Each world has sellers of its own."""


@pytest.fixture(autouse=True)
def _now() -> None:
    """Here the clock runs."""


@dataclass
class House:
    """A company with its store at the stand-in, and its API."""

    company: UUID
    http: httpx2.AsyncClient
    desk: Desk
    fk: FlipkartDesk
    seller: SellerView
    store: str = ""

    @property
    def url(self) -> str:
        return f"/api/v1/integrations/flipkart/stores/{self.store}"

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200, **query: Any) -> Any:
        answer = await self.http.request(method, path, json=body, params=query)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text[:600]}"
        return answer.json() if answer.content and "json" in answer.headers["content-type"] else answer.content

    async def connect(self) -> Any:
        keys = {"app_id": self.seller.app_id, "app_secret": self.seller.app_secret}
        given = {"store": self.seller.id, "credentials": keys}
        made = await self.ask("POST", "/api/v1/integrations/flipkart/connect", given, 201)
        self.store = made["id"]
        await drain()
        return made

    def place(self, kind: Kind = Kind.standard_prepaid, **more: Any) -> ShipmentView:
        given = {"dispatch_after": clock.now() - timedelta(hours=1), **more}
        return self.fk.place(self.seller.id, NewShipment(kind=kind, **given))

    async def read(self) -> None:
        await self.ask("POST", f"{self.url}/sync-shipments", status=202)
        await drain()

    async def order(self, shipment: ShipmentView) -> Order:
        async with tenancy.acting_for(self.company) as session:
            return (await session.execute(select(Order).where(Order.external_id == shipment.id))).scalar_one()

    async def parcel(self, shipment_id: str | UUID) -> Shipment:
        async with tenancy.acting_for(self.company) as session:
            return (await session.execute(select(Shipment).where(Shipment.id == UUID(str(shipment_id))))).scalar_one()

    async def returns(self) -> list[MarketplaceReturn]:
        async with tenancy.acting_for(self.company) as session:
            return list((await session.execute(select(MarketplaceReturn).order_by(MarketplaceReturn.id))).scalars())

    async def read_returns(self) -> None:
        await self.ask("POST", f"{self.url}/sync-returns", status=202)
        await drain()

    async def told(self, order: Order) -> list[str]:
        async with tenancy.acting_for(self.company) as session:
            query = select(OrderEvent.kind).where(OrderEvent.order_id == order.id).order_by(OrderEvent.id)
            return list((await session.execute(query)).scalars())

    async def bulk(self, *found: Order) -> Any:
        body = {"order_ids": [str(each.id) for each in found]}
        run = await self.ask("POST", "/api/v1/shipments/bulk", body, 202)
        await drain(skip_waits=True)
        return await self.ask("GET", f"/api/v1/shipments/bulk/{run['id']}")

    async def self_shipped(self, awb: str = "DL1490812345") -> tuple[ShipmentView, Shipment]:
        """A self-ship parcel booked elsewhere and told of."""
        placed = self.place(Kind.self_ship)
        await self.read()
        body = {"order": placed.id, "carrier": "Delhivery", "awb": awb, **BOX}
        made = await self.ask("POST", f"{self.url}/update-tracking", body, 202)
        await drain()
        return placed, await self.parcel(made["shipment_id"])


BOX = {"weight_grams": 425, "length_mm": 280, "breadth_mm": 90, "height_mm": 90}


@pytest.fixture
async def house(monkeypatch, tmp_path) -> AsyncIterator[House]:
    desk = Desk(seed=next(SEEDS))
    keeping.use(tmp_path.as_uri())
    monkeypatch.setattr(courier_module, "POLLS", (0.02, 0.02))
    monkeypatch.setenv("SHIPCROWD_PUBLIC_URL", URL)
    settings.cache_clear()
    before = (vendors._Vendors.known, couriers._Vendors.known, couriers._Vendors.at_store, events._Wired.listeners)
    wiring.wire()
    wide = dict.fromkeys(vendors.vendor("flipkart").paces, (10000.0, 10000.0))
    vendors.use([replace(vendors.vendor("flipkart"), paces=wide)])
    outbound.use_wire(transport=InProcess(sandbox(desk)))
    routes._Known.by_account.clear()
    webhooks.forget_doors()
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    company = await make.company()
    await places.create(company)
    app = FastAPI()
    problems.install(app)
    for router in routers():
        app.include_router(router, prefix="/api/v1")
    app.dependency_overrides[signed_in] = lambda: Member.person(company, new_id(), Role.owner)
    desk.postman.receivers["shipcrowd.test"] = app
    desk.flipkart.set_knobs(KnobChange(per_second=0, per_hour=0, pack_seconds=0))
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=URL) as http:
        made = House(company, http, desk, desk.flipkart, desk.flipkart.create_seller())
        box = {name: size for name, size in BOX.items() if name != "weight_grams"}
        await made.ask("PUT", "/api/v1/shipping/preferences", {"box": box})
        await made.connect()
        yield made
    await desk.close()
    await outbound.close_all()
    outbound.use_wire()
    settings.cache_clear()
    vendors._Vendors.known, couriers._Vendors.known, couriers._Vendors.at_store, events._Wired.listeners = before


# --- the endpoints under their own names ------------------------------------------------------------------------------


async def test_the_nine_of_the_store(house):
    """connect stands in the fixture; the three of notifications are the next test."""
    (store,) = await house.ask("GET", "/api/v1/integrations/flipkart/stores")
    assert (store["id"], store["external_id"], store["status"]) == (house.store, house.seller.id, "connected")
    assert (await house.ask("POST", f"{house.url}/test"))["ok"] is True
    standard = house.place()
    assert (await house.ask("POST", f"{house.url}/sync-shipments", status=202))["follow"].endswith("sync-status")
    await drain()
    assert (await house.ask("GET", f"{house.url}/sync-status"))["orders_imported"] == 1
    order = await house.order(standard)
    made = await house.ask("POST", f"{house.url}/generate-label", {"order_id": str(order.id), **BOX}, 202)
    await drain(skip_waits=True)
    again = await house.ask("POST", f"{house.url}/generate-label", {"order_id": str(order.id), **BOX})
    assert again["shipment_id"] == made["shipment_id"]
    assert (await house.ask("GET", again["label"])).startswith(b"%PDF-")
    await house.ask("POST", f"{house.url}/dispatch", {"shipment_ids": [made["shipment_id"]]}, 202)
    await drain()
    assert house.fk.shipment(house.seller.id, standard.id).status == "READY_TO_DISPATCH"
    placed, _ = await house.self_shipped()
    body = {"order": placed.id, "carrier": "Delhivery", "awb": "DL1490812345", "status": "picked_up", **BOX}
    await house.ask("POST", f"{house.url}/update-tracking", body, 202)
    await drain()
    assert house.fk.shipment(house.seller.id, placed.id).status == "SHIPPED"
    await house.ask("DELETE", house.url, status=204)
    assert (await house.ask("GET", "/api/v1/integrations/flipkart/stores")) == []


@pytest.mark.parametrize("routes_of_the_plan", [True, False])
async def test_the_three_of_notifications(house, routes_of_the_plan):
    target = NotificationTarget(
        url=f"{URL}/api/v1/webhooks/flipkart/{house.seller.id}", own_app=True, routes=routes_of_the_plan
    )
    house.fk.notify(house.seller.id, target)
    placed = house.place(Kind.standard_cod)
    await house.desk.drain()
    await drain()
    order = await house.order(placed)
    assert order.state == "ready"
    house.fk.cancel(house.seller.id, placed.id, Cancellation(by="buyer"))
    await house.desk.drain()
    await drain()
    assert (await house.order(placed)).state == "cancelled"
    shipped = await delivered(house)
    house.fk.open_return(house.seller.id, shipped.id)
    await house.desk.drain()
    await drain()
    assert len(await house.returns()) == 1  # named by the notification; no search had to find it
    async with tenancy.acting_for(house.company) as session:
        heard = (await session.execute(select(inbox.Delivery.topic, inbox.Delivery.outcome))).all()
    assert {("order.created", "handled"), ("order.cancelled", "handled"), ("order.returned", "handled")} <= set(heard)


async def delivered(house: House, kind: Kind = Kind.self_ship) -> ShipmentView:
    placed, parcel = await house.self_shipped(f"DL{new_id().hex[:10].upper()}")
    body = {"order": placed.id, "carrier": "Delhivery", "awb": parcel.awb, "status": "delivered", **BOX}
    await house.ask("POST", f"{house.url}/update-tracking", body, 202)
    await drain()
    shown = house.fk.shipment(house.seller.id, placed.id)
    assert shown.status == "DELIVERED"
    return shown


# --- packing together -------------------------------------------------------------------------------------------------


async def test_of_many_packed_together_held_cancelled_and_refused_ones_fail_alone(house):
    placed = [house.place() for _ in range(30)]
    await house.read()
    held, cancelled, refused = placed[3], placed[7], placed[11]
    house.fk.hold(house.seller.id, held.id)
    house.fk.cancel(house.seller.id, cancelled.id)
    house.fk.refuse(house.seller.id, refused.id, RefuseItem(code="INVALID_REQUEST_TAX", message="no", times=1))
    before = house.fk.stats().traffic[house.seller.id].requests
    run = await house.bulk(*[await house.order(each) for each in placed])
    assert run["finished"] is True
    whose = {each["order_id"]: each for each in run["items"]}
    by_shipment = {each.id: whose[str((await house.order(each)).id)] for each in placed}
    assert by_shipment[held.id]["code"] == "on_hold"
    assert by_shipment[cancelled.id]["code"] == "cancelled"
    assert by_shipment[refused.id]["code"] == "invalid_request_tax"
    done = [each for key, each in by_shipment.items() if key not in (held.id, cancelled.id, refused.id)]
    assert {each["state"] for each in done} == {"booked"}
    assert len({each["awb"] for each in done}) == 27
    assert all(house.fk.shipment(house.seller.id, each.id).status != "PACKED" for each in (held, cancelled, refused))
    assert before < house.fk.stats().traffic[house.seller.id].requests


async def test_when_nothing_can_be_prepared_together_each_is_booked_by_itself(house, monkeypatch):
    placed = [house.place() for _ in range(3)]
    await house.read()

    async def refuse(self, requests):
        raise outbound.Refused("whole", "no batches today")

    monkeypatch.setattr(courier_module.FlipkartCourier, "prepare", refuse)
    run = await house.bulk(*[await house.order(each) for each in placed])
    assert {each["state"] for each in run["items"]} == {"booked"}


async def test_what_waits_for_flipkarts_driver_its_code_and_its_list(house):
    placed = [house.place() for _ in range(2)]
    await house.read()
    run = await house.bulk(*[await house.order(each) for each in placed])
    ids = [each["shipment_id"] for each in run["items"]]
    manifest = await house.ask("POST", "/api/v1/manifests", {"shipment_ids": ids}, 201)
    url = f"/api/v1/manifests/{manifest['id']}"
    assert await house.ask("GET", f"{url}/hand-overs") == []
    assert (await house.ask("GET", f"{url}/courier-manifest.pdf", status=409))["code"] == "nothing_waits"
    await house.ask("POST", f"{url}/close")
    await drain()
    (waits,) = await house.ask("GET", f"{url}/hand-overs")
    assert (waits["parcels"], waits["place"], len(waits["code"])) == (2, placed[0].location_id, 4)
    assert (await house.ask("GET", f"{url}/courier-manifest.pdf")).startswith(b"%PDF-")


async def test_cancelling_goes_before_packing_only(house):
    first, second = house.place(), house.place()
    await house.read()
    order = await house.order(first)
    await house.ask("POST", f"{house.url}/orders/{order.id}/cancel", {"reason": "out of stock"}, 202)
    await drain()
    assert house.fk.shipment(house.seller.id, first.id).status == "CANCELLED"
    assert (await house.order(first)).state == "cancelled"
    packed = await house.order(second)
    await house.bulk(packed)
    problem = await house.ask("POST", f"{house.url}/orders/{packed.id}/cancel", {}, 409)
    assert problem["code"] == "order_already_booked"
    assert house.fk.shipment(house.seller.id, second.id).status == "PACKED"


# --- self-ship --------------------------------------------------------------------------------------------------------


async def test_self_ship_is_told_step_by_step_with_partner_and_awb_and_another_date(house):
    placed, parcel = await house.self_shipped()
    steps = {}
    for step in (Progress.picked_up, Progress.delivery_failed, Progress.delivered):
        body = {"order": placed.id, "carrier": "Delhivery", "awb": parcel.awb, "status": step.value, **BOX}
        await house.ask("POST", f"{house.url}/update-tracking", body, 202)
        await drain()
        steps[step] = house.fk.shipment(house.seller.id, placed.id).status
        if step is Progress.delivery_failed:
            when = clock.now() + timedelta(days=4)
            url = f"{house.url}/parcels/{parcel.id}/delivery-date"
            await house.ask("POST", url, {"expected": when.isoformat()}, 202)
            await drain()
    assert list(steps.values()) == ["SHIPPED", "SHIPPED", "DELIVERED"]
    shipment = house.fk.world.sellers[house.seller.id].shipments[placed.id]
    assert (shipment.awb, shipment.courier, len(shipment.attempts)) == ("DL1490812345", "Delhivery", 1)
    assert abs(shipment.promised - when) < timedelta(seconds=1)
    assert "date_told" in await house.told(await house.order(placed))


async def test_a_partner_flipkart_does_not_know_is_refused_in_its_words_and_kept_for_a_person(house):
    house.fk.set_knobs(KnobChange(partner_codes=("EKART",)))
    placed, parcel = await house.self_shipped()
    body = {"order": placed.id, "carrier": "Delhivery", "awb": parcel.awb, "status": "picked_up", **BOX}
    await house.ask("POST", f"{house.url}/update-tracking", body, 202)
    await drain()
    assert house.fk.shipment(house.seller.id, placed.id).status == "APPROVED"
    async with tenancy.acting_for(house.company) as session:
        row = (await session.execute(select(Announcement))).scalar_one()
    assert "deliveryPartnerCode" in row.last_error
    assert row.failures == 1
    house.fk.set_knobs(KnobChange(partner_codes=("EKART", "DELHIVERY")))
    await house.ask("POST", f"/api/v1/integrations/flipkart/announcements/{row.id}/retry", status=202)
    await drain()
    assert house.fk.shipment(house.seller.id, placed.id).status == "SHIPPED"


# --- returns ----------------------------------------------------------------------------------------------------------


async def test_a_buyers_return_of_a_self_ship_order_is_approved_fetched_and_completed(house):
    shipped = await delivered(house)
    (opened,) = house.fk.open_return(house.seller.id, shipped.id, NewReturn(comments="The lid is cracked"))
    await house.read_returns()
    (row,) = await house.returns()
    order = await house.order(shipped)
    assert (row.external_id, row.kind, row.state, row.order_id) == (opened.id, "customer", "open", order.id)
    assert row.shipment_id is not None
    assert row.comment == "The lid is cracked"
    for action, state in (("approve", "approved"), ("pickup", "picked_up"), ("complete", "completed")):
        at = {"at": clock.now().isoformat()}
        await house.ask("POST", f"{house.url}/returns/{row.id}/{action}", at, 202)
        await drain()
        shown = await house.ask("GET", f"{house.url}/returns/{row.id}")
        assert (shown["state"], shown["decision_state"]) == (state, "done"), shown
    (there,) = house.fk.returns(house.seller.id)
    assert there.status == "completed"
    assert {"return_open", "return_approved", "return_picked_up", "return_completed"} <= set(await house.told(order))


async def test_what_flipkart_carries_comes_back_by_itself_and_is_only_watched(house):
    placed = house.place()
    await house.read()
    order = await house.order(placed)
    await house.bulk(order)
    parcel = (await house.ask("GET", "/api/v1/shipments"))["items"][0]
    await house.ask("POST", f"{house.url}/dispatch", {"shipment_ids": [parcel["id"]]}, 202)
    await drain()
    house.fk.move(house.seller.id, placed.id)
    house.fk.open_return(house.seller.id, placed.id, NewReturn(source=ReturnSource.courier_return))
    await house.read_returns()
    (row,) = await house.returns()
    assert (row.kind, row.state, str(row.shipment_id)) == ("undelivered", "open", parcel["id"])
    problem = await house.ask("POST", f"{house.url}/returns/{row.id}/complete", {}, 409)
    assert problem["code"] == "not_for_the_seller"
    for _ in range(2):
        house.fk.move_return(house.seller.id, row.external_id)
    await house.read_returns()
    assert (await house.returns())[0].state == "completed"
    assert house.fk.returns(house.seller.id)[0].status == "completed"


async def test_a_rejected_return_and_one_decided_twice(house):
    shipped = await delivered(house)
    house.fk.open_return(house.seller.id, shipped.id)
    await house.read_returns()
    (row,) = await house.returns()
    await house.ask("POST", f"{house.url}/returns/{row.id}/reject", {}, 202)
    await drain()
    assert house.fk.returns(house.seller.id)[0].status == "rejected"
    problem = await house.ask("POST", f"{house.url}/returns/{row.id}/approve", {}, 409)
    assert problem["code"] == "wrong_return_state"


async def test_every_event_of_a_return_has_it_read_afresh(house):
    url = f"{URL}/api/v1/webhooks/flipkart/{house.seller.id}"
    shipped = await delivered(house)
    (opened,) = house.fk.open_return(house.seller.id, shipped.id)
    await house.read_returns()
    house.fk.notify(house.seller.id, NotificationTarget(url=url, own_app=True))
    house.fk.expect_return(house.seller.id, opened.id, days=9)
    await house.desk.drain()
    await drain()
    (row,) = await house.returns()
    assert row.expected_at - clock.now() > timedelta(days=8)
    house.fk.cancel_return(house.seller.id, opened.id)
    await house.desk.drain()
    await drain()
    assert (await house.returns())[0].state == "cancelled"


async def test_returns_of_several_pages_are_all_read(house):
    placed = house.place(items=tuple(NewItem(sku=f"S-{n}", quantity=1) for n in range(31)), kind=Kind.standard_prepaid)
    await house.read()
    await house.bulk(await house.order(placed))
    shipment = house.fk.world.sellers[house.seller.id].shipments[placed.id]
    for item in shipment.items:
        item.status = "SHIPPED"
    house.fk.open_return(house.seller.id, placed.id, NewReturn(source=ReturnSource.courier_return))
    await house.read_returns()
    assert len(await house.returns()) == 31


# --- stock and prices -------------------------------------------------------------------------------------------------


async def test_fifty_levels_go_ten_by_ten_and_each_has_its_answer(house):
    house.place(items=tuple(NewItem(sku=f"S-{n}", quantity=1) for n in range(50)))
    await channel_jobs.read_listings.run(house.company, UUID(house.store))
    place = house.seller.locations[0].id
    levels = [{"sku": f"S-{n}", "location": place if n else "LOC-elsewhere", "available": 100 + n} for n in range(50)]
    before = house.fk.stats().traffic[house.seller.id].requests
    push = await house.ask("POST", f"{house.url}/push-stock", {"levels": levels}, 202)
    await drain()
    found = await house.ask("GET", push["follow"], limit=100)
    assert (found["state"], found["accepted"], found["refused"]) == ("done", 49, 1)
    (refused,) = [each for each in found["items"] if each["state"] == "refused"]
    assert refused["sku"] == "S-0"
    assert "location is not the seller's" in refused["reason"]
    assert house.fk.stats().traffic[house.seller.id].requests - before == 5
    stock = {each.sku: each.stock for each in house.fk.listings(house.seller.id) if each.sku.startswith("S-")}
    assert stock["S-9"] == {place: 109}
    assert not stock["S-0"]


async def test_prices_are_set_with_the_mrp_flipkart_has_and_each_has_its_answer(house):
    await channel_jobs.read_listings.run(house.company, UUID(house.store))
    one, other = house.fk.listings(house.seller.id)[:2]
    given = [
        {"sku": one.sku, "selling_paise": 9900},
        {"sku": other.sku, "selling_paise": 9950},
        {"sku": "NOT-THERE", "selling_paise": 100},
    ]
    found = await house.ask("POST", f"{house.url}/prices", {"prices": given})
    assert [(each["state"], each["code"]) for each in found["prices"]] == [
        ("accepted", None),
        ("refused", "not_whole_rupees"),
        ("refused", "unknown_sku"),
    ]
    now = {each.sku: each for each in house.fk.listings(house.seller.id)}
    assert (now[one.sku].selling_price, now[one.sku].mrp) == (99, one.mrp)
    assert now[other.sku].selling_price == other.selling_price
