"""Statements, movements of one cause, and whether a book adds up."""

from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shipcrowd.kernel import db
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.tenancy import acting_for, unowned
from shipcrowd.ledger import invariants, jobs, service
from shipcrowd.ledger.chart import AccountCode
from shipcrowd.ledger.schemas import Discrepancy, Entry, Fault
from tests.ledger.make import entry, post
from tests.support import drain

pytestmark = pytest.mark.postgres


async def test_an_account_that_never_moved_is_at_zero(company: UUID):
    async with acting_for(company) as session:
        assert await service.balance(session, AccountCode.wallet) == Money.zero
        assert await service.statement(session, AccountCode.wallet) == ([], None)


async def test_a_statement_shows_both_sides_newest_first_with_the_balance_after_each(company: UUID):
    await post(company, entry(paise=100_00), entry("hold", 30_00, reference="shipment:1"))
    await post(company, entry("release", 5_00, reference="shipment:1"))
    async with acting_for(company) as session:
        lines, following = await service.statement(session, AccountCode.wallet)
    assert following is None
    assert [(line.code, line.amount.paise, line.balance.paise, line.other) for line in lines] == [
        ("release", 5_00, 75_00, "held"),
        ("hold", -30_00, 70_00, "held"),
        ("manual_credit", 100_00, 100_00, "manual_funding"),
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 12, 13])
async def test_pages_of_a_statement_join_without_gap_or_repeat(company: UUID, limit: int):
    for _ in range(4):
        await post(company, entry(paise=10_00), entry("hold", 3_00), entry("release", 1_00))
    seen: list[UUID] = []
    after = None
    async with acting_for(company) as session:
        whole, _ = await service.statement(session, AccountCode.wallet, limit=50)
        while True:
            lines, after = await service.statement(session, AccountCode.wallet, after=after, limit=limit)
            assert len(lines) <= limit
            seen += [line.id for line in lines]
            if after is None:
                break
    assert seen == [line.id for line in whole]
    assert len(seen) == 12


async def test_a_cursor_we_did_not_make_is_refused(company: UUID):
    await post(company, entry())
    async with acting_for(company) as session:
        with pytest.raises(Invalid):
            await service.statement(session, AccountCode.wallet, after="nonsense")


async def test_movements_of_one_cause_come_oldest_first_and_no_others(company: UUID):
    await post(company, entry(), entry("hold", 5, reference="shipment:1"), entry("hold", 7, reference="shipment:2"))
    await post(company, entry("release", 5, reference="shipment:1"))
    async with acting_for(company) as session:
        found = await service.movements(session, "shipment:1")
        assert [posted.entry.code for posted in found] == ["hold", "release"]
        assert await service.by_reference(session, AccountCode.held) == {"shipment:2": Money(7)}


async def test_a_sound_book_has_no_discrepancies(company: UUID):
    [posted] = await post(company, entry())
    async with acting_for(company) as session:
        await service.post(session, [Entry.undoing(posted, key="undo")])
        assert await invariants.verify(session) == []


@pytest.fixture
def broken(database_urls: tuple[str, str]):
    """Damage a company's book as only the owner of the tables could, and look what the invariants say."""

    async def damage(company: UUID, sql: str) -> list[Discrepancy]:
        owner = await db.open_connection(database_urls[0])
        try:
            where = "AND" if "WHERE" in sql else "WHERE"
            await owner.execute(f"{sql} {where} company_id = $1", company)
        finally:
            await owner.close()
        async with acting_for(company) as session:
            return await invariants.verify(session)

    return damage


async def test_not_even_the_app_may_edit_a_movement(company: UUID):
    await post(company, entry())
    with pytest.raises(DBAPIError, match="permission denied"):
        async with acting_for(company) as session:
            await session.execute(text("UPDATE ledger_movements SET amount_paise = 1"))


async def test_a_balance_that_is_not_the_sum_of_its_movements_is_found(company: UUID, broken):
    await post(company, entry())
    found = await broken(company, "UPDATE ledger_accounts SET balance_paise = 99 WHERE code = 'wallet'")
    assert found == [Discrepancy(company, Fault.balance, "wallet", Money(99), Money(100_00))]


async def test_a_balance_without_movements_is_found(company: UUID, broken):
    await post(company, entry())
    found = await broken(company, "UPDATE ledger_accounts SET balance_paise = 1 WHERE code = 'cod_payable'")
    assert found == [Discrepancy(company, Fault.balance, "cod_payable", Money(1), Money.zero)]


async def test_a_movement_without_a_cause_is_found(company: UUID, broken):
    [posted] = await post(company, entry())
    found = await broken(company, "UPDATE ledger_movements SET reference = 'somehow'")
    assert found == [Discrepancy(company, Fault.cause, str(posted.id))]


async def test_a_reversal_of_another_amount_is_found(company: UUID, broken):
    [posted] = await post(company, entry())
    async with acting_for(company) as session:
        undone = await service.reverse(session, posted.id, key="undo")
    found = await broken(company, "UPDATE ledger_movements SET amount_paise = 1 WHERE code = 'reversal'")
    assert Discrepancy(company, Fault.reversal, str(undone.id), Money(1), Money(100_00)) in found


async def test_more_taken_for_a_reference_than_was_set_aside_for_it_is_found(company: UUID):
    await post(company, entry(), entry("hold", 50_00, reference="shipment:1"))
    await post(company, entry("freight", 20_00, reference="shipment:2"))
    async with acting_for(company) as session:
        assert await invariants.verify(session) == [
            Discrepancy(company, Fault.reference_overdrawn, "shipment:2", None, Money(-20_00))
        ]


async def test_a_company_is_told_of_its_own_book_only_and_the_platform_of_all(company: UUID, broken):
    other = new_id()
    await post(other, entry())
    await post(company, entry())
    assert await broken(company, "UPDATE ledger_accounts SET balance_paise = 5 WHERE code = 'wallet'")
    async with acting_for(other) as session:
        assert await invariants.verify(session) == []
    assert [each for each in await invariants.verify_all() if each.company_id in (company, other)] == [
        Discrepancy(company, Fault.balance, "wallet", Money(5), Money(100_00))
    ]


async def test_the_scheduled_check_says_what_it_found(company: UUID, capsys: pytest.CaptureFixture[str], broken):
    await post(company, entry())
    await broken(company, "UPDATE ledger_accounts SET balance_paise = 5 WHERE code = 'wallet'")
    async with unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
        await jobs.check_invariants.enqueue(session)
    await drain()
    said = "".join(capsys.readouterr())
    assert "a book does not add up" in said
    assert str(company) in said
    assert jobs.DISCREPANCIES.labels("balance")._value.get() >= 1
