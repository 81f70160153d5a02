"""Does a book still add up? Asked on a schedule, in production too, because what cannot happen sometimes does.

Each question reads a whole book in one statement, and so at one moment.
"""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.kernel import db, tenancy
from shipcrowd.kernel.money import Money
from shipcrowd.ledger.chart import ACCOUNTS
from shipcrowd.ledger.schemas import Discrepancy, Fault

MOST = 1000
"""Discrepancies told of at once: whoever has more has one fault many times over."""

_SIDES = """
    SELECT company_id, credit_account_id AS account_id, reference, amount_paise AS paise FROM ledger_movements
    WHERE $1::uuid IS NULL OR company_id = $1
    UNION ALL
    SELECT company_id, debit_account_id, reference, -amount_paise FROM ledger_movements
    WHERE $1::uuid IS NULL OR company_id = $1
"""

_BALANCES = f"""
WITH summed AS (
    SELECT company_id, account_id, sum(paise)::bigint AS paise FROM ({_SIDES}) AS side GROUP BY company_id, account_id
)
SELECT a.company_id, a.code AS subject, a.balance_paise AS stored, coalesce(summed.paise, 0) AS recomputed
FROM ledger_accounts a LEFT JOIN summed ON summed.company_id = a.company_id AND summed.account_id = a.id
WHERE ($1::uuid IS NULL OR a.company_id = $1) AND a.balance_paise <> coalesce(summed.paise, 0)
LIMIT $2
"""

_CAUSES = """
SELECT company_id, id::text AS subject, NULL::bigint AS stored, NULL::bigint AS recomputed FROM ledger_movements
WHERE ($1::uuid IS NULL OR company_id = $1) AND reference !~ '^[a-z][a-z0-9_]*:.'
LIMIT $2
"""

_REVERSALS = """
SELECT r.company_id, r.id::text AS subject, r.amount_paise AS stored, m.amount_paise AS recomputed
FROM ledger_movements r JOIN ledger_movements m ON m.company_id = r.company_id AND m.id = r.reverses
WHERE ($1::uuid IS NULL OR r.company_id = $1)
  AND (r.amount_paise, r.debit_account_id, r.credit_account_id, r.reference)
      <> (m.amount_paise, m.credit_account_id, m.debit_account_id, m.reference)
LIMIT $2
"""

_BY_REFERENCE = f"""
SELECT a.company_id, side.reference AS subject, NULL::bigint AS stored, sum(side.paise)::bigint AS recomputed
FROM ledger_accounts a
JOIN ({_SIDES}) AS side ON side.company_id = a.company_id AND side.account_id = a.id
WHERE a.code IN ({", ".join(f"'{code.value}'" for code, kind in ACCOUNTS.items() if kind.by_reference)})
GROUP BY a.company_id, a.code, side.reference HAVING sum(side.paise) < 0
LIMIT $2
"""

_QUESTIONS = (
    (Fault.balance, _BALANCES),
    (Fault.cause, _CAUSES),
    (Fault.reversal, _REVERSALS),
    (Fault.reference_overdrawn, _BY_REFERENCE),
)


async def verify(session: AsyncSession) -> list[Discrepancy]:
    """What is wrong with the acting company's book; nothing, if all is well."""
    return await _ask(session, tenancy.company_of(session))


async def verify_all() -> list[Discrepancy]:
    """What is wrong with any company's book."""
    async with tenancy.acting_for_platform(why="ledger invariants") as session:
        return await _ask(session, None)


async def _ask(session: AsyncSession, company_id: UUID | None) -> list[Discrepancy]:
    wire = await db.driver(session)
    return [
        Discrepancy(row["company_id"], fault, row["subject"], _money(row["stored"]), _money(row["recomputed"]))
        for fault, question in _QUESTIONS
        for row in await wire.fetch(question, company_id, MOST)
    ]


def _money(paise: int | None) -> Money | None:
    return None if paise is None else Money(paise)
