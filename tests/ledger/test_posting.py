"""Posting and reversing against the real database."""

from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from shipcrowd.kernel import db
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.ledger import service
from shipcrowd.ledger.chart import ACCOUNTS, AccountCode
from shipcrowd.ledger.schemas import Posted
from tests.ledger.make import Statements, balances, count, entry, post

pytestmark = pytest.mark.postgres


async def test_a_movement_takes_from_one_account_and_gives_to_the_other(company: UUID):
    [posted] = await post(company, entry(paise=250_00))
    assert await balances(company) == {"wallet": 250_00, "manual_funding": -250_00}
    assert (posted.debit_balance, posted.credit_balance, posted.again) == (Money(-250_00), Money(250_00), False)


async def test_the_first_use_of_a_book_opens_every_account_in_the_charts_order(company: UUID):
    await post(company, entry())
    async with acting_for(company) as session:
        rows = await (await db.driver(session)).fetch("SELECT code, may_go_negative FROM ledger_accounts ORDER BY id")
    assert {row["code"]: row["may_go_negative"] for row in rows} == {
        code.value: kind.may_go_negative for code, kind in ACCOUNTS.items()
    }
    assert [row["code"] for row in rows] == [code.value for code in ACCOUNTS]


async def test_an_account_that_the_chart_gained_is_made_in_a_book_that_is_open(company: UUID):
    await post(company, entry())
    async with acting_for(company) as session:
        await session.execute(text("DELETE FROM ledger_accounts WHERE code = 'adjustments'"))
    await post(company, entry("adjustment_debit", 40_00))
    assert await balances(company) == {"wallet": 60_00, "manual_funding": -100_00, "adjustments": 40_00}


async def test_a_compound_posting_is_whole_or_not_at_all(company: UUID):
    await post(company, entry(paise=100_00))
    with pytest.raises(service.Overdraft) as refused:
        await post(company, entry("hold", 60_00), entry("hold", 60_00))
    assert refused.value.account is AccountCode.wallet
    assert refused.value.extra == {"account": "wallet", "needed_paise": 120_00, "available_paise": 100_00}
    assert await balances(company) == {"wallet": 100_00, "manual_funding": -100_00}
    assert await count(company) == 1


async def test_only_the_outcome_of_a_compound_posting_counts_not_its_order(company: UUID):
    await post(company, entry("hold", 30_00), entry(paise=100_00))
    assert await balances(company) == {"wallet": 70_00, "held": 30_00, "manual_funding": -100_00}


async def test_the_same_key_again_moves_nothing_and_gives_the_stored_movement(company: UUID):
    twice = entry(key="once")
    [first] = await post(company, twice)
    [second] = await post(company, twice)
    assert second.again
    assert (second.id, second.at, second.entry) == (first.id, first.at, first.entry)
    assert await balances(company) == {"wallet": 100_00, "manual_funding": -100_00}


@pytest.mark.parametrize(
    "other",
    [
        entry(paise=99_99, key="once"),
        entry(reference="manual:2", key="once"),
        entry("recharge", key="once"),
        entry("adjustment_credit", key="once"),
    ],
    ids=["amount", "reference", "code and account", "account"],
)
async def test_the_same_key_for_another_movement_is_refused(company: UUID, other):
    await post(company, entry(key="once"))
    with pytest.raises(service.KeyConflict):
        await post(company, other)
    assert await balances(company) == {"wallet": 100_00, "manual_funding": -100_00}


async def test_half_of_a_posting_that_is_known_already_is_refused(company: UUID):
    known = entry()
    await post(company, known)
    with pytest.raises(service.KeyConflict):
        await post(company, known, entry())
    assert await count(company) == 1


async def test_a_replay_is_answered_even_when_the_money_is_gone_by_now(company: UUID):
    held = entry("hold", 100_00, key="once")
    await post(company, entry(), held)
    assert (await post(company, held))[0].again


async def test_two_companies_may_use_the_same_key(company: UUID):
    other = new_id()
    await post(company, entry(key="once"))
    assert not (await post(other, entry(key="once")))[0].again


async def test_equal_keys_in_one_posting_are_a_fault_of_the_program(company: UUID):
    with pytest.raises(ValueError, match="same key"):
        await post(company, entry(key="k"), entry(key="k"))


async def test_posting_nothing_asks_nothing(company: UUID):
    assert await post(company) == []


async def test_a_rolled_back_transaction_leaves_no_movement(company: UUID):
    async def change_ones_mind():
        async with acting_for(company) as session:
            await service.post(session, [entry()])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_ones_mind()
    assert await balances(company) == {}


async def test_a_posting_is_three_statements_whatever_its_size(company: UUID, monkeypatch: pytest.MonkeyPatch):
    await post(company, entry(paise=1_000_00))
    statements = Statements(db.driver)
    monkeypatch.setattr(db, "driver", statements)
    counts: list[int] = []
    for entries in ([entry("hold", 1)], [entry("hold", 1) for _ in range(200)]):
        statements.count = 0
        await post(company, *entries)
        counts.append(statements.count)
    statements.count = 0
    await post(company, *entries)
    assert counts == [3, 3]
    assert statements.count == 2  # a replay writes nothing


async def test_the_database_itself_refuses_an_overdraft(company: UUID):
    await post(company, entry(paise=10_00))
    with pytest.raises(IntegrityError, match="ck_ledger_accounts_overdraft"):
        async with acting_for(company) as session:
            await session.execute(text("UPDATE ledger_accounts SET balance_paise = -1 WHERE code = 'wallet'"))


async def test_an_overdraft_that_only_the_database_saw_is_told_in_the_same_words(
    company: UUID, monkeypatch: pytest.MonkeyPatch
):
    await post(company, entry(paise=10_00))
    really = service.lock

    async def hopeful(*arguments):
        return {
            code: service.LockedAccount(account.id, Money(999_00), account.may_go_negative, account.moved_at)
            for code, account in (await really(*arguments)).items()
        }

    monkeypatch.setattr(service, "lock", hopeful)
    with pytest.raises(service.Overdraft):
        await post(company, entry("hold", 10_01))
    assert await balances(company) == {"wallet": 10_00, "manual_funding": -10_00}


async def reverse(company: UUID, movement: UUID | str, key: str = "undo") -> Posted:
    async with acting_for(company) as session:
        return await service.reverse(session, movement, key=key)


@pytest.mark.parametrize("by", ["id", "key"])
async def test_a_reversal_is_the_mirror_image(company: UUID, by: str):
    [posted] = await post(company, entry(key="once"))
    undone = await reverse(company, posted.id if by == "id" else "once")
    assert undone.entry.reverses == posted.id
    assert (undone.entry.debit, undone.entry.credit) == (posted.entry.credit, posted.entry.debit)
    assert undone.entry.reference == posted.entry.reference
    assert await balances(company) == {}
    assert await count(company) == 2


async def test_reversing_twice_under_one_key_is_once_and_under_another_refused(company: UUID):
    [posted] = await post(company, entry())
    first = await reverse(company, posted.id, "undo")
    assert (await reverse(company, posted.id, "undo")).id == first.id
    with pytest.raises(service.AlreadyReversed):
        await reverse(company, posted.id, "undo again")
    assert await count(company) == 2


async def test_a_reversal_is_not_reversed(company: UUID):
    [posted] = await post(company, entry())
    undone = await reverse(company, posted.id)
    with pytest.raises(service.NotReversible):
        await reverse(company, undone.id, "redo")


async def test_money_that_was_spent_cannot_be_reversed_away(company: UUID):
    [posted] = await post(company, entry())
    await post(company, entry("hold", 50_00))
    with pytest.raises(service.Overdraft):
        await reverse(company, posted.id)
    assert await balances(company) == {"wallet": 50_00, "held": 50_00, "manual_funding": -100_00}


async def test_another_companys_movement_is_not_there(company: UUID):
    [posted] = await post(company, entry(key="once"))
    for movement in (posted.id, "once"):
        with pytest.raises(service.NoSuchMovement):
            await reverse(new_id(), movement)
    assert await count(company) == 1
