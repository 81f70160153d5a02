from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shipcrowd.couriers.contract import Flow, Parcel, Payment
from shipcrowd.kernel.money import Money
from shipcrowd.ratecards.quoting import Bill, ChargeCode, NotMeasured, Quote, quote, slabs, volumetric_grams
from shipcrowd.ratecards.terms import CodFee, Terms, ZonePrice
from shipcrowd.ratecards.zones import Zone
from tests.ratecards.make import parcel, terms


def test_the_worked_example():
    """30 × 20 × 15 cm, 0.8 kg, COD ₹1,499: ₹45 + 3 × ₹38, COD max(₹40, 2 %), GST 18 %."""
    got = quote(terms(), parcel(), Zone.d, place_of_supply="DL")
    assert got.volumetric_grams == 1_800
    assert got.chargeable_grams == 2_000
    assert got.slabs == 4
    assert got.bill.amount(ChargeCode.freight) == Money.rupees("159")
    assert got.bill.amount(ChargeCode.cod) == Money.rupees("40")
    assert got.bill.taxable_paise == 199_00
    assert got.bill.gst == Money.rupees("35.82")
    assert got.total == Money.rupees("234.82")
    assert got.tax == "IGST"
    assert got.bill.igst_paise == 35_82


def test_within_the_suppliers_state_the_tax_is_two_equal_halves():
    got = quote(terms(), parcel(), Zone.b, place_of_supply="KA")
    assert got.tax == "CGST+SGST"
    assert (got.bill.cgst_paise, got.bill.sgst_paise, got.bill.igst_paise) == (17_91, 17_91, 0)
    assert got.total == Money.rupees("234.82")


@pytest.mark.parametrize(("state", "tax"), [("CH", "CGST+UTGST"), ("DL", "CGST+SGST"), ("LA", "CGST+UTGST")])
def test_a_union_territory_without_a_legislature_has_utgst(state: str, tax: str):
    assert quote(terms(supplier_state=state), parcel(), Zone.d, place_of_supply=state).tax == tax


def test_an_unknown_place_of_supply_is_taxed_as_another_state():
    assert quote(terms(), parcel(), Zone.e, place_of_supply=None).tax == "IGST"


@pytest.mark.parametrize(
    ("length", "breadth", "height", "divisor", "grams"),
    [
        (300, 200, 150, 5_000, 1_800),
        (300, 200, 150, 4_000, 2_250),
        (100, 100, 100, 5_000, 200),
        (1, 1, 1, 5_000, 1),
        (250, 200, 50, 5_000, 500),
        (251, 200, 50, 5_000, 502),
        (3, 3, 3, 4_500, 1),
        (333, 77, 101, 5_000, 518),  # 517.9…
    ],
)
def test_volumetric_weight_is_rounded_up_to_the_gram(length: int, breadth: int, height: int, divisor: int, grams: int):
    assert volumetric_grams(parcel(length_mm=length, breadth_mm=breadth, height_mm=height), divisor) == grams


@pytest.mark.parametrize(
    ("grams", "first", "step", "expected"),
    [
        (1, None, 500, 1),
        (499, None, 500, 1),
        (500, None, 500, 1),
        (501, None, 500, 2),
        (1_000, None, 500, 2),
        (1_001, None, 500, 3),
        (4_999, 5_000, 1_000, 1),
        (5_000, 5_000, 1_000, 1),
        (5_001, 5_000, 1_000, 2),
        (7_000, 5_000, 1_000, 3),
        (250, 250, 500, 1),
        (251, 250, 500, 2),
    ],
)
def test_weight_is_charged_by_slabs_begun(grams: int, first: int | None, step: int, expected: int):
    assert slabs(grams, terms(first_slab_grams=first, slab_grams=step)) == expected


@pytest.mark.parametrize(
    ("collected", "fee"),
    [("0", "40"), ("1499", "40"), ("2000", "40"), ("2000.50", "40.01"), ("2001", "40.02"), ("10000", "200")],
)
def test_cod_costs_the_flat_fee_or_the_percentage_whichever_is_more(collected: str, fee: str):
    got = quote(terms(), parcel(to_collect=Money.rupees(collected)), Zone.d, place_of_supply="DL")
    assert got.bill.amount(ChargeCode.cod) == Money.rupees(fee)


def test_a_prepaid_parcel_has_no_cod_fee():
    got = quote(terms(), parcel(payment=Payment.prepaid), Zone.d, place_of_supply="DL")
    assert [charge.code for charge in got.bill.charges] == [ChargeCode.freight]
    assert got.rto_refund_paise == 0


def test_fuel_is_a_percentage_of_the_freight_and_taxed_by_itself():
    got = quote(terms(fuel_bp=1_550), parcel(), Zone.d, place_of_supply="DL")
    fuel = next(charge for charge in got.bill.charges if charge.code is ChargeCode.fuel)
    assert fuel.amount_paise == 24_65  # 15.5 % of ₹159 is 24.645
    assert fuel.igst_paise == 4_44  # 18 % of 24.65 is 4.437


def test_each_zone_has_its_own_price():
    prices = {
        zone: ZonePrice(first_paise=rupees * 100, extra_paise=0, rto_first_paise=0, rto_extra_paise=0)
        for zone, rupees in zip(Zone, (10, 20, 30, 40, 50), strict=True)
    }
    card = terms(zones=prices)
    freights = [quote(card, parcel(), zone, place_of_supply="DL").bill.amount(ChargeCode.freight) for zone in Zone]
    assert freights == [Money(10_00), Money(20_00), Money(30_00), Money(40_00), Money(50_00)]


def test_coming_back_costs_the_return_freight_and_gives_the_cod_fee_back():
    got = quote(terms(), parcel(), Zone.d, place_of_supply="DL")
    assert got.rto is not None
    assert got.rto.taxable_paise == 40_00 + 3 * 35_00
    assert got.rto.total == Money.rupees("171.10")
    assert got.rto_refund_paise == 47_20  # ₹40 and its ₹7.20 of tax
    kept = quote(terms(cod_refunded_on_rto=False), parcel(), Zone.d, place_of_supply="DL")
    assert kept.rto_refund_paise == 0


def test_a_reverse_pickup_collects_nothing_and_does_not_come_back():
    got = quote(terms(), parcel(flow=Flow.reverse), Zone.d, place_of_supply="DL")
    assert got.rto is None
    assert got.rto_refund_paise == 0
    assert got.bill.amount(ChargeCode.cod) == Money.zero


@pytest.mark.parametrize("unmeasured", ["weight_grams", "length_mm", "breadth_mm", "height_mm"])
def test_a_parcel_that_was_not_measured_is_not_priced(unmeasured: str):
    with pytest.raises(NotMeasured):
        quote(terms(), parcel(**{unmeasured: 0}), Zone.d, place_of_supply="DL")


def test_a_quote_survives_being_stored():
    got = quote(terms(fuel_bp=1_000), parcel(), Zone.d, place_of_supply="DL")
    assert Quote.model_validate_json(got.model_dump_json()) == got


@pytest.mark.parametrize(
    "wrong",
    [
        {"zones": {Zone.a: ZonePrice(first_paise=1, extra_paise=1, rto_first_paise=1, rto_extra_paise=1)}},
        {"gst_bp": 1_801},
        {"gst_bp": -2},
        {"supplier_state": "Karnataka"},
        {"slab_grams": 0},
        {"volumetric_divisor": 0},
        {"sac": "9968"},
        {"fuel_percent": 10},
        {"metros": ["goa"]},
        {"cod": {"flat_paise": 4.5}},
    ],
)
def test_terms_that_make_no_sense_are_refused(wrong: dict[str, Any]):
    with pytest.raises(ValidationError):
        terms(**wrong)


# ---- properties

paise = st.integers(0, 1_000_00)
measure = st.integers(1, 2_000)
some_terms = st.builds(
    Terms,
    volumetric_divisor=st.sampled_from([4_000, 4_500, 4_750, 5_000, 6_000]),
    slab_grams=st.sampled_from([250, 500, 1_000, 2_000]),
    first_slab_grams=st.sampled_from([None, 250, 5_000, 10_000]),
    zones=st.fixed_dictionaries(
        dict.fromkeys(
            Zone,
            st.builds(ZonePrice, first_paise=paise, extra_paise=paise, rto_first_paise=paise, rto_extra_paise=paise),
        )
    ),
    fuel_bp=st.integers(0, 4_500),
    cod=st.builds(CodFee, flat_paise=st.integers(0, 100_00), percent_bp=st.integers(0, 500)),
    gst_bp=st.sampled_from([0, 500, 1_200, 1_800]),
    supplier_state=st.sampled_from(["KA", "DL", "CH"]),
)
some_parcel = st.builds(
    Parcel,
    from_pincode=st.just("560001"),
    to_pincode=st.just("110001"),
    weight_grams=st.integers(1, 60_000),
    length_mm=measure,
    breadth_mm=measure,
    height_mm=measure,
    payment=st.sampled_from(Payment),
    declared_value=st.just(Money(1_000_00)),
    to_collect=st.builds(Money, st.integers(0, 50_000_00)),
    flow=st.sampled_from(Flow),
)
some_zone = st.sampled_from(Zone)
supply = st.sampled_from(["KA", "DL", "CH", "MH", None])


@given(some_terms, some_parcel, some_zone, supply)
def test_a_bill_is_the_sum_of_its_parts(card: Terms, thing: Parcel, zone: Zone, place: str | None):
    got = quote(card, thing, zone, place_of_supply=place)
    bills: list[Bill] = [got.bill] + ([got.rto] if got.rto else [])
    for bill in bills:
        assert bill.taxable_paise == sum(charge.amount_paise for charge in bill.charges)
        assert bill.total_paise == bill.taxable_paise + bill.cgst_paise + bill.sgst_paise + bill.igst_paise
        assert min(charge.amount_paise for charge in bill.charges) >= 0


@given(some_terms, some_parcel, some_zone)
def test_the_halves_are_equal_and_within_a_paisa_of_the_whole(card: Terms, thing: Parcel, zone: Zone):
    here = quote(card, thing, zone, place_of_supply=card.supplier_state).bill
    elsewhere = quote(card, thing, zone, place_of_supply="MH").bill
    for local, distant in zip(here.charges, elsewhere.charges, strict=True):
        assert local.igst_paise == distant.cgst_paise == distant.sgst_paise == 0
        assert local.cgst_paise == local.sgst_paise
        assert abs(local.cgst_paise + local.sgst_paise - distant.igst_paise) <= 1
        # Half up: never further from the exact tax than half a paisa.
        assert abs(distant.igst_paise * 10_000 - local.amount_paise * card.gst_bp) <= 5_000


@given(some_terms, some_parcel, some_zone, st.integers(1, 20_000))
def test_a_heavier_parcel_never_costs_less(card: Terms, thing: Parcel, zone: Zone, more: int):
    heavier = replace(thing, weight_grams=thing.weight_grams + more)
    light, heavy = (quote(card, each, zone, place_of_supply="MH") for each in (thing, heavier))
    assert heavy.total >= light.total
    assert heavy.chargeable_grams >= light.chargeable_grams
    assert (heavy.rto.total if heavy.rto else Money.zero) >= (light.rto.total if light.rto else Money.zero)


@given(some_terms, some_parcel, some_zone)
def test_a_parcel_never_costs_less_than_the_first_slab(card: Terms, thing: Parcel, zone: Zone):
    got = quote(card, thing, zone, place_of_supply="MH")
    assert got.bill.amount(ChargeCode.freight) >= Money(card.zones[zone].first_paise)
    assert got.total >= Money(card.zones[zone].first_paise)


@given(some_terms, some_parcel, some_zone)
def test_the_chargeable_weight_covers_the_parcel_by_less_than_one_slab(card: Terms, thing: Parcel, zone: Zone):
    got = quote(card, thing, zone, place_of_supply="MH")
    real = max(thing.weight_grams, got.volumetric_grams)
    assert got.chargeable_grams >= real
    assert got.slabs == 1 or got.chargeable_grams - real < card.slab_grams
    assert got.chargeable_grams == card.first_grams + (got.slabs - 1) * card.slab_grams
