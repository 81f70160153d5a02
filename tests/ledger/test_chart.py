"""The chart is read by people: every account and movement is explained, and none is a dead end."""

import pytest

from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.ledger.chart import ACCOUNTS, MOVEMENTS, AccountCode, MovementCode, meaning
from shipcrowd.ledger.schemas import Entry


def test_every_account_and_every_movement_is_explained():
    assert set(ACCOUNTS) == set(AccountCode)
    assert set(MOVEMENTS) == set(MovementCode) - {MovementCode.reversal}
    assert all(kind.meaning for kind in ACCOUNTS.values())
    assert all(meaning(code) for code in MovementCode)


def test_what_a_company_owns_cannot_go_below_zero():
    for code in (AccountCode.wallet, AccountCode.held, AccountCode.cod_payable):
        assert not ACCOUNTS[code].may_go_negative


def test_accounts_are_made_in_the_charts_order_with_the_wallet_first():
    assert list(ACCOUNTS) == list(AccountCode)
    assert next(iter(ACCOUNTS)) is AccountCode.wallet


def entry(**changes: object) -> Entry:
    fields = {
        "debit": AccountCode.wallet,
        "credit": AccountCode.held,
        "amount": Money(1),
        "code": MovementCode.hold,
        "reference": "shipment:1",
        "key": "k",
    }
    return Entry(**fields | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"amount": Money.zero}, "more than nothing"),
        ({"amount": Money(-5)}, "more than nothing"),
        ({"reference": ""}, "names no cause"),
        ({"reference": "shipment"}, "names no cause"),
        ({"key": ""}, "idempotency key"),
        ({"debit": AccountCode.held, "credit": AccountCode.wallet}, "from wallet to held"),
        ({"code": MovementCode.reversal}, "names the movement"),
        ({"reverses": new_id()}, "names the movement"),
    ],
)
def test_what_is_no_movement_of_the_chart_is_a_fault_of_the_program(changes: dict[str, object], words: str):
    with pytest.raises(ValueError, match=words):
        entry(**changes)
