"""Accounts with their running balances, and the movements between them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shipcrowd.kernel.db import Base, Dated, Owned, owned_key
from shipcrowd.kernel.money import Money


class Account(Dated, Owned, Base):
    """One account of a company's book. Its row is the lock under which its balance moves."""

    __tablename__ = "ledger_accounts"
    __table_args__ = (
        UniqueConstraint("company_id", "code"),
        CheckConstraint("balance_paise >= 0 OR may_go_negative", name="overdraft"),
    )

    code: Mapped[str]
    """See `chart.ACCOUNTS`."""
    balance_paise: Mapped[Money] = mapped_column(default=Money.zero)
    """Credits less debits of all its movements."""
    may_go_negative: Mapped[bool]
    moved_at: Mapped[datetime | None]
    """When its last movement was. Movements of one account never have the same moment, see `service.post`."""


class Movement(Owned, Base):
    """Money that went from one account to another. Never edited; undone by a movement that `reverses` it."""

    __tablename__ = "ledger_movements"
    __table_args__ = (
        owned_key("ledger_accounts", "debit_account_id"),
        owned_key("ledger_accounts", "credit_account_id"),
        owned_key("ledger_movements", "reverses"),
        UniqueConstraint("company_id", "idempotency_key"),
        Index(
            "uq_ledger_movements_reverses",
            "company_id",
            "reverses",
            unique=True,
            postgresql_where=text("reverses IS NOT NULL"),
        ),
        Index(None, "company_id", "reference", "at"),
        Index(None, "company_id", "debit_account_id", "at", "id"),
        Index(None, "company_id", "credit_account_id", "at", "id"),
        CheckConstraint("amount_paise > 0", name="amount"),
        CheckConstraint("debit_account_id <> credit_account_id", name="two_accounts"),
        CheckConstraint("(code = 'reversal') = (reverses IS NOT NULL)", name="reversal"),
    )

    debit_account_id: Mapped[UUID]
    """Where the money left."""
    credit_account_id: Mapped[UUID]
    """Where it went."""
    amount_paise: Mapped[Money]
    code: Mapped[str]
    """See `chart.MOVEMENTS`."""
    reference: Mapped[str]
    """Its one cause, as `<thing>:<id>`."""
    idempotency_key: Mapped[str]
    at: Mapped[datetime]
    reverses: Mapped[UUID | None]
    note: Mapped[str]
    debit_balance_paise: Mapped[Money]
    """The debit account's balance after this movement."""
    credit_balance_paise: Mapped[Money]
