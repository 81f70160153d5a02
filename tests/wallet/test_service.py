"""A hold's life, told in balances."""

from uuid import UUID

import pytest

from shipcrowd.kernel import audit
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.ledger import invariants
from shipcrowd.ledger import service as ledger
from shipcrowd.ledger.chart import MovementCode
from shipcrowd.wallet import service
from tests.ledger.make import balances
from tests.wallet.make import PARTS, balance, fund, held_for, hold, reference, refund, release, settle

pytestmark = pytest.mark.postgres


@pytest.fixture
def ref() -> str:
    return reference()


async def test_a_new_wallet_is_empty(company: UUID):
    assert await balance(company) == (0, 0)
    assert await held_for(company) == {}


async def test_funding_is_done_once_a_key_and_audited_once(company: UUID):
    for _ in range(3):
        await fund(company, 500_00, key="k")
    assert await balance(company) == (500_00, 0)
    async with acting_for(company) as session:
        [entry] = await audit.of(session, "manual:demo")
    assert (entry.actor, entry.action) == ("system", "wallet.funded")
    assert entry.details == {"amount_paise": 500_00, "source": "manual_credit"}


async def test_a_recharge_comes_out_of_gateway_clearing(company: UUID):
    async with acting_for(company) as session:
        now = await service.fund(
            session,
            amount=Money(100_00),
            reference="payment:1",
            key="payment:1",
            actor="system",
            source=MovementCode.recharge,
        )
    assert now.available == Money(100_00)
    assert await balances(company) == {"wallet": 100_00, "gateway_clearing": -100_00}


async def test_a_hold_sets_money_aside(company: UUID, ref: str):
    await fund(company, 1_000_00)
    await hold(company, ref, 234_82)
    assert await balance(company) == (765_18, 234_82)
    assert await held_for(company) == {ref: 234_82}


async def test_a_hold_the_wallet_cannot_pay_is_refused_and_moves_nothing(company: UUID, ref: str):
    await fund(company, 100_00)
    with pytest.raises(service.InsufficientBalance) as refused:
        await hold(company, ref, 100_01)
    assert refused.value.extra == {"needed_paise": 100_01, "available_paise": 100_00}
    assert (refused.value.code(), refused.value.status) == ("insufficient_balance", 409)
    assert await balance(company) == (100_00, 0)
    assert await held_for(company) == {}


async def test_a_hold_in_a_wallet_never_used_says_what_is_missing(company: UUID, ref: str):
    with pytest.raises(service.InsufficientBalance) as refused:
        await hold(company, ref, 5)
    assert refused.value.extra == {"needed_paise": 5, "available_paise": 0}


async def test_the_whole_balance_can_be_held(company: UUID, ref: str):
    await fund(company, 100_00)
    await hold(company, ref, 100_00)
    assert await balance(company) == (0, 100_00)


async def test_settling_charges_the_parts_and_gives_the_rest_back(company: UUID, ref: str):
    await fund(company, 1_000_00)
    await hold(company, ref, 250_00)
    await settle(company, ref, *PARTS)
    assert await balance(company) == (765_18, 0)
    assert await balances(company) == {
        "wallet": 765_18,
        "freight_revenue": 159_00,
        "cod_fee_revenue": 40_00,
        "gst_payable": 35_82,
        "manual_funding": -1_000_00,
    }
    assert await held_for(company) == {}


async def test_parts_of_one_kind_are_added_up(company: UUID, ref: str):
    await fund(company, 100_00)
    await hold(company, ref, 30_00)
    await settle(company, ref, ("freight", 10_00), ("fuel", 1_00), ("freight", 5_00), ("gst", 0))
    assert (await balances(company))["freight_revenue"] == 16_00
    assert await balance(company) == (84_00, 0)


async def test_settling_for_more_than_was_held_is_refused_and_the_hold_stays(company: UUID, ref: str):
    await fund(company, 1_000_00)
    await hold(company, ref, 234_81)
    with pytest.raises(service.MoreThanHeld) as refused:
        await settle(company, ref, *PARTS)
    assert refused.value.extra == {"needed_paise": 234_82, "held_paise": 234_81}
    assert await balance(company) == (765_19, 234_81)


async def test_settling_what_was_never_held_is_refused(company: UUID, ref: str):
    await fund(company, 1_000_00)
    with pytest.raises(service.NothingHeld):
        await settle(company, ref, ("freight", 1))
    assert await balance(company) == (1_000_00, 0)


@pytest.mark.parametrize("part", [("freight_revenue", 1), ("hold", 1), ("release", 1), ("refund", 1), ("freight", -1)])
async def test_a_part_that_is_no_charge_is_a_fault_of_the_program(company: UUID, ref: str, part: tuple[str, int]):
    with pytest.raises(ValueError, match=r"charge|MovementCode"):
        await settle(company, ref, part)


async def test_releasing_gives_the_whole_hold_back(company: UUID, ref: str):
    await fund(company, 1_000_00)
    await hold(company, ref, 234_82)
    await release(company, ref)
    assert await balance(company) == (1_000_00, 0)


async def test_a_refund_reverses_every_charge(company: UUID, ref: str):
    await fund(company, 1_000_00)
    await hold(company, ref, 250_00)
    await settle(company, ref, *PARTS)
    await refund(company, ref)
    assert await balances(company) == {"wallet": 1_000_00, "manual_funding": -1_000_00}
    async with acting_for(company) as session:
        found = await ledger.movements(session, ref)
        charges = {each.id for each in found if each.entry.code in ("freight", "cod", "gst")}
        assert {each.entry.reverses for each in found if each.entry.reverses} == charges
        lines, _ = await service.transactions(session)
        assert await invariants.verify(session) == []
    assert [(line.code, line.amount.paise) for line in lines[:3]] == [
        ("refund", 234_82),
        ("release", 15_18),
        ("hold", -250_00),
    ]


async def test_a_hold_that_is_open_is_released_not_refunded(company: UUID, ref: str):
    await fund(company, 1_000_00)
    await hold(company, ref, 234_82)
    with pytest.raises(service.NotSettled):
        await refund(company, ref)
    assert await balance(company) == (765_18, 234_82)


async def test_every_verb_may_be_repeated(company: UUID, ref: str):
    await fund(company, 1_000_00)
    for _ in range(3):
        await hold(company, ref, 250_00)
    assert await balance(company) == (750_00, 250_00)
    for _ in range(3):
        await settle(company, ref, *PARTS)
    for _ in range(2):
        await hold(company, ref, 250_00)  # still true: it was set aside, and is spent on this by now
        await release(company, ref)  # too late: it is settled
    assert await balance(company) == (765_18, 0)
    for _ in range(3):
        await refund(company, ref)
        await settle(company, ref, *PARTS)  # was done, and is not done again
        await release(company, ref)
    assert await balance(company) == (1_000_00, 0)


async def test_a_hold_of_another_amount_for_the_same_reference_is_refused(company: UUID, ref: str):
    await fund(company, 1_000_00)
    await hold(company, ref, 100_00)
    with pytest.raises(ledger.KeyConflict):
        await hold(company, ref, 101_00)
    assert await balance(company) == (900_00, 100_00)


async def test_a_settlement_with_other_parts_is_refused(company: UUID, ref: str):
    await fund(company, 1_000_00)
    await hold(company, ref, 100_00)
    await settle(company, ref, ("freight", 50_00))
    for parts in ([("freight", 51_00)], [("freight", 50_00), ("gst", 9_00)], [("fuel", 50_00)], []):
        with pytest.raises(service.SettledDifferently):
            await settle(company, ref, *parts)
    assert await balance(company) == (950_00, 0)


@pytest.mark.parametrize("then_refunded", [False, True])
async def test_money_that_was_given_back_is_not_taken_again_under_the_same_reference(
    company: UUID, ref: str, then_refunded: bool
):
    await fund(company, 1_000_00)
    await hold(company, ref, 100_00)
    if then_refunded:
        await settle(company, ref, ("freight", 100_00))
        await refund(company, ref)
    else:
        await release(company, ref)
        with pytest.raises(service.HoldEnded):
            await settle(company, ref, ("freight", 100_00))
    with pytest.raises(service.HoldEnded):
        await hold(company, ref, 100_00)
    assert await balance(company) == (1_000_00, 0)


async def test_zero_is_done_by_doing_nothing(company: UUID, ref: str):
    await hold(company, ref, 0)
    await settle(company, ref)
    await settle(company, ref, ("freight", 0), ("gst", 0))
    await release(company, ref)
    await refund(company, ref)
    async with acting_for(company) as session:
        assert (
            await service.fund(session, amount=Money.zero, reference="manual:0", key="0", actor="x")
        ).held.paise == 0
        assert await ledger.movements(session, ref) == []
        assert await audit.of(session, "manual:0") == []


async def test_settling_for_nothing_gives_the_whole_hold_back(company: UUID, ref: str):
    await fund(company, 100_00)
    await hold(company, ref, 60_00)
    for _ in range(2):
        await settle(company, ref, ("freight", 0))
    await refund(company, ref)
    assert await balance(company) == (100_00, 0)


async def test_a_rolled_back_booking_leaves_no_hold(company: UUID, ref: str):
    await fund(company, 100_00)

    async def book_and_fail() -> None:
        async with acting_for(company) as session:
            await service.hold(session, reference=ref, amount=Money(50_00))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await book_and_fail()
    assert await balance(company) == (100_00, 0)


async def test_companies_have_books_of_their_own_even_for_one_reference(company: UUID, ref: str):
    other = new_id()
    await fund(company, 100_00)
    await fund(other, 100_00)
    await hold(company, ref, 60_00)
    await release(other, ref)
    assert await balance(company) == (40_00, 60_00)
    assert await balance(other) == (100_00, 0)
