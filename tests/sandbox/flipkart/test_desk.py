"""Flipkart's desk over HTTP and on the page does what it does in memory."""

import inspect
from datetime import timedelta

import httpx2
import pytest

from shipcrowd.kernel import clock
from shipcrowd.sandbox.app import sandbox
from shipcrowd.sandbox.client import DeskClient
from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.flipkart import state, web
from shipcrowd.sandbox.flipkart.desk import FlipkartDesk
from shipcrowd.sandbox.flipkart.desk_client import FlipkartDeskClient
from shipcrowd.sandbox.flipkart.schemas import (
    Cancellation,
    Dates,
    Kind,
    KnobChange,
    ListingChange,
    Many,
    NewItem,
    NewReturn,
    NewSeller,
    NewShipment,
    NotificationTarget,
    RefuseItem,
    ReturnSource,
)
from shipcrowd.sandbox.refusals import NotPossible, Unknown
from shipcrowd.sandbox.schemas import NewFault

HERE = "http://127.0.0.1:8100"


@pytest.fixture
async def client(desk):
    async with DeskClient(HERE, transport=httpx2.ASGITransport(sandbox(desk))) as made:
        yield made.flipkart


@pytest.fixture
async def page(desk):
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(sandbox(desk)), base_url=HERE) as made:
        yield made


def test_the_client_has_every_verb_of_the_desk():
    verbs = {name for name, _ in inspect.getmembers(FlipkartDesk, inspect.isfunction) if not name.startswith("_")}
    assert verbs - set(dir(FlipkartDeskClient)) == set()


def test_every_knob_can_be_turned():
    assert set(KnobChange.model_fields) == set(state.Knobs.__dataclass_fields__)


async def test_a_day_is_driven_over_http(client, fk):
    seller = (await client.create_seller(NewSeller(name="Over HTTP"))).id
    held = await client.place(seller, NewShipment(kind=Kind.on_hold))
    assert not (await client.release(seller, held.id)).hold
    assert (await client.hold(seller, held.id)).hold
    by = clock.now() + timedelta(days=3)
    assert (await client.change_dates(seller, held.id, Dates(dispatch_by=by))).dispatch_by == by
    two = await client.place(seller, NewShipment(items=(NewItem(sku="CHAI-250", quantity=2),)))
    cut = await client.cancel(seller, two.id, Cancellation(quantities={"CHAI-250": 1}))
    assert cut.items[0].quantity == 1
    fbf = await client.place(seller, NewShipment(kind=Kind.fbf))
    assert (await client.move(seller, fbf.id)).status == "READY_TO_DISPATCH"
    assert await client.move_all(seller) == 1
    with pytest.raises(NotPossible):
        await client.move(seller, two.id)
    with pytest.raises(Unknown):
        await client.shipment(seller, "nobody")
    assert [one.status for one in await client.shipments(seller)] == ["APPROVED", "APPROVED", "PICKUP_COMPLETE"]
    assert (await client.latest(seller, 1))[0].id == fbf.id
    assert await client.place_many(seller, Many(count=5)) == 5
    back = await client.open_return(seller, fbf.id, NewReturn(source=ReturnSource.courier_return))
    assert (await client.move_return(seller, back[0].id)).shipment_status == "IN_TRANSIT"
    assert (await client.expect_return(seller, back[0].id, 2)).status == "created"
    assert (await client.cancel_return(seller, back[0].id)).status == "cancelled"
    assert await client.returns(seller) == fk.returns(seller)
    sku = "हल्दी-200"
    assert (await client.change_listing(seller, sku, ListingChange(active=False))).sku == sku
    assert len(await client.listings(seller)) == 8
    await client.malform(seller, two.id)
    await client.refuse(seller, two.id, RefuseItem(times=2))
    await client.resend(seller, two.id)
    await client.notify(seller, NotificationTarget(url="http://127.0.0.1:9/n"))
    assert (await client.seller(seller)).notified_at == "http://127.0.0.1:9/n"
    await client.notify(seller, None)
    assert (await client.sellers())[-1].notified_at is None
    assert not (await client.set_approved(seller, approved=False)).approved
    await client.revoke(seller)
    await client.set_knobs(KnobChange(partner_codes=("A",), per_second=3))
    assert fk.world.knobs.per_second == 3
    assert (await client.stats()).shipments == 8
    with pytest.raises(NotPossible):
        await client.approve("https://api.flipkart.net/oauth-service/oauth/authorize?client_id=x", seller)


async def test_the_page_shows_and_drives_it(page, fk, flipkart):
    seller = flipkart.seller.id
    await page.post("/desk/do/flipkart-seller", data={"name": "<b>Nirmala</b>"})
    assert len(fk.sellers()) == 2
    await page.post("/desk/do/flipkart-place", data={"seller": seller, "kind": "fbf"})
    (made,) = fk.shipments(seller)
    form = {"seller": seller, "shipment": made.id}
    await page.post("/desk/do/flipkart-hold", data=form)
    assert "ON HOLD" in (await page.get("/desk")).text
    await page.post("/desk/do/flipkart-release", data=form)
    await page.post("/desk/do/flipkart-move", data=form)
    await page.post("/desk/do/flipkart-move-all", data=form)
    assert fk.shipment(seller, made.id).status == "PICKUP_COMPLETE"
    await page.post("/desk/do/flipkart-return", data={**form, "source": "courier_return"})
    (back,) = fk.returns(seller)
    await page.post("/desk/do/flipkart-move-return", data={"seller": seller, "return": back.id})
    shown = await page.get("/desk")
    assert made.order_id in shown.text
    assert back.id in shown.text
    assert "<b>Nirmala" not in shown.text
    assert "shipments.pack" in shown.text
    wrong = await page.post("/desk/do/flipkart-cancel", data={"seller": seller, "shipment": "nobody"})
    assert "wrong=1" in wrong.headers["location"]
    await page.post("/desk/do/flipkart-notify", data={"seller": seller, "url": "http://127.0.0.1:9/n"})
    assert fk.seller(seller).notified_at == "http://127.0.0.1:9/n"
    away = await page.post("/desk/do/flipkart-notify", data={"seller": seller, "url": "https://elsewhere.example"})
    assert "wrong=1" in away.headers["location"]
    await page.post("/desk/do/flipkart-notify", data={"seller": seller, "url": ""})
    assert fk.seller(seller).notified_at is None
    gone = await page.post("/desk/do/flipkart-revoke", data={"seller": seller})
    assert "wrong=1" not in gone.headers["location"]
    assert "wrong=1" in (await page.post("/desk/do/flipkart-dance", data=form)).headers["location"]


async def test_every_operation_can_meet_a_fault(desk, flipkart):
    for operation in web.OPERATIONS:
        desk.add_fault(NewFault(vendor="flipkart", operation=operation, kind=FaultKind.unavailable))
    assert (await flipkart.mint()).status_code == 503
    assert (await flipkart.call("GET", "/listings/v3/BOT-1L-BLU")).status_code == 503
    assert (await flipkart.call("POST", "/v3/shipments/labels", {})).status_code == 503
    assert (await flipkart.call("POST", "/v3/shipments/labels", {})).status_code == 400


async def test_a_pack_may_have_worked_although_no_answer_came(desk, flipkart, place, fk):
    made = place()
    desk.add_fault(NewFault(vendor="flipkart", operation="shipments.pack", kind=FaultKind.unavailable_after))
    body = {"shipments": [flipkart.pack_body(made)]}
    assert (await flipkart.call("POST", "/v3/shipments/labels", body)).status_code == 503
    assert fk.shipment(flipkart.seller.id, made.id).status == "PACKING_IN_PROGRESS"


def test_the_same_seed_makes_the_same_world():
    def story():
        fk = Desk(seed=5).flipkart
        seller = fk.create_seller()
        return seller, [one.order_id for one in (fk.place(seller.id), fk.place(seller.id))]

    assert story() == story()


def test_it_is_bounded(fk, monkeypatch):
    monkeypatch.setattr("shipcrowd.sandbox.flipkart.placing.MOST_SHIPMENTS", 3)
    monkeypatch.setattr("shipcrowd.sandbox.flipkart.placing.MOST_SELLERS", 1)
    seller = fk.create_seller().id
    with pytest.raises(NotPossible, match="at most 1 sellers"):
        fk.create_seller()
    with pytest.raises(NotPossible, match="at most 3 shipments"):
        fk.place_many(seller, Many(count=4))
    assert fk.shipments(seller) == []
    with pytest.raises(NotPossible, match="has no location"):
        fk.place(seller, NewShipment(location_id="LOCelse"))
