from shipcrowd.couriers.contract import Flow, Mode
from shipcrowd.kernel.money import Money
from shipcrowd.ratecards.defaults import default_cards
from shipcrowd.ratecards.quoting import quote
from shipcrowd.ratecards.zones import Zone
from tests.ratecards.make import NEW_YEAR, parcel


def test_there_is_a_card_for_surface_air_and_returns_from_2026_on():
    assert [(card.courier, card.mode, card.flow) for card in default_cards()] == [
        ("velocity", Mode.surface, Flow.forward),
        ("velocity", Mode.air, Flow.forward),
        ("velocity", "*", Flow.reverse),
    ]
    assert {card.effective_from for card in default_cards()} == {NEW_YEAR}
    assert {(card.terms.gst_bp, card.terms.sac) for card in default_cards()} == {(1_800, "996812")}


def test_the_price_rises_with_the_distance_and_never_falls_by_coming_back():
    for card in default_cards():
        prices = [card.terms.zones[zone] for zone in Zone]
        assert [price.first_paise for price in prices] == sorted({price.first_paise for price in prices})
        assert all(price.extra_paise <= price.first_paise for price in prices)
        assert all(0 < price.rto_first_paise <= price.first_paise for price in prices)


def test_air_costs_more_than_surface():
    surface, air, _ = default_cards()
    for zone in Zone:
        by_road, by_air = (quote(card.terms, parcel(), zone, place_of_supply="KA") for card in (surface, air))
        assert by_air.total > by_road.total > Money.zero
