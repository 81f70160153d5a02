"""The chart: which accounts a book has, and which movements there are between them. Pure data.

A movement takes its amount out of the debit account and puts it into the credit account, so a balance is credits less
debits. Accounts that stand for money somewhere else (a gateway, a courier) are below zero by what is still there.
Every book stands for itself: the platform's side is a set of accounts inside each company's book.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class AccountCode(StrEnum):
    """In the order in which their rows are made, and so locked: the wallet first, for most postings touch it, and a
    transaction that waits for it then holds nothing that another waits for."""

    wallet = "wallet"
    held = "held"
    freight_revenue = "freight_revenue"
    cod_fee_revenue = "cod_fee_revenue"
    gst_payable = "gst_payable"
    gateway_clearing = "gateway_clearing"
    manual_funding = "manual_funding"
    courier_payable = "courier_payable"
    cod_collected = "cod_collected"
    cod_payable = "cod_payable"
    adjustments = "adjustments"


@dataclass(frozen=True)
class AccountKind:
    """`by_reference`: every reference's own part of the account, too, must never be below zero."""

    meaning: str
    may_go_negative: bool = False
    by_reference: bool = False


ACCOUNTS: Mapping[AccountCode, AccountKind] = {
    AccountCode.wallet: AccountKind("What the company can spend now"),
    AccountCode.held: AccountKind("Set aside for bookings that are under way", by_reference=True),
    AccountCode.freight_revenue: AccountKind("The platform's income from carrying parcels"),
    AccountCode.cod_fee_revenue: AccountKind("The platform's income from collecting cash"),
    AccountCode.gst_payable: AccountKind("Tax on the platform's income, owed to the government"),
    AccountCode.gateway_clearing: AccountKind("Recharges: below zero by what came in by gateway", True),
    AccountCode.manual_funding: AccountKind("Credits by hand: below zero by what the operator gave", True),
    AccountCode.courier_payable: AccountKind("Owed to couriers for this company's parcels"),
    AccountCode.cod_collected: AccountKind("Buyers' cash: below zero by what couriers collected", True),
    AccountCode.cod_payable: AccountKind("Buyers' cash that is owed to the company"),
    AccountCode.adjustments: AccountKind("Corrections by the operator, either way", True),
}


class MovementCode(StrEnum):
    recharge = "recharge"
    manual_credit = "manual_credit"
    hold = "hold"
    release = "release"
    freight = "freight"
    fuel = "fuel"
    cod = "cod"
    gst = "gst"
    refund = "refund"
    adjustment_credit = "adjustment_credit"
    adjustment_debit = "adjustment_debit"
    reversal = "reversal"


@dataclass(frozen=True)
class MovementKind:
    debit: AccountCode
    credit: AccountCode
    meaning: str


_A = AccountCode
MOVEMENTS: Mapping[MovementCode, MovementKind] = {
    MovementCode.recharge: MovementKind(_A.gateway_clearing, _A.wallet, "Recharge by payment gateway"),
    MovementCode.manual_credit: MovementKind(_A.manual_funding, _A.wallet, "Credit by hand"),
    MovementCode.hold: MovementKind(_A.wallet, _A.held, "Set aside for a booking"),
    MovementCode.release: MovementKind(_A.held, _A.wallet, "Set aside and not needed after all"),
    MovementCode.freight: MovementKind(_A.held, _A.freight_revenue, "Freight of a booked parcel"),
    MovementCode.fuel: MovementKind(_A.held, _A.freight_revenue, "Fuel surcharge of a booked parcel"),
    MovementCode.cod: MovementKind(_A.held, _A.cod_fee_revenue, "Fee for collecting cash"),
    MovementCode.gst: MovementKind(_A.held, _A.gst_payable, "GST on a booked parcel"),
    MovementCode.refund: MovementKind(_A.held, _A.wallet, "Charges of a cancelled booking, given back"),
    MovementCode.adjustment_credit: MovementKind(_A.adjustments, _A.wallet, "Correction in the company's favour"),
    MovementCode.adjustment_debit: MovementKind(_A.wallet, _A.adjustments, "Correction against the company"),
}
"""Where each kind of movement goes. A reversal is not here: it goes where the movement it undoes came from."""

REVERSAL_MEANING = "Undoes another movement"


def meaning(code: MovementCode) -> str:
    """A movement's kind in words, as a statement shows it."""
    return REVERSAL_MEANING if code is MovementCode.reversal else MOVEMENTS[code].meaning
