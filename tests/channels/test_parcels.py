"""A store's parcels by its own verbs: booked outside, labelled here, marked as ready; and orders cancelled there."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest

from shipcrowd.channels import jobs
from shipcrowd.channels.parcels import Wish, _choose
from shipcrowd.couriers import vendors as couriers
from shipcrowd.identity.models import Company
from shipcrowd.integrations import manual
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.outbound import Refused, Unavailable
from shipcrowd.orders import queries as orders
from shipcrowd.orders.schemas import Fulfilment, SourceState
from shipcrowd.shipping import service as shipping
from shipcrowd.shipping.accounts import BilledBy
from shipcrowd.shipping.booking import NoSuchOption
from shipcrowd.shipping.models import Quote
from shipcrowd.shipping.quoting import Option
from tests.channels import bazaar, look
from tests.locations import make as places
from tests.make import courier
from tests.support import drain

BOX = {"weight_grams": 600, "length_mm": 300, "breadth_mm": 200, "height_mm": 50}


def order(external_id, **changes):
    return bazaar.order(external_id, **({"minutes_ago": 1} | changes))


@pytest.fixture
async def script():
    return await courier.installed(manual.vendor)


@pytest.fixture
async def ordered(company, store, far):
    """Takes in orders of the store, by the names given; their ids."""
    async with tenancy.acting_for(company) as session:
        session.add(Company(company_id=company, id=company, name="Kaveri Handlooms", state="Karnataka"))
    await places.create(company)

    async def make(*incoming):
        far.put(*incoming)
        async with tenancy.acting_for(company) as session:
            await jobs.sweep.enqueue(session, company_id=company, connection_id=store)
        await drain()
        return [(await look.one_order(company, each.external_id)).id for each in incoming]

    return make


async def parcels(company, order_id):
    async with tenancy.acting_for(company) as session:
        return await shipping.of_order(session, order_id)


async def told(company, order_id):
    async with tenancy.acting_for(company) as session:
        return [(event.kind, event.words) for event in await orders.timeline(session, order_id)]


# --- update-tracking ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["1001", "#1001", "gid://Order/1001"])
async def test_a_parcel_booked_outside_is_recorded_and_announced_once(http, company, store, far, ordered, words):
    (order_id,) = await ordered(order("1001", external_ref="gid://Order/1001"))
    path = f"/integrations/bazaar/stores/{store}/update-tracking"
    body = {"order": words, "carrier": "Delhivery", "awb": "dl-123456", **BOX}
    answers = [await http.post(path, json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    await drain()
    (shipment,) = await parcels(company, order_id)
    assert {answer.json()["shipment_id"] for answer in answers} == {str(shipment.id)}
    assert (shipment.courier, shipment.carrier, shipment.awb) == ("manual", "Delhivery", "DL-123456")
    assert shipment.state == "pickup_pending"
    assert answers[0].json()["follow"] == f"/api/v1/shipments/{shipment.id}"
    (dispatch,) = far.dispatches.values()
    assert (dispatch.awb, dispatch.carrier) == ("DL-123456", "Delhivery")
    assert far.count("dispatched") == 1


async def test_where_it_is_by_now_is_told_too(http, company, store, far, ordered):
    (order_id,) = await ordered(order("1001"))
    path = f"/integrations/bazaar/stores/{store}/update-tracking"
    body = {"order": "1001", "carrier": "Delhivery", "awb": "DL123456", **BOX}
    at = clock.now() - timedelta(hours=2)
    answer = await http.post(path, json=body | {"status": "picked_up", "at": at.isoformat()})
    assert answer.json()["state"] == "picked_up"
    await drain()
    assert [milestone for _, milestone in far.milestones] == ["picked_up"]
    await http.post(path, json=body | {"status": "delivered"})
    await drain()
    assert [milestone for _, milestone in far.milestones] == ["picked_up", "delivered"]
    assert (await look.one_order(company, "1001")).state == "delivered"
    later = (clock.now() + timedelta(days=1)).isoformat()
    assert (await http.post(path, json=body | {"status": "lost", "at": later})).status_code == 422
    assert len(await parcels(company, order_id)) == 1


async def test_the_same_parcel_sent_twice_at_once_is_one(http, company, store, far, ordered):
    (order_id,) = await ordered(order("1001"))
    path = f"/integrations/bazaar/stores/{store}/update-tracking"
    body = {"order": "1001", "carrier": "Delhivery", "awb": "DL123456", **BOX}
    answers = await asyncio.gather(*(http.post(path, json=body) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {202}
    assert len(await parcels(company, order_id)) == 1


@pytest.mark.parametrize("fulfilment", [Fulfilment.marketplace_warehouse, Fulfilment.marketplace_logistics])
async def test_what_the_marketplace_carries_itself_is_refused_by_name(http, company, store, far, ordered, fulfilment):
    (order_id,) = await ordered(order("1001", fulfilment=fulfilment))
    body = {"order": "1001", "carrier": "Delhivery", "awb": "DL123456", **BOX}
    answer = await http.post(f"/integrations/bazaar/stores/{store}/update-tracking", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "shipped_by_marketplace")
    assert "Bazaar" in answer.json()["detail"]
    assert "#1001" in answer.json()["detail"]
    await drain()
    assert (await parcels(company, order_id), far.dispatches) == ([], {})


async def test_an_order_of_another_store_or_nobodys_is_not_found(http, company, store, who, far, ordered):
    await ordered(order("1001"))
    path = f"/integrations/bazaar/stores/{store}/update-tracking"
    body = {"order": "9999", "carrier": "Delhivery", "awb": "DL123456", **BOX}
    assert (await http.post(path, json=body)).status_code == 404
    who.become(new_id())
    assert (await http.post(path, json=body | {"order": "1001"})).status_code == 404


# --- generate-label -------------------------------------------------------------------------------------------------


async def test_a_label_is_booked_at_the_cheapest_and_then_there(http, company, store, far, ordered, script):
    (order_id,) = await ordered(order("1001"))
    path = f"/integrations/bazaar/stores/{store}/generate-label"
    body = {"order_id": str(order_id), **BOX}
    await _paid(company)
    first = await http.post(path, json=body)
    assert (first.status_code, first.json()["state"], first.json()["label"]) == (202, "booking", None)
    assert first.json()["courier"] == "velocity"
    await drain()
    second = await http.post(path, json=body)
    assert second.status_code == 200
    assert second.json()["shipment_id"] == first.json()["shipment_id"]
    assert second.json()["label"] == f"/api/v1/shipments/{first.json()['shipment_id']}/label.pdf"
    assert len(script.asked) == 1
    assert len(far.dispatches) == 1


async def test_the_service_asked_for_is_taken_or_refused(http, company, store, far, ordered, script):
    (order_id,) = await ordered(order("1001"))
    path = f"/integrations/bazaar/stores/{store}/generate-label"
    await _paid(company)
    body = {"order_id": str(order_id), **BOX}
    for wish in ({"service": "rocket"}, {"courier": "nobody"}):
        assert (await http.post(path, json=body | wish)).json()["code"] == "no_such_option"
    assert await parcels(company, order_id) == []
    assert (await http.post(path, json=body | {"service": "quick"})).status_code == 202
    (shipment,) = await parcels(company, order_id)
    assert shipment.service == "quick"


async def test_the_marketplaces_own_courier_carries_what_is_its_own_and_nothing_else(
    http, company, store, far, ordered, script
):
    own = dataclasses.replace(
        courier.vendor(script), slug="bazaar", marketplace=True, shared=False, carries_charge=False
    )

    async def at_store(*opened):
        assert opened == ("bazaar", company, store)
        return courier.ScriptedCourier(script)

    couriers.use([*couriers.vendors(), own], at_store=at_store)
    theirs, ours = await ordered(order("1001", fulfilment=Fulfilment.marketplace_logistics), order("1002"))
    await _paid(company)
    path = f"/integrations/bazaar/stores/{store}/generate-label"
    assert (await http.post(path, json={"order_id": str(theirs), **BOX})).json()["courier"] == "bazaar"
    assert (await http.post(path, json={"order_id": str(ours), **BOX})).json()["courier"] == "velocity"


async def test_who_carries_the_order_decides_who_prints_its_label(http, company, store, far, ordered, script):
    theirs, held = await ordered(
        order("1001", fulfilment=Fulfilment.marketplace_logistics),
        order("1002", fulfilment=Fulfilment.marketplace_warehouse),
    )
    await _paid(company)
    path = f"/integrations/bazaar/stores/{store}/generate-label"
    answer = await http.post(path, json={"order_id": str(held), **BOX})
    assert (answer.status_code, answer.json()["code"]) == (409, "shipped_by_marketplace")
    answer = await http.post(path, json={"order_id": str(theirs), **BOX})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_courier_to_ask")
    assert "marketplace's own courier" in answer.json()["detail"]
    assert (await parcels(company, theirs), script.asked) == ([], [])


# --- dispatch -------------------------------------------------------------------------------------------------------


async def test_packed_parcels_are_told_in_batches_and_each_has_its_answer(http, company, store, far, ordered):
    ids = await ordered(*(order(str(n)) for n in (1, 2, 3)))
    made = []
    for n, _ in enumerate(ids, 1):
        body = {"order": str(n), "carrier": "Delhivery", "awb": f"DL12345{n}", **BOX}
        answer = await http.post(f"/integrations/bazaar/stores/{store}/update-tracking", json=body)
        made.append(answer.json()["shipment_id"])
    far.not_ready["2"] = "The order is on hold."
    path = f"/integrations/bazaar/stores/{store}/dispatch"
    assert (await http.post(path, json={"shipment_ids": made})).status_code == 202
    far.fail("ready_to_dispatch", Unavailable("503"))
    await drain(skip_waits=True)
    assert sorted(parcel.order_ref for parcel in far.ready) == ["1", "3"]
    assert {parcel.reference for parcel in far.ready} == {made[0], made[2]}
    kinds = [[kind for kind, _ in await told(company, each) if kind.startswith("dispatch")] for each in ids]
    assert kinds == [["dispatch_told"], ["dispatch_refused"], ["dispatch_told"]]
    assert [entry.error for entry in await look.log(company, "dispatch")].count("") == 1


async def test_what_is_not_packed_or_not_here_is_not_told(http, company, store, far, ordered):
    await ordered(order("1"))
    body = {"order": "1", "carrier": "Delhivery", "awb": "DL123451", "status": "picked_up", **BOX}
    gone = await http.post(f"/integrations/bazaar/stores/{store}/update-tracking", json=body)
    path = f"/integrations/bazaar/stores/{store}/dispatch"
    answer = await http.post(path, json={"shipment_ids": [gone.json()["shipment_id"]]})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_packed")
    assert (await http.post(path, json={"shipment_ids": [str(new_id())]})).status_code == 404
    await drain()
    assert far.count("ready_to_dispatch") == 0


# --- cancelling at the store ----------------------------------------------------------------------------------------


async def test_an_order_is_cancelled_at_its_store_and_follows_the_stores_word(http, company, store, far, ordered):
    (order_id,) = await ordered(order("1001", external_ref="gid://Order/1001"))
    path = f"/integrations/bazaar/stores/{store}/orders/{order_id}/cancel"
    assert (await http.get(path)).status_code == 404
    answers = [await http.post(path, json={"reason": "Out of stock"}) for _ in range(2)]
    assert [(answer.status_code, answer.json()["state"]) for answer in answers] == [(202, "asked")] * 2
    assert "its cancellation was asked for" in str((await look.one_order(company, "1001")).holds)
    far.put(order("1001", minutes_ago=0, external_ref="gid://Order/1001", state=SourceState.cancelled))
    await drain()
    assert far.cancelled == [("gid://Order/1001", "Out of stock")]
    assert (await http.get(path)).json()["state"] == "done"
    assert (await look.one_order(company, "1001")).state == "cancelled"
    assert ("cancel_done", "The store cancelled the order") in await told(company, order_id)
    assert (await http.post(path, json={})).status_code == 409
    await drain()
    assert far.count("cancel_order") == 1


async def test_a_refused_cancellation_says_why_frees_the_order_and_may_be_asked_again(
    http, company, store, far, ordered
):
    (order_id,) = await ordered(order("1001"))
    path = f"/integrations/bazaar/stores/{store}/orders/{order_id}/cancel"
    far.fail("cancel_order", Refused("too_late", "Bazaar says it was packed."))
    await http.post(path, json={})
    await drain()
    shown = (await http.get(path)).json()
    assert (shown["state"], shown["code"], shown["because"]) == ("refused", "too_late", "Bazaar says it was packed.")
    assert (await look.one_order(company, "1001")).holds == []
    assert (await http.post(path, json={})).json()["state"] == "asked"
    await drain()
    assert (await http.get(path)).json()["state"] == "done"


async def test_an_order_with_a_parcel_is_not_cancelled_at_the_store(http, company, store, far, ordered):
    (order_id,) = await ordered(order("1001"))
    body = {"order": "1001", "carrier": "Delhivery", "awb": "DL123456", **BOX}
    await http.post(f"/integrations/bazaar/stores/{store}/update-tracking", json=body)
    answer = await http.post(f"/integrations/bazaar/stores/{store}/orders/{order_id}/cancel", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "order_already_booked")
    await drain()
    assert far.cancelled == []


async def test_a_store_that_was_paused_is_asked_to_cancel_when_it_is_back(http, company, store, far, ordered):
    (order_id,) = await ordered(order("1001"))
    base = f"/integrations/bazaar/stores/{store}"
    await http.post(f"{base}/orders/{order_id}/cancel", json={})
    await http.post(f"{base}/pause")
    await drain()
    assert far.cancelled == []
    assert (await http.post(f"{base}/orders/{order_id}/cancel", json={})).status_code == 409
    await http.post(f"{base}/resume")
    await drain()
    assert len(far.cancelled) == 1


async def test_a_channel_without_these_abilities_says_so(http, company, connect, far):
    store = await connect(platform="plain")
    base, some = f"/integrations/plain/stores/{store}", str(new_id())
    asks = {
        "update-tracking": {"order": "1", "carrier": "Delhivery", "awb": "DL123456"},
        "dispatch": {"shipment_ids": [some]},
        f"orders/{some}/cancel": {},
    }
    for path, body in asks.items():
        answer = await http.post(f"{base}/{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "channel_cannot"), path


async def test_syncing_goes_by_three_names(http, company, store, far):
    for n, name in enumerate(("sync-orders", "sync-shipments", "sync/orders")):
        far.put(order(str(n), minutes_ago=1))
        answer = await http.post(f"/integrations/bazaar/stores/{store}/{name}")
        assert (answer.status_code, answer.json()["follow"]) == (
            202,
            f"/api/v1/integrations/bazaar/stores/{store}/sync-status",
        )
        await drain()
    assert await look.order_numbers(company) == ["#0", "#1", "#2"]
    status = (await http.get(f"/integrations/bazaar/stores/{store}/sync-status")).json()
    assert (status["orders_imported"], status["sweeping"], status["store"]["level"]) == (3, False, "ok")


async def _paid(company):
    """The company may spend, and a rate card covers what the courier offers."""
    from shipcrowd.kernel.money import Money
    from shipcrowd.wallet import service as wallet

    async with tenancy.acting_for(company) as session:
        await wallet.fund(session, amount=Money.rupees("5000"), reference="test:funding", key="f", actor="user:asha")
    assert "manual" in {vendor.slug for vendor in couriers.vendors()}


# --- which courier a label is booked at -----------------------------------------------------------------------------


def option(name: str, paise: int | None, *, own: bool = False, bookable: bool = True) -> dict[str, object]:
    """One way to ship; of an own account `paise` is what its courier says it asks, if it does."""
    made = Option(
        account_company_id=new_id(), account_id=new_id(), account_name=name, courier=name, courier_name=name,
        billed_by=BilledBy.courier if own else BilledBy.wallet, service="surface", name=name, carrier=name,
        mode="surface", min_days=None, max_days=None, zone=None, price=None, reason=None,
        price_paise=None if not bookable else 0 if own else paise, courier_cost_paise=paise if own else None,
    )  # fmt: skip
    return made.model_dump(mode="json")


@pytest.mark.parametrize(
    ("offered", "wished", "chosen"),
    [
        ([option("own", None, own=True), option("dear", 9000), option("cheap", 5000)], None, "cheap"),
        ([option("own", 4000, own=True), option("cheap", 5000)], None, "own"),
        ([option("own", None, own=True), option("gone", 100, bookable=False)], None, "own"),
        ([option("own", None, own=True), option("cheap", 5000)], "own", "own"),
        ([option("dear", 9000), option("cheap", 5000)], "dear", "dear"),
    ],
)
def test_a_label_is_booked_at_the_cheapest_of_known_cost_unless_somebody_wishes_otherwise(offered, wished, chosen):
    made = _choose(Quote(options=offered), Wish(new_id(), courier=wished))
    assert made.courier == chosen


def test_a_wish_nobody_can_fulfil_names_what_there_is():
    with pytest.raises(NoSuchOption, match="cheap/surface"):
        _choose(Quote(options=[option("cheap", 5000)]), Wish(new_id(), courier="dear"))
