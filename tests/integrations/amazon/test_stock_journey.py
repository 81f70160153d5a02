"""Stock at Amazon through the whole product: pushed, refused, worked off as a file or by itself, and read.

The product is wired to Amazon's stand-in on the real database; what a worker would do is done by `drain`.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from shipcrowd.channels import reading, sending, service, stocking, taking, vendors
from shipcrowd.channels import stock as pushes
from shipcrowd.channels.models import ListingRow, MarketplaceStock, StockFeed, StockItem, StoreSync, SyncEntry
from shipcrowd.channels.open import opened
from shipcrowd.channels.stock import Level
from shipcrowd.connections import routes
from shipcrowd.connections import service as connections
from shipcrowd.integrations import amazon as amazons
from shipcrowd.integrations.amazon import channel as channels
from shipcrowd.integrations.amazon import client as calling
from shipcrowd.integrations.amazon import listings, stock, subscriptions
from shipcrowd.kernel import db, outbound, tenancy
from shipcrowd.kernel.jobs import Later
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.orders.schemas import Fulfilment
from shipcrowd.sandbox.amazon.desk import AmazonDesk
from shipcrowd.sandbox.amazon.schemas import AmazonKnobChange, NewSeller, StockChange
from shipcrowd.sandbox.app import InProcess, sandbox
from shipcrowd.sandbox.desk import Desk
from shipcrowd.settings import settings
from tests.integrations.amazon.far_side import ARN
from tests.support import drain

KURTA, CHAI, FBA = "KURTA-BLU-M", "CHAI/250 g", "MAT-YOGA-FBA"


@dataclass
class Shop:
    """A seller at the stand-in, and their store with us."""

    desk: Desk
    seller: str
    company: UUID
    store: UUID

    @property
    def amazon(self) -> AmazonDesk:
        return self.desk.amazon

    async def push(self, *levels: tuple[str, int]) -> UUID:
        """As an API client would; what follows is left to `drain`."""
        async with acting_for(self.company) as session:
            connection = await connections.get(session, self.store)
            given = [Level(available, sku=sku) for sku, available in levels]
            made = await pushes.make(session, connection, given, actor="user:asha")
            await stocking.enqueue_send(session, connection)
        return made.id

    async def outcome(self, push: UUID) -> dict[str, tuple[str, str | None]]:
        async with acting_for(self.company) as session:
            rows = await session.execute(select(StockItem).where(StockItem.push_id == push))
            return {row.external_variant_id: (row.state, row.code) for row in rows.scalars()}

    def at_amazon(self) -> dict[str, int]:
        """SKU → what Amazon will sell of it, changes that do not show yet counted in."""
        seen = self.amazon.listings(self.seller)
        return {one.sku: one.waiting[-1] if one.waiting else one.quantity for one in seen}

    def asked(self, operation: str) -> int:
        return self.amazon.stats().requests.get(operation, 0)

    async def hear(self, topic: str) -> int:
        """What Amazon wrote into our queue of this type arrives, once each; how many letters."""
        letters = [one for one in self.desk.postman.log if one.topic == topic]
        for letter in letters:
            await taking.take(amazons.vendor, json.loads(letter.body)["MessageBody"].encode())
        return len(letters)

    async def read_all(self) -> None:
        """The clock has listings and FBA stock read."""
        await reading.read_listings.run(self.company, self.store)
        await reading.read_marketplace_stock.run(self.company, self.store)


async def rows(company: UUID, model: type):
    async with acting_for(company) as session:
        return (await session.execute(select(model).order_by(model.id))).scalars().all()


@pytest.fixture
async def shop(company, monkeypatch) -> AsyncIterator[Shop]:
    desk = Desk(seed=company.int % 2**32)
    for name, value in {
        "CLIENT_ID": desk.credentials.amazon_client_id,
        "CLIENT_SECRET": desk.credentials.amazon_client_secret,
        "APPLICATION_ID": desk.credentials.amazon_application_id,
        "QUEUE_ARN": ARN,
    }.items():
        monkeypatch.setenv(f"SHIPCROWD_AMAZON_{name}", value)
    settings.cache_clear()
    monkeypatch.setattr(sending, "SETTLED", timedelta(0))
    known, wire = vendors._Vendors.known, (outbound._Wire.transport, outbound._Wire.route, outbound._Wire.clients)
    vendors.use([amazons.vendor])
    outbound.use_wire(transport=InProcess(sandbox(desk)), read_seconds=2)
    routes._Known.by_account.clear()
    channels.forget_participations()
    subscriptions.forget_destinations()
    calling.forget_rates()
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
        await (await db.driver(session)).execute("DELETE FROM buckets")
    # Every feed and report is finished by the story, none by the clock.
    slow = AmazonKnobChange(feed_work_seconds=3600, report_seconds=3600, listing_seconds=0, search_lag_seconds=0)
    desk.amazon.set_knobs(slow)
    seller = desk.amazon.create_seller(NewSeller()).id
    given = {"refresh_token": desk.amazon.refresh_token(seller), "marketplace": "IN"}
    store = await service.connect_pasted(company, platform="amazon", store=seller, given=given, actor="user:asha")
    await drain()
    yield Shop(desk, seller, company, store)
    await desk.close()
    outbound._Wire.transport, outbound._Wire.route, outbound._Wire.clients = wire
    outbound._Wire.read_seconds = None
    vendors._Vendors.known = known
    settings.cache_clear()


@pytest.fixture
def by_feed(monkeypatch) -> None:
    """Two levels are many."""
    monkeypatch.setattr(stock, "FEED_SECONDS", -1.0)


# --- listings and FBA stock in ----------------------------------------------------------------------------------------


async def test_listings_and_fba_stock_are_read_by_themselves_when_a_seller_connects(shop):
    await shop.read_all()
    found = {row.sku: row for row in await rows(shop.company, ListingRow)}
    assert set(found) == {one.sku for one in shop.amazon.listings(shop.seller)}
    chai = found[CHAI]
    assert (chai.external_variant_id, chai.title, chai.price_paise) == (CHAI, "Masala chai, 250 g", Money(27500))
    assert (chai.weight_grams, chai.fulfilment) == (280, Fulfilment.seller)
    assert found[FBA].fulfilment == Fulfilment.marketplace_warehouse
    [level] = await rows(shop.company, MarketplaceStock)
    assert (level.sku, level.sellable, level.external_variant_id) == (FBA, 100, FBA)
    [sync] = await rows(shop.company, StoreSync)
    assert sync.listings_read_at is not None and sync.marketplace_read_at is not None


async def test_fba_stock_that_moves_is_read_again_for_one_notification_or_many(shop):
    await shop.read_all()
    before = shop.asked("getInventorySummaries")
    for quantity in (7, 8, 9):
        shop.amazon.set_stock(
            shop.seller, StockChange(sku=FBA, quantity=quantity, by_amazon=True, inbound=5, reserved=2)
        )
    assert await shop.hear("FBA_INVENTORY_AVAILABILITY_CHANGES") == 3
    await drain(skip_waits=True)
    assert shop.asked("getInventorySummaries") == before + 1
    [level] = await rows(shop.company, MarketplaceStock)
    assert (level.sellable, level.inbound, level.reserved) == (9, 5, 2)


async def test_more_fba_stock_than_a_page_holds_is_read_to_its_end(shop):
    for n in range(120):
        shop.amazon.set_stock(shop.seller, StockChange(sku=f"FBA-{n:03d}", quantity=n, by_amazon=True))
    await shop.read_all()
    levels = {row.sku: row.sellable for row in await rows(shop.company, MarketplaceStock)}
    assert levels == {f"FBA-{n:03d}": n for n in range(120)} | {FBA: 100}


async def test_more_listings_than_a_search_gives_come_from_a_report_when_it_is_written(shop, monkeypatch):
    monkeypatch.setattr(listings, "PAGED", 3)
    await drain()
    async with acting_for(shop.company) as session:
        await reading.read_now(session, reading.read_listings, await connections.get(session, shop.store))
    await drain()
    assert shop.asked("createReport") == 1 and await rows(shop.company, ListingRow) == []
    shop.amazon.advance_feeds()
    assert await shop.hear("REPORT_PROCESSING_FINISHED") == 1
    await drain()
    found = {row.sku: row for row in await rows(shop.company, ListingRow)}
    assert set(found) == {one.sku for one in shop.amazon.listings(shop.seller)}
    assert (found[CHAI].price_paise, found[FBA].fulfilment) == (Money(27500), Fulfilment.marketplace_warehouse)
    assert shop.asked("createReport") == 1
    await drain(skip_waits=True)  # the read that waited finds the same report
    assert shop.asked("createReport") == 1


async def test_a_poisoned_report_is_refused_and_what_was_known_stays(shop, monkeypatch):
    await shop.read_all()
    known = {row.sku for row in await rows(shop.company, ListingRow)}
    monkeypatch.setattr(listings, "PAGED", 3)
    with pytest.raises(outbound.Unavailable):
        await reading.read_listings.run(shop.company, shop.store)
    shop.amazon.advance_feeds()
    for poison in ("bomb", "not_gzip", "entities"):
        shop.amazon.set_knobs(AmazonKnobChange(poison=poison))
        await reading.read_listings.run(shop.company, shop.store)
        *_, entry = await rows(shop.company, SyncEntry)
        assert (entry.what, entry.error != "") == ("listings", True)
    assert {row.sku for row in await rows(shop.company, ListingRow) if row.gone_at is None} == known


# --- stock out, by itself ---------------------------------------------------------------------------------------------


async def test_a_few_numbers_are_patched_and_each_refusal_is_amazons_own(shop):
    await shop.read_all()
    push = await shop.push((KURTA, 18), (CHAI, 0), ("NO SUCH/SKU", 4))
    await drain(skip_waits=True)
    assert await shop.outcome(push) == {
        KURTA: ("accepted", None),
        CHAI: ("accepted", None),
        "NO SUCH/SKU": ("refused", "13013"),
    }
    at = shop.at_amazon()
    assert (at[KURTA], at[CHAI]) == (18, 0)
    assert shop.asked("createFeed") == 0


async def test_handling_time_stays_as_it_was(shop):
    shop.amazon.world.sellers[shop.seller].listings[KURTA].lead_days = 3
    await shop.read_all()
    await shop.push((KURTA, 18))
    await drain(skip_waits=True)
    [kurta] = [one for one in shop.amazon.listings(shop.seller) if one.sku == KURTA]
    assert (kurta.quantity, kurta.lead_days) == (18, 3)


async def test_what_amazon_holds_is_never_pushed(shop):
    """Before anything of the store was read, as after: a number of ours would take the listing out of FBA."""
    push = await shop.push((FBA, 3), (KURTA, 5))
    await drain(skip_waits=True)
    await shop.read_all()
    again = await shop.push((FBA, 4), (KURTA, 6))
    await drain(skip_waits=True)
    assert (await shop.outcome(push))[FBA] == (await shop.outcome(again))[FBA] == ("refused", "held_by_marketplace")
    [mat] = [one for one in shop.amazon.listings(shop.seller) if one.sku == FBA]
    assert (mat.by_amazon, mat.quantity, shop.at_amazon()[KURTA]) == (True, 100, 6)


async def test_an_fba_listing_nobody_read_yet_is_looked_up_first(shop):
    await shop.read_all()
    shop.amazon.set_stock(shop.seller, StockChange(sku="NEW-FBA", quantity=9, by_amazon=True))
    push = await shop.push(("NEW-FBA", 3))
    await drain(skip_waits=True)
    assert await shop.outcome(push) == {"NEW-FBA": ("refused", "held_by_marketplace")}
    assert shop.amazon.world.sellers[shop.seller].listings["NEW-FBA"].by_amazon


@pytest.mark.parametrize("kind", ["unavailable", "unavailable_after", "timeout_before", "timeout_after", "throttled"])
async def test_trouble_on_the_way_ends_in_the_same_numbers(shop, kind):
    await shop.read_all()
    shop.desk.faults.add("amazon", "patchListingsItem", kind, times=1)
    push = await shop.push((KURTA, 18), (CHAI, 19))
    await drain(skip_waits=True)
    assert {state for state, _ in (await shop.outcome(push)).values()} == {"accepted"}
    assert (shop.at_amazon()[KURTA], shop.at_amazon()[CHAI]) == (18, 19)


# --- as a file --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("by_feed")
async def test_many_go_as_a_file_followed_to_its_report(shop):
    await shop.read_all()
    push = await shop.push((KURTA, 21), (CHAI, 22), ("NO SUCH/SKU", 4))
    await drain()
    waiting = ("waiting", None)
    assert await shop.outcome(push) == {KURTA: waiting, CHAI: waiting, "NO SUCH/SKU": waiting}
    shop.amazon.advance_feeds()
    assert await shop.hear("FEED_PROCESSING_FINISHED") == 1
    await drain()
    assert await shop.outcome(push) == {
        KURTA: ("accepted", None),
        CHAI: ("accepted", None),
        "NO SUCH/SKU": ("refused", "13013"),
    }
    assert (shop.at_amazon()[KURTA], shop.at_amazon()[CHAI]) == (21, 22)
    assert shop.asked("patchListingsItem") == 0
    line = next(each for each in await rows(shop.company, SyncEntry) if each.what == "stock")
    assert (line.updated, line.failed) == (2, 1)


@pytest.mark.usefixtures("by_feed")
async def test_without_the_notification_a_file_is_asked_after(shop):
    await shop.read_all()
    push = await shop.push((KURTA, 21))
    await drain()
    shop.amazon.advance_feeds()
    await drain(skip_waits=True)
    assert await shop.outcome(push) == {KURTA: ("accepted", None)}
    assert shop.asked("createFeed") == 1


@pytest.mark.usefixtures("by_feed")
async def test_a_file_that_failed_as_a_whole_goes_once_more_one_by_one(shop):
    await shop.read_all()
    push = await shop.push((KURTA, 21), (CHAI, 22), ("NO SUCH/SKU", 4))
    await drain()
    [feed] = shop.amazon.world.running_feeds
    feed.input.content = b"\x00 spoilt on the way"
    shop.amazon.advance_feeds()
    [told] = shop.amazon.feeds(shop.seller)
    assert told.status == "FATAL"
    await shop.hear("FEED_PROCESSING_FINISHED")
    await drain(skip_waits=True)
    assert await shop.outcome(push) == {
        KURTA: ("accepted", None),
        CHAI: ("accepted", None),
        "NO SUCH/SKU": ("refused", "13013"),
    }
    assert (shop.at_amazon()[KURTA], shop.at_amazon()[CHAI]) == (21, 22)
    assert (shop.asked("createFeed"), shop.asked("patchListingsItem")) == (1, 3)
    [row] = await rows(shop.company, StockFeed)
    assert (row.state, "FATAL" in row.reason) == ("failed", True)


@pytest.mark.usefixtures("by_feed")
@pytest.mark.parametrize("kind", ["unavailable_after", "timeout_after"])
async def test_a_file_whose_making_was_not_answered_is_found_and_not_made_twice(shop, kind):
    await shop.read_all()
    shop.desk.faults.add("amazon", "createFeed", kind, times=1)
    push = await shop.push((KURTA, 21))
    await drain()
    assert len(shop.amazon.feeds(shop.seller)) == 1
    shop.amazon.advance_feeds()
    await drain(skip_waits=True)
    assert await shop.outcome(push) == {KURTA: ("accepted", None)}
    assert len(shop.amazon.feeds(shop.seller)) == 1


@pytest.mark.usefixtures("by_feed")
@pytest.mark.parametrize("heard", [True, False])
async def test_a_worker_killed_while_it_asks_for_a_file_leaves_it_to_one_that_looks(shop, heard):
    """Between Amazon's taking it and our writing it down; or before Amazon heard."""
    await shop.read_all()
    push = await shop.push((KURTA, 21))
    await stocking.send_stock.run(shop.company, shop.store)
    [feed] = await rows(shop.company, StockFeed)
    assert (feed.started_at, shop.asked("createFeed")) == (None, 0)
    async with acting_for(shop.company) as session:
        killed = await sending.feed_due(session, feed.id)
    if heard:
        channel = opened(killed.connection)
        await channel.start_feed(killed.reference, asked_at=killed.asked_at, known=killed.known)
    newer = await shop.push((KURTA, 5))
    await drain()
    assert len(shop.amazon.feeds(shop.seller)) == 1
    assert await shop.outcome(newer) == {KURTA: ("queued", None)}  # nothing passes the one that may be under way
    shop.amazon.advance_feeds()
    await shop.hear("FEED_PROCESSING_FINISHED")
    await drain()
    shop.amazon.advance_feeds()
    await drain(skip_waits=True)
    assert await shop.outcome(push) == await shop.outcome(newer) == {KURTA: ("accepted", None)}
    assert shop.at_amazon()[KURTA] == 5


@pytest.mark.usefixtures("by_feed")
async def test_what_may_have_been_heard_is_not_asked_for_again_at_once(shop, monkeypatch):
    monkeypatch.setattr(sending, "SETTLED", timedelta(minutes=2))
    await shop.read_all()
    await shop.push((KURTA, 21))
    await stocking.send_stock.run(shop.company, shop.store)
    await shop.push((CHAI, 22))
    await stocking.send_stock.run(shop.company, shop.store)
    first, second = await rows(shop.company, StockFeed)
    async with acting_for(shop.company) as session:
        assert await sending.feed_due(session, first.id) is not None
    for feed in (first, second):
        with pytest.raises(Later):
            await stocking.follow_feed.run(shop.company, feed.id)
    assert shop.asked("createFeed") == shop.asked("getFeeds") == 0


@pytest.mark.usefixtures("by_feed")
async def test_a_file_amazon_will_not_work_off_goes_one_by_one(shop):
    await shop.read_all()
    push = await shop.push((KURTA, 21))
    await stocking.send_stock.run(shop.company, shop.store)
    [feed] = await rows(shop.company, StockFeed)
    async with acting_for(shop.company) as session:
        (await session.get(StockFeed, (shop.company, feed.id))).reference = "amzn1.tortuga.nobodys"
    await drain(skip_waits=True)
    assert await shop.outcome(push) == {KURTA: ("accepted", None)}
    assert (shop.amazon.feeds(shop.seller), shop.asked("patchListingsItem")) == ([], 1)


@pytest.mark.usefixtures("by_feed")
async def test_a_newer_number_waits_for_the_file_and_lands_after_it(shop):
    await shop.read_all()
    first = await shop.push((KURTA, 21))
    await drain()
    second = await shop.push((KURTA, 5))
    await drain()
    assert len(shop.amazon.feeds(shop.seller)) == 1
    shop.amazon.advance_feeds()
    await shop.hear("FEED_PROCESSING_FINISHED")
    await drain()
    shop.amazon.advance_feeds()
    await drain(skip_waits=True)
    assert await shop.outcome(first) == await shop.outcome(second) == {KURTA: ("accepted", None)}
    assert shop.at_amazon()[KURTA] == 5


@pytest.mark.usefixtures("by_feed")
async def test_what_amazon_holds_is_not_in_the_file(shop):
    await shop.read_all()
    shop.amazon.set_stock(shop.seller, StockChange(sku="NEW-FBA", quantity=9, by_amazon=True))
    push = await shop.push((FBA, 3), ("NEW-FBA", 3), (KURTA, 5), ("x" * 41, 1))
    await drain()
    shop.amazon.advance_feeds()
    await drain(skip_waits=True)
    held = ("refused", "held_by_marketplace")
    assert await shop.outcome(push) == {
        FBA: held,
        "NEW-FBA": held,
        KURTA: ("accepted", None),
        "x" * 41: ("refused", "bad_sku"),
    }
    assert all(shop.amazon.world.sellers[shop.seller].listings[sku].by_amazon for sku in (FBA, "NEW-FBA"))


@pytest.mark.usefixtures("by_feed")
async def test_a_poisoned_report_is_never_taken_for_a_good_one(shop):
    await shop.read_all()
    push = await shop.push((KURTA, 21))
    await drain()
    shop.amazon.advance_feeds()
    for poison in ("bomb", "not_gzip", "entities"):
        shop.amazon.set_knobs(AmazonKnobChange(poison=poison))
        [feed] = await rows(shop.company, StockFeed)
        with pytest.raises(outbound.Malformed):
            await stocking.follow_feed.run(shop.company, feed.id)
    assert await shop.outcome(push) == {KURTA: ("waiting", None)}
    shop.amazon.set_knobs(AmazonKnobChange(poison=None))
    await stocking.follow_feed.run(shop.company, feed.id)
    assert await shop.outcome(push) == {KURTA: ("accepted", None)}
