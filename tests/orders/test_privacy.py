"""Buyers are forgotten by age: how old, for whom, and in steps that can be stopped."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import time_machine
from sqlalchemy import select

from shipcrowd import wiring
from shipcrowd.channels import failures, importing
from shipcrowd.channels import jobs as channel_jobs
from shipcrowd.channels.models import FailedItem
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Kind
from shipcrowd.couriers.contract import Pod, Progress
from shipcrowd.identity.models import Company
from shipcrowd.kernel import db, events, inbox, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.jobs import run_one
from shipcrowd.orders import jobs, pii, privacy, queries, retention, service
from shipcrowd.orders.models import Order
from shipcrowd.orders.schemas import OrderEdit, SourceState
from shipcrowd.pincodes.address import AddressIn
from shipcrowd.settings import settings
from shipcrowd.shipping import booking, news
from shipcrowd.shipping.models import Shipment
from tests import make
from tests.channels import look
from tests.make import address, courier, incoming
from tests.make.courier import NoCredentials
from tests.shipping.support import ship
from tests.shipping.test_tracking import history
from tests.support import dequeue, drain

DAY = timedelta(days=1)
BEGAN = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def _quiet():
    before = events._Wired.listeners
    events.listen(wiring.LISTENERS)
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    yield
    events._Wired.listeners = before


async def take(company, *orders, source="shopify"):
    async with tenancy.acting_for(company) as session:
        return (await service.import_orders(session, connection_id=company, source=source, incoming=orders)).inserted


async def known(company):
    """Numbers of the orders whose buyer is known."""
    async with tenancy.acting_for(company) as session:
        rows = (await session.execute(select(Order).order_by(Order.number))).scalars().all()
    return [row.number for row in rows if pii.buyer_of(row) != pii.Buyer()]


async def forget(company):
    async with tenancy.acting_for(company) as session:
        await jobs.forget_buyers.enqueue(session, company_id=company)
    await drain()


@pytest.mark.parametrize(
    ("source", "state", "stays", "goes"),
    [
        ("shopify", SourceState.delivered, 179, 181),
        ("shopify", SourceState.cancelled, 179, 181),
        ("shopify", SourceState.open, 179, 181),  # never ended: from its last change
        ("amazon", SourceState.delivered, 29, 31),
        ("amazon", SourceState.nothing_to_ship, 29, 31),  # shipped from Amazon's own warehouse
    ],
)
async def test_how_long_a_buyer_is_known_depends_on_the_channel(company, source, state, stays, goes):
    with time_machine.travel(BEGAN, tick=True):
        order = incoming(state=state)
        await take(company, order, source=source)
    with time_machine.travel(BEGAN + stays * DAY, tick=True):
        await forget(company)
        assert await known(company) == [order.number]
    with time_machine.travel(BEGAN + goes * DAY, tick=True):
        await forget(company)
        assert await known(company) == []


async def test_a_setting_shortens_the_time_and_cannot_lengthen_amazons(monkeypatch):
    class Said:
        buyer_data_days = 10

    monkeypatch.setattr(retention, "settings", Said)
    assert (privacy.days("shopify"), privacy.days("amazon")) == (10, 10)
    Said.buyer_data_days = 400
    assert (privacy.days("shopify"), privacy.days("amazon")) == (400, 30)


async def test_an_order_that_changed_after_its_end_is_not_known_longer(company):
    with time_machine.travel(BEGAN, tick=True):
        order = incoming(state=SourceState.cancelled)
        await take(company, order)
    with time_machine.travel(BEGAN + 100 * DAY, tick=True):
        await take(company, order.model_copy(update={"source_updated_at": BEGAN + 100 * DAY, "tags": ("late",)}))
    with time_machine.travel(BEGAN + 181 * DAY, tick=True):
        await forget(company)
    assert await known(company) == []


async def test_it_goes_on_where_it_was_stopped_and_touches_nobody_elses(company, monkeypatch):
    other = new_id()
    with time_machine.travel(BEGAN, tick=True):
        old = [incoming(state=SourceState.cancelled) for _ in range(7)]
        await take(company, *old)
        theirs = incoming(state=SourceState.cancelled)
        await take(other, theirs)
    redact, calls = privacy.redact_old, []

    async def stopped_once(session, *, after):
        calls.append(after)
        if len(calls) == 3:
            raise RuntimeError("the worker is stopped")
        return await redact(session, after=after, limit=2)

    monkeypatch.setattr(privacy, "redact_old", stopped_once)
    with time_machine.travel(BEGAN + 181 * DAY, tick=True):
        young = incoming()
        await take(company, young)
        await forget(company)
        assert len(await known(company)) == 4  # three old ones and the young one
        await drain(skip_waits=True)
        assert await known(company) == [young.number]
        assert len(calls) == 5
        assert calls[2] == calls[3]
        await forget(company)  # twice is as once
    assert await known(other) == [theirs.number]
    async with tenancy.acting_for(company) as session:
        ids = (await session.execute(select(Order.id))).scalars().all()
        told = [(await queries.timeline(session, order_id))[0].kind for order_id in ids]
    assert told.count("redacted") == 7


async def test_a_forgotten_order_is_not_booked_until_an_address_is_typed_and_then_forgotten_again(company):
    with time_machine.travel(BEGAN, tick=True):
        order = incoming()
        (order_id,) = await take(company, order)
        async with tenancy.acting_for(company) as session:
            await service.note(session, order_id, words="call Asha on 9000000001", actor="user:1")
            await service.hold(session, order_id, reason="Asha is away", actor="user:1")
    with time_machine.travel(BEGAN + 181 * DAY, tick=True):
        await forget(company)
        await take(company, order.model_copy(update={"source_updated_at": BEGAN + DAY}))
        async with tenancy.acting_for(company) as session:
            found = await queries.whole(session, order_id)
            assert service.why_not_bookable(found.order)["ship_to"] == privacy.GAP
            assert "Asha" not in str([(event.words, event.details) for event in found.events] + found.order.holds)
            await service.release(session, order_id, actor="user:1")
            await service.edit(
                session, order_id, OrderEdit(ship_to=AddressIn(**address().model_dump())), actor="user:1"
            )
        async with tenancy.acting_for(company) as session:
            assert service.why_not_bookable((await queries.whole(session, order_id)).order) == {}
    with time_machine.travel(BEGAN + 363 * DAY, tick=True):
        await forget(company)
    assert await known(company) == []


async def test_parcels_are_forgotten_with_their_orders_and_an_end_is_an_end():
    script = await courier.installed()
    del script
    with time_machine.travel(BEGAN, tick=True):
        company = await make.company()
        back, lost, way = await make.orders(company, incoming(), incoming(), incoming())
        parcels = [await ship(company, order_id) for order_id in (back, lost, way)]
        await drain()
        ends = (
            (Progress.picked_up, Progress.rto_initiated, Progress.rto_delivered),
            (Progress.picked_up, Progress.lost),
            (Progress.picked_up, Progress.in_transit),
        )
        for shipment_id, steps in zip(parcels, ends, strict=True):
            async with tenancy.acting_for(company) as session:
                awb = (await session.get(Shipment, (company, shipment_id))).awb
            await news.tell("velocity", awb, history(*steps, start=BEGAN - DAY), via="poll", pod=Pod(receiver="Asha"))
    async with tenancy.acting_for(company) as session:
        ended = [(await service.got(session, order_id)).ended_at is not None for order_id in (back, lost, way)]
    assert ended == [True, True, False]

    async def receivers():
        async with tenancy.acting_for(company) as session:
            rows = [await session.get(Shipment, (company, shipment_id)) for shipment_id in parcels]
        assert all((row.pod is None) == (row.redacted_at is not None) for row in rows)
        return [booking.receiver(row).name for row in rows]

    with time_machine.travel(BEGAN + 179 * DAY, tick=True):
        await forget(company)
        assert await receivers() == ["Asha Rao"] * 3
    with time_machine.travel(BEGAN + 181 * DAY, tick=True):
        await forget(company)
        # The third has not moved for as long as buyers are kept at all: it counts as ended.
        assert await receivers() == ["", "", ""]
        await forget(company)


async def test_the_daily_round_reaches_every_company_and_young_failures_stay(company):
    company = await make.company(with_place=False, wallet_rupees="0")

    async def keep(external_id):
        async with tenancy.acting_for(company) as session:
            await failures.keep(
                session,
                connection_id=store.id,
                vendor="bazaar",
                external_id=external_id,
                reason="x",
                raw={"to": "Asha"},
            )

    with time_machine.travel(BEGAN, tick=True):
        await take(company, incoming(state=SourceState.cancelled))
        async with tenancy.acting_for(company) as session:
            store = await connections.connect(
                session,
                vendor="bazaar",
                external_id=str(company),
                name="B",
                kind=Kind.channel,
                credentials=NoCredentials(),
            )
        await keep("old")
    with time_machine.travel(BEGAN + 181 * DAY, tick=True):
        await keep("young")
        async with tenancy.unowned() as session:
            await wiring.tidy_up.enqueue(session)
        (tidying,) = await dequeue()
        await run_one(tidying)
        async with tenancy.unowned() as session:
            wire = await db.driver(session)
            rows = await wire.fetch("SELECT entrypoint, headers ->> 'company' AS company FROM pgqueuer")
        async with tenancy.acting_for_platform(why="test") as session:
            everyone = set((await session.execute(select(Company.id))).scalars())
        assert company in everyone
        for work in wiring.FOR_EACH_COMPANY:
            assert {UUID(row["company"]) for row in rows if row["entrypoint"] == work.name} >= everyone
        # All were set going; what is then done for the companies of hundreds of other tests is not looked at here.
        await look.only(company)
        await drain()
    async with tenancy.acting_for(company) as session:
        rows = (await session.execute(select(FailedItem).order_by(FailedItem.external_id))).scalars().all()
    assert [(row.external_id, row.raw is None, row.reason) for row in rows] == [
        ("old", True, "x"),
        ("young", False, "x"),
    ]
    assert await known(company) == []


@pytest.mark.parametrize(("vendor", "kept"), [("amazon", False), ("bazaar", True)])
async def test_what_could_not_be_read_of_amazon_goes_as_soon_as_its_buyers_whatever_the_setting(
    company, monkeypatch, vendor, kept
):
    monkeypatch.setenv("SHIPCROWD_FAILED_DELIVERY_DAYS", "90")
    settings.cache_clear()
    company = await make.company(with_place=False, wallet_rupees="0")
    raw = {"to": "Asha"}

    async def fail_again():
        async with tenancy.acting_for(company) as session:
            source = importing.Source(company, store.id, vendor)
            await importing.keep(session, source, "403-1", "x", raw)

    with time_machine.travel(BEGAN, tick=True):
        async with tenancy.acting_for(company) as session:
            store = await connections.connect(
                session, vendor=vendor, external_id=str(company), name="B", kind=Kind.channel,
                credentials=NoCredentials(),
            )  # fmt: skip
        await fail_again()
        await inbox.receive(
            company_id=company, vendor=vendor, store=str(company), delivery_id="d-1", topic="ORDER_CHANGE",
            body=b"{", headers={}, reader=channel_jobs.take_in,
        )  # fmt: skip
    with time_machine.travel(BEGAN + 29 * DAY, tick=True):
        await fail_again()  # makes nothing younger
    with time_machine.travel(BEGAN + 31 * DAY, tick=True):
        async with tenancy.acting_for(company) as session:
            await wiring.tidy_company.enqueue(session, company_id=company)
        async with tenancy.unowned() as session:
            await (await db.driver(session)).execute("DELETE FROM pgqueuer WHERE entrypoint = 'channels.take_in'")
        await drain()
    async with tenancy.acting_for(company) as session:
        [item] = (await session.execute(select(FailedItem))).scalars().all()
        [delivery] = await inbox.recent(session)
    settings.cache_clear()
    assert (item.raw is not None, delivery.body is not None) == (kept, kept)
    assert item.reason == "x"


async def test_a_forgotten_buyers_order_that_cannot_be_read_later_is_kept_without_its_looks(company):
    company = await make.company(with_place=False, wallet_rupees="0")
    async with tenancy.acting_for(company) as session:
        store = await connections.connect(
            session, vendor="amazon", external_id=str(company), name="A", kind=Kind.channel, credentials=NoCredentials()
        )
    order = incoming(state=SourceState.cancelled)
    async with tenancy.acting_for(company) as session:
        await service.import_orders(session, connection_id=store.id, source="amazon", incoming=[order])
    with time_machine.travel(datetime.now(UTC) + 31 * DAY, tick=True):
        await forget(company)
    source = importing.Source(company, store.id, "amazon")
    for external_id in (order.external_id, "another"):
        async with tenancy.acting_for(company) as session:
            await importing.keep(session, source, external_id, "unreadable", {"name": "Asha"})
    async with tenancy.acting_for(company) as session:
        rows = (await session.execute(select(FailedItem))).scalars().all()
    assert {row.external_id: row.raw is None for row in rows} == {order.external_id: True, "another": False}
