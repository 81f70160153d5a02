"""Every page is drawn, with a day's data and with nothing at all, and says so under headers that keep it safe."""

from datetime import timedelta

import pytest

from shipcrowd.channels.open import ABILITIES
from shipcrowd.console import words as said
from shipcrowd.orders.models import OrderState
from shipcrowd.shipping.models import State
from tests.console.conftest import words

PAGES = (
    "/orders", "/orders/new", "/shipments", "/shipments/unconfirmed", "/manifests", "/pickups", "/places", "/stores",
    "/couriers", "/wallet", "/settings", "/jobs", "/track",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_drawn_with_a_days_data(path, signed_in):
    page = await signed_in.get(path)
    assert "<h1" in page and "</html>" in page


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_drawn_for_a_company_that_has_nothing(path, newcomer):
    page = await newcomer.get(path)
    assert "<h1" in page and "</html>" in page


async def test_every_order_and_every_parcel_has_a_page(signed_in, day):
    for number, order_id in day.orders.items():
        assert number in await signed_in.get(f"/orders/{order_id}")
    for shipment_id in day.shipments.values():
        assert "Tracking" in await signed_in.get(f"/shipments/{shipment_id}")


async def test_pages_run_no_foreign_and_no_inline_script(signed_in):
    answer = await signed_in.http.get("/orders")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert "style=" not in answer.text and "onclick" not in answer.text and "//cdn" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_static_files_are_served_with_their_types(browser):
    css = await browser.http.get("/static/console/console.css")
    assert css.status_code == 200 and css.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        ("/orders/0199f0a0-0000-7000-8000-000000000000", 404),
        ("/orders/not-an-id", 404),
        ("/shipments/0199f0a0-0000-7000-8000-000000000000", 404),
        ("/bulk/0199f0a0-0000-7000-8000-000000000000", 404),
        ("/manifests/0199f0a0-0000-7000-8000-000000000000", 404),
        ("/places/0199f0a0-0000-7000-8000-000000000000", 404),
        ("/stores/0199f0a0-0000-7000-8000-000000000000", 404),
        ("/track/no-such-link", 404),
    ],
)
async def test_what_is_not_there_is_a_page_that_says_so(path, status, newcomer):
    page = await newcomer.get(path, status=status)
    assert "There is no" in words(page) or "We know no" in words(page)


async def test_a_program_that_asks_for_no_page_gets_a_problem_document(browser):
    answer = await browser.http.get("/api/v1/nowhere", headers={"accept": "text/html"})
    assert answer.status_code == 404 and answer.json()["code"] == "not_found"


def test_words_that_stand_beside_each_other_are_said_once():
    assert said.service("Delhivery Special 10 kg", "Delhivery") == "Special 10 kg"
    assert said.service("Standard", "Delhivery") == "Standard"
    assert said.service("Ekart", "Ekart") == ""


def test_who_did_it_is_named():
    names = {"user:1": "Asha Iyer", "api_key:2": "ERP"}
    assert [said.actor(who, names) for who in ("user:1", "user:9", "api_key:2", "channel")] == [
        "Asha Iyer",
        "someone no longer in the team",
        "the program ERP",
        "the store",
    ]


def test_a_failed_delivery_does_not_move_the_buyers_dots_back():
    assert said.steps_of(State.delivery_failed) == said.steps_of(State.out_for_delivery)


def test_long_ago_is_told_in_years():
    assert said.span(timedelta(days=6891)) == "18 years" and said.span(timedelta(days=3)) == "3 d"


def test_every_permission_and_store_ability_has_words():
    assert {said.scope(each) for each in ("orders:read", "places:write")} == {"Read orders", "Change pickup addresses"}
    assert set(said.STORE_ABILITY) == {name for name, _ in ABILITIES}


def test_every_state_has_words_for_the_seller_and_the_buyer():
    assert set(said.ORDER) == set(OrderState)
    assert set(said.SHIPMENT) == set(State) == set(said.BUYER)
