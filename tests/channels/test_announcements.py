"""Stores are told of parcels: once, in order, whatever runs twice, and not of what is over. With the real orders and
shipping underneath: parcels are booked by hand and moved by scans."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
import time_machine
from sqlalchemy import select, update

from shipcrowd.channels import announcements, jobs, service
from shipcrowd.channels.contract import Milestone
from shipcrowd.channels.models import AnnouncementState
from shipcrowd.couriers.contract import Progress, Scan
from shipcrowd.identity.models import Company
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.jobs import Later
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable
from shipcrowd.orders.models import OrderEvent
from shipcrowd.shipping import cancelling
from shipcrowd.shipping import jobs as shipping_jobs
from shipcrowd.shipping import service as shipping
from shipcrowd.shipping.models import Shipment
from shipcrowd.shipping.quoting import Package
from tests.channels import look
from tests.channels.bazaar import BazaarChannel, order
from tests.locations import make as places
from tests.support import drain


@pytest.fixture
async def ordered(company, store, far):
    """An order of the store, ready to ship; its id."""
    async with tenancy.acting_for(company) as session:
        session.add(Company(company_id=company, id=company, name="Kaveri Handlooms"))
    await places.create(company)
    far.put(order("1001", minutes_ago=1, external_ref="gid://Order/1001"))
    async with tenancy.acting_for(company) as session:
        await jobs.sweep.enqueue(session, company_id=company, connection_id=store)
    await drain()
    return (await look.one_order(company, "1001")).id


async def book(company: UUID, order_id: UUID, awb: str = "DL123456") -> UUID:
    """A parcel with an AWB; what hears of it is left in the queue."""
    async with tenancy.acting_for(company) as session:
        shipment = await shipping.book_by_hand(
            session,
            order_id,
            carrier="Delhivery",
            awb=awb,
            package=Package(600, 300, 200, 50),
            place_id=None,
            actor="user:asha",
        )
    await shipping_jobs.request_label.run(company, shipment.id)
    return shipment.id


async def scan(company: UUID, shipment_id: UUID, *progress: Progress, minutes: float = 0) -> None:
    for n, each in enumerate(progress):
        at = clock.now() + timedelta(minutes=minutes, seconds=n)
        async with tenancy.acting_for(company) as session:
            await shipping.take_scans(session, shipment_id, [Scan(at, each.value, each)], via="poll")


async def one(company: UUID):
    (row,) = await look.announcements(company)
    return row


async def test_a_booked_parcel_is_told_to_its_store(company, store, far, ordered):
    shipment = await book(company, ordered)
    await drain()
    (told,) = far.dispatches.values()
    assert (told.reference, told.awb, told.carrier) == (str(shipment), "DL123456", "Delhivery")
    assert [(line.external_line_id, line.units) for line in told.lines] == [("1001-1", 1)]
    assert told.notify_buyer
    row = await one(company)
    assert (row.state, row.dispatch_ref, row.order_ref) == ("sent", f"F-{shipment}", "gid://Order/1001")
    assert row.busy_until is None


async def test_telling_is_safe_to_repeat(company, store, far, ordered):
    shipment = await book(company, ordered)
    await drain()
    for _ in range(3):
        await jobs.announce.run(company, shipment)
    assert far.count("dispatched") == 1
    await scan(company, shipment, Progress.picked_up)
    await drain()
    for _ in range(3):
        await jobs.progress.run(company, shipment)
    assert far.milestones == [(f"F-{shipment}", Milestone.picked_up)]


async def test_two_jobs_at_once_tell_the_store_once(company, store, far, ordered):
    shipment = await book(company, ordered)
    outcomes = await asyncio.gather(*(jobs.announce.run(company, shipment) for _ in range(4)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), Later}
    assert far.count("dispatched") == 1


async def test_a_job_that_died_while_it_told_the_store_is_followed_by_another(company, store, far, ordered):
    shipment = await book(company, ordered)
    async with tenancy.acting_for(company) as session:
        assert await announcements.due(session, shipment) is not None  # and dies here
    with pytest.raises(Later):
        await jobs.announce.run(company, shipment)
    with time_machine.travel(clock.now() + announcements.LEASE + timedelta(seconds=1)):
        await jobs.announce.run(company, shipment)
    assert (await one(company)).state == AnnouncementState.sent


async def test_the_store_hears_how_the_parcel_fares(company, store, far, ordered):
    shipment = await book(company, ordered)
    await drain()
    for progress in (
        Progress.picked_up,
        Progress.in_transit,
        Progress.in_transit,
        Progress.out_for_delivery,
        Progress.delivery_failed,
        Progress.out_for_delivery,
        Progress.delivered,
    ):
        await scan(company, shipment, progress)
        await drain()
    assert [milestone for _, milestone in far.milestones] == [
        Milestone.picked_up,
        Milestone.in_transit,
        Milestone.out_for_delivery,
        Milestone.attempted,
        Milestone.out_for_delivery,
        Milestone.delivered,
    ]


async def test_a_parcel_that_moved_while_the_store_was_being_told_is_told_where_it_is(company, store, far, ordered):
    shipment = await book(company, ordered)
    await scan(company, shipment, Progress.picked_up, Progress.in_transit)
    await drain()
    assert far.count("dispatched") == 1
    assert far.milestones == [(f"F-{shipment}", Milestone.in_transit)]


async def test_a_parcel_that_goes_back_failed_and_is_not_talked_of_again(company, store, far, ordered):
    shipment = await book(company, ordered)
    await drain()
    for progress in (Progress.in_transit, Progress.rto_initiated, Progress.rto_in_transit, Progress.rto_delivered):
        await scan(company, shipment, progress)
        await drain()
    assert [milestone for _, milestone in far.milestones] == [Milestone.in_transit, Milestone.failed]


async def test_a_refusal_is_shown_and_can_be_tried_again(http, company, store, far, ordered):
    far.fail("dispatched", Refused("closed", "The order is closed at Bazaar."))
    await book(company, ordered)
    await drain(skip_waits=True)
    row = await one(company)
    assert (row.state, row.last_error, far.count("dispatched")) == ("refused", "The order is closed at Bazaar.", 1)
    (shown,) = (await http.get("/integrations/bazaar/announcements", params={"state": "refused"})).json()["items"]
    assert shown["last_error"] == "The order is closed at Bazaar."
    assert "did not take the news of 1 parcel" in (await http.get("/integrations/health")).json()["stores"][0]["words"]
    path = f"/integrations/bazaar/announcements/{row.id}/retry"
    assert (await http.post(path)).status_code == 202
    await drain()
    assert (await one(company)).state == AnnouncementState.sent
    assert (await http.post(path)).status_code == 409  # what was sent is not sent again


@pytest.mark.parametrize("failure", [Unavailable("503"), Malformed("half a reply")])
async def test_a_store_in_trouble_is_told_later(company, store, far, ordered, failure):
    far.fail("dispatched", failure, failure)
    await book(company, ordered)
    await drain()
    row = await one(company)
    assert (row.state, row.busy_until) == ("pending", None)
    await drain(skip_waits=True)
    assert (await one(company)).state == AnnouncementState.sent
    assert far.count("dispatched") == 3


async def told_kinds(company) -> list[str]:
    async with tenancy.acting_for(company) as session:
        return list((await session.execute(select(OrderEvent.kind).order_by(OrderEvent.id))).scalars())


async def test_after_five_failures_in_a_row_the_seller_is_told_once_and_it_is_tried_on(
    http, company, store, far, ordered
):
    shipment = await book(company, ordered)
    await drain()
    far.fail("moved", *[Unavailable("503")] * 7)
    await scan(company, shipment, Progress.picked_up)
    await drain()
    assert (await one(company)).failures == 1
    assert "store_not_told" not in await told_kinds(company)
    await drain(skip_waits=True)
    assert far.milestones == [(f"F-{shipment}", Milestone.picked_up)]  # the eighth try
    assert (await told_kinds(company)).count("store_not_told") == 1
    row = await one(company)
    assert (row.failures, row.last_error) == (0, "")


async def test_what_the_store_cannot_be_told_is_shown_and_told_by_hand(http, company, store, far, ordered):
    shipment = await book(company, ordered)
    await drain()
    far.fail("moved", *[Unavailable("503")] * 8)
    await scan(company, shipment, Progress.picked_up)
    await drain(skip_waits=True)
    row = await one(company)
    assert (row.state, row.failures) == ("sent", 8)
    assert (await http.get("/integrations/health")).json()["stores"][0]["refused_announcements"] == 1
    assert (await http.post(f"/integrations/bazaar/announcements/{row.id}/retry")).status_code == 202
    await drain()
    assert far.milestones == [(f"F-{shipment}", Milestone.picked_up)]
    assert (await one(company)).failures == 0


async def test_another_delivery_date_is_told_and_what_the_store_says_stands_on_the_timeline(
    http, company, store, far, ordered
):
    shipment = await book(company, ordered)
    await drain()
    url = f"/integrations/bazaar/stores/{store}/parcels/{shipment}/delivery-date"
    when = clock.now() + timedelta(days=3)
    assert (await http.post(url, json={"expected": when.isoformat()})).status_code == 202
    await drain()
    assert far.expected == [(f"F-{shipment}", when)]
    far.fail("rescheduled", Refused("late", "It is delivered."))
    await http.post(url, json={"expected": when.isoformat()})
    await drain()
    assert [kind for kind in await told_kinds(company) if kind.startswith("date_")] == ["date_told", "date_refused"]
    past = (clock.now() - timedelta(days=2)).isoformat()
    assert (await http.post(url, json={"expected": past})).status_code == 422
    assert (await http.post(url.replace(str(shipment), str(new_id())), json={"expected": past})).status_code == 404
    assert len(far.expected) == 1


async def test_a_store_that_lost_us_is_told_once_it_is_connected_again(company, store, far, ordered, connect):
    far.fail("dispatched", Disconnected("The token was revoked."))
    await book(company, ordered)
    await drain()
    assert (await look.connection(company, store)).status == "disconnected"
    assert (await one(company)).state == AnnouncementState.pending
    await connect()
    await drain()
    assert (await one(company)).state == AnnouncementState.sent


async def test_a_paused_store_is_told_on_resume(http, company, store, far, ordered):
    await http.post(f"/integrations/bazaar/stores/{store}/pause")
    await book(company, ordered)
    await drain()
    assert far.count("dispatched") == 0
    await http.post(f"/integrations/bazaar/stores/{store}/resume")
    await drain()
    assert far.count("dispatched") == 1


async def test_a_cancelled_parcel_is_taken_back(company, store, far, ordered):
    shipment = await book(company, ordered)
    await drain()
    await cancelling.ask(company, shipment, actor="user:asha")
    await drain()
    assert far.withdrawals == [f"F-{shipment}"]
    assert (await one(company)).state == AnnouncementState.withdrawn
    await jobs.withdraw.run(company, shipment)
    await jobs.announce.run(company, shipment)
    assert (far.count("withdrawn"), far.count("dispatched")) == (1, 1)
    again = await book(company, ordered, "DL999999")  # and booked anew: that is other news
    await drain()
    assert str(again) in far.dispatches


async def test_a_parcel_cancelled_before_the_store_heard_of_it_stays_unheard_of(company, store, far, ordered):
    shipment = await book(company, ordered)
    await cancelling.ask(company, shipment, actor="user:asha")
    await jobs.withdraw.run(company, shipment)  # overtakes the announcement
    await drain()
    assert (far.count("dispatched"), far.count("withdrawn")) == (0, 0)
    assert (await one(company)).state == AnnouncementState.withdrawn


async def test_a_store_that_does_not_take_a_parcel_back_is_shown(company, store, far, ordered):
    shipment = await book(company, ordered)
    await drain()
    far.fail("withdrawn", Refused("shipped", "Bazaar says it was delivered."))
    await cancelling.ask(company, shipment, actor="user:asha")
    await drain()
    row = await one(company)
    assert (row.state, row.last_error) == ("sent", "Bazaar says it was delivered.")
    assert (await told_kinds(company)).count("not_withdrawn") == 1


async def retyped(company: UUID, shipment_id: UUID, awb: str) -> None:
    """As after a wrongly typed AWB was corrected; what hears of it is still to run."""
    async with tenancy.acting_for(company) as session:
        await session.execute(update(Shipment).where(Shipment.id == shipment_id).values(awb=awb))


async def test_a_corrected_awb_is_told_after_the_wrong_one_was_taken_back(company, store, far, ordered):
    shipment = await book(company, ordered, "DL-WRONG")
    await drain()
    await retyped(company, shipment, "DL-RIGHT")
    await jobs.announce_anew.run(company, shipment)
    await drain()
    assert far.withdrawals == [f"F-{shipment}"]
    assert far.dispatches[str(shipment)].awb == "DL-RIGHT"
    row = await one(company)
    assert (row.state, row.last_error, row.busy_until) == ("sent", "", None)


@pytest.fixture
def edits(monkeypatch):
    """The channel edits what it was told."""
    monkeypatch.setattr(BazaarChannel, "corrected", BazaarChannel.dispatched, raising=False)


async def test_a_channel_that_edits_is_told_the_right_awb_in_place_of_the_wrong_one(
    company, store, far, ordered, edits
):
    shipment = await book(company, ordered, "DL-WRONG")
    await drain()
    await retyped(company, shipment, "DL-RIGHT")
    for _ in range(2):  # a job may run twice
        await jobs.announce_anew.run(company, shipment)
        await drain()
    assert far.withdrawals == []
    assert [each.awb for each in far.dispatches.values()] == ["DL-RIGHT"]
    row = await one(company)
    assert (row.state, row.dispatch_ref, row.busy_until) == ("sent", f"F-{shipment}", None)


async def test_a_correction_the_channel_does_not_take_is_shown_and_waits_for_whoever_talks_to_it(
    company, store, far, ordered, edits
):
    shipment = await book(company, ordered, "DL-WRONG")
    await retyped(company, shipment, "DL-RIGHT")
    async with tenancy.acting_for(company) as session:
        await announcements.due(session, shipment)  # another job tells the store just now
    with pytest.raises(Later):
        await jobs.announce_anew.run(company, shipment)
    async with tenancy.acting_for(company) as session:
        await announcements.let_go(session, (await one(company)).id, "")
    await drain()
    far.fail("dispatched", Refused("late", "Bazaar has closed this order."))
    await jobs.announce_anew.run(company, shipment)
    row = await one(company)
    assert (row.state, row.last_error, row.busy_until) == ("sent", "Bazaar has closed this order.", None)
    async with tenancy.acting_for(company) as session:
        [shown], _ = await announcements.page(session, connection_ids=[store], untold=True)
        told = select(OrderEvent.words).where(OrderEvent.order_id == ordered, OrderEvent.kind == "store_not_told")
        assert "did not take the corrected AWB" in (await session.execute(told)).scalar_one()
    assert shown.id == row.id

    # Told again it is the correction that is told, and not a step of the parcel's.
    async with tenancy.acting_for(company) as session:
        await service.announce_again(session, row.id, platform="bazaar")
    await drain()
    assert [each.awb for each in far.dispatches.values()] == ["DL-RIGHT"]
    async with tenancy.acting_for(company) as session:
        assert await announcements.page(session, connection_ids=[store], untold=True) == ([], None)
    right = await one(company)
    assert (right.state, right.last_error, right.wrong_awb) == ("sent", "", False)


async def test_a_correction_of_a_store_that_is_away_is_told_when_it_is_back(company, store, far, ordered, edits):
    shipment = await book(company, ordered, "DL-WRONG")
    await drain()
    await retyped(company, shipment, "DL-RIGHT")
    async with tenancy.acting_for(company) as session:
        await service.pause(session, store, platform="bazaar", actor="user:asha")
    await jobs.announce_anew.run(company, shipment)
    assert [each.awb for each in far.dispatches.values()] == ["DL-WRONG"]
    async with tenancy.acting_for(company) as session:
        await service.resume(session, store, platform="bazaar", actor="user:asha")
    await drain()
    assert [each.awb for each in far.dispatches.values()] == ["DL-RIGHT"]


async def test_a_refused_milestone_is_not_repeated_and_the_next_one_is_told(company, store, far, ordered):
    shipment = await book(company, ordered)
    await drain()
    far.fail("moved", Refused("order", "Bazaar wants no such news."))
    await scan(company, shipment, Progress.picked_up)
    await drain()
    assert (await one(company)).last_error == "Bazaar wants no such news."
    await scan(company, shipment, Progress.in_transit)
    await drain()
    assert [milestone for _, milestone in far.milestones] == [Milestone.in_transit]
    assert (await one(company)).last_error == ""


async def test_a_refused_step_stands_on_the_timeline_and_the_last_one_is_listed_and_told_by_hand(
    http, company, store, far, ordered
):
    shipment = await book(company, ordered)
    await drain()
    far.fail("moved", Refused("order", "Bazaar wants no such news."))
    await scan(company, shipment, Progress.picked_up)
    await drain()
    assert (await told_kinds(company)).count("step_refused") == 1
    assert (await http.get("/integrations/health")).json()["stores"][0]["refused_announcements"] == 0  # the next tells
    far.fail("moved", Refused("order", "Bazaar says it never left."))
    await scan(company, shipment, Progress.delivered)
    await drain()
    assert (await told_kinds(company)).count("step_refused") == 2
    assert (await http.get("/integrations/health")).json()["stores"][0]["refused_announcements"] == 1
    assert far.milestones == []
    row = await one(company)
    assert (await http.post(f"/integrations/bazaar/announcements/{row.id}/retry")).status_code == 202
    await drain()
    assert far.milestones == [(f"F-{shipment}", Milestone.delivered)]
    assert (await http.get("/integrations/health")).json()["stores"][0]["refused_announcements"] == 0


async def test_what_happened_while_a_store_was_away_is_told_when_it_is_back(
    http, company, store, far, ordered, connect
):
    shipment = await book(company, ordered)
    await drain()
    await http.post(f"/integrations/bazaar/stores/{store}/pause")
    await scan(company, shipment, Progress.picked_up)
    await drain()
    assert far.milestones == []
    await http.post(f"/integrations/bazaar/stores/{store}/resume")
    await drain()
    assert far.milestones == [(f"F-{shipment}", Milestone.picked_up)]
    far.fail("moved", Disconnected("The token was revoked."))
    await scan(company, shipment, Progress.delivered, minutes=1)
    await drain()
    assert (await look.connection(company, store)).status == "disconnected"
    await connect()
    await drain()
    assert far.milestones[1:] == [(f"F-{shipment}", Milestone.delivered)]
    await http.post(f"/integrations/bazaar/stores/{store}/pause")
    await http.post(f"/integrations/bazaar/stores/{store}/resume")
    await drain()
    assert len(far.milestones) == 2  # nothing new, nothing told


async def test_a_seller_who_wants_no_announcements_has_none(http, company, store, far, ordered):
    await http.patch(f"/integrations/bazaar/stores/{store}/settings", json={"announce": False})
    shipment = await book(company, ordered)
    await scan(company, shipment, Progress.picked_up)
    await drain()
    assert (far.count("dispatched"), await look.announcements(company)) == (0, [])


async def test_a_seller_may_keep_the_store_from_writing_to_the_buyer(http, company, store, far, ordered):
    await http.patch(f"/integrations/bazaar/stores/{store}/settings", json={"notify_buyer": False})
    await book(company, ordered)
    await drain()
    assert [told.notify_buyer for told in far.dispatches.values()] == [False]
