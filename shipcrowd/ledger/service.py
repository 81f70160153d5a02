"""Posting, reversing and reading movements.

All row locks on accounts are taken in `lock`, in one statement and one order. A caller that reads before it posts, and
must not be overtaken in between, calls `lock` first, with every account that it may come to post to.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from shipcrowd.kernel import clock, db, pages, tenancy
from shipcrowd.kernel.errors import Conflict, NotFound
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.ledger.chart import ACCOUNTS, AccountCode, MovementCode
from shipcrowd.ledger.models import Account, Movement
from shipcrowd.ledger.schemas import Entry, Posted, StatementLine


class Overdraft(Conflict):
    """The account does not hold enough for this."""

    def __init__(
        self, account: AccountCode | None, *, needed: Money | None = None, available: Money | None = None
    ) -> None:
        super().__init__(
            f"{account} holds {available}, and {needed} is needed" if account else "",
            account=account,
            needed_paise=None if needed is None else needed.paise,
            available_paise=None if available is None else available.paise,
        )
        self.account, self.needed, self.available = account, needed, available


class KeyConflict(Conflict):
    """This key was used before for another movement of money."""


class AlreadyReversed(Conflict):
    """This movement was reversed before."""


class NotReversible(Conflict):
    """A reversal is not reversed; the movement is made anew instead."""


class NoSuchMovement(NotFound):
    """There is no such movement."""


# ---- locking

# Nothing is locked unless all of the accounts exist: the missing ones are made before any lock is held, so that those
# who make them at the same moment only ever wait for someone who waits for nobody.
_LOCK = """
SELECT id, code, balance_paise, may_go_negative, moved_at FROM ledger_accounts
WHERE company_id = $1 AND code = ANY($2::text[])
  AND (SELECT count(*) FROM ledger_accounts WHERE company_id = $1 AND code = ANY($2::text[])) = cardinality($2::text[])
ORDER BY id FOR NO KEY UPDATE
"""

_OPEN_BOOK = """
INSERT INTO ledger_accounts (company_id, id, code, balance_paise, may_go_negative, created_at)
SELECT $1, id, code, 0, may_go_negative, $5
FROM unnest($2::uuid[], $3::text[], $4::bool[]) WITH ORDINALITY AS account (id, code, may_go_negative, place)
ORDER BY place
ON CONFLICT (company_id, code) DO NOTHING
"""


@dataclass(frozen=True)
class LockedAccount:
    """An account that no one else can move until this transaction ends."""

    id: UUID
    balance: Money
    may_go_negative: bool
    moved_at: datetime | None


async def lock(session: AsyncSession, codes: Collection[AccountCode]) -> Mapping[AccountCode, LockedAccount]:
    """Lock accounts of the acting company until the transaction ends, in id order, with one statement.

    The first use of a book opens all accounts of the chart (two statements more, once).
    """
    company_id, wire = tenancy.company_of(session), await db.driver(session)
    wanted = sorted({code.value for code in codes})
    rows = await wire.fetch(_LOCK, company_id, wanted)
    if not rows:
        await wire.execute(
            _OPEN_BOOK,
            company_id,
            [new_id() for _ in ACCOUNTS],
            [code.value for code in ACCOUNTS],
            [kind.may_go_negative for kind in ACCOUNTS.values()],
            clock.now(),
        )
        rows = await wire.fetch(_LOCK, company_id, wanted)
    return {
        AccountCode(row["code"]): LockedAccount(
            row["id"], Money(row["balance_paise"]), row["may_go_negative"], row["moved_at"]
        )
        for row in rows
    }


# ---- posting

_WRITE = """
WITH entry AS (
    SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::text[], $8::text[],
                         $9::timestamptz[], $10::uuid[], $11::text[], $12::bigint[], $13::bigint[])
        AS entry (id, debit, credit, paise, code, reference, key, at, reverses, note, debit_balance, credit_balance)
), posted AS (
    INSERT INTO ledger_movements (company_id, id, debit_account_id, credit_account_id, amount_paise, code, reference,
        idempotency_key, at, reverses, note, debit_balance_paise, credit_balance_paise)
    SELECT $1, entry.* FROM entry
)
UPDATE ledger_accounts SET balance_paise = balance_paise + moved.paise, moved_at = moved.at
FROM (
    SELECT account, sum(paise)::bigint AS paise, max(at) AS at
    FROM (SELECT debit AS account, -paise AS paise, at FROM entry
          UNION ALL SELECT credit, paise, at FROM entry) AS side
    GROUP BY account
) AS moved
WHERE ledger_accounts.company_id = $1 AND ledger_accounts.id = moved.account
"""

# The accounts' codes as subqueries, not joins: from a young table's statistics the planner would begin with the
# accounts and read all of their movements.
_MOVEMENTS = """
SELECT m.id, m.at, m.amount_paise, m.code, m.reference, m.idempotency_key, m.note, m.reverses,
       m.debit_balance_paise, m.credit_balance_paise,
       (SELECT code FROM ledger_accounts WHERE company_id = m.company_id AND id = m.debit_account_id) AS debit,
       (SELECT code FROM ledger_accounts WHERE company_id = m.company_id AND id = m.credit_account_id) AS credit
FROM
"""
_BY_ID = "ledger_movements m WHERE m.company_id = $1 AND m.id = $2"
_BY_KEY = "ledger_movements m WHERE m.company_id = $1 AND m.idempotency_key = $2"
_BY_REFERENCE = "ledger_movements m WHERE m.company_id = $1 AND m.reference = $2 ORDER BY m.at, m.id"
# LIMIT keeps it at one look into the unique index a key, for the same reason.
_BY_REFERENCES = "ledger_movements m WHERE m.company_id = $1 AND m.reference = ANY($2::text[]) ORDER BY m.at, m.id"
_BY_KEYS = """
unnest($2::text[]) AS wanted (key), LATERAL (
    SELECT * FROM ledger_movements WHERE company_id = $1 AND idempotency_key = wanted.key LIMIT 1) AS m
"""
_BY_KEYS_OR_REVERSED = """(
    SELECT m.* FROM unnest($2::text[]) AS wanted (key), LATERAL (
        SELECT * FROM ledger_movements WHERE company_id = $1 AND idempotency_key = wanted.key LIMIT 1) AS m
    UNION
    SELECT m.* FROM unnest($3::uuid[]) AS wanted (id), LATERAL (
        SELECT * FROM ledger_movements WHERE company_id = $1 AND reverses = wanted.id LIMIT 1) AS m) AS m
"""

_ONE_TICK = timedelta(microseconds=1)


async def post(session: AsyncSession, movements: Sequence[Entry]) -> list[Posted]:
    """Post movements together, in the caller's transaction: all of them or, when this raises, none. Three statements.

    The same keys again: the stored movements come back and nothing moves. Raises KeyConflict when a key stands for
    another movement, or when only some of the keys are known; AlreadyReversed; Overdraft when an account that must
    not go below zero would.
    """
    if not movements:
        return []
    if len({entry.key for entry in movements}) < len(movements):
        raise ValueError("two movements of one posting have the same key")
    accounts = await lock(session, {code for entry in movements for code in (entry.debit, entry.credit)})
    # Under the lock: whoever posted the same movements at the same moment has committed by now.
    if stored := await _stored(session, movements):
        return _same(movements, stored)
    posted = _applied(movements, accounts)
    await _write(session, posted, accounts)
    return posted


async def reverse(session: AsyncSession, movement: UUID | str, *, key: str, note: str = "") -> Posted:
    """Take a movement, given by its id or its idempotency key, back with a new one under `key`.

    Raises NoSuchMovement, NotReversible, AlreadyReversed, Overdraft when the money is not there any more.
    """
    found = await _read(session, _BY_ID if isinstance(movement, UUID) else _BY_KEY, movement)
    if not found:
        raise NoSuchMovement()
    if found[0].entry.code is MovementCode.reversal:
        raise NotReversible()
    [posted] = await post(session, [Entry.undoing(found[0], key=key, note=note)])
    return posted


async def _stored(session: AsyncSession, movements: Sequence[Entry]) -> list[Posted]:
    """Movements with one of the keys, or that reverse what one of `movements` would."""
    keys = [entry.key for entry in movements]
    if reversed_ids := [entry.reverses for entry in movements if entry.reverses is not None]:
        return await _read(session, _BY_KEYS_OR_REVERSED, keys, reversed_ids)
    return await _read(session, _BY_KEYS, keys)


def _same(movements: Sequence[Entry], stored: Sequence[Posted]) -> list[Posted]:
    by_key = {posted.entry.key: posted for posted in stored}
    if by_key.keys() - {entry.key for entry in movements}:
        raise AlreadyReversed()
    for entry in movements:
        known = by_key.get(entry.key)
        # The note is for people: other words are no other movement.
        if known is None or replace(known.entry, note=entry.note) != entry:
            raise KeyConflict(f"the key {entry.key!r} belongs to another posting")
    return [replace(by_key[entry.key], again=True) for entry in movements]


def _applied(movements: Sequence[Entry], accounts: Mapping[AccountCode, LockedAccount]) -> list[Posted]:
    """The movements with their moments and the balances after each. Pure but for the clock. Raises Overdraft.

    An account's movements have one order, that of their moments, and its running balances follow it: clocks differ
    from machine to machine, so a moment that is not after the account's last one is moved behind it.
    """
    last = [account.moved_at for account in accounts.values() if account.moved_at is not None]
    at = max([clock.now(), *(moment + _ONE_TICK for moment in last)])
    balances = {code: account.balance for code, account in accounts.items()}
    posted: list[Posted] = []
    for place, entry in enumerate(movements):
        balances[entry.debit] -= entry.amount
        balances[entry.credit] += entry.amount
        posted.append(Posted(new_id(), at + place * _ONE_TICK, entry, balances[entry.debit], balances[entry.credit]))
    for code, account in accounts.items():
        if balances[code] < Money.zero and not account.may_go_negative:
            raise Overdraft(code, needed=account.balance - balances[code], available=account.balance)
    return posted


async def _write(
    session: AsyncSession, posted: Sequence[Posted], accounts: Mapping[AccountCode, LockedAccount]
) -> None:
    entries = [each.entry for each in posted]
    try:
        await (await db.driver(session)).execute(
            _WRITE,
            tenancy.company_of(session),
            [each.id for each in posted],
            [accounts[entry.debit].id for entry in entries],
            [accounts[entry.credit].id for entry in entries],
            [entry.amount.paise for entry in entries],
            [entry.code.value for entry in entries],
            [entry.reference for entry in entries],
            [entry.key for entry in entries],
            [each.at for each in posted],
            [entry.reverses for entry in entries],
            [entry.note for entry in entries],
            [each.debit_balance.paise for each in posted],
            [each.credit_balance.paise for each in posted],
        )
    except asyncpg.CheckViolationError as error:
        # The last resort: the same was asked of the locked balances before.
        if _constraint(error) != "ck_ledger_accounts_overdraft":
            raise
        raise Overdraft(None) from error
    except asyncpg.UniqueViolationError as error:
        # Two at the same moment that have no account in common did not wait for each other at the lock.
        if _constraint(error) != "uq_ledger_movements_company_id_idempotency_key":
            raise
        raise KeyConflict() from error


def _constraint(error: asyncpg.PostgresError) -> str:
    return str(getattr(error, "constraint_name", ""))  # the driver sets it without declaring it


# ---- reading


async def balance(session: AsyncSession, code: AccountCode) -> Money:
    """An account's balance now."""
    return (await balances(session, [code]))[code]


async def balances(session: AsyncSession, codes: Collection[AccountCode]) -> dict[AccountCode, Money]:
    """Several accounts' balances, of one moment."""
    rows = await session.execute(
        select(Account.code, Account.balance_paise).where(
            Account.company_id == tenancy.company_of(session), Account.code.in_([code.value for code in codes])
        )
    )
    return dict.fromkeys(codes, Money.zero) | {AccountCode(code): paise for code, paise in rows}


async def movements(session: AsyncSession, reference: str) -> list[Posted]:
    """All movements with one cause, oldest first."""
    return await _read(session, _BY_REFERENCE, reference)


async def movements_of(session: AsyncSession, references: Collection[str]) -> Mapping[str, Sequence[Posted]]:
    """All movements of each of these causes, oldest first, in one statement; a cause without any is left out."""
    found: dict[str, list[Posted]] = {}
    for posted in await _read(session, _BY_REFERENCES, sorted(set(references))) if references else ():
        found.setdefault(posted.entry.reference, []).append(posted)
    return found


async def statement(
    session: AsyncSession, code: AccountCode, *, after: str | None = None, limit: int = 50
) -> tuple[list[StatementLine], str | None]:
    """An account's movements, newest first, each with the balance after it, and the cursor of the next page."""
    company_id = tenancy.company_of(session)
    account, other = aliased(Account), aliased(Account)
    account_id = await session.scalar(
        select(account.id).where(account.company_id == company_id, account.code == code.value)
    )

    def side(here: InstrumentedAttribute[UUID], there: InstrumentedAttribute[UUID]) -> Select[Movement, str]:
        query = (
            select(Movement, other.code)
            .join(other, (other.company_id == Movement.company_id) & (other.id == there))
            .where(Movement.company_id == company_id, here == account_id)
            .order_by(Movement.at.desc(), Movement.id.desc())
            .limit(limit + 1)
        )
        return query if after is None else query.where(pages.older_than(Movement.at, Movement.id, after))

    # Each side by its own index: a condition with OR would read and sort the whole account for every page.
    out = (await session.execute(side(Movement.debit_account_id, Movement.credit_account_id))).all()
    into = (await session.execute(side(Movement.credit_account_id, Movement.debit_account_id))).all()
    lines = sorted(
        chain(
            (_line(row, there, -row.amount_paise, row.debit_balance_paise) for row, there in out),
            (_line(row, there, row.amount_paise, row.credit_balance_paise) for row, there in into),
        ),
        key=lambda line: (line.at, line.id),
        reverse=True,
    )
    kept, following = pages.page(lines[: limit + 1], limit, lambda line: (line.at, line.id))
    return list(kept), following


async def by_reference(session: AsyncSession, code: AccountCode) -> dict[str, Money]:
    """What each reference has in an account, as far as it is not zero. Reads all of the account's movements."""
    rows = await (await db.driver(session)).fetch(
        """
        WITH account AS (SELECT id FROM ledger_accounts WHERE company_id = $1 AND code = $2)
        SELECT reference, sum(paise)::bigint AS paise
        FROM (SELECT reference, amount_paise AS paise FROM ledger_movements
              WHERE company_id = $1 AND credit_account_id = (SELECT id FROM account)
              UNION ALL
              SELECT reference, -amount_paise FROM ledger_movements
              WHERE company_id = $1 AND debit_account_id = (SELECT id FROM account)) AS side
        GROUP BY reference HAVING sum(paise) <> 0
        """,
        tenancy.company_of(session),
        code.value,
    )
    return {row["reference"]: Money(row["paise"]) for row in rows}


async def _read(session: AsyncSession, source: str, *values: Any) -> list[Posted]:
    rows = await (await db.driver(session)).fetch(_MOVEMENTS + source, tenancy.company_of(session), *values)
    return [_posted(row) for row in rows]


def _posted(row: Mapping[str, Any]) -> Posted:
    entry = Entry(
        debit=AccountCode(row["debit"]),
        credit=AccountCode(row["credit"]),
        amount=Money(row["amount_paise"]),
        code=MovementCode(row["code"]),
        reference=row["reference"],
        key=row["idempotency_key"],
        note=row["note"],
        reverses=row["reverses"],
    )
    return Posted(row["id"], row["at"], entry, Money(row["debit_balance_paise"]), Money(row["credit_balance_paise"]))


def _line(row: Movement, other: str, amount: Money, after: Money) -> StatementLine:
    return StatementLine(
        id=row.id,
        at=row.at,
        code=MovementCode(row.code),
        reference=row.reference,
        amount=amount,
        balance=after,
        other=AccountCode(other),
        note=row.note,
    )
