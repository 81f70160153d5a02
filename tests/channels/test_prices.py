"""Prices set at a store, each with what became of it."""

from shipcrowd.channels import reading
from shipcrowd.channels.contract import Listing
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Unavailable
from tests.channels import look


def on_sale(*pairs):
    return [[Listing(variant, f"P-{variant}", sku, "Lamp") for variant, sku in pairs]]


async def test_each_price_has_its_own_answer(company, store, far, http):
    far.on_sale = on_sale(("V1", "LAMP"), ("V2", "BELL"), ("V3", "TWIN"), ("V4", "TWIN"))
    far.refuses = {"V2": ("too_low", "Below the floor.")}
    await reading.read_listings.run(company, store)
    given = [
        {"sku": "LAMP", "selling_paise": 49900, "mrp_paise": 59900},
        {"sku": "BELL", "selling_paise": 100},
        {"sku": "TWIN", "selling_paise": 100},
        {"sku": "NONE", "selling_paise": 100},
        {"external_variant_id": "V3", "selling_paise": 20000},
    ]
    answer = await http.post(f"/integrations/bazaar/stores/{store}/prices", json={"prices": given})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["accepted"], found["refused"]) == (2, 3)
    assert [(each["state"], each["code"]) for each in found["prices"]] == [
        ("accepted", None),
        ("refused", "too_low"),
        ("refused", "ambiguous_sku"),
        ("refused", "unknown_sku"),
        ("accepted", None),
    ]
    assert {variant: change.selling for variant, change in far.prices.items()} == {
        "V1": Money(49900),
        "V3": Money(20000),
    }
    (entry,) = await look.log(company, "prices")
    assert entry.error == "3 of 5 prices were not taken."


async def test_a_store_that_does_not_answer_is_said_and_nothing_is_claimed(company, store, far, http):
    far.fail("set_prices", Unavailable("503"))
    given = {"prices": [{"external_variant_id": "V1", "selling_paise": 100}]}
    assert (await http.post(f"/integrations/bazaar/stores/{store}/prices", json=given)).status_code == 503
    assert far.prices == {}
    assert await look.log(company, "prices") == []


async def test_what_is_no_price_is_refused(store, far, http):
    for wrong in (
        {"sku": "A", "selling_paise": 0},
        {"sku": "A", "selling_paise": 1.5},
        {"selling_paise": 5, "sku": ""},
    ):
        answer = await http.post(f"/integrations/bazaar/stores/{store}/prices", json={"prices": [wrong]})
        assert answer.status_code == 422
    many = {"prices": [{"sku": f"S{n}", "selling_paise": 100} for n in range(51)]}
    assert (await http.post(f"/integrations/bazaar/stores/{store}/prices", json=many)).status_code == 422
    assert far.count("set_prices") == 0
