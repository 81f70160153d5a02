"""Funding a wallet; setting money aside for a booking, and what becomes of it.

A reference (`shipment:<id>`) has one hold in its life: open, then settled or released; settled, then perhaps refunded.
Each verb may be repeated: what was done already is not done again. An amount of zero is done by doing nothing.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.kernel import audit
from shipcrowd.kernel.errors import Conflict
from shipcrowd.kernel.money import Money
from shipcrowd.ledger import service as ledger
from shipcrowd.ledger.chart import AccountCode, MovementCode
from shipcrowd.ledger.schemas import Entry, StatementLine
from shipcrowd.wallet.holds import TOUCHED, Hold, State, hold_of, merged
from shipcrowd.wallet.schemas import WalletBalance


class InsufficientBalance(Conflict):
    """The wallet does not hold enough for this shipment."""

    def __init__(self, *, needed: Money, available: Money) -> None:
        super().__init__(
            f"{needed} is needed, and {available} is available; recharge the wallet by {needed - available}",
            needed_paise=needed.paise,
            available_paise=available.paise,
        )
        self.needed, self.available = needed, available


class HoldEnded(Conflict):
    """The money for this was given back already."""


class NothingHeld(Conflict):
    """No money was set aside for this."""


class MoreThanHeld(Conflict):
    """This costs more than was set aside for it."""


class SettledDifferently(Conflict):
    """This was charged already, with other amounts."""


class NotSettled(Conflict):
    """This was not charged yet, so there is nothing to give back; release the hold instead."""


async def balance(session: AsyncSession) -> WalletBalance:
    """What the acting company can spend, and what is set aside."""
    now = await ledger.balances(session, [AccountCode.wallet, AccountCode.held])
    return WalletBalance(available=now[AccountCode.wallet], held=now[AccountCode.held])


async def transactions(
    session: AsyncSession, *, after: str | None = None, limit: int = 50
) -> tuple[list[StatementLine], str | None]:
    """The wallet's statement, newest first, and the cursor of the next page."""
    return await ledger.statement(session, AccountCode.wallet, after=after, limit=limit)


async def holds(session: AsyncSession, lines: Sequence[StatementLine]) -> Mapping[str, Hold]:
    """Reference → what became of the money set aside for it, for the holds among these lines of a statement."""
    wanted = {line.reference for line in lines if line.code is MovementCode.hold}
    found = await ledger.movements_of(session, wanted)
    return {reference: hold for reference, moved in found.items() if (hold := hold_of(moved)) is not None}


async def fund(
    session: AsyncSession,
    *,
    amount: Money,
    reference: str,
    key: str,
    actor: str,
    source: MovementCode = MovementCode.manual_credit,
    note: str = "",
) -> WalletBalance:
    """Credit the wallet: by hand, or with `source=MovementCode.recharge` what a payment gateway took in.

    `reference` is the cause (`payment:<id>`), `key` makes it happen once. The balance afterwards. Raises KeyConflict.
    """
    if amount:
        entry = Entry.of(source, amount, reference=reference, key=f"fund:{key}", note=note)
        [posted] = await ledger.post(session, [entry])
        if not posted.again:
            await audit.record(
                session,
                actor=actor,
                action="wallet.funded",
                subject=reference,
                details={"amount_paise": amount.paise, "source": source.value},
            )
    return await balance(session)


async def hold(session: AsyncSession, *, reference: str, amount: Money) -> None:
    """Set money aside. Returning means that it is set aside, or was and is spent on this reference by now.

    Raises InsufficientBalance, HoldEnded when it was given back before (a new booking is a new reference), and
    KeyConflict when another amount was set aside for this reference. All of them move nothing.
    """
    if not amount:
        return
    entry = Entry.of(MovementCode.hold, amount, reference=reference, key=f"hold:{reference}")
    try:
        [posted] = await ledger.post(session, [entry])
    except ledger.Overdraft as short:
        available = short.available if short.available is not None else Money.zero
        raise InsufficientBalance(needed=amount, available=available) from short
    if posted.again:
        known = hold_of(await ledger.movements(session, reference))
        if known is not None and known.state in (State.released, State.refunded):
            raise HoldEnded(f"{reference} had its hold before; book again under a new reference")


async def settle(session: AsyncSession, *, reference: str, parts: Sequence[tuple[str, Money]]) -> None:
    """Charge what was set aside: each part is a kind of charge (`freight`, `fuel`, `cod`, `gst`) and its amount, and
    what is left over goes back to the wallet.

    Raises NothingHeld, MoreThanHeld, HoldEnded when the hold was released before, SettledDifferently when it was
    settled with other parts. Raises ValueError for a part that is no charge.
    """
    charges = merged(parts)
    known = await _locked(session, reference)
    if known is None:
        if charges:
            raise NothingHeld(f"nothing was set aside for {reference}")
        return
    if known.state is not State.open:
        if known.charged() == charges:
            return
        raise SettledDifferently() if known.charges else HoldEnded()
    total = Money.total(charges.values())
    if total > known.open:
        raise MoreThanHeld(
            f"{total} is more than the {known.open} set aside",
            needed_paise=total.paise,
            held_paise=known.open.paise,
        )
    entries = [
        Entry.of(code, amount, reference=reference, key=f"settle:{reference}:{code}")
        for code, amount in charges.items()
    ]
    if rest := known.open - total:
        entries.append(_release(reference, rest))
    await ledger.post(session, entries)


async def release(session: AsyncSession, *, reference: str) -> None:
    """Give back what is still set aside; nothing, when it was settled or released before."""
    known = await _locked(session, reference)
    if known is not None and known.state is State.open:
        await ledger.post(session, [_release(reference, known.open)])


async def refund(session: AsyncSession, *, reference: str) -> None:
    """Give back what was charged, for a booking cancelled before its pickup: each charge is reversed.

    Nothing, when nothing was charged or it was given back before. Raises NotSettled while the hold is open.
    """
    known = await _locked(session, reference)
    if known is None or known.state in (State.released, State.refunded):
        return
    if known.state is State.open:
        raise NotSettled(f"the hold for {reference} is open")
    undoing = [
        Entry.undoing(charge, key=f"refund:{reference}:{charge.entry.code}", note="cancelled")
        for charge in known.charges
    ]
    back = Money.total(charge.entry.amount for charge in known.charges)
    given = Entry.of(MovementCode.refund, back, reference=reference, key=f"refund:{reference}")
    await ledger.post(session, [*undoing, given])


async def held_for(session: AsyncSession) -> Mapping[str, Money]:
    """The open holds: reference → what is set aside for it. Reads every hold there ever was: for checks."""
    return await ledger.by_reference(session, AccountCode.held)


async def _locked(session: AsyncSession, reference: str) -> Hold | None:
    """A reference's hold, which nobody can change until this transaction ends."""
    await ledger.lock(session, TOUCHED)
    return hold_of(await ledger.movements(session, reference))


def _release(reference: str, amount: Money) -> Entry:
    # The rest of a settlement and a whole hold given back have one key: a hold is returned at most once.
    return Entry.of(MovementCode.release, amount, reference=reference, key=f"release:{reference}")
