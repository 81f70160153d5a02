"""Balances and statement lines, as they come out, and funding as it goes in."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shipcrowd.kernel.money import Money
from shipcrowd.ledger.chart import AccountCode, MovementCode
from shipcrowd.ledger.schemas import StatementLine
from shipcrowd.wallet.holds import Hold, State, words


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Input(BaseModel):
    """What a client sends: unknown fields are refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WalletBalance(Frozen):
    """`available` can be spent now; `held` is set aside for bookings that are under way."""

    available: Money
    held: Money


class BalanceOut(Frozen):
    available_paise: int
    held_paise: int


class TransactionOut(Frozen):
    """One line of the wallet's statement. `amount_paise` is below zero for money that left; `balance_paise` is what
    could be spent afterwards; `other` is the account at the other end. `state` is what became of a `hold` by now, and
    null for any other code."""

    id: UUID
    at: datetime
    code: MovementCode
    state: State | None
    text: str
    reference: str
    amount_paise: int
    balance_paise: int
    other: AccountCode
    note: str

    @classmethod
    def of(cls, line: StatementLine, hold: Hold | None) -> "TransactionOut":
        return cls(
            id=line.id,
            at=line.at,
            code=line.code,
            state=hold.state if hold is not None and line.code is MovementCode.hold else None,
            text=words(line.code, hold),
            reference=line.reference,
            amount_paise=line.amount.paise,
            balance_paise=line.balance.paise,
            other=line.other,
            note=line.note,
        )


def _printable(text: str) -> str:
    """Without control characters: the database takes no null byte, and a statement's line is one line."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


class FundWallet(Input):
    """A credit by hand, up to ₹10,00,000."""

    amount_paise: int = Field(strict=True, gt=0, le=10_00_000_00)
    note: Annotated[str, AfterValidator(_printable)] = Field(default="", max_length=200)
