import asyncio
from datetime import date, timedelta
from uuid import UUID

import pytest
import time_machine
from prometheus_client import REGISTRY
from sqlalchemy import event

from shipcrowd.couriers.contract import Flow, Mode, ServiceOffer
from shipcrowd.kernel import clock, db
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.tenancy import PLATFORM_COMPANY, acting_for
from shipcrowd.ratecards import service
from shipcrowd.ratecards.defaults import default_cards, seed_defaults
from shipcrowd.ratecards.models import CardStatus, RateCard
from shipcrowd.ratecards.quoting import NotMeasured
from shipcrowd.ratecards.schemas import Card, NewCard, PricedOffer
from shipcrowd.ratecards.zones import Zone
from tests.ratecards.make import NEW_YEAR, card, flat, offer, parcel

pytestmark = pytest.mark.postgres

JUNE = date(2026, 6, 1)


@pytest.fixture
def courier() -> str:
    """A courier of this test alone, since the platform's cards are there for every test."""
    return f"courier-{new_id().hex[-12:]}"


async def add(company: UUID, new: NewCard) -> Card:
    async with acting_for(company) as session:
        return await service.create_card(session, company_id=company, card=new)


async def retire(company: UUID, card_id: UUID, on: date) -> Card:
    async with acting_for(company) as session:
        return await service.retire_card(session, company_id=company, card_id=card_id, on=on)


async def priced(company: UUID, courier: str, *offers: ServiceOffer, on: date = JUNE) -> list[PricedOffer]:
    async with acting_for(company) as session:
        return await service.price(session, company_id=company, courier=courier, offers=offers, parcel=parcel(), on=on)


async def test_an_offer_is_priced_by_the_companys_own_card(company: UUID, courier: str):
    made = await add(company, card(courier=courier))
    [got] = await priced(company, courier, offer())
    assert got.price == Money.rupees("234.82")
    assert (got.card_id, got.card_version, got.default, got.reason) == (made.id, 1, False, None)
    assert got.quote is not None
    assert got.quote.zone is Zone.d
    assert got.quote.place_of_supply == "KA"  # where it was handed over, for want of a registration
    assert got.quote.tax == "CGST+SGST"


async def test_a_registered_company_is_taxed_in_its_state(company: UUID, courier: str):
    await add(company, card(courier=courier))
    async with acting_for(company) as session:
        [got] = await service.price(
            session,
            company_id=company,
            courier=courier,
            offers=[offer()],
            parcel=parcel(),
            on=JUNE,
            place_of_supply="MH",
        )
    assert got.quote is not None
    assert got.quote.tax == "IGST"


async def test_without_its_own_card_a_company_pays_by_the_platforms(company: UUID, courier: str):
    await add(PLATFORM_COMPANY, card(courier=courier, terms=flat(50)))
    [got] = await priced(company, courier, offer())
    assert got.price == Money.rupees("59")
    assert got.default


async def test_a_companys_own_card_goes_before_a_more_exact_one_of_the_platform(company: UUID, courier: str):
    await add(PLATFORM_COMPANY, card(courier=courier, service="xb-surface", mode="surface", terms=flat(50)))
    await add(company, card(courier=courier, terms=flat(30)))
    [got] = await priced(company, courier, offer())
    assert got.price == Money.rupees("35.40")
    assert not got.default


async def test_the_exact_service_goes_before_the_exact_mode_and_that_before_any(company: UUID, courier: str):
    await add(company, card(courier=courier, terms=flat(10)))
    await add(company, card(courier=courier, mode="air", terms=flat(20)))
    await add(company, card(courier=courier, service="bd", terms=flat(30)))
    await add(company, card(courier=courier, service="bd", mode="air", terms=flat(40)))
    got = await priced(company, courier, offer("x"), offer("x", Mode.air), offer("bd"), offer("bd", Mode.air))
    assert [each.quote and each.quote.bill.taxable_paise for each in got] == [10_00, 20_00, 30_00, 40_00]


async def test_a_service_without_a_card_is_returned_without_a_price(company: UUID, courier: str):
    await add(company, card(courier=courier, service="xb-surface"))
    known, unknown = await priced(company, courier, offer(), offer("dl-air", Mode.air))
    assert known.price is not None
    assert (unknown.price, unknown.quote, unknown.card_id, unknown.reason) == (None, None, None, "no_rate_card")
    assert unknown.offer.service == "dl-air"


async def test_another_companys_card_prices_nothing(company: UUID, courier: str):
    await add(new_id(), card(courier=courier))
    [got] = await priced(company, courier, offer())
    assert got.reason == "no_rate_card"


async def test_a_reverse_pickup_needs_a_reverse_card(company: UUID, courier: str):
    await add(company, card(courier=courier))
    async with acting_for(company) as session:
        [got] = await service.price(
            session,
            company_id=company,
            courier=courier,
            offers=[offer()],
            parcel=parcel(flow=Flow.reverse),
            on=JUNE,
        )
    assert got.reason == "no_rate_card"


@pytest.mark.parametrize(
    ("on", "rupees"),
    [
        (date(2025, 12, 31), None),
        (NEW_YEAR, 10),
        (date(2026, 5, 31), 10),
        (JUNE, 20),
        (date(2030, 1, 1), 20),
    ],
)
async def test_the_card_in_force_on_the_day_counts(company: UUID, courier: str, on: date, rupees: int | None):
    await add(company, card(courier=courier, terms=flat(10), effective_to=JUNE))
    await add(company, card(courier=courier, terms=flat(20), effective_from=JUNE))
    [got] = await priced(company, courier, offer(), on=on)
    assert (got.quote.bill.taxable_paise // 100 if got.quote else None) == rupees
    assert got.card_version == {None: None, 10: 1, 20: 2}[rupees]


async def test_a_parcel_that_was_not_measured_is_not_priced(company: UUID, courier: str):
    await add(company, card(courier=courier))
    with pytest.raises(NotMeasured):
        async with acting_for(company) as session:
            await service.price(
                session,
                company_id=company,
                courier=courier,
                offers=[offer()],
                parcel=parcel(weight_grams=0),
                on=JUNE,
            )


async def test_many_offers_cost_two_queries(company: UUID, courier: str):
    await add(company, card(courier=courier))
    await service.defaults()
    asked: list[str] = []
    engine = db.engine().sync_engine

    def count(*args: object) -> None:
        asked.append(str(args[2]))

    async with acting_for(company) as session:
        event.listen(engine, "before_cursor_execute", count)
        try:
            await service.price(
                session,
                company_id=company,
                courier=courier,
                offers=[offer(f"s{n}") for n in range(20)],
                parcel=parcel(),
                on=JUNE,
            )
        finally:
            event.remove(engine, "before_cursor_execute", count)
    assert len(asked) == 2, asked


def crossings() -> float:
    why = {"why": "default rate card"}
    return REGISTRY.get_sample_value("shipcrowd_platform_transactions_total", why) or 0


# ---- one card a day


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (NEW_YEAR, None),
        (date(2025, 6, 1), None),
        (date(2025, 6, 1), date(2026, 1, 2)),
        (date(2026, 5, 31), None),
        (date(2026, 3, 1), date(2026, 4, 1)),
    ],
)
async def test_a_card_that_overlaps_another_is_refused_by_name(
    company: UUID, courier: str, start: date, end: date | None
):
    await add(company, card(courier=courier, name="Spring", effective_to=JUNE))
    with pytest.raises(service.OverlappingCard, match="Spring"):
        await add(company, card(courier=courier, effective_from=start, effective_to=end))
    async with acting_for(company) as session:
        kept, _ = await service.cards(session, company_id=company)
    assert [each.name for each in kept] == ["Spring"]


@pytest.mark.parametrize(
    "other",
    [
        {"effective_from": JUNE},
        {"effective_from": date(2025, 1, 1), "effective_to": NEW_YEAR},
        {"service": "bd"},
        {"mode": "air"},
        {"flow": "reverse"},
    ],
)
async def test_a_card_beside_another_is_welcome(company: UUID, courier: str, other: dict[str, object]):
    await add(company, card(courier=courier, effective_to=JUNE))
    assert (await add(company, card(courier=courier, **other))).status is CardStatus.active


async def test_the_same_card_for_another_company_or_courier_is_welcome(company: UUID, courier: str):
    await add(company, card(courier=courier))
    assert (await add(new_id(), card(courier=courier))).version == 1
    assert (await add(company, card(courier=f"{courier}-2"))).version == 1


async def test_a_refused_card_leaves_the_transaction_usable(company: UUID, courier: str):
    async with acting_for(company) as session:
        await service.create_card(session, company_id=company, card=card(courier=courier))
        with pytest.raises(service.OverlappingCard):
            await service.create_card(session, company_id=company, card=card(courier=courier))
        await service.create_card(session, company_id=company, card=card(courier=courier, mode="air"))
    async with acting_for(company) as session:
        kept, _ = await service.cards(session, company_id=company)
    assert len(kept) == 2


async def test_of_two_made_at_the_same_moment_one_wins(company: UUID, courier: str):
    outcomes = await asyncio.gather(
        *(add(company, card(courier=courier, name=str(n))) for n in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Card) for outcome in outcomes) == 1
    assert {type(outcome) for outcome in outcomes} <= {Card, service.OverlappingCard, service.CardsChanged}


async def test_two_made_at_once_for_different_days_are_not_mixed_up(company: UUID, courier: str):
    async with acting_for(company) as session:
        await service.create_card(session, company_id=company, card=card(courier=courier, effective_to=JUNE))
        second = asyncio.create_task(add(company, card(courier=courier, effective_from=JUNE)))
        await asyncio.sleep(0.2)
        assert not second.done()  # it waits: both would be version 1
    with pytest.raises(service.CardsChanged):
        await second
    assert (await add(company, card(courier=courier, effective_from=JUNE))).version == 2


# ---- the end of a card


async def test_a_retired_card_prices_until_its_end_and_makes_room_after_it(company: UUID, courier: str):
    today = clock.today()
    old = await add(company, card(courier=courier, terms=flat(10)))
    end = today + timedelta(days=10)
    retired = await retire(company, old.id, end)
    assert (retired.status, retired.effective_to) == (CardStatus.retired, end)
    new = await add(company, card(courier=courier, terms=flat(20), effective_from=end))
    assert new.version == 2
    [before] = await priced(company, courier, offer(), on=end - timedelta(days=1))
    [after] = await priced(company, courier, offer(), on=end)
    assert (before.card_version, after.card_version) == (1, 2)


async def test_what_was_priced_before_is_priced_the_same_after_retiring(company: UUID, courier: str):
    old = await add(company, card(courier=courier))
    await retire(company, old.id, clock.today())
    [then] = await priced(company, courier, offer(), on=JUNE)
    [now] = await priced(company, courier, offer(), on=clock.today())
    assert then.card_id == old.id
    assert now.reason == "no_rate_card"


async def test_a_card_that_has_not_begun_never_will(company: UUID, courier: str):
    start = clock.today() + timedelta(days=30)
    planned = await add(company, card(courier=courier, effective_from=start))
    retired = await retire(company, planned.id, clock.today())
    assert retired.effective_to == start
    assert (await priced(company, courier, offer(), on=start))[0].reason == "no_rate_card"
    assert (await add(company, card(courier=courier, effective_from=start))).version == 2
    with pytest.raises(service.CardEnded):
        await retire(company, planned.id, clock.today())


async def test_the_past_is_not_rewritten(company: UUID, courier: str):
    made = await add(company, card(courier=courier))
    with pytest.raises(service.EndsInThePast):
        await retire(company, made.id, clock.today() - timedelta(days=1))
    [still] = await priced(company, courier, offer(), on=clock.today())
    assert still.card_id == made.id


async def test_a_card_ends_once(company: UUID, courier: str):
    made = await add(company, card(courier=courier))
    await retire(company, made.id, clock.today())
    with pytest.raises(service.CardEnded):
        await retire(company, made.id, clock.today() + timedelta(days=5))


async def test_another_companys_card_cannot_be_retired(company: UUID, courier: str):
    theirs = await add(new_id(), card(courier=courier))
    with pytest.raises(service.NoSuchCard):
        await retire(company, theirs.id, clock.today())


# ---- lists


async def test_cards_are_listed_newest_first_page_by_page(company: UUID, courier: str):
    made = [await add(company, card(courier=courier, service=name, effective_to=JUNE)) for name in ("a", "b", "c")]
    seen: list[UUID] = []
    after: str | None = None
    for _ in range(5):
        async with acting_for(company) as session:
            page, after = await service.cards(session, company_id=company, courier=courier, after=after, limit=2)
        seen += [each.id for each in page]
        if after is None:
            break
    assert seen == [each.id for each in reversed(made)]
    async with acting_for(company) as session:
        none, _ = await service.cards(session, company_id=company, on=JUNE)
        other, _ = await service.cards(session, company_id=company, courier="other")
        all_of_them, _ = await service.cards(session, company_id=company, on=NEW_YEAR)
    assert (len(none), len(other), len(all_of_them)) == (0, 0, 3)


# ---- the platform's cards


async def test_a_new_default_card_counts_at_once_in_the_process_that_made_it(company: UUID, courier: str):
    assert (await priced(company, courier, offer()))[0].reason == "no_rate_card"
    made = await add(PLATFORM_COMPANY, card(courier=courier))
    assert (await priced(company, courier, offer()))[0].card_id == made.id
    await retire(PLATFORM_COMPANY, made.id, clock.today())
    assert (await priced(company, courier, offer(), on=clock.today()))[0].reason == "no_rate_card"


async def test_a_default_card_made_elsewhere_counts_within_a_minute(company: UUID, courier: str):
    await service.defaults()
    kept_for = service.DEFAULTS_KEPT
    made = card(courier=courier)
    async with acting_for(PLATFORM_COMPANY) as session:  # as another process would: this one hears nothing of it
        session.add(
            RateCard(
                company_id=PLATFORM_COMPANY,
                **made.model_dump(exclude={"terms"}),
                terms=made.terms.model_dump(mode="json"),
                version=1,
            )
        )
    assert (await priced(company, courier, offer()))[0].reason == "no_rate_card"
    with time_machine.travel(clock.now() + kept_for + timedelta(seconds=1)):
        assert (await priced(company, courier, offer()))[0].default
        service.forget_defaults()  # its copy is dated in the future of the tests after this one


async def test_while_one_quote_reads_the_defaults_others_use_the_copy_there_is(company: UUID):
    old = await service.defaults()
    service.forget_defaults()
    before = crossings()
    answers = await asyncio.gather(*(service.defaults() for _ in range(10)))
    assert crossings() == before + 1
    assert all(answer == old for answer in answers)


async def test_a_default_card_that_was_rolled_back_never_counted(company: UUID, courier: str):
    async def make_one_and_fail() -> None:
        async with acting_for(PLATFORM_COMPANY) as session:
            await service.create_card(session, company_id=PLATFORM_COMPANY, card=card(courier=courier))
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await make_one_and_fail()
    assert (await priced(company, courier, offer()))[0].reason == "no_rate_card"


async def test_seeding_twice_makes_the_cards_once_and_brings_nothing_back(company: UUID):
    async with acting_for(PLATFORM_COMPANY) as session:
        await seed_defaults(session)
    async with acting_for(PLATFORM_COMPANY) as session:
        assert await seed_defaults(session) == 0
        kept, _ = await service.cards(session, company_id=PLATFORM_COMPANY, courier="velocity", limit=200)
    assert len([each for each in kept if each.version == 1]) >= len(default_cards())
    surface, air = await priced(company, "velocity", offer(), offer("bd-air", Mode.air))
    assert surface.default
    assert air.default
    assert surface.price is not None
    assert air.price is not None
    assert air.price > surface.price
