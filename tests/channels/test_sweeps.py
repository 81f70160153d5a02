"""Reading a store: where from, how far, what is skipped, and what happens when it breaks off."""

import asyncio
from datetime import timedelta

import pytest
import time_machine

from shipcrowd.channels import importing, jobs, service, sweeps
from shipcrowd.channels.contract import Page
from shipcrowd.channels.importing import Taken
from shipcrowd.kernel import clock, db, tenancy
from shipcrowd.kernel import jobs as queue
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.jobs import Later
from shipcrowd.kernel.outbound import Disconnected, Refused, Unavailable
from shipcrowd.orders import service as orders
from tests.channels import look
from tests.channels.bazaar import SHOPS, BazaarChannel, FarSide, order
from tests.support import drain


async def sweep(company, store, **options):
    async with tenancy.acting_for(company) as session:
        await jobs.sweep.enqueue(session, company_id=company, connection_id=store)
    return await drain(**options)


async def test_the_first_sweep_reads_as_far_back_as_the_seller_wants(company, connect, far):
    far.put(*(order(str(n), minutes_ago=60 * 24 * n) for n in range(1, 8)))
    store = await connect(days=5)
    await drain()
    assert await look.order_numbers(company) == ["#1", "#2", "#3", "#4"]
    assert far.hooks == f"http://127.0.0.1:8000/api/v1/webhooks/bazaar/{store}"
    synced = await look.sync(company, store)
    assert synced.orders_imported == 4
    assert synced.topics == ["app/uninstalled", "orders/create"]
    assert synced.swept_through is not None
    assert clock.now() - synced.swept_through < timedelta(minutes=1)
    (entry,) = await look.log(company)
    assert (entry.pages, entry.inserted, entry.failed, entry.error) == (2, 4, 0, "")
    assert entry.finished_at is not None


async def test_the_next_sweep_looks_back_a_little_and_changes_nothing_twice(company, store, far):
    before = await look.sync(company, store)
    far.put(order("1", minutes_ago=10), order("2", minutes_ago=20))  # one fell into the overlap
    await sweep(company, store)
    assert far.sinces[-1] == before.swept_through - timedelta(minutes=15)
    await sweep(company, store)
    assert await look.order_numbers(company) == ["#1"]
    assert [(entry.inserted, entry.unchanged) for entry in await look.log(company)] == [(0, 0), (1, 0), (0, 1)]


async def test_a_sweep_cut_short_goes_on_where_it_was(company, connect, far):
    far.put(*(order(str(n), minutes_ago=100 - n) for n in range(1, 8)))
    far.page_size = 2
    store = await connect()
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    third = iter(range(3))

    class Third(list):
        """Raises at the third page only."""

        def __bool__(self) -> bool:
            return next(third, None) == 2

        def pop(self, _=0):
            return Unavailable("502 in the middle")

    far.fails["orders"] = Third()
    async with tenancy.acting_for(company) as session:
        await jobs.sweep.enqueue(session, company_id=company, connection_id=store)
    await drain()  # runs until the failure; the retry is not due yet
    assert await look.order_numbers(company) == ["#1", "#2", "#3", "#4"]
    synced = await look.sync(company, store)
    assert synced.sweep_started_at is not None
    assert synced.sweeping_until is None
    assert synced.sweep_position == far.orders["4"].source_updated_at
    await drain(skip_waits=True)
    assert await look.order_numbers(company) == [f"#{n}" for n in range(1, 8)]
    assert far.sinces[-1] == far.orders["4"].source_updated_at  # not from the beginning, and without looking back
    synced = await look.sync(company, store)
    assert (synced.sweep_started_at, synced.sweep_position) == (None, None)
    first, second = await look.log(company)
    assert "Unavailable" in first.error
    assert second.error == ""


@pytest.fixture
def by_placing(monkeypatch):
    """The channel searches by the time of placing too."""

    async def placed(self, since):
        far = SHOPS[self.account.external_id]
        far.placed.append(since)
        known = sorted((each for each in far.orders.values() if each.placed_at >= since), key=lambda o: o.placed_at)
        for start in range(0, len(known), far.page_size):
            await self._call("orders")
            some = known[start : start + far.page_size]
            yield Page(tuple(some), through=some[-1].placed_at)

    monkeypatch.setattr(BazaarChannel, "placed", placed, raising=False)


async def test_an_import_goes_by_placing_and_what_changed_meanwhile_is_the_next_sweeps(
    company, connect, far, by_placing
):
    far.put(*(order(str(n), minutes_ago=600 - 100 * n) for n in range(1, 6)))
    far.put(order("old", minutes_ago=60 * 24 * 40, source_updated_at=clock.now() - timedelta(days=2)))
    far.page_size = 2
    store = await connect()
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    begun = clock.now()
    async with tenancy.acting_for(company) as session:
        run = await sweeps.begin(session, store)
    pages = sweeps.pages(run)
    first = await anext(pages)

    async def also(session, taken):
        await sweeps.advance(session, run, taken, first.through)

    await importing.take_page(run.source, first, also)
    async with tenancy.acting_for(company) as session:
        await sweeps.stop(session, run, "killed")
    synced = await look.sync(company, store)
    assert (synced.sweep_position, synced.swept_through) == (far.orders["2"].placed_at, None)

    # Read already, and changed before the import goes on.
    far.put(far.orders["1"].model_copy(update={"source_updated_at": clock.now(), "note": "gift"}))
    with time_machine.travel(clock.now() + timedelta(hours=2)):
        await sweep(company, store)
        assert far.placed[-1] == far.orders["2"].placed_at  # goes on where it was
        assert await look.order_numbers(company) == ["#1", "#2", "#3", "#4", "#5"]
        synced = await look.sync(company, store)
        assert begun <= synced.swept_through < begun + timedelta(minutes=1)
        await sweep(company, store)
        assert len(far.placed) == 2  # an import is made once
        assert far.sinces == [synced.swept_through - timedelta(minutes=15)]
        assert (await look.log(company))[-1].updated == 1


async def test_one_unreadable_order_costs_itself_only_and_is_replayed_after_a_fix(http, company, connect, far):
    far.put(order("1"), order("2"), order("3"))
    far.unreadable.add("2")
    store = await connect()
    await drain()
    assert await look.order_numbers(company) == ["#1", "#3"]
    (item,) = await look.failed(company)
    assert (item.external_id, item.reason) == ("2", "the product of a line is gone")
    listed = (await http.get("/integrations/bazaar/failed-items")).json()["items"]
    assert [each["external_id"] for each in listed] == ["2"]
    shown = (await http.get(f"/integrations/bazaar/failed-items/{item.id}")).json()
    assert shown["raw"] == {"id": "2", "sum": 1}

    await http.post(f"/integrations/bazaar/failed-items/{item.id}/replay")  # nothing was fixed yet
    await drain()
    (item,) = await look.failed(company)
    assert (item.times, item.resolved_at) == (2, None)

    far.unreadable.clear()
    await http.post(f"/integrations/bazaar/failed-items/{item.id}/replay")
    await drain()
    assert await look.order_numbers(company) == ["#1", "#2", "#3"]
    (item,) = await look.failed(company)
    assert item.resolved_at is not None
    assert item.raw is None
    assert (await http.get("/integrations/bazaar/failed-items")).json()["items"] == []
    assert (await look.sync(company, store)).swept_through is not None


async def test_an_order_that_cannot_be_stored_does_not_hold_its_page_back(company, connect, far, monkeypatch):
    real = orders.import_orders

    async def picky(session, *, connection_id, source, incoming):
        if any(each.external_id == "2" for each in incoming):
            raise Invalid("the order has no lines")
        return await real(session, connection_id=connection_id, source=source, incoming=incoming)

    monkeypatch.setattr(orders, "import_orders", picky)
    far.put(order("1"), order("2"), order("3"), order("4"))
    await connect()
    await drain()
    assert await look.order_numbers(company) == ["#1", "#3", "#4"]
    (item,) = await look.failed(company)
    assert (item.external_id, item.reason) == ("2", "the order has no lines")
    assert [(entry.inserted, entry.failed) for entry in await look.log(company)] == [(3, 1)]


async def test_an_order_the_database_refuses_is_isolated_too(company, connect, far):
    far.put(order("1"), order("2", number="bad\x00number"), order("3"))
    await connect()
    await drain()
    assert await look.order_numbers(company) == ["#1", "#3"]
    (item,) = await look.failed(company)
    assert item.external_id == "2"
    assert "Asha" not in item.reason


async def test_after_a_fix_all_failed_items_of_a_store_are_replayed_at_once(http, company, connect, far):
    far.put(*(order(str(n)) for n in range(1, 6)))
    far.unreadable.update({"1", "2", "4"})
    store = await connect()
    await drain()
    far.unreadable.clear()
    answer = await http.post(f"/integrations/bazaar/stores/{store}/failed-items/replay")
    assert (answer.status_code, answer.json()["items"]) == (202, 3)
    await drain()
    assert await look.order_numbers(company) == [f"#{n}" for n in range(1, 6)]
    assert (await http.get("/integrations/health")).json()["level"] == "ok"


async def test_a_later_sweep_that_can_read_an_order_resolves_it(company, connect, far):
    far.put(order("1", minutes_ago=5))
    far.unreadable.add("1")
    store = await connect()
    await drain()
    assert [item.resolved_at for item in await look.failed(company)] == [None]
    far.unreadable.clear()
    await sweep(company, store)
    assert await look.order_numbers(company) == ["#1"]
    assert (await look.failed(company))[0].resolved_at is not None


async def test_one_sweep_at_a_time_and_the_other_comes_after(company, store, far):
    async with tenancy.acting_for(company) as session:
        running = await sweeps.begin(session, store)
    assert running is not None
    with pytest.raises(Later) as later:
        async with tenancy.acting_for(company) as session:
            await sweeps.begin(session, store)
    assert later.value.delay <= sweeps.LOOK_AGAIN
    before = far.count("orders")
    await sweep(company, store)  # finds the lease taken, and is put back
    assert far.count("orders") == before
    async with tenancy.acting_for(company) as session:
        await sweeps.finish(session, running)
    far.put(order("1", minutes_ago=1))
    await drain(skip_waits=True)
    assert await look.order_numbers(company) == ["#1"]


async def test_two_sweeps_begun_at_once_are_one(company, store):
    async def begin():
        async with tenancy.acting_for(company) as session:
            return await sweeps.begin(session, store)

    outcomes = await asyncio.gather(begin(), begin(), begin(), return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["Later", "Later", "Run"]


async def test_the_lease_of_a_dead_sweep_runs_out_and_another_goes_on(company, store, far):
    async with tenancy.acting_for(company) as session:
        dead = await sweeps.begin(session, store)
    assert dead is not None
    far.put(order("1", minutes_ago=1))
    with time_machine.travel(clock.now() + sweeps.LEASE + timedelta(seconds=1)):
        await sweep(company, store)
        assert await look.order_numbers(company) == ["#1"]
        with pytest.raises(sweeps.LeaseLost):  # the dead one was only slow: it may not move the mark any more
            await advance(dead)


async def advance(run):
    async with tenancy.acting_for(run.source.company_id) as session:
        await sweeps.advance(session, run, Taken(), clock.now())


async def test_a_long_sweep_gives_its_worker_back_and_goes_on(company, connect, far, monkeypatch):
    monkeypatch.setattr(jobs, "RUN", timedelta(0))
    far.put(*(order(str(n), minutes_ago=100 - n) for n in range(1, 6)))
    far.page_size = 1
    await connect()
    await drain()
    assert await look.order_numbers(company) == [f"#{n}" for n in range(1, 6)]
    assert len(await look.log(company)) > 2


async def test_many_orders_changed_at_one_moment_do_not_stop_a_short_run(company, connect, far, monkeypatch):
    """A run that ends where it began would begin there for ever."""
    monkeypatch.setattr(jobs, "RUN", timedelta(0))
    at = clock.now() - timedelta(hours=1)
    far.put(*(order(str(n), source_updated_at=at) for n in range(1, 8)))
    far.page_size = 2
    await connect()
    await drain(limit=200)
    assert len(await look.order_numbers(company)) == 7


async def test_a_refusal_is_written_down_and_ten_in_a_row_pause_the_store(http, company, store, far):
    far.put(order("1", minutes_ago=1))
    for _ in range(10):
        far.fail("orders", Refused("plan", "Your Bazaar plan does not allow this."))
        await sweep(company, store)
    connection = await look.connection(company, store)
    assert connection.status == "paused"
    assert "Your Bazaar plan" in connection.reason
    assert [entry.error for entry in await look.log(company)][-1] == "Your Bazaar plan does not allow this."
    before = far.count("orders")
    await sweep(company, store)
    assert far.count("orders") == before
    assert (await http.post(f"/integrations/bazaar/stores/{store}/resume")).status_code == 200
    await drain()
    assert await look.order_numbers(company) == ["#1"]
    assert (await look.connection(company, store)).consecutive_errors == 0


async def test_a_store_in_trouble_is_tried_again_and_counts_one_error_when_tries_run_out(company, store, far):
    far.put(order("1", minutes_ago=1))
    far.fail("orders", *[Unavailable("503")] * 8)
    await sweep(company, store, skip_waits=True)
    assert (await look.connection(company, store)).consecutive_errors == 1
    assert (await look.sync(company, store)).sweeping_until is None
    await sweep(company, store)
    assert await look.order_numbers(company) == ["#1"]
    assert (await look.connection(company, store)).consecutive_errors == 0


async def test_a_dead_token_disconnects_the_store_and_loses_nothing(company, connect, far):
    store = await connect()
    await drain()
    far.put(order("1", minutes_ago=1))
    far.fail("orders", Disconnected("Bazaar no longer accepts the token."))
    await sweep(company, store)
    connection = await look.connection(company, store)
    assert (connection.status, connection.closed_at) == ("disconnected", None)
    await sweep(company, store)  # does nothing
    await connect()  # signed in again
    await drain()
    assert await look.order_numbers(company) == ["#1"]
    assert (await look.connection(company, store)).status == "connected"


async def test_the_clock_sweeps_only_what_is_due_and_connected(company, store, connect, far):
    await jobs.sweep_all.run()
    assert await look.jobs_waiting(company) == 0
    with time_machine.travel(clock.now() + timedelta(minutes=16)):
        await jobs.sweep_all.run()
        await jobs.sweep_all.run()  # the clock strikes again before a worker came
        assert await look.jobs_waiting(company) == 1
        await drain()
        await jobs.sweep_all.run()
        assert await look.jobs_waiting(company) == 0
    async with tenancy.acting_for(company) as session:
        await service.pause(session, store, platform="bazaar", actor="user:asha")
    with time_machine.travel(clock.now() + timedelta(hours=1)):
        await jobs.sweep_all.run()
        assert await look.jobs_waiting(company) == 0


async def test_subscriptions_the_store_dropped_are_made_again(company, store, far):
    far.hooks = None
    await jobs.resubscribe_all.run()
    await drain()
    assert far.hooks is not None
    assert len(await look.log(company, "subscribe")) == 1  # nothing new to tell the seller


async def test_an_order_gone_from_the_store_is_noted_and_its_failure_closed(http, company, store, far):
    far.unreadable.add("1")
    far.put(order("1", minutes_ago=1))
    await sweep(company, store)
    (item,) = await look.failed(company)
    far.orders.clear()
    far.unreadable.clear()
    await http.post(f"/integrations/bazaar/failed-items/{item.id}/replay")
    await drain()
    assert (await look.failed(company))[0].resolved_at is not None
    (entry,) = await look.log(company, "order")
    assert "no order 1" in entry.error


async def test_reaching_further_back_reads_the_older_orders_now(http, company, connect, far):
    far.put(order("old", minutes_ago=60 * 24 * 20), order("new", minutes_ago=60))
    store = await connect(days=3)
    await drain()
    assert await look.order_numbers(company) == ["#new"]
    through = (await look.sync(company, store)).swept_through
    answer = await http.patch(f"/integrations/bazaar/stores/{store}/settings", json={"import_days": 30})
    assert answer.json()["settings"]["import_days"] == 30
    await drain()
    assert await look.order_numbers(company) == ["#new", "#old"]
    assert (await look.sync(company, store)).swept_through >= through


async def test_two_companies_stores_do_not_see_each_other(company, store, connect, far):
    other, shop = new_id(), FarSide("narmada." + far.external_id)
    SHOPS[shop.external_id] = shop
    shop.put(order("9"))
    theirs = await service.connect_pasted(
        other, platform="bazaar", store=shop.external_id, given={"token": "tok-good-1"}, actor="user:mona"
    )
    await drain()
    assert (await look.order_numbers(company), await look.order_numbers(other)) == ([], ["#9"])
    await sweep(company, theirs)  # a job that names another company's store finds none
    assert await look.order_numbers(company) == []


async def test_reaching_further_back_while_a_sweep_runs_is_not_forgotten_at_its_end(company, store):
    async with tenancy.acting_for(company) as session:
        run = await sweeps.begin(session, store)
    since = clock.now() - timedelta(days=60)
    async with tenancy.acting_for(company) as session:
        await sweeps.reach_back(session, store, since)
    with pytest.raises(sweeps.LeaseLost):
        async with tenancy.acting_for(company) as session:
            await sweeps.advance(session, run, Taken(), clock.now())
    async with tenancy.acting_for(company) as session:
        await sweeps.finish(session, run)
    async with tenancy.acting_for(company) as session:
        again = await sweeps.begin(session, store)
    assert again.since == since


async def test_the_log_is_kept_for_a_month(company, store, far):
    with time_machine.travel(clock.now() + timedelta(days=31), tick=True):
        await sweep(company, store)
        assert len(await look.log(company)) == 2
        async with tenancy.unowned() as session:
            await jobs.tidy.enqueue(session)
        await drain()
        (kept,) = await look.log(company)
        assert clock.now() - kept.started_at < timedelta(days=1)
        async with tenancy.unowned() as session:
            assert (await queue.depth(session)).get("failed", 0) == 0
