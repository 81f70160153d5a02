"""Whatever is posted, repeated and reversed, in whatever order: the book adds up."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.ledger import invariants, service
from shipcrowd.ledger.chart import ACCOUNTS, MOVEMENTS, AccountCode, MovementCode
from shipcrowd.ledger.schemas import Entry
from tests.ledger.make import balances

pytestmark = pytest.mark.postgres


@dataclass(frozen=True)
class Step:
    """Movements posted together, or the number of an earlier movement to be reversed."""

    parts: tuple[tuple[MovementCode, int], ...]
    number: int
    undo: int | None = None


steps = st.builds(
    Step,
    st.lists(st.tuples(st.sampled_from(sorted(MOVEMENTS)), st.integers(1, 500)), min_size=1, max_size=4).map(tuple),
    st.integers(0, 12),
    st.none() | st.integers(0, 12),
)


def entries(step: Step) -> list[Entry]:
    # One cause for all: what one reference may take out of an account is the wallet's business, not asked here.
    return [
        Entry.of(code, Money(paise), reference="test:1", key=f"{step.number}:{place}")
        for place, (code, paise) in enumerate(step.parts)
    ]


def mirror(entry: Entry) -> Entry:
    return Entry(
        entry.credit, entry.debit, entry.amount, MovementCode.reversal, entry.reference, "undo", reverses=new_id()
    )


def would_overdraw(wanted: list[Entry], balances: dict[AccountCode, int], account: AccountCode | None) -> None:
    assert account is not None
    moved = sum(each.amount.paise for each in wanted if each.credit is account)
    moved -= sum(each.amount.paise for each in wanted if each.debit is account)
    assert balances[account] + moved < 0


@settings(max_examples=40, deadline=None)
@given(st.lists(steps, min_size=3, max_size=14))
async def test_a_book_adds_up_whatever_is_posted_repeated_and_reversed(story: list[Step]):
    company = new_id()
    expected = dict.fromkeys(AccountCode, 0)
    known: dict[str, Entry] = {}
    undone: set[str] = set()
    for step in story:
        try:
            async with acting_for(company) as session:
                if step.undo is None:
                    posted = await service.post(session, entries(step))
                else:
                    posted = [await service.reverse(session, f"{step.undo}:0", key=f"undo:{step.undo}")]
        except service.NoSuchMovement:
            assert f"{step.undo}:0" not in known
        except service.KeyConflict:
            assert any(entry.key in known and known[entry.key] != entry for entry in entries(step)) or (
                0 < len({entry.key for entry in entries(step)} & known.keys()) < len(entries(step))
            )
        except service.Overdraft as short:
            wanted = entries(step) if step.undo is None else [mirror(known[f"{step.undo}:0"])]
            would_overdraw(wanted, expected, short.account)
        else:
            for each in posted:
                assert each.again == (each.entry.key in known)
                if not each.again:
                    known[each.entry.key] = each.entry
                    expected[each.entry.debit] -= each.entry.amount.paise
                    expected[each.entry.credit] += each.entry.amount.paise
                    if each.entry.reverses:
                        undone.add(f"{step.undo}:0")
        assert await balances(company) == {code.value: paise for code, paise in expected.items() if paise}
        assert all(ACCOUNTS[code].may_go_negative or paise >= 0 for code, paise in expected.items())
    async with acting_for(company) as session:
        assert await invariants.verify(session) == []
        for code in AccountCode:
            lines, _ = await service.statement(session, code, limit=200)
            running = 0
            for line in reversed(lines):
                running += line.amount.paise
                assert line.balance.paise == running
            assert running == expected[code]
    assert len(undone) == sum(entry.code is MovementCode.reversal for entry in known.values())
