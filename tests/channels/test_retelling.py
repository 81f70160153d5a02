"""What a store could not be told is not forgotten: the clock tells it again, wishes stand until they are answered, and
what leaves no trace at the store is told at most once."""

import asyncio
import dataclasses
from datetime import datetime, timedelta
from uuid import UUID

import pytest
import time_machine
from sqlalchemy import select, update

from shipcrowd.channels import announcements, jobs, untold, vendors
from shipcrowd.channels.contract import Milestone
from shipcrowd.channels.models import Announcement
from shipcrowd.couriers.contract import Progress
from shipcrowd.kernel import batches, clock, tenancy
from shipcrowd.kernel.outbound import Disconnected, Refused, Unavailable
from shipcrowd.orders.models import OrderEvent
from shipcrowd.shipping import cancelling
from tests.channels import bazaar, look
from tests.channels.test_announcements import book, one, ordered, scan, told_kinds
from tests.support import drain

__all__ = ["ordered"]

NEVER = [Unavailable("503")] * 8
"""As often as a step is tried by its own job."""


async def by_the_clock(company: UUID) -> None:
    await jobs.untold_due.run()
    await look.only(company)
    await drain(skip_waits=True)


async def told_again(company: UUID) -> None:
    """The moment of the next try has come."""
    async with tenancy.acting_for(company) as session:
        due = update(Announcement).where(Announcement.again_at.is_not(None))
        await session.execute(due.values(again_at=clock.now() - timedelta(seconds=1)))
    await by_the_clock(company)


async def told_words(company: UUID, kind: str) -> list[str]:
    async with tenancy.acting_for(company) as session:
        found = select(OrderEvent.words).where(OrderEvent.kind == kind).order_by(OrderEvent.at, OrderEvent.id)
        return list((await session.execute(found)).scalars())


# --- by the clock ---------------------------------------------------------------------------------------------------


async def test_the_last_step_that_ran_out_of_tries_is_told_again_by_the_clock(company, store, far, ordered):
    shipment = await book(company, ordered)
    await drain()
    far.fail("moved", *NEVER)
    await scan(company, shipment, Progress.delivered)
    await drain(skip_waits=True)
    row = await one(company)
    assert (row.failures, row.agains, far.milestones) == (8, 1, [])
    assert timedelta(minutes=55) < row.again_at - clock.now() <= timedelta(hours=1)
    await by_the_clock(company)
    assert far.count("moved") == 8  # not yet
    with time_machine.travel(clock.now() + timedelta(hours=1, minutes=1), tick=True):
        await by_the_clock(company)
    assert far.milestones == [(f"F-{shipment}", Milestone.delivered)]
    row = await one(company)
    assert (row.failures, row.last_error, row.again_at, row.agains) == (0, "", None, 0)
    assert (await told_kinds(company)).count("store_not_told") == 1


async def test_a_store_that_stays_away_is_told_further_and_further_apart_and_in_the_end_no_more(
    company, store, far, ordered
):
    shipment = await book(company, ordered)
    await drain()
    far.fail("moved", *NEVER, *[Unavailable("503")] * len(untold.AGAIN))
    await scan(company, shipment, Progress.delivered)
    await drain(skip_waits=True)
    waits = []
    while (row := await one(company)).again_at is not None:
        waits.append(row.again_at - clock.now())
        await told_again(company)
    assert [round(wait / timedelta(hours=1)) for wait in waits] == [1, 2, 4, 8, 24, 24, 24, 24, 24, 24]
    assert far.count("moved") == 8 + len(untold.AGAIN)
    words = await told_words(company, "store_not_told")
    assert len(words) == 2  # after the fifth failure, and when nobody tries any more
    assert "enter it there by hand" in words[1]
    async with tenancy.acting_for(company) as session:
        shown, _ = await announcements.page(session, connection_ids=[store], untold=True)
    assert len(shown) == 1  # it stays among what is looked at
    async with tenancy.acting_for(company) as session:
        await announcements.try_again(session, row.id)
        await jobs.tell_again.enqueue(session, company_id=company, shipment_id=shipment)
    await drain()
    assert far.milestones == [(f"F-{shipment}", Milestone.delivered)]


@pytest.mark.parametrize("what", ["dispatched", "withdrawn"])
async def test_a_parcel_nobody_could_announce_or_take_back_is_told_by_the_clock(company, store, far, ordered, what):
    if what == "dispatched":
        far.fail(what, *NEVER)
    shipment = await book(company, ordered)
    await drain(skip_waits=True)
    if what == "withdrawn":
        far.fail(what, *NEVER)
        await cancelling.ask(company, shipment, actor="user:asha")
        await drain(skip_waits=True)
    assert (far.dispatches == {}, far.withdrawals) == (what == "dispatched", [])
    await told_again(company)
    assert (len(far.dispatches), len(far.withdrawals)) == (1, what == "withdrawn")
    assert (await one(company)).again_at is None


async def test_a_refusal_is_the_stores_last_word_and_is_not_repeated_by_the_clock(company, store, far, ordered):
    shipment = await book(company, ordered)
    await drain()
    far.fail("moved", Refused("order", "Bazaar says it never left."))
    await scan(company, shipment, Progress.delivered)
    await drain()
    assert (await one(company)).again_at is None
    await told_again(company)
    assert far.count("moved") == 1


async def test_a_paused_store_is_not_called_by_the_clock_and_hears_when_it_is_back(http, company, store, far, ordered):
    shipment = await book(company, ordered)
    await drain()
    far.fail("moved", *NEVER)
    await scan(company, shipment, Progress.delivered)
    await drain(skip_waits=True)
    await http.post(f"/integrations/bazaar/stores/{store}/pause")
    await told_again(company)
    assert (far.count("moved"), (await one(company)).again_at is None) == (8, False)
    await http.post(f"/integrations/bazaar/stores/{store}/resume")
    await drain()
    assert far.milestones == [(f"F-{shipment}", Milestone.delivered)]


# --- another date ---------------------------------------------------------------------------------------------------


async def wish(http, store: UUID, shipment: UUID, days: int = 3) -> datetime:
    when = clock.now() + timedelta(days=days)
    url = f"/integrations/bazaar/stores/{store}/parcels/{shipment}/delivery-date"
    answer = await http.post(url, json={"expected": when.isoformat()})
    assert answer.status_code == 202, answer.text
    return when


async def test_a_date_the_store_could_not_be_told_is_shown_and_told_again(http, company, store, far, ordered):
    shipment = await book(company, ordered)
    await drain()
    far.fail("rescheduled", *NEVER)
    when = await wish(http, store, shipment)
    await drain(skip_waits=True)
    row = await one(company)
    assert (far.expected, row.failures, row.expected_at) == ([], 8, when)
    assert (await http.get("/integrations/health")).json()["stores"][0]["refused_announcements"] == 1
    assert "store_not_told" in await told_kinds(company)
    await told_again(company)
    assert far.expected == [(f"F-{shipment}", when)]
    assert (await told_kinds(company)).count("date_told") == 1
    row = await one(company)
    assert (row.failures, row.expected_at) == (0, None)


async def test_a_date_wished_for_while_the_store_was_away_or_knew_nothing_waits(http, company, store, far, ordered):
    shipment = await book(company, ordered)  # the store has not heard of it yet
    first = await wish(http, store, shipment)
    await jobs.tell_date.run(company, shipment)
    assert far.expected == []
    await drain()
    assert far.expected == [(f"F-{shipment}", first)]
    far.fail("rescheduled", Disconnected("The token was revoked."))
    second = await wish(http, store, shipment, days=4)
    await drain()
    assert (await one(company)).expected_at == second
    async with tenancy.acting_for(company) as session:
        await announcements.let_go(session, (await one(company)).id, "")
    assert (await look.connection(company, store)).status == "disconnected"


async def test_of_two_dates_the_later_wish_holds_even_while_the_first_is_told(http, company, store, far, ordered):
    shipment = await book(company, ordered)
    await drain()
    first = await wish(http, store, shipment)
    async with tenancy.acting_for(company) as session:
        told = await announcements.date_due(session, shipment)  # it is being told …
    second = await wish(http, store, shipment, days=6)  # … when another is wished for
    async with tenancy.acting_for(company) as session:
        assert await announcements.rescheduled(session, told.announcement_id, first, None)
    await drain()
    assert far.expected == [(f"F-{shipment}", second)]


async def test_a_parcel_that_is_there_needs_no_date_and_one_the_store_refused_takes_none(
    http, company, store, far, ordered
):
    far.fail("dispatched", Refused("order", "Bazaar knows no such order."))
    shipment = await book(company, ordered)
    await drain()
    url = f"/integrations/bazaar/stores/{store}/parcels/{shipment}/delivery-date"
    answer = await http.post(url, json={"expected": (clock.now() + timedelta(days=3)).isoformat()})
    assert (answer.status_code, answer.json()["code"]) == (409, "store_not_told_of_it")
    assert (await one(company)).expected_at is None
    row = await one(company)
    await http.post(f"/integrations/bazaar/announcements/{row.id}/retry")
    await drain()
    far.fail("rescheduled", *NEVER)
    await wish(http, store, shipment)
    await drain(skip_waits=True)
    await scan(company, shipment, Progress.delivered)
    await drain()
    await told_again(company)
    assert ((await one(company)).expected_at, far.expected) == (None, [])


# --- told at most once ----------------------------------------------------------------------------------------------


@pytest.fixture
def forgetful(store) -> None:
    """The store keeps no trace of delivery attempts."""
    known = dataclasses.replace(bazaar.vendor, keeps_no_trace_of=frozenset({Milestone.attempted}))
    vendors.use([known, bazaar.RUGGED, bazaar.PLAIN])


def attempts(far) -> list[Milestone]:
    return [milestone for _, milestone in far.milestones if milestone is Milestone.attempted]


async def test_an_attempt_is_told_once_after_what_went_before(company, far, ordered, forgetful):
    shipment = await book(company, ordered)
    await drain()
    await scan(company, shipment, Progress.delivery_failed)
    await drain()
    assert [milestone for _, milestone in far.milestones] == [Milestone.in_transit, Milestone.attempted]
    assert (await one(company)).unsure_of is None


@pytest.mark.parametrize("lost", [Unavailable("timed out", maybe_received=True), asyncio.CancelledError()])
async def test_an_attempt_whose_answer_was_lost_is_not_told_again_and_that_is_said(
    company, far, ordered, forgetful, monkeypatch, lost
):
    shipment = await book(company, ordered)
    await drain()
    await scan(company, shipment, Progress.delivery_failed)
    real = bazaar.BazaarChannel.moved

    async def heard_and_lost(self, ref, milestone, at, message):
        await real(self, ref, milestone, at, message)
        if milestone is Milestone.attempted:
            raise lost

    monkeypatch.setattr(bazaar.BazaarChannel, "moved", heard_and_lost)
    with pytest.raises(type(lost)):
        await jobs.progress.run(company, shipment)
    monkeypatch.setattr(bazaar.BazaarChannel, "moved", real)
    await drain(skip_waits=True)
    assert len(attempts(far)) == 1
    row = await one(company)
    assert (row.last_milestone, row.unsure_of, row.last_error) == ("attempted", None, announcements.UNKNOWN)
    assert (await told_kinds(company)).count("step_unknown") == 1
    # A person who looked there has it told again; the next step is told as ever.
    async with tenancy.acting_for(company) as session:
        await announcements.try_again(session, row.id)
    await jobs.progress.run(company, shipment)
    assert len(attempts(far)) == 2
    await scan(company, shipment, Progress.delivered, minutes=1)
    await drain()
    assert far.milestones[-1][1] is Milestone.delivered


async def test_an_attempt_that_was_certainly_not_heard_is_told_again(company, far, ordered, forgetful):
    shipment = await book(company, ordered)
    await drain()
    await scan(company, shipment, Progress.delivery_failed)
    real = bazaar.BazaarChannel.moved
    failures = [Unavailable("no connection"), Unavailable("no connection")]

    async def unheard(self, ref, milestone, at, message):
        if milestone is Milestone.attempted and failures:
            raise failures.pop()
        await real(self, ref, milestone, at, message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bazaar.BazaarChannel, "moved", unheard)
        await drain(skip_waits=True)
    assert len(attempts(far)) == 1
    assert (await one(company)).last_error == ""


# --- ready to be dispatched -----------------------------------------------------------------------------------------


async def test_parcels_made_ready_at_a_paused_store_are_told_when_it_is_back(http, company, store, far, ordered):
    shipment = await book(company, ordered)
    await drain()
    base = f"/integrations/bazaar/stores/{store}"
    assert (await http.post(f"{base}/dispatch", json={"shipment_ids": [str(shipment)]})).status_code == 202
    await http.post(f"{base}/pause")
    await drain()
    assert far.ready == []
    assert [kind for kind in await told_kinds(company) if kind.startswith("dispatch")] == ["dispatch_waits"]
    await http.post(f"{base}/resume")
    await drain()
    assert [parcel.reference for parcel in far.ready] == [str(shipment)]
    assert (await one(company)).ready_asked_at is None
    await http.post(f"{base}/pause")
    await http.post(f"{base}/resume")
    await drain()
    assert len(far.ready) == 1  # once


async def test_a_store_lost_while_it_is_told_hears_of_ready_parcels_after_it_is_connected_again(
    http, company, store, far, ordered, connect
):
    shipment = await book(company, ordered)
    await drain()
    far.fail("ready_to_dispatch", Disconnected("The token was revoked."))
    await http.post(f"/integrations/bazaar/stores/{store}/dispatch", json={"shipment_ids": [str(shipment)]})
    await drain()
    assert (await look.connection(company, store)).status == "disconnected"
    await connect()
    await drain()
    assert len(far.ready) == 1


async def test_a_marketplace_that_does_not_answer_is_told_by_the_clock_and_one_that_left_is_not(
    http, company, store, far, ordered
):
    shipment = await book(company, ordered)
    await drain()
    path = f"/integrations/bazaar/stores/{store}/dispatch"
    far.fail("ready_to_dispatch", *NEVER)
    await http.post(path, json={"shipment_ids": [str(shipment)]})
    await drain(skip_waits=True)
    row = await one(company)
    assert (far.ready, row.again_at is None) == ([], False)
    assert "dispatch_waits" in await told_kinds(company)
    await told_again(company)
    assert len(far.ready) == 1
    await http.post(path, json={"shipment_ids": [str(shipment)]})
    await scan(company, shipment, Progress.picked_up)
    await drain()
    assert len(far.ready) == 1  # it was picked up before the job ran
    assert (await one(company)).ready_asked_at is None


# --- however many ---------------------------------------------------------------------------------------------------


async def test_more_than_a_page_waits_for_a_store_and_all_of_it_is_told(
    http, company, store, far, ordered, monkeypatch
):
    monkeypatch.setattr(batches.ids, "__kwdefaults__", {"size": 2})
    base = f"/integrations/bazaar/stores/{store}"
    for n in range(5):
        far.put(bazaar.order(f"20{n}", minutes_ago=1, external_ref=f"gid://Order/20{n}"))
    async with tenancy.acting_for(company) as session:
        await jobs.sweep.enqueue(session, company_id=company, connection_id=store)
    await drain()
    orders = [(await look.one_order(company, f"20{n}")).id for n in range(5)]
    await drain()
    for order_id in orders:
        await http.post(f"{base}/orders/{order_id}/cancel", json={})
    await http.post(f"{base}/pause")
    await drain()
    assert far.cancelled == []
    await http.post(f"{base}/resume")
    await drain()
    assert len(far.cancelled) == 5
