"""Orders taken in from channels: once each, newest news winning, whatever order the news comes in."""

import asyncio
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from shipcrowd.kernel import db, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.orders import pii, privacy, queries, service, taking_in
from shipcrowd.orders.models import Order, OrderLine
from shipcrowd.orders.queries import OrderFilter
from shipcrowd.orders.schemas import Fulfilment, OrderEdit, Payment, SourceState
from shipcrowd.pincodes.address import AddressIn
from tests import make
from tests.make import PLACED, address, incoming, line


async def take(company, *orders, connection=None):
    async with tenancy.acting_for(company) as session:
        return await service.import_orders(
            session, connection_id=connection or company, source="shopify", incoming=orders
        )


async def whole(company, order_id):
    async with tenancy.acting_for(company) as session:
        return await queries.whole(session, order_id)


async def test_an_order_comes_in_whole(company):
    done = await take(
        company,
        incoming(
            cod=True,
            total=Money.rupees("1078"),
            lines=(line(quantity=2), line(external_id="2", sku=None, name="Lid")),
        ),
    )
    found = await whole(company, done.inserted[0])
    assert (found.order.payment, found.order.total_paise, found.order.to_collect_paise) == (
        Payment.cod,
        Money(107_800),
        Money(107_800),
    )
    assert found.buyer.ship_to == address()
    assert [(entry.name, entry.units) for entry in found.lines] == [("Steel bottle", 2), ("Lid", 1)]
    assert found.order.weight_grams == 420 * 3
    assert [event.kind for event in found.events] == ["placed"]


async def test_the_buyer_is_sealed_and_the_city_is_not(company):
    done = await take(company, incoming())
    async with tenancy.acting_for(company) as session:
        row = await (await db.driver(session)).fetchrow("SELECT * FROM orders WHERE id = $1", done.inserted[0])
    text = repr(dict(row))
    assert "Bengaluru" in text
    for secret in ("Asha", "9000000001", "example.in", "4th Cross"):
        assert secret not in text


async def test_the_same_news_twice_changes_nothing(company):
    order = incoming()
    await take(company, order)
    again = await take(company, order)
    assert (again.inserted, again.updated, again.unchanged) == ((), (), 1)


async def test_older_news_never_overwrites_newer(company):
    first = incoming(number="#1")
    newer = first.model_copy(
        update={"number": "#1 edited", "source_updated_at": PLACED + timedelta(minutes=5), "lines": (line(quantity=3),)}
    )
    done = await take(company, newer)
    late = await take(company, first)
    assert late.unchanged == 1
    found = await whole(company, done.inserted[0])
    assert (found.order.number, found.lines[0].units) == ("#1 edited", 3)


async def test_two_changes_in_one_second_are_both_seen(company):
    order = incoming(number="#1")
    done = await take(company, order)
    same_second = await take(company, order.model_copy(update={"number": "#1 edited"}))
    assert same_second.updated == done.inserted
    assert (await whole(company, done.inserted[0])).order.number == "#1 edited"


async def test_of_one_order_twice_in_a_page_the_newest_counts(company):
    order = incoming()
    newer = order.model_copy(update={"number": "#later", "source_updated_at": PLACED + timedelta(seconds=1)})
    done = await take(company, newer, order)
    assert (await whole(company, done.inserted[0])).order.number == "#later"


async def test_two_imports_of_one_new_order_at_once_leave_one_readable_order(company):
    order = incoming()
    results = await asyncio.gather(*(take(company, order) for _ in range(12)))
    assert sum(len(done.inserted) for done in results) == 1
    async with tenancy.acting_for(company) as session:
        assert await session.scalar(select(func.count()).select_from(Order)) == 1
        assert await session.scalar(select(func.count()).select_from(OrderLine)) == 1
        row = (await session.execute(select(Order))).scalar_one()
        assert pii.buyer_of(row).ship_to == address()


async def test_pages_with_the_same_orders_in_opposite_order_do_not_deadlock(company):
    page = [incoming() for _ in range(30)]
    newer = [o.model_copy(update={"source_updated_at": PLACED + timedelta(minutes=1)}) for o in reversed(page)]
    await take(company, *page)
    await asyncio.gather(take(company, *newer), take(company, *reversed(newer)))


async def test_the_same_number_in_two_stores_is_two_orders(company):
    order = incoming()
    await take(company, order, connection=new_id())
    await take(company, order, connection=new_id())
    async with tenancy.acting_for(company) as session:
        assert await session.scalar(select(func.count()).select_from(Order)) == 2


@pytest.mark.parametrize(
    ("source_state", "state"),
    [
        (SourceState.open, "ready"), (SourceState.payment_pending, "pending"), (SourceState.on_hold, "pending"),
        (SourceState.partially_shipped, "ready"), (SourceState.shipped, "shipped"),
        (SourceState.delivered, "delivered"), (SourceState.cancelled, "cancelled"),
        (SourceState.nothing_to_ship, "ignored"), (SourceState.attention, "pending"),
    ],
)  # fmt: skip
async def test_the_channels_word_decides_until_we_act(company, source_state, state):
    done = await take(company, incoming(state=source_state))
    assert (await whole(company, done.inserted[0])).order.state == state


async def test_an_order_the_marketplace_ships_itself_is_read_only(company):
    done = await take(company, incoming(fulfilment=Fulfilment.marketplace_warehouse))
    order = (await whole(company, done.inserted[0])).order
    assert order.state == "ignored"
    assert "fulfilment" in service.why_not_bookable(order)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ship_to": address(phone=None)}, "phone"),
        ({"ship_to": address(pincode="")}, "pincode"),
        ({"ship_to": None}, "ship_to"),
        ({"currency": "USD"}, "currency"),
        ({"ship_to": address(country="US")}, "country"),
        ({"pii_withheld": True, "ship_to": None}, "ship_to"),
        ({"hold_reasons": ("high_risk",)}, "holds"),
    ],
)
async def test_what_is_missing_is_said_by_field(company, changes, field):
    done = await take(company, incoming(**changes))
    assert field in service.why_not_bookable((await whole(company, done.inserted[0])).order)


async def test_a_missing_weight_stays_unknown(company):
    done = await take(company, incoming(lines=(line(), line(external_id="2", weight_grams=None))))
    assert (await whole(company, done.inserted[0])).order.weight_grams is None


async def test_a_second_order_of_the_same_buyer_and_amount_within_a_day_is_marked(company):
    first = incoming()
    second = incoming(placed_at=PLACED + timedelta(hours=3))
    other = incoming(placed_at=PLACED + timedelta(hours=3), total=Money.rupees("1"))
    done = await take(company, first, second, other)
    async with tenancy.acting_for(company) as session:
        rows = dict((await session.execute(select(Order.number, Order.duplicate_of))).all())
        original = await session.scalar(select(Order.id).where(Order.number == first.number))
    assert rows == {first.number: None, second.number: original, other.number: None}
    assert len(done.inserted) == 3


async def test_a_line_that_vanished_at_the_channel_is_not_shipped(company):
    order = incoming(lines=(line(), line(external_id="2")))
    done = await take(company, order)
    edited = {"lines": (line(),), "source_updated_at": PLACED + timedelta(minutes=1)}
    await take(company, order.model_copy(update=edited))
    found = await whole(company, done.inserted[0])
    assert [(entry.external_id, service.open_units_of(entry)) for entry in found.lines] == [("1", 1), ("2", 0)]


async def test_units_shipped_elsewhere_are_not_shipped_again(company):
    done = await take(company, incoming(lines=(line(quantity=5, to_ship=2),)))
    assert service.open_units_of((await whole(company, done.inserted[0])).lines[0]) == 2


async def test_an_address_fixed_here_survives_later_news(company):
    order = incoming(ship_to=address(phone=None))
    done = await take(company, order)
    async with tenancy.acting_for(company) as session:
        await service.edit(
            session,
            done.inserted[0],
            OrderEdit(ship_to=AddressIn(**address(line2="Gate 2").model_dump())),
            actor="user:1",
        )
    await take(company, order.model_copy(update={"source_updated_at": PLACED + timedelta(hours=1)}))
    found = await whole(company, done.inserted[0])
    assert found.buyer.ship_to.line2 == "Gate 2"
    assert service.why_not_bookable(found.order) == {}


def news(order, hours=1, **changes):
    """The same order, told again later."""
    return order.model_copy(update={"source_updated_at": PLACED + timedelta(hours=hours), **changes})


async def test_news_that_does_not_show_the_buyer_leaves_the_one_we_hold(company):
    order = incoming(note="Ring twice", attributes={"status": "Unshipped"})
    done = await take(company, order)
    silent = {"ship_to": None, "note": "", "pii_withheld": True}
    later = news(order, **silent, tags=("late",), attributes={"status": "Shipped"})
    assert (await take(company, later)).updated == done.inserted
    found = await whole(company, done.inserted[0])
    assert (found.buyer.ship_to, found.buyer.note) == (address(), "Ring twice")
    assert (found.order.tags, found.buyer.attributes) == (["late"], {"status": "Shipped"})
    assert (found.order.city, found.order.pincode) == ("Bengaluru", "560038")
    assert not found.order.pii_withheld
    assert service.why_not_bookable(found.order) == {}
    assert await numbers(company, text="9000000001") == {order.number}  # still found by the phone
    assert (await take(company, later)).unchanged == 1


async def test_a_number_no_longer_shown_is_kept_and_the_address_follows(company):
    order = incoming()
    done = await take(company, order)
    moved = address(phone=None, line1="14, 5th Cross")
    await take(company, news(order, ship_to=moved, phone_withheld=True))
    found = await whole(company, done.inserted[0])
    assert found.buyer.ship_to == address(line1="14, 5th Cross")
    await take(company, news(order, 2, ship_to=moved))  # a number taken away on purpose
    assert (await whole(company, done.inserted[0])).buyer.ship_to == moved


async def test_an_order_without_its_buyer_waits_for_the_address(company):
    order = incoming(ship_to=None, pii_withheld=True)
    done = await take(company, order)
    found = await whole(company, done.inserted[0])
    assert found.order.pii_withheld
    assert service.why_not_bookable(found.order) == {"ship_to": "the store did not show us the buyer's address"}
    shown = order.model_copy(update={"ship_to": address(), "pii_withheld": False})  # the role came; nothing else did
    assert (await take(company, shown)).updated == done.inserted
    found = await whole(company, done.inserted[0])
    assert found.buyer.ship_to == address()
    assert not found.order.pii_withheld
    assert service.why_not_bookable(found.order) == {}


async def test_a_buyer_who_came_in_between_stays_as_well(company, monkeypatch):
    order = incoming()
    done = await take(company, order)

    async def nobody(*_):
        return {}  # as if the row had been written after it was looked for

    monkeypatch.setattr(taking_in, "_who_is_known", nobody)
    await take(company, news(order, ship_to=None, pii_withheld=True))
    found = await whole(company, done.inserted[0])
    assert (found.buyer.ship_to, found.order.city) == (address(), "Bengaluru")
    assert (found.order.pii_withheld, found.order.gaps) == (False, {})


@pytest.mark.parametrize("shown", [True, False])
async def test_a_forgotten_buyer_does_not_come_back_with_later_news(company, shown):
    order = incoming()
    done = await take(company, order)
    async with tenancy.acting_for(company) as session:
        whose = privacy.of_buyer(company, company, external_ids=[order.external_id], email=None, phone=None)
        assert await privacy.redact(session, whose) == (1, None)
    later = news(order, tags=("late",)) if shown else news(order, tags=("late",), ship_to=None, pii_withheld=True)
    assert (await take(company, later)).updated == done.inserted
    found = await whole(company, done.inserted[0])
    assert found.buyer == pii.Buyer()
    assert (found.order.phone_hash, found.order.email_hash) == (None, None)
    assert (found.order.tags, found.order.city, found.order.pincode) == (["late"], "Bengaluru", "560038")
    assert found.order.gaps == {"ship_to": privacy.GAP}


@pytest.mark.parametrize(
    ("source", "state", "days", "known"),
    [
        ("amazon", SourceState.delivered, 29, True),
        ("amazon", SourceState.delivered, 31, False),
        ("amazon", SourceState.shipped, 31, False),
        ("amazon", SourceState.open, 31, True),  # may still be shipped
        ("shopify", SourceState.delivered, 31, True),
        ("shopify", SourceState.delivered, 181, False),
    ],
)
async def test_what_ended_too_long_ago_comes_in_without_its_buyer(company, source, state, days, known):
    order = incoming(state=state)
    with time_machine.travel(PLACED + timedelta(days=days), tick=True):
        async with tenancy.acting_for(company) as session:
            done = await service.import_orders(session, connection_id=company, source=source, incoming=[order])
    found = await whole(company, done.inserted[0])
    assert (found.buyer.ship_to == address(), found.order.redacted_at is None) == (known, known)
    assert (found.order.phone_hash is not None) is known
    assert (found.order.city, found.order.pincode) == ("Bengaluru", "560038")
    if state is SourceState.delivered:
        assert found.order.ended_at == PLACED  # not when we heard of it


async def test_redaction_removes_the_buyer_and_keeps_the_order(company):
    mine, other = incoming(), incoming(ship_to=address(email="x@y.in", phone="9888888888"))
    done = await take(company, mine, other)
    async with tenancy.acting_for(company) as session:
        whose = privacy.of_buyer(company, company, external_ids=(), email="ASHA@example.in", phone=None)
        assert await privacy.redact(session, whose) == (1, None)
    async with tenancy.acting_for(company) as session:
        rows = {row.number: pii.buyer_of(row).ship_to for row in (await session.execute(select(Order))).scalars()}
    assert rows[mine.number] is None
    assert rows[other.number] is not None
    await take(company, mine.model_copy(update={"source_updated_at": PLACED + timedelta(hours=1)}))
    for order_id in done.inserted:
        assert (await whole(company, order_id)).order.total_paise
    async with tenancy.acting_for(company) as session:
        row = (await session.execute(select(Order).where(Order.number == mine.number))).scalar_one()
        assert pii.buyer_of(row).ship_to is None


async def numbers(company, **wanted):
    async with tenancy.acting_for(company) as session:
        rows, _ = await queries.page_of(session, OrderFilter(**wanted), after=None, limit=50)
    return {row.number for row in rows}


async def test_the_list_filters_and_finds(company):
    a = incoming(cod=True, lines=(line(sku="SHIRT-RED"),))
    b = incoming(ship_to=address(pincode="110001", phone="9811122233", email="b@c.in"))
    await take(company, a, b)
    assert await numbers(company, payment="cod") == {a.number}
    assert await numbers(company, pincode="1100") == {b.number}
    assert await numbers(company, sku="SHIRT-RED") == {a.number}
    assert await numbers(company, text=a.number) == {a.number}
    assert await numbers(company, text=a.number.lstrip("#")) == {a.number}
    assert await numbers(company, text="SHIRT") == {a.number}
    assert await numbers(company, text="+91 98111 22233") == {b.number}
    assert await numbers(company, text="B@C.in") == {b.number}
    assert await numbers(company, text="nothing such") == set()
    assert await numbers(company, state=["cancelled"]) == set()
    assert await numbers(company, placed_from="2026-11-22", placed_to="2026-11-22") == {a.number, b.number}
    assert await numbers(new_id()) == set()


async def test_pages_join_without_gap_or_repeat(company):
    await take(company, *(incoming(placed_at=PLACED + timedelta(minutes=n // 3)) for n in range(25)))
    seen, after = [], None
    while True:
        async with tenancy.acting_for(company) as session:
            rows, after = await queries.page_of(session, OrderFilter(), after=after, limit=7)
        seen += [row.id for row in rows]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 25


async def test_another_companys_order_is_not_there(company):
    (order_id,) = await make.orders(new_id(), incoming())
    with pytest.raises(service.OrderNotFound):
        await whole(company, order_id)
