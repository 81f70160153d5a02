"""Places, stores, the wallet, settings, failed jobs, and the buyer's page."""

import re

import pytest
from sqlalchemy import select

from shipcrowd.channels import jobs as channel_jobs
from shipcrowd.channels import queries as channels
from shipcrowd.channels.returns_contract import ChannelReturn, ReturnKind, ReturnState
from shipcrowd.kernel import db, jobs, tenancy
from shipcrowd.kernel.money import Money
from shipcrowd.locations import service as locations
from shipcrowd.orders.models import Order
from shipcrowd.settings import settings
from shipcrowd.shipping import queries as shipments
from shipcrowd.wallet import service as wallet
from tests.channels import bazaar
from tests.console import world
from tests.console.conftest import count_of, words
from tests.support import drain

PLACE = {
    "name": "Peenya godown",
    "kind": "both",
    "contact": "Latha",
    "phone": "9845011111",
    "line1": "Shed 9, 2nd Stage",
    "city": "Bengaluru",
    "pincode": "560058",
}


# --- places ---------------------------------------------------------------------------------------------------------


async def test_a_place_is_added_changed_made_default_and_taken_out_of_use(signed_in, day):
    page = await signed_in.post("/places", **PLACE)
    assert "Peenya godown is added" in words(page) and "Karnataka" in words(page)
    async with tenancy.acting_for(day.seller.company_id) as session:
        found, _ = await locations.places(session)
    place = next(each for each in found if each.name == "Peenya godown")
    page = await signed_in.post(f"/places/{place.id}", **(PLACE | {"line1": "Shed 12", "state": "Karnataka"}))
    assert "is saved" in words(page) and 'value="Shed 12"' in page
    page = await signed_in.post(f"/places/{place.id}/default", **{"for": "pickup"})
    assert "Parcels are picked up here unless you say otherwise: Peenya godown" in words(page)
    page = await signed_in.post(f"/places/{place.id}/use", active="no")
    assert "out of use; its history is kept" in words(page)


async def test_an_incomplete_place_names_every_field_and_adds_nothing(signed_in, day):
    page = await signed_in.post("/places", status=422, **(PLACE | {"phone": "12", "pincode": "999999", "line1": ""}))
    assert page.count("aria-invalid") == 3 and 'value="Peenya godown"' in page
    assert await count_of(day.seller.company_id, "places") == 1


async def test_couriers_knowledge_of_a_place_is_shown(signed_in):
    assert "Velocity Known" in words(await signed_in.get("/places"))


# --- stores ---------------------------------------------------------------------------------------------------------


async def test_a_store_is_connected_by_signing_in_there(signed_in, day):
    page = await signed_in.post("/stores/shopify/sign-in", store="nila.bazaar.example")
    assert "https://nila.bazaar.example/oauth" in page and 'http-equiv="refresh"' in page
    assert await count_of(day.seller.company_id, "sign_in_states") == 1


async def test_a_bad_shop_name_is_refused_beside_its_field(signed_in, day):
    page = await signed_in.post("/stores/shopify/sign-in", status=422, store="nila")
    assert "type the shop's address" in words(page) and 'value="nila"' in page
    assert await count_of(day.seller.company_id, "sign_in_states") == 0


async def test_a_store_is_connected_with_pasted_credentials_and_the_secret_is_never_shown_again(signed_in):
    far = bazaar.SHOPS["nila.example"] = bazaar.FarSide("nila.example")
    form = {"store": far.external_id, "credentials.token": "wrong-token"}
    page = await signed_in.post("/stores/rugged/paste", status=422, **form)
    assert "did not accept" in words(page) and "wrong-token" not in page
    page = await signed_in.post("/stores/rugged/paste", **(form | {"credentials.token": bazaar.GOOD_TOKEN}))
    assert "Its orders are being read now" in words(page) and bazaar.GOOD_TOKEN not in page


async def test_an_order_that_cannot_be_read_is_shown_and_tried_again(signed_in, day):
    url = f"/stores/{day.store_id}"
    day.far.put(bazaar.order("9001", minutes_ago=1))
    day.far.unreadable.add("9001")
    await signed_in.post(f"{url}/sync")
    await drain()
    page = await signed_in.get(url)
    assert "the product of a line is gone" in words(page) and "Needs attention" in words(page)
    day.far.unreadable.clear()
    item = re.search(r"/failed/([0-9a-f-]+)/replay", page)[1]
    await signed_in.post(f"{url}/failed/{item}/replay")
    await drain()
    assert "Nothing. Every order the store told us of is here." in words(await signed_in.get(url))


async def test_a_store_is_tested_paused_resumed_configured_and_cut(signed_in, day):
    url = f"/stores/{day.store_id}"
    assert "the connection works" in words(await signed_in.post(f"{url}/test"))
    assert "Paused; no orders are read" in words(await signed_in.post(f"{url}/pause"))
    assert "Resumed" in words(await signed_in.post(f"{url}/resume"))
    page = await signed_in.post(f"{url}/settings", import_days="60", announce="yes")
    assert 'value="60"' in page and page.count(" checked") == 1
    await signed_in.post(f"{url}/settings", status=422, import_days="9999")
    await signed_in.post(f"{url}/disconnect", status=409)
    page = await signed_in.post(f"{url}/disconnect", sure="yes")
    assert "The orders that came from it stay" in words(page)
    async with tenancy.acting_for(day.seller.company_id) as session:
        assert (await channels.store(session, day.store_id)).connection.closed_at is not None
    assert "Kaveri Handlooms" in words(await signed_in.get("/orders"))


async def test_what_comes_back_is_listed_and_decided(signed_in, day):
    company, url = day.seller.company_id, f"/stores/{day.store_id}"
    assert "What comes back" not in await signed_in.get(url)
    async with tenancy.acting_for(company) as session:
        placed = (await session.execute(select(Order).where(Order.connection_id == day.store_id).limit(1))).scalar_one()
    day.far.coming_back["R1"] = ChannelReturn(
        "R1", ReturnKind.customer, placed.external_id, None, ReturnState.open, "created", 2, reason="DAMAGED"
    )
    await channel_jobs.read_returns.run(company, day.store_id)
    page = await signed_in.get(url)
    assert f"{placed.number} 2 sent back by the buyer: DAMAGED" in words(page)
    action = re.search(r"/returns/[0-9a-f-]+/approve", page)[0]
    page = await signed_in.post(f"{url}{action}")
    assert "the store is being told: approve" in words(page) and "/approve" not in page
    await drain()
    assert [each.action for each in day.far.decided] == ["approve"]
    await signed_in.post(f"{url}{action.replace('approve', 'complete')}", status=409)


async def test_another_companys_store_cannot_be_seen_or_cut(new_browser, day):
    stranger = await new_browser()
    await stranger.sign_in(await world.new_seller("Nila Ceramics"))
    await stranger.get(f"/stores/{day.store_id}", status=404)
    for verb in ("sync", "pause", "disconnect", "settings", "test"):
        await stranger.post(f"/stores/{day.store_id}/{verb}", status=404, sure="yes")
    async with tenancy.acting_for(day.seller.company_id) as session:
        assert (await channels.store(session, day.store_id)).connection.status == "connected"


# --- money ----------------------------------------------------------------------------------------------------------


async def test_every_movement_stands_with_its_parcel_and_the_balance_after_it(signed_in, day):
    text = words(await signed_in.get("/wallet"))
    assert "Credit by hand" in text and "+₹12,450.00" in text
    assert "Charged for a booking Freight ₹" in text and " · GST ₹" in text and "Set aside for a booking" not in text


async def test_a_form_sent_twice_adds_money_once(signed_in, day):
    page = await signed_in.get("/wallet")
    key = re.search(r'name="key" value="([^"]+)"', page)[1]
    async with tenancy.acting_for(day.seller.company_id) as session:
        before = (await wallet.balance(session)).available
    for _ in range(2):
        await signed_in.post("/wallet/fund", amount_paise="₹1,00,000", key=key)
    async with tenancy.acting_for(day.seller.company_id) as session:
        assert (await wallet.balance(session)).available == before + Money.rupees("100000")


async def test_in_production_no_money_comes_from_nowhere(signed_in, day, monkeypatch):
    monkeypatch.setenv("SHIPCROWD_ENVIRONMENT", "production")
    settings.cache_clear()
    page = await signed_in.get("/wallet")
    assert "/wallet/fund" not in page
    before = await count_of(day.seller.company_id, "ledger_movements")
    await signed_in.post("/wallet/fund", status=403, amount_paise="100", key="k")
    assert await count_of(day.seller.company_id, "ledger_movements") == before


# --- settings -------------------------------------------------------------------------------------------------------


async def test_company_details_are_checked_before_they_are_kept(signed_in):
    page = await signed_in.post("/settings/company", status=422, name="Kaveri Handlooms", gstin="29ABCDE1234F1Z5")
    assert "This is not a valid GSTIN" in words(page) and "aria-invalid" in page
    page = await signed_in.post("/settings/company", name="Kaveri Handlooms LLP", state="Karnataka")
    assert 'value="Kaveri Handlooms LLP"' in page


async def test_the_usual_box_is_filled_in_for_orders_without_a_size(signed_in, day):
    await signed_in.post("/settings/box", status=422, length_mm="30")
    await signed_in.post("/settings/box", length_mm="30", breadth_mm="24.5", height_mm="6")
    page = await signed_in.get(f"/orders/{day.orders['#KH2475']}")
    assert 'name="breadth_mm" value="24.5"' in page and 'name="weight_grams" value=""' in page


async def test_an_api_key_is_shown_once_and_revoked(signed_in, day):
    page = await signed_in.post("/settings/keys", key_name="ERP", scopes=["orders:read", "shipments:read"])
    token = re.search(r"sck_live_\w+_[\w-]{20,}", page)[0]
    later = await signed_in.get("/settings")
    assert token not in later and "ERP" in later
    key_id = re.search(r"/settings/keys/([0-9a-f-]+)/revoke", later)[1]
    assert "The key opens nothing any more" in words(await signed_in.post(f"/settings/keys/{key_id}/revoke"))
    answer = await signed_in.http.get("/orders", headers={"authorization": f"Bearer {token}"}, follow_redirects=False)
    assert answer.status_code == 303 and answer.headers["location"].startswith("/login")


async def test_a_key_without_a_scope_is_refused(signed_in):
    page = await signed_in.post("/settings/keys", status=422, key_name="ERP")
    assert "this is needed" in words(page)


async def test_a_colleague_joins_changes_role_and_leaves(signed_in, day):
    form = {"name": "Ravi", "email": "ravi.settings@kaveri.example", "role": "packer", "password": world.PASSWORD}
    assert "Ravi may sign in now" in words(await signed_in.post("/settings/team", **form))
    page = await signed_in.get("/settings")
    user_id = re.search(r"/settings/team/([0-9a-f-]+)/remove", page)[1]
    assert "The role is changed" in words(await signed_in.post(f"/settings/team/{user_id}/role", role="manager"))
    assert "signed out" in words(await signed_in.post(f"/settings/team/{user_id}/remove"))
    page = await signed_in.post(f"/settings/team/{day.seller.user_id}/role", status=409, role="viewer")
    assert "keeps at least one owner" in words(page)


async def test_changing_the_password_wants_the_present_one(signed_in):
    page = await signed_in.post("/settings/password", status=422, present="wrong", new="a-brand-new-kettle")
    assert "not your present password" in words(page)
    page = await signed_in.post("/settings/password", present=world.PASSWORD, new="a-brand-new-kettle")
    assert "The password is changed" in words(page)


# --- failed jobs ----------------------------------------------------------------------------------------------------


async def _held(company_id, name="shipping.request_label"):
    async with tenancy.unowned() as session:
        return await (await db.driver(session)).fetchval(
            "INSERT INTO pgqueuer (priority, status, entrypoint, payload, headers, created, updated, execute_after)"
            " VALUES (0, 'failed', $1, '{}', $2::text::jsonb, now(), now(), now()) RETURNING id",
            name,
            f'{{"company": "{company_id}", "error": "Unavailable: no answer", "tries": 8}}',
        )


async def test_failed_work_is_shown_with_its_reason_and_tried_again(signed_in, day):
    job_id = await _held(day.seller.company_id)
    page = await signed_in.get("/jobs")
    assert "Booking a parcel" in words(page) and "Unavailable: no answer" in words(page)
    page = await signed_in.post("/jobs/again", job_id=str(job_id))
    assert "1 will be tried again now" in words(page) and "Nothing failed" in words(page)


async def test_another_companys_failed_work_is_neither_shown_nor_started(signed_in, company):
    job_id = await _held(company)
    assert "Nothing failed" in words(await signed_in.get("/jobs"))
    await signed_in.post("/jobs/again", job_id=str(job_id))
    async with tenancy.unowned() as session:
        assert [held.id for held in await jobs.held(session, company_id=company)] == [job_id]


# --- the buyer's page -----------------------------------------------------------------------------------------------


@pytest.fixture
async def parcel(day):
    return await world.shipment(day.seller.company_id, day.shipments["#KH2466"])


HIDDEN = ("Fatima", "Temple Street", "9845000014", "98450", "buyer14@")


async def test_the_buyer_sees_where_the_parcel_is_and_nobodys_data(browser, parcel):
    path = "/track/" + shipments.tracking_url(parcel).partition("/track/")[2]
    answer = await browser.http.get(path)
    text = words(answer.text)
    assert "Kaveri Handlooms Out for delivery today" in text and "to Hyderabad" in text
    assert "Bengaluru Hub" in text and "Last checked with the courier 12 min ago" in text
    assert not any(secret in answer.text for secret in HIDDEN)
    assert answer.headers["x-robots-tag"].startswith("noindex") and "noindex" in answer.text
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_by_awb_the_page_tells_less(browser, parcel):
    text = words(await browser.get(f"/track?awb={parcel.awb}"))
    assert "Out for delivery today" in text and "Kaveri" not in text and "₹" not in text and "to Hyderabad" not in text
    assert "We know no such parcel" in words(await browser.get("/track?awb=0000000000", status=404))


async def test_guessing_awbs_is_slowed_down(browser, parcel):
    for n in range(20):
        await browser.http.get(f"/track?awb=GUESS{n:05d}")
    answer = await browser.http.get(f"/track?awb={parcel.awb}", headers={"accept": "text/html"})
    assert answer.status_code == 429 and "Too many lookups" in words(answer.text)
