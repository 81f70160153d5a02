"""Movements as they go in and come out."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shipcrowd.kernel.money import Money
from shipcrowd.ledger.chart import MOVEMENTS, AccountCode, MovementCode

REFERENCE = re.compile(r"[a-z][a-z0-9_]*:.+")


@dataclass(frozen=True)
class Entry:
    """A movement to be posted: `amount` goes from `debit` to `credit`.

    `reference` is its one cause (`shipment:<id>`); `key` makes posting it twice the same as once. Made by `of` and
    `undoing`. Raises ValueError for what is no movement of the chart: that is a fault of the program, not of a user.
    """

    debit: AccountCode
    credit: AccountCode
    amount: Money
    code: MovementCode
    reference: str
    key: str
    note: str = ""
    reverses: UUID | None = None

    def __post_init__(self) -> None:
        if self.amount <= Money.zero:
            raise ValueError("a movement moves more than nothing")
        if not REFERENCE.fullmatch(self.reference):
            raise ValueError(f"{self.reference!r} names no cause; a reference is `<thing>:<id>`")
        if not self.key:
            raise ValueError("a movement needs an idempotency key")
        if (self.code is MovementCode.reversal) != (self.reverses is not None):
            raise ValueError("a reversal, and nothing else, names the movement that it reverses")
        if self.code is not MovementCode.reversal:
            kind = MOVEMENTS[self.code]
            if (self.debit, self.credit) != (kind.debit, kind.credit):
                raise ValueError(f"{self.code} goes from {kind.debit} to {kind.credit}")

    @classmethod
    def of(cls, code: MovementCode, amount: Money, *, reference: str, key: str, note: str = "") -> "Entry":
        """A movement between the accounts that the chart has for `code`."""
        kind = MOVEMENTS[code]
        return cls(kind.debit, kind.credit, amount, code, reference, key, note)

    @classmethod
    def undoing(cls, posted: "Posted", *, key: str, note: str = "") -> "Entry":
        """The movement that takes `posted` back, under the same reference."""
        done = posted.entry
        return cls(
            done.credit, done.debit, done.amount, MovementCode.reversal, done.reference, key, note, reverses=posted.id
        )


@dataclass(frozen=True)
class Posted:
    """A movement in the book, with the two balances after it. `again`: it was there before this posting."""

    id: UUID
    at: datetime
    entry: Entry
    debit_balance: Money
    credit_balance: Money
    again: bool = False


@dataclass(frozen=True)
class StatementLine:
    """A movement as one account saw it: `amount` is below zero for money that left, `balance` is what was there
    afterwards, `other` the account at the other end."""

    id: UUID
    at: datetime
    code: MovementCode
    reference: str
    amount: Money
    balance: Money
    other: AccountCode
    note: str


class Fault(StrEnum):
    """What can be wrong with a book."""

    balance = "balance"
    """An account's running balance is not the sum of its movements."""
    cause = "cause"
    """A movement whose reference names no cause."""
    reversal = "reversal"
    """A reversal that is not the mirror image of what it reverses."""
    reference_overdrawn = "reference_overdrawn"
    """More was taken for one reference than was set aside for it."""


@dataclass(frozen=True)
class Discrepancy:
    """One fault in one company's book. `subject` is an account's code, a movement's id or a reference."""

    company_id: UUID
    fault: Fault
    subject: str
    stored: Money | None = None
    recomputed: Money | None = None
