"""Whatever is funded, held, settled, released and refunded, and repeated, in whatever order: a plain model of a
wallet and the real one agree on every outcome."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.ledger import invariants
from shipcrowd.ledger import service as ledger
from shipcrowd.wallet import service
from tests.ledger.make import balances
from tests.wallet.make import balance, fund, held_for, hold, refund, release, settle

pytestmark = pytest.mark.postgres

REFERENCES = ("shipment:1", "shipment:2", "shipment:3")

shares = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
steps = st.one_of(
    st.tuples(st.just("fund"), st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 300)),
    st.tuples(st.just("hold"), st.sampled_from(REFERENCES), st.sampled_from([0, 70, 120])),
    st.tuples(st.just("settle"), st.sampled_from(REFERENCES), shares),
    st.tuples(st.just("settle"), st.sampled_from(REFERENCES), st.just((40, 20, 10))),
    st.tuples(st.just("release"), st.sampled_from(REFERENCES), st.none()),
    st.tuples(st.just("refund"), st.sampled_from(REFERENCES), st.none()),
)


@dataclass
class Model:
    """What a wallet should do, without accounts, locks or a database."""

    available: int = 0
    funded: dict[str, int] = field(default_factory=dict)
    amounts: dict[str, int] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)
    charged: dict[str, dict[str, int]] = field(default_factory=dict)
    refunded: set[str] = field(default_factory=set)

    def fund(self, key: str, paise: int) -> type[Exception] | None:
        if paise and self.funded.setdefault(key, paise) != paise:
            return ledger.KeyConflict
        self.available = sum(self.funded.values()) - sum(self.open.values()) - self.spent()
        return None

    def spent(self) -> int:
        return sum(sum(parts.values()) for ref, parts in self.charged.items() if ref not in self.refunded)

    def hold(self, ref: str, paise: int) -> type[Exception] | None:
        if not paise:
            return None
        if ref in self.amounts:
            if self.amounts[ref] != paise:
                return ledger.KeyConflict
            given_back = ref in self.refunded or (ref not in self.open and ref not in self.charged)
            return service.HoldEnded if given_back else None
        if paise > self.available:
            return service.InsufficientBalance
        self.amounts[ref] = self.open[ref] = paise
        self.available -= paise
        return None

    def settle(self, ref: str, parts: dict[str, int]) -> type[Exception] | None:
        if ref not in self.amounts:
            return service.NothingHeld if parts else None
        if ref not in self.open:
            if self.charged.get(ref, {}) == parts:
                return None
            return service.SettledDifferently if ref in self.charged else service.HoldEnded
        if sum(parts.values()) > self.open[ref]:
            return service.MoreThanHeld
        self.available += self.open.pop(ref) - sum(parts.values())
        if parts:
            self.charged[ref] = parts
        return None

    def release(self, ref: str) -> type[Exception] | None:
        self.available += self.open.pop(ref, 0)
        return None

    def refund(self, ref: str) -> type[Exception] | None:
        if ref in self.open:
            return service.NotSettled
        if ref in self.charged and ref not in self.refunded:
            self.refunded.add(ref)
            self.available += sum(self.charged[ref].values())
        return None


async def outcome(doing) -> type[Exception] | None:
    try:
        await doing
    except Exception as error:
        return type(error)
    return None


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=5, max_size=30))
async def test_the_wallet_agrees_with_a_plain_model_of_it(story):
    company, model = new_id(), Model()
    for verb, subject, value in story:
        if verb == "settle":
            parts = {code: paise for code, paise in zip(("freight", "cod", "gst"), value, strict=True) if paise}
            expected = model.settle(subject, parts)
            happened = await outcome(settle(company, subject, *parts.items()))
        elif verb == "fund":
            expected, happened = model.fund(subject, value), await outcome(fund(company, value, key=subject))
        elif verb == "hold":
            expected, happened = model.hold(subject, value), await outcome(hold(company, subject, value))
        elif verb == "release":
            expected, happened = model.release(subject), await outcome(release(company, subject))
        else:
            expected, happened = model.refund(subject), await outcome(refund(company, subject))
        assert happened is expected, (verb, subject, value)
        assert await balance(company) == (model.available, sum(model.open.values()))
        assert await held_for(company) == model.open
    earned = await balances(company)
    assert sum(earned.get(code, 0) for code in ("freight_revenue", "cod_fee_revenue", "gst_payable")) == model.spent()
    assert sum(earned.values()) == 0
    async with acting_for(company) as session:
        assert await invariants.verify(session) == []
