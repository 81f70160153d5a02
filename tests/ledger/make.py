"""Movements for tests."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from shipcrowd.kernel import db
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.ledger import service
from shipcrowd.ledger.chart import AccountCode, MovementCode
from shipcrowd.ledger.schemas import Entry, Posted


def entry(code: str = "manual_credit", paise: int = 100_00, *, reference: str = "manual:1", key: str = "") -> Entry:
    return Entry.of(MovementCode(code), Money(paise), reference=reference, key=key or str(new_id()))


async def post(company: UUID, *entries: Entry) -> list[Posted]:
    async with acting_for(company) as session:
        return await service.post(session, entries)


async def balances(company: UUID) -> dict[str, int]:
    """The accounts that are not at zero, in paise."""
    async with acting_for(company) as session:
        found = await service.balances(session, list(AccountCode))
    return {code.value: money.paise for code, money in found.items() if money}


async def count(company: UUID) -> int:
    async with acting_for(company) as session:
        return await (await db.driver(session)).fetchval("SELECT count(*) FROM ledger_movements")


class Statements:
    """Counts the statements that go over the wire."""

    def __init__(self, driver: Callable[..., Any]) -> None:
        self.driver, self.count = driver, 0

    async def __call__(self, session: Any) -> "_Counting":
        return _Counting(await self.driver(session), self)


class _Counting:
    def __init__(self, wire: Any, statements: Statements) -> None:
        self.wire, self.statements = wire, statements

    def __getattr__(self, name: str) -> Any:
        self.statements.count += 1
        return getattr(self.wire, name)
