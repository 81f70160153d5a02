"""In and out of the console, and who may send its forms."""

import html
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from shipcrowd.channels import vendors as channel_vendors
from shipcrowd.identity import passwords, service
from shipcrowd.identity.permissions import Role
from shipcrowd.integrations import amazon
from shipcrowd.kernel.tenancy import acting_for
from tests.console import world
from tests.console.conftest import count_of, words
from tests.console.world import PASSWORD


async def test_who_is_not_signed_in_is_led_to_the_door_and_back(browser, day):
    page = await browser.get("/orders?state=ready")
    assert "Sign in" in words(page)
    answer = await browser.http.get("/orders?state=ready", follow_redirects=False)
    assert answer.headers["location"] == "/login?next=%2Forders%3Fstate%3Dready"
    signed = await browser.http.post(
        answer.headers["location"], data={"email": day.seller.email, "password": PASSWORD}, follow_redirects=False
    )
    assert signed.status_code == 303 and signed.headers["location"] == "/orders?state=ready"


async def test_htmx_is_told_where_the_door_is_instead_of_swapping_it_in(browser):
    answer = await browser.http.get("/orders", headers={"hx-request": "true"})
    assert answer.status_code == 401 and answer.headers["hx-redirect"] == "/login?next=%2Forders"


async def test_who_comes_from_a_vendors_app_store_signs_in_first_and_goes_on(browser, monkeypatch):
    monkeypatch.setattr(channel_vendors._Vendors, "known", channel_vendors._Vendors.known)
    channel_vendors.use([amazon.vendor])
    seller = await world.new_seller()
    there = "https://sellercentral.amazon.in/apps/authorize/confirm/app"
    came = {"amazon_callback_uri": there, "amazon_state": "theirs", "selling_partner_id": "A1INSELLER0001"}
    door = await browser.http.get("/stores/amazon/arrive", params=came, follow_redirects=False)
    assert door.status_code == 303
    page = await browser.http.post(
        door.headers["location"], data={"email": seller.email, "password": PASSWORD}, follow_redirects=True
    )
    (to,) = re.findall(r'<a class="button main" href="([^"]+)"', page.text)
    assert html.unescape(to).startswith(f"{there}?")
    sent = {name: value for name, (value,) in parse_qs(urlsplit(html.unescape(to)).query).items()}
    assert (sent["amazon_state"], len(sent["state"]) > 20) == ("theirs", True)
    assert sent["redirect_uri"].endswith("/api/v1/integrations/amazon/callback")
    came["amazon_callback_uri"] = "https://elsewhere.example/"
    assert (await browser.http.get("/stores/amazon/arrive", params=came)).status_code == 422


@pytest.mark.parametrize("next_", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "x"])
async def test_signing_in_never_leads_elsewhere(next_, browser):
    seller = await world.new_seller()
    answer = await browser.http.post(
        "/login", params={"next": next_}, data={"email": seller.email, "password": PASSWORD}, follow_redirects=False
    )
    assert answer.headers["location"] == "/orders"


async def test_a_wrong_password_says_so_and_keeps_the_e_mail_but_not_the_password(browser):
    seller = await world.new_seller()
    page = await browser.post("/login", status=401, email=seller.email, password="not-this-one-at-all")
    assert "e-mail or the password is wrong" in words(page)
    assert seller.email in page and "not-this-one-at-all" not in page


async def test_a_sign_in_form_on_another_site_is_refused(browser):
    seller = await world.new_seller()
    answer = await browser.http.post(
        "/login",
        data={"email": seller.email, "password": PASSWORD},
        headers={"origin": "https://elsewhere.example", "accept": "text/html"},
    )
    assert answer.status_code == 403 and not browser.http.cookies


async def test_a_new_company_is_opened_and_led_to_its_first_address(browser):
    page = await browser.post(
        "/register",
        company_name="Nila Ceramics",
        name="Devika",
        email="devika.register@nila.example",
        password=PASSWORD,
    )
    assert "Add an address" in words(page) and "Welcome" in words(page)


async def test_what_is_missing_at_registration_is_named_field_by_field(browser):
    page = await browser.post("/register", status=422, company_name="Nila", email="no-address", password="short")
    text = words(page)
    assert "Please look at the marked fields" in text and page.count("aria-invalid") == 3


async def test_a_password_too_short_is_told_how_long_it_must_be(browser):
    form = {"company_name": "Nila", "name": "Devika", "email": "devika.short@nila.example", "password": "8letters"}
    text = words(await browser.post("/register", status=422, **form))
    assert "Password: at least 10 characters" in text and "At least one" not in text
    text = words(await browser.post("/register", status=422, **(form | {"password": ""})))
    assert "this is needed" in text


async def test_signing_out_ends_the_session(signed_in):
    page = await signed_in.post("/logout")
    assert "You are signed out" in words(page)
    assert "Sign in" in words(await signed_in.get("/orders"))


@pytest.mark.parametrize("token", ["", "someone-elses"])
async def test_a_form_without_the_pages_token_is_refused_and_nothing_happens(token, signed_in, day):
    order_id = day.orders["#KH2480"]
    before = await count_of(day.seller.company_id, "order_events")
    answer = await signed_in.send(f"/orders/{order_id}/hold", csrf=token, reason="forged")
    assert answer.status_code == 403 and "out of date" in words(answer.text)
    assert await count_of(day.seller.company_id, "order_events") == before


async def test_a_viewer_sees_everything_and_is_offered_nothing(new_browser, day):
    hashed = await passwords.hashed(PASSWORD, email="viewer@kaveri.example")
    email = f"viewer.{day.seller.company_id.hex[-8:]}@kaveri.example"
    async with acting_for(day.seller.company_id) as session:
        await service.add_member(
            session, by=day.seller.owner, email=email, name="Vani", role=Role.viewer, password_hash=hashed
        )
    viewer = await new_browser()
    await viewer.post("/login", email=email, password=PASSWORD)
    page = await viewer.get(f"/orders/{day.orders['#KH2480']}")
    assert 'action="/orders/' not in page and 'action="/shipments/' not in page
    await viewer.post(f"/orders/{day.orders['#KH2480']}/hold", status=403, reason="not mine to do")
    await viewer.get("/jobs", status=403)
