"""Stock out: what is pushed reaches the store or says why not; a newer number is never overwritten by an older one."""

import asyncio
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, update

from shipcrowd.channels import sending, stock, stocking
from shipcrowd.channels.contract import Listing, MarketplaceLevel, StockRefusal
from shipcrowd.channels.models import StockFeed, StockItem, StockPush
from shipcrowd.channels.stock import Level
from shipcrowd.connections import service as connections
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.jobs import Later
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable
from shipcrowd.orders.schemas import Fulfilment
from tests.channels import bazaar, look
from tests.support import drain


async def make(company, store, *levels, send=True):
    """A push of (variant, available) pairs, or of Levels; its id. Its job is left in the queue."""
    async with tenancy.acting_for(company) as session:
        connection = await connections.get(session, store)
        given = [level if isinstance(level, Level) else Level(level[1], "W1", level[0]) for level in levels]
        push = await stock.make(session, connection, given, actor="user:asha")
        if send:
            await stocking.enqueue_send(session, connection)
    return push.id


async def push_of(company, push_id):
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(StockPush).where(StockPush.id == push_id))).scalar_one()


async def states(company, push_id):
    async with tenancy.acting_for(company) as session:
        query = select(StockItem).where(StockItem.push_id == push_id).order_by(StockItem.id)
        rows = (await session.execute(query)).scalars()
        return {row.external_variant_id or row.sku: (row.state, row.code) for row in rows}


async def feeds(company):
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(StockFeed).order_by(StockFeed.reference))).scalars().all()


@pytest.fixture
async def known(company, store):
    """The store's marketplace stock was read: there is none."""
    await stocking.reading.read_marketplace_stock.run(company, store)
    return store


# --- the way out ----------------------------------------------------------------------------------------------------


async def test_a_push_reaches_the_store_batch_by_batch_and_each_refusal_has_its_reason(http, company, known, far):
    far.refuses["V3"] = ("untracked", "Bazaar does not count this.")
    body = {"levels": [{"external_variant_id": f"V{n}", "location": "W1", "available": n} for n in range(12)]}
    answer = await http.post(f"/integrations/bazaar/stores/{known}/push-stock", json=body)
    assert answer.status_code == 202
    made = answer.json()
    assert (made["state"], made["total"], made["queued"]) == ("queued", 12, 12)
    await drain()
    assert far.stock == {(f"V{n}", "W1"): n for n in range(12) if n != 3}
    assert [len(levels) for levels, _ in far.sent] == [5, 5, 2]
    shown = (await http.get(f"/integrations/bazaar/stores/{known}/stock-pushes/{made['id']}")).json()
    assert made["follow"].endswith(f"/stock-pushes/{made['id']}")
    assert (shown["state"], shown["accepted"], shown["refused"], shown["queued"]) == ("done", 11, 1, 0)
    assert [item["external_variant_id"] for item in shown["items"]] == [f"V{n}" for n in range(12)]
    (refused,) = [item for item in shown["items"] if item["state"] == "refused"]
    assert (refused["external_variant_id"], refused["code"]) == ("V3", "untracked")
    assert refused["reason"] == "Bazaar does not count this."
    (line,) = await look.log(company, "stock")
    assert (line.updated, line.failed) == (11, 1)
    assert str(made["id"]) in line.error


async def test_items_are_read_back_in_pages_and_by_state(http, company, known, far):
    far.refuses["V1"] = ("no", "No.")
    push = await make(company, known, *((f"V{n}", n) for n in range(7)))
    await drain()
    path, seen, after = f"/integrations/bazaar/stores/{known}/stock-pushes/{push}", [], None
    for _ in range(4):
        params = {"limit": 2} | ({"after": after} if after else {})
        page = (await http.get(path, params=params)).json()
        seen += [item["external_variant_id"] for item in page["items"]]
        after = page["next"]
    assert (seen, after) == ([f"V{n}" for n in range(7)], None)
    page = (await http.get(path, params={"state": "refused"})).json()
    assert [item["external_variant_id"] for item in page["items"]] == ["V1"]
    listed = (await http.get(f"/integrations/bazaar/stores/{known}/stock-pushes")).json()["items"]
    assert [each["id"] for each in listed] == [str(push)]


async def test_a_sku_is_sent_as_the_listing_that_has_it(company, known, far):
    far.on_sale = [[Listing("V1", "P1", "RED", "Red saree"), Listing("V2", "P2", "TWO", "Two"),
                    Listing("V3", "P3", "TWO", "Two again")]]  # fmt: skip
    await stocking.reading.read_listings.run(company, known)
    push = await make(
        company, known, Level(4, sku="RED"), Level(5, sku="TWO"), Level(6, sku="NONE"), Level(7, variant="V9")
    )
    await drain()
    assert await states(company, push) == {
        "V1": ("accepted", None),
        "TWO": ("refused", "ambiguous_sku"),
        "NONE": ("refused", "unknown_sku"),
        "V9": ("accepted", None),
    }
    (sent,) = [levels for levels, _ in far.sent]
    assert [(level.external_variant_id, level.sku, level.external_product_id) for level in sent] == [
        ("V1", "RED", "P1"),
        ("V9", None, None),
    ]


async def test_the_last_of_several_levels_for_one_thing_counts(company, known, far):
    far.on_sale = [[Listing("V1", "P1", "RED", "Red saree")]]
    await stocking.reading.read_listings.run(company, known)
    push = await make(company, known, ("V1", 3), ("V2", 1), Level(8, "W1", sku="RED"))
    await drain()
    assert far.stock == {("V1", "W1"): 8, ("V2", "W1"): 1}
    assert (await push_of(company, push)).total == 2


@pytest.mark.parametrize("levels", [[], [Level(1)], [Level(1, variant="V")] * (stock.MOST + 1)], ids=["0", "-", "many"])
async def test_a_push_that_makes_no_sense_is_refused_and_leaves_nothing(company, known, levels):
    with pytest.raises(Invalid):
        await make(company, known, *levels)
    async with tenancy.acting_for(company) as session:
        assert (await session.execute(select(StockPush))).scalars().all() == []


async def test_25000_levels_are_one_push_in_few_statements(company, known, far):
    push = await make(company, known, *((f"V{n}", n) for n in range(stock.MOST)), send=False)
    assert (await push_of(company, push)).queued == stock.MOST


async def test_the_same_request_twice_is_one_push(http, company, known, far):
    body = {"levels": [{"external_variant_id": "V1", "available": 3}]}
    path = f"/integrations/bazaar/stores/{known}/push-stock"
    first, second = [await http.post(path, json=body, headers={"idempotency-key": "k"}) for _ in range(2)]
    assert first.json() == second.json()
    await drain()
    assert len(far.sent) == 1


# --- newer and older ------------------------------------------------------------------------------------------------


async def test_an_older_push_is_superseded_where_a_newer_one_speaks(company, known, far):
    old = await make(company, known, ("V1", 1), ("V2", 1), send=False)
    new = await make(company, known, ("V1", 2))
    await drain()
    assert far.stock == {("V1", "W1"): 2, ("V2", "W1"): 1}
    assert await states(company, old) == {"V1": ("superseded", None), "V2": ("accepted", None)}
    assert await states(company, new) == {"V1": ("accepted", None)}


async def test_a_retried_old_push_cannot_land_after_a_newer_one(company, known, far):
    far.fail("set_stock", Unavailable("503"))
    old = await make(company, known, ("V1", 1))
    await drain()  # fails; its retry waits
    assert far.stock == {}
    await make(company, known, ("V1", 2))
    await drain()
    await drain(skip_waits=True)
    assert far.stock == {("V1", "W1"): 2}
    assert [level.available for levels, _ in far.sent for level in levels] == [2]
    assert await states(company, old) == {"V1": ("superseded", None)}


async def test_a_push_made_while_a_batch_is_on_the_wire_lands_last(company, known, far):
    async def meanwhile():
        far.before_stock = lambda: None
        await make(company, known, ("V1", 2))
        with pytest.raises(Later):  # one sender a store
            await stocking.send_stock.run(company, known)

    far.before_stock = meanwhile
    await make(company, known, ("V1", 1))
    await drain(skip_waits=True)
    assert [level.available for levels, _ in far.sent for level in levels] == [1, 2]
    assert far.stock == {("V1", "W1"): 2}


async def test_many_pushes_and_senders_at_once_leave_the_newest_number(company, known, far):
    async def slowly():
        await asyncio.sleep(0.01)

    far.before_stock = slowly

    async def one(n):
        await make(company, known, ("V1", n), (f"X{n}", n), send=False)
        for _ in range(20):
            try:
                return await stocking.send_stock.run(company, known)
            except Later:
                await asyncio.sleep(0.02)
        return None

    await asyncio.gather(*(one(n) for n in range(8)))
    await stocking.send_stock.run(company, known)
    async with tenancy.acting_for(company) as session:
        last = (
            await session.execute(
                select(StockItem.available)
                .where(StockItem.external_variant_id == "V1")
                .order_by(StockItem.seq.desc())
                .limit(1)
            )
        ).scalar_one()
        left = (await session.execute(select(StockItem).where(StockItem.state == "queued"))).scalars().all()
    assert left == []
    assert far.stock[("V1", "W1")] == last
    landed = [level.available for levels, _ in far.sent for level in levels if level.external_variant_id == "V1"]
    assert landed[-1] == last
    assert {(f"X{n}", "W1") for n in range(8)} <= set(far.stock)


async def test_pushes_made_at_once_have_each_a_number_of_their_own(company, known):
    made = await asyncio.gather(*(make(company, known, ("V1", n), send=False) for n in range(10)))
    assert sorted([(await push_of(company, push)).seq for push in made]) == list(range(1, 11))


async def test_a_sender_that_died_is_followed_by_another_and_may_not_go_on_itself(company, known, far):
    await make(company, known, *((f"V{n}", n) for n in range(7)))
    async with tenancy.acting_for(company) as session:
        dead = await sending.begin(session, known)
        batch = await sending.due(session, dead)
    assert len(batch.items) == 5  # and dies with them in hand
    await drain()
    assert far.sent == []
    with time_machine.travel(clock.now() + sending.LEASE + timedelta(seconds=1)):
        await drain(skip_waits=True)
        assert len(far.stock) == 7
        with pytest.raises(sending.LeaseLost):  # it was only slow
            async with tenancy.acting_for(company) as session:
                await sending.due(session, dead)


async def test_a_long_push_gives_its_worker_back_and_goes_on(company, known, far, monkeypatch):
    monkeypatch.setattr(stocking, "RUN", timedelta(0))
    push = await make(company, known, *((f"V{n}", n) for n in range(12)))
    assert await drain() == 4  # one batch a job, and one that finds nothing left
    assert [len(levels) for levels, _ in far.sent] == [5, 5, 2]
    assert (await push_of(company, push)).state == "done"
    assert len(far.stock) == 12


# --- trouble --------------------------------------------------------------------------------------------------------


async def test_a_store_in_trouble_is_sent_its_stock_later_and_by_the_clock_when_tries_run_out(company, known, far):
    far.fail("set_stock", *[Unavailable("503")] * 8)
    push = await make(company, known, ("V1", 1))
    await drain(skip_waits=True)
    assert (await push_of(company, push)).state == "queued"
    assert (await look.connection(company, known)).consecutive_errors == 1
    assert (await look.sync(company, known)).stock_busy_until is None
    await stocking.stock_due.run()
    await look.only(company)
    assert await look.jobs_waiting(company) == 0  # left alone for a while
    with time_machine.travel(clock.now() + stocking.LEFT_ALONE + timedelta(seconds=1)):
        await stocking.stock_due.run()
        await look.only(company)
        await drain()
    assert far.stock == {("V1", "W1"): 1}
    assert (await push_of(company, push)).state == "done"


async def test_a_store_that_lost_us_is_sent_its_stock_once_it_is_connected_again(company, known, far, connect):
    far.fail("set_stock", Disconnected("The token was revoked."))
    push = await make(company, known, ("V1", 1))
    await drain()
    assert (await look.connection(company, known)).status == "disconnected"
    assert (await push_of(company, push)).state == "queued"
    await connect()
    await drain()
    assert far.stock == {("V1", "W1"): 1}


async def test_what_the_store_refuses_as_a_whole_is_refused_with_its_words(company, known, far):
    far.fail("set_stock", Refused("scope", "This token may not write stock."))
    push = await make(company, known, *((f"V{n}", n) for n in range(7)))
    await drain()
    assert set((await states(company, push)).values()) == {("refused", "scope")}
    assert far.count("set_stock") == 1
    assert (await look.sync(company, known)).stock_busy_until is None


async def test_an_answer_that_cannot_be_read_leaves_its_batch_unknown_and_the_rest_goes_on(company, known, far):
    far.fail("set_stock", Malformed("half a reply"))
    push = await make(company, known, *((f"V{n}", n) for n in range(7)))
    await drain()
    found = await states(company, push)
    assert [found[f"V{n}"][0] for n in range(7)] == ["unknown"] * 5 + ["accepted"] * 2
    shown = await push_of(company, push)
    assert (shown.state, shown.unknown, shown.accepted) == ("done", 5, 2)


# --- files ----------------------------------------------------------------------------------------------------------


async def test_a_file_makes_the_push_wait_until_the_channel_reports(company, known, far):
    far.by_file = True
    push = await make(company, known, ("V1", 1), ("V2", 2))
    await drain()
    assert (await push_of(company, push)).state == "waiting"
    assert far.count("feed") == 0  # asked after half a minute
    far.report("FEED-1", StockRefusal("V2", "invalid", "Bazaar wants fewer."))
    await drain(skip_waits=True)
    assert await states(company, push) == {"V1": ("accepted", None), "V2": ("refused", "invalid")}
    assert (await push_of(company, push)).state == "done"
    assert [feed.state for feed in await feeds(company)] == ["done"]


async def test_a_file_under_way_is_asked_after_less_and_less_often(company, known, far):
    far.by_file = True
    await make(company, known, ("V1", 1))
    await drain()
    (feed,) = await feeds(company)
    waits = []
    for _ in range(6):
        with pytest.raises(Later) as later:
            await stocking.follow_feed.run(company, feed.id)
        waits.append(int(later.value.delay.total_seconds()))
    assert waits == [30, 60, 120, 240, 300, 300]


async def test_news_that_a_file_is_finished_is_followed_at_once(http, company, known, far):
    far.by_file = True
    push = await make(company, known, ("V1", 1))
    await drain()
    far.report("FEED-1")
    body, headers = bazaar.webhook("feeds/finished", far.external_id, {"feed": "FEED-1"})
    assert (await http.post("/webhooks/bazaar", content=body, headers=headers)).status_code == 200
    await drain()  # without waiting for the next look
    assert (await push_of(company, push)).state == "done"
    body, headers = bazaar.webhook("feeds/finished", far.external_id, {"feed": "FEED-77"})
    await http.post("/webhooks/bazaar", content=body, headers=headers)
    await drain(skip_waits=True)
    assert [(each.outcome, each.note) for each in await look.deliveries(company)] == [
        ("handled", "a file was worked off"),
        ("ignored", "no file of ours waits under that reference"),
    ]


async def test_two_looks_at_once_record_a_report_once(company, known, far):
    far.by_file = True
    push = await make(company, known, ("V1", 1))
    await drain()
    far.report("FEED-1")
    (feed,) = await feeds(company)
    await asyncio.gather(*(stocking.follow_feed.run(company, feed.id) for _ in range(4)))
    assert (await push_of(company, push)).accepted == 1
    assert len(await look.log(company, "stock")) == 1


async def test_a_file_that_failed_as_a_whole_marks_every_item_and_each_goes_once_more_by_itself(company, known, far):
    far.by_file = True
    far.refuses["V2"] = ("bad", "Bazaar knows no V2.")
    push = await make(company, known, ("V1", 1), ("V2", 2))
    await drain()
    far.report("FEED-1", failed="FATAL: the file could not be parsed")
    (feed,) = await feeds(company)
    await stocking.follow_feed.run(company, feed.id)
    assert await states(company, push) == {"V1": ("queued", "feed_failed"), "V2": ("queued", "feed_failed")}
    await drain()
    assert [(len(levels), singly) for levels, singly in far.sent] == [(2, False), (2, True)]
    assert await states(company, push) == {"V1": ("accepted", None), "V2": ("refused", "bad")}
    assert (await feeds(company))[0].state == "failed"


async def test_a_newer_push_waits_for_the_file_that_holds_an_older_number_and_lands_after_it(company, known, far):
    far.by_file = True
    await make(company, known, ("V1", 1))
    await drain()
    far.by_file = False
    new = await make(company, known, ("V1", 5), ("V2", 2))
    await drain()
    assert far.stock == {("V2", "W1"): 2}  # V1 may still be worked off from the file
    assert await states(company, new) == {"V1": ("queued", None), "V2": ("accepted", None)}
    far.report("FEED-1")
    assert far.stock[("V1", "W1")] == 1
    await drain(skip_waits=True)
    assert far.stock[("V1", "W1")] == 5


async def test_of_a_failed_file_only_what_no_newer_push_speaks_of_goes_again(company, known, far):
    far.by_file = True
    old = await make(company, known, ("V1", 1), ("V2", 1))
    await drain()
    await make(company, known, ("V1", 5))
    far.report("FEED-1", failed="FATAL")
    far.by_file = False
    await drain(skip_waits=True)
    assert far.stock == {("V1", "W1"): 5, ("V2", "W1"): 1}
    assert (await states(company, old))["V1"] == ("superseded", None)


@pytest.mark.parametrize("how", ["silence", "forgotten"])
async def test_a_file_nobody_reports_on_ends_unknown(company, known, far, how):
    far.by_file = True
    push = await make(company, known, ("V1", 1))
    await drain()
    (feed,) = await feeds(company)
    if how == "forgotten":
        far.fail("feed", Refused("not_found", "There is no such feed."))
        await stocking.follow_feed.run(company, feed.id)
    else:
        with time_machine.travel(clock.now() + sending.GIVEN_UP_AFTER + timedelta(minutes=1)):
            await stocking.follow_feed.run(company, feed.id)
    assert await states(company, push) == {"V1": ("unknown", "no_report")}
    assert (await push_of(company, push)).state == "done"


async def test_a_file_whose_follower_died_is_taken_up_by_the_clock(company, known, far):
    far.by_file = True
    push = await make(company, known, ("V1", 1))
    await stocking.send_stock.run(company, known)
    async with tenancy.unowned() as session:
        await (await look.db.driver(session)).execute("DELETE FROM pgqueuer")
    far.report("FEED-1")
    await stocking.stock_due.run()
    await look.only(company)
    assert await look.jobs_waiting(company) == 0  # its own look is not overdue
    with time_machine.travel(clock.now() + timedelta(minutes=5)):
        await stocking.stock_due.run()
        await look.only(company)
        await drain()
    assert (await push_of(company, push)).state == "done"


# --- what the marketplace holds -------------------------------------------------------------------------------------


async def test_what_the_marketplace_holds_itself_is_never_pushed(company, store, far):
    far.held = [[MarketplaceLevel("FBA-1", 9), MarketplaceLevel("FBA-2", 0, external_variant_id="V2")]]
    far.on_sale = [
        [
            Listing("V1", "P1", "FBA-1", "Held"),
            Listing("V3", "P3", "OURS", "Ours"),
            Listing("V4", "P4", "THEIRS", "Theirs", fulfilment=Fulfilment.marketplace_warehouse),
        ]
    ]
    await stocking.reading.read_listings.run(company, store)
    push = await make(company, store, ("V1", 1), ("V2", 1), ("V3", 1), ("V4", 1))
    await drain(skip_waits=True)  # the marketplace's stock was never read: it is, first
    assert far.count("marketplace_stock") == 1
    assert far.stock == {("V3", "W1"): 1}
    held = ("refused", "held_by_marketplace")
    assert await states(company, push) == {"V1": held, "V2": held, "V3": ("accepted", None), "V4": held}


async def test_a_listing_the_seller_ships_is_pushed_though_the_marketplace_once_held_it(company, store, far):
    far.held = [[MarketplaceLevel("SWITCHED", 0)]]
    far.on_sale = [[Listing("V1", "P1", "SWITCHED", "Was held", fulfilment=Fulfilment.seller)]]
    await stocking.reading.read_listings.run(company, store)
    await make(company, store, ("V1", 1))
    await drain(skip_waits=True)
    assert far.stock == {("V1", "W1"): 1}


async def test_where_it_cannot_be_known_what_the_marketplace_holds_nothing_is_pushed(company, store, far):
    far.fail("marketplace_stock", Refused("role", "Your app lacks the inventory role."))
    push = await make(company, store, ("V1", 1))
    await drain(skip_waits=True)
    assert far.sent == []
    assert await states(company, push) == {"V1": ("refused", "marketplace_stock_unknown")}


# --- who may --------------------------------------------------------------------------------------------------------


async def test_a_channel_without_the_ability_says_so(http, company, connect, far):
    store = await connect(platform="plain")
    base = f"/integrations/plain/stores/{store}"
    level = {"levels": [{"external_variant_id": "V1", "available": 1}]}
    refused = await http.post(f"{base}/push-stock", json=level)
    assert (refused.status_code, refused.json()["code"]) == (409, "channel_cannot")
    assert refused.json()["detail"] == "Plain does not let us set its stock."
    for method, path in (("GET", "fba-inventory"), ("GET", "marketplace-stock"), ("POST", "sync-marketplace-stock"),
                         ("GET", "listings"), ("POST", "sync-listings")):  # fmt: skip
        assert (await http.request(method, f"{base}/{path}")).status_code == 409, path
    async with tenancy.acting_for(company) as session:
        assert (await session.execute(select(StockPush))).scalars().all() == []


async def test_another_companys_store_is_not_found(http, company, known, who, far):
    push = await make(company, known, ("V1", 1))
    await drain()
    who.become(new_id())
    base = f"/integrations/bazaar/stores/{known}"
    level = {"levels": [{"external_variant_id": "V1", "available": 99}]}
    assert (await http.post(f"{base}/push-stock", json=level)).status_code == 404
    for path in ("stock-pushes", f"stock-pushes/{push}", "fba-inventory", "listings", "sync-status"):
        assert (await http.get(f"{base}/{path}")).status_code == 404, path
    await drain()
    assert far.stock == {("V1", "W1"): 1}


async def test_old_pushes_are_forgotten(company, known, far):
    from shipcrowd.channels import jobs

    push = await make(company, known, ("V1", 1))
    await drain()
    async with tenancy.acting_for(company) as session:
        await session.execute(update(StockPush).values(finished_at=clock.now() - timedelta(days=31)))
    await jobs.tidy.run()
    assert await states(company, push) == {}
