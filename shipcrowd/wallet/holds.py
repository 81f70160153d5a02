"""What became of the money set aside for one reference, read from its movements. Pure: values in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shipcrowd.kernel.money import Money
from shipcrowd.ledger.chart import MOVEMENTS, AccountCode, MovementCode, meaning
from shipcrowd.ledger.schemas import Posted

CHARGES = frozenset(
    code for code, kind in MOVEMENTS.items() if kind.debit is AccountCode.held and kind.credit is not AccountCode.wallet
)
"""The kinds of movement a settlement is made of."""

TOUCHED = frozenset({AccountCode.wallet, AccountCode.held} | {MOVEMENTS[code].credit for code in CHARGES})
"""Every account that holding, settling, releasing and refunding may move."""


class State(StrEnum):
    open = "open"
    """Set aside, for a booking that is under way."""
    settled = "settled"
    released = "released"
    """All of it went back, and nothing was charged."""
    refunded = "refunded"
    """It was charged, and the charges were given back."""


@dataclass(frozen=True)
class Hold:
    """One reference's hold. `open` is what is still set aside, `charges` what it was settled with."""

    amount: Money
    open: Money
    charges: tuple[Posted, ...]
    refunded: bool

    @property
    def state(self) -> State:
        if self.open:
            return State.open
        if self.refunded:
            return State.refunded
        return State.settled if self.charges else State.released

    def charged(self) -> dict[MovementCode, Money]:
        """What was charged, by kind."""
        return {posted.entry.code: posted.entry.amount for posted in self.charges}


FATE: Mapping[State, str] = {
    State.open: "Set aside for a booking",
    State.settled: "Charged for a booking",
    State.released: "Set aside for a booking, and given back",
    State.refunded: "Charged for a booking, and given back",
}
"""A hold's line on the statement: a booking moves the wallet once, so this line is the charge once it is settled."""


def words(code: MovementCode, hold: Hold | None) -> str:
    """What a line of the statement is, by now; `hold` is its reference's."""
    return FATE[hold.state] if hold is not None and code is MovementCode.hold else meaning(code)


def hold_of(movements: Sequence[Posted]) -> Hold | None:
    """A reference's hold, or None when nothing was set aside for it. Its other movements do not matter."""
    touching = [posted for posted in movements if AccountCode.held in (posted.entry.debit, posted.entry.credit)]
    amount = next((posted.entry.amount for posted in touching if posted.entry.code is MovementCode.hold), None)
    if amount is None:
        return None
    undone = {posted.entry.reverses for posted in touching}
    return Hold(
        amount=amount,
        open=Money.total(
            posted.entry.amount if posted.entry.credit is AccountCode.held else -posted.entry.amount
            for posted in touching
        ),
        charges=tuple(posted for posted in touching if posted.entry.code in CHARGES),
        refunded=any(posted.id in undone for posted in touching if posted.entry.code in CHARGES),
    )


def merged(parts: Sequence[tuple[str, Money]]) -> Mapping[MovementCode, Money]:
    """The parts of a settlement by kind, without those of zero.

    Raises ValueError for a part that is no charge on a hold, or is below zero.
    """
    sums: dict[MovementCode, Money] = {}
    for code, amount in parts:
        charge = MovementCode(code)
        if charge not in CHARGES:
            raise ValueError(f"{code!r} is no charge on a hold; those are {', '.join(sorted(CHARGES))}")
        if amount < Money.zero:
            raise ValueError(f"a charge of {amount} is no charge")
        sums[charge] = sums.get(charge, Money.zero) + amount
    return {code: amount for code, amount in sums.items() if amount}
