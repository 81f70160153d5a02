import json

import pytest
from sqlalchemy import select

from shipcrowd.identity import api_keys, service, signin
from shipcrowd.identity.guard import COOKIE
from shipcrowd.identity.models import ApiKey, Membership, Session, User
from shipcrowd.identity.permissions import PERMISSIONS, ROLE_PERMISSIONS, Role
from shipcrowd.identity.schemas import Login
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.tenancy import acting_for, unowned
from shipcrowd.settings import settings

from .conftest import PASSWORD


async def issue(seller, *scopes):
    async with acting_for(seller.company_id) as session:
        return await api_keys.issue_key(session, by=seller.owner, name="Nightly export", scopes=scopes)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def registration(email, /, **changed):
    return {"company_name": "Kaveri Handlooms", "name": "Asha Iyer", "email": email, "password": PASSWORD} | changed


# --- registration and sign-in


async def test_registering_makes_a_company_and_signs_its_owner_in(browser, email):
    answer = await browser.http.post("/auth/register", json=registration(f"  {email.upper()} "))
    assert answer.status_code == 201
    me = (await browser.http.get("/auth/me")).json()
    assert me["user"] == {"id": answer.json()["user_id"], "name": "Asha Iyer", "email": email}
    assert me["companies"] == [{"company_id": answer.json()["company_id"], "name": "Kaveri Handlooms", "role": "owner"}]
    assert me["csrf_token"] == answer.json()["csrf_token"]
    assert set(me["permissions"]) == PERMISSIONS


async def test_a_taken_email_is_refused_in_words_that_do_not_say_so_and_signs_nobody_in(browser, seller):
    answer = await browser.http.post("/auth/register", json=registration(seller.email, password="quite-another-one"))
    assert (answer.status_code, answer.json()["code"]) == (409, "cannot_register")
    assert "mail" not in answer.text
    assert seller.email not in answer.text
    assert COOKIE not in answer.cookies


@pytest.mark.parametrize(
    "changed",
    [
        {"password": "short"},
        {"password": "Password@123"},
        {"password": 12345678901},
        {"email": "not an address"},
        {"email": "a@b"},
        {"email": "x" * 250 + "@kaveri.example"},
        {"company_name": "   "},
        {"company_name": "x" * 121},
        {"company_name": "Kaveri\x00Handlooms"},
        {"name": "Asha\nIyer"},
        {"role": "owner"},
        {"company_id": str(new_id())},
    ],
)
async def test_a_registration_with_a_field_that_is_wrong_or_unknown_is_refused_and_leaves_nothing(
    browser, email, changed
):
    async with unowned() as session:
        before = len((await session.scalars(select(User.id))).all())
    answer = await browser.http.post("/auth/register", json=registration(email, **changed))
    assert answer.status_code == 422, answer.text
    if isinstance(password := changed.get("password"), str):
        assert password not in answer.text
    async with unowned() as session:
        assert len((await session.scalars(select(User.id))).all()) == before


async def test_one_address_registers_only_so_many_companies(new_browser, email, monkeypatch):
    monkeypatch.setattr(signin, "REGISTRATIONS", signin.Pace(2, 1))
    browser = await new_browser()
    answers = [await browser.http.post("/auth/register", json=registration(f"{n}.{email}")) for n in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert 0 < int(answers[2].headers["retry-after"]) <= 60


async def test_a_wrong_password_an_unknown_person_and_a_locked_one_get_the_same_answer(new_browser, seller):
    texts = set()
    browser = await new_browser()
    for _ in range(6):
        answer = await browser.sign_in(seller, "wrong-password")
        assert answer.status_code == 401
        texts.add(answer.text)
    texts.add((await browser.sign_in(seller)).text)
    texts.add((await browser.sign_in("nobody@kaveri.example")).text)
    assert len(texts) == 1
    assert COOKIE not in answer.cookies


async def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(browser, seller, monkeypatch):
    def attributes(answer):
        return {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}

    plain = attributes(await browser.sign_in(seller))
    assert {"httponly", "samesite=lax", "path=/"} <= plain
    assert "secure" not in plain
    monkeypatch.setattr(settings(), "public_url", "https://ship.example")
    assert "secure" in attributes(await browser.sign_in(seller))


async def test_a_session_that_was_planted_before_signing_in_is_not_the_one_signed_in(browser, seller, new_seller):
    attacker = await new_seller("Nilgiri Teas")
    await browser.sign_in(attacker)
    planted = browser.http.cookies[COOKIE]
    await browser.sign_in(seller)
    fresh = browser.http.cookies[COOKIE]
    assert fresh != planted
    # And the planted one is over: whoever knows it is nobody.
    browser.http.cookies.clear()
    assert (await browser.http.get("/auth/me", headers={"Cookie": f"{COOKIE}={planted}"})).status_code == 401
    answer = await browser.http.get("/auth/me", headers={"Cookie": f"{COOKIE}={fresh}"})
    assert answer.json()["company_id"] == str(seller.company_id)


async def test_a_token_made_up_by_the_browser_is_not_adopted(browser, seller):
    browser.http.cookies.set(COOKIE, "chosen-by-someone", domain="shipcrowd.test")
    answer = await browser.sign_in(seller)
    assert "chosen-by-someone" not in answer.headers["set-cookie"]


async def test_another_sites_form_cannot_sign_a_browser_in(browser, seller):
    # A form can send text/plain without asking first, and JSON inside it; it cannot send application/json.
    body = json.dumps({"email": seller.email, "password": PASSWORD})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = await browser.http.post("/auth/login", content=body, headers={"Content-Type": kind})
        assert answer.status_code in (400, 422), kind
        assert COOKIE not in answer.cookies


async def test_text_that_is_no_text_is_refused(browser, email):
    body = json.dumps(registration(email, name="\ud800", password="\ud800" * 12))
    answer = await browser.http.post("/auth/register", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


async def test_signing_out_ends_the_session(signed_in):
    token = signed_in.http.cookies[COOKIE]
    assert (await signed_in.send("POST", "/auth/logout")).status_code == 204
    assert COOKIE not in signed_in.http.cookies
    answer = await signed_in.http.get("/auth/me", headers={"Cookie": f"{COOKIE}={token}"})
    assert answer.status_code == 401


async def test_signing_out_everywhere_ends_the_others_too(signed_in, seller, new_browser):
    other = await new_browser()
    await other.sign_in(seller)
    await signed_in.send("POST", "/auth/logout?everywhere=true")
    assert (await other.http.get("/auth/me")).status_code == 401


async def test_signing_in_for_a_company_of_ones_choice(browser, new_seller, new_colleague):
    one, other = await new_seller(), await new_seller("Nilgiri Teas")
    await new_colleague(other, Role.viewer, email=one.email)
    body = {"email": one.email, "password": PASSWORD}
    answer = await browser.http.post("/auth/login", json=body | {"company_id": str(other.company_id)})
    assert (answer.json()["company_id"], answer.json()["role"]) == (str(other.company_id), "viewer")
    stranger = await new_seller("Vindhya Spices")
    answer = await browser.http.post("/auth/login", json=body | {"company_id": str(stranger.company_id)})
    assert answer.status_code == 404


async def test_switching_company_makes_the_pages_of_the_old_one_harmless(browser, new_seller, new_colleague, acted):
    one, other = await new_seller(), await new_seller("Nilgiri Teas")
    await new_colleague(other, Role.member, email=one.email)
    await browser.sign_in(one)
    stale = browser.csrf
    answer = await browser.send("POST", "/auth/switch-company", {"company_id": str(other.company_id)})
    assert answer.json()["company_id"] == str(other.company_id)
    assert (await browser.http.post("/orders", headers={"X-CSRF-Token": stale})).status_code == 403
    assert acted == []
    browser.csrf = answer.json()["csrf_token"]
    assert (await browser.send("POST", "/orders")).status_code == 200
    names = [place["name"] for place in (await browser.http.get("/auth/me")).json()["companies"]]
    assert names == ["Kaveri Handlooms", "Nilgiri Teas"]


async def test_switching_to_a_company_of_others_is_not_found(signed_in, new_seller, seller):
    stranger = await new_seller()
    answer = await signed_in.send("POST", "/auth/switch-company", {"company_id": str(stranger.company_id)})
    assert answer.status_code == 404
    assert (await signed_in.http.get("/auth/me")).json()["company_id"] == str(seller.company_id)


async def test_changing_the_password_wants_the_present_one_and_closes_every_other_session(
    signed_in, seller, new_browser
):
    other = await new_browser()
    await other.sign_in(seller)
    body = {"present": "not-the-present-one", "password": "red-kettle-on-the-roof"}
    assert (await signed_in.send("POST", "/auth/change-password", body)).status_code == 401
    assert (await other.http.get("/auth/me")).status_code == 200
    answer = await signed_in.send("POST", "/auth/change-password", body | {"present": PASSWORD})
    assert answer.status_code == 200
    assert (await signed_in.http.get("/auth/me")).status_code == 200
    assert (await other.http.get("/auth/me")).status_code == 401
    assert (await other.sign_in(seller)).status_code == 401
    assert (await other.sign_in(seller, "red-kettle-on-the-roof")).status_code == 200


# --- the guard


async def test_without_credentials_nothing_opens(browser, acted):
    for method, path in (("GET", "/orders"), ("POST", "/orders"), ("GET", "/auth/me"), ("GET", "/company")):
        answer = await browser.http.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert acted == []


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_opens_what_the_table_says(browser, seller, new_colleague, acted, role):
    user_id, email = await new_colleague(seller, role)
    await browser.sign_in(email)
    read, written = await browser.http.get("/orders"), await browser.send("POST", "/orders")
    assert (read.status_code == 200) is ("orders:read" in ROLE_PERMISSIONS[role])
    if "orders:write" in ROLE_PERMISSIONS[role]:
        assert acted == [f"user:{user_id}"]
    else:
        assert (written.status_code, written.json()["code"]) == (403, "missing_permission")
        assert written.json()["permission"] == "orders:write"
        assert acted == []


@pytest.mark.parametrize(
    "headers", [{}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "wrong"}, {"X-CSRF-Token": "₹".encode()}]
)
async def test_a_forged_request_with_the_cookie_is_refused_and_leaves_no_trace(
    signed_in, seller, new_colleague, acted, headers
):
    viewer, _ = await new_colleague(seller, Role.viewer)
    key = (await issue(seller, "orders:read")).key

    async def everything():
        async with unowned() as session:
            tables = [(await session.execute(select(table.__table__))).all() for table in (Session, Membership, ApiKey)]
            tables.append((await session.execute(select(User.id, User.password_hash))).all())
        async with acting_for(seller.company_id) as session:
            row = await service.company(session)
            return [sorted(map(repr, rows)) for rows in tables], (row.name, row.state)

    before = await everything()
    for method, path, body in (
        ("POST", "/orders", None),
        ("POST", "/auth/logout", None),
        ("POST", "/auth/switch-company", {"company_id": str(seller.company_id)}),
        ("POST", "/auth/change-password", {"present": PASSWORD, "password": "red-kettle-on-the-roof"}),
        ("POST", "/team", registration("mallory@kaveri.example", role="owner")),
        ("PATCH", f"/team/{viewer}", {"role": "owner"}),
        ("DELETE", f"/team/{viewer}", None),
        ("POST", "/api-keys", {"name": "Mallory", "scopes": ["orders:read"]}),
        ("DELETE", f"/api-keys/{key.id}", None),
        ("PATCH", "/company", {"name": "Mallory Handlooms"}),
    ):
        answer = await signed_in.http.request(method, path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf_refused"), path
    assert acted == []
    assert await everything() == before


async def test_the_token_of_another_session_does_not_pass(signed_in, seller, new_browser, acted):
    other = await new_browser()
    await other.sign_in(seller)
    assert (await signed_in.http.post("/orders", headers={"X-CSRF-Token": other.csrf})).status_code == 403
    assert acted == []


@pytest.mark.parametrize("kind", ["urlencoded", "multipart"])
async def test_a_form_carries_the_token_in_a_field(signed_in, seller, acted, kind):
    def send(token):
        fields = {"csrf_token": token, "note": "₹"}
        if kind == "urlencoded":
            return signed_in.http.post("/orders", data=fields)
        return signed_in.http.post("/orders", data=fields, files={"sheet": ("orders.csv", b"a,b\n1,2\n")})

    assert (await send("wrong")).status_code == 403
    assert acted == []
    assert (await send(signed_in.csrf)).status_code == 200
    assert acted == [seller.owner.actor]


async def test_a_route_still_reads_the_form_that_the_guard_has_read(signed_in, acted):
    answer = await signed_in.http.post("/notes", data={"csrf_token": signed_in.csrf, "note": "fragile"})
    assert answer.json() == "fragile, fragile"
    assert (await signed_in.http.post("/notes", data={"csrf_token": "wrong", "note": "x"})).status_code == 403
    assert acted == ["fragile"]


async def test_a_token_sent_as_a_file_is_no_token(signed_in, acted):
    answer = await signed_in.http.post("/orders", files={"csrf_token": ("x", signed_in.csrf.encode())})
    assert answer.status_code == 403
    assert acted == []


async def test_a_key_opens_its_scopes_without_a_csrf_token_and_nothing_else(browser, seller, acted):
    reads, writes = await issue(seller, "orders:read"), await issue(seller, "orders:write")
    assert (await browser.http.get("/orders", headers=bearer(reads.token))).json() == f"api_key:{reads.key.id}"
    refused = await browser.http.post("/orders", headers=bearer(reads.token))
    assert (refused.status_code, refused.json()["permission"]) == (403, "orders:write")
    assert (await browser.http.get("/company", headers=bearer(reads.token))).status_code == 403
    assert acted == []
    assert (await browser.http.post("/orders", headers=bearer(writes.token))).status_code == 200
    assert (await browser.http.get("/orders", headers=bearer(writes.token))).status_code == 403
    assert acted == [f"api_key:{writes.key.id}"]


async def test_a_bad_key_is_refused_even_beside_a_good_cookie(signed_in):
    assert (await signed_in.http.get("/orders", headers=bearer("sck_live_0_0"))).status_code == 401


async def test_a_good_key_beside_a_cookie_is_the_one_that_asks(signed_in, seller, new_seller):
    other = await new_seller("Nilgiri Teas")
    issued = await issue(other, "orders:write", "company:read")
    answer = await signed_in.http.post("/orders", headers=bearer(issued.token))
    assert answer.json() == f"api_key:{issued.key.id}"
    assert (await signed_in.http.get("/company", headers=bearer(issued.token))).json()["name"] == "Nilgiri Teas"


async def test_a_key_is_no_person(browser, seller):
    issued = await issue(seller, "orders:read")
    me = (await browser.http.get("/auth/me", headers=bearer(issued.token))).json()
    assert (me["user"], me["role"], me["csrf_token"], me["companies"]) == (None, None, None, [])
    assert me["permissions"] == ["orders:read"]
    for path, body in (
        ("/auth/logout", None),
        ("/auth/switch-company", {"company_id": str(seller.company_id)}),
        ("/auth/change-password", {"present": PASSWORD, "password": "red-kettle-on-the-roof"}),
    ):
        answer = await browser.http.post(path, json=body, headers=bearer(issued.token))
        assert (answer.status_code, answer.json()["code"]) == (403, "people_only")


def test_every_route_of_the_module_is_guarded_but_the_two_ways_in(app):
    document = app.openapi()
    unguarded = {
        (method, path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if "security" not in operation
    }
    assert unguarded == {("post", "/auth/register"), ("post", "/auth/login")}


# --- team, keys and company


async def test_another_companys_session_cannot_act_on_ours(signed_in, seller, new_seller, new_colleague, new_browser):
    stranger = await new_seller("Nilgiri Teas")
    theirs = await new_browser()
    await theirs.sign_in(stranger)
    viewer, _ = await new_colleague(seller, Role.viewer)
    key = await issue(seller, "orders:read")
    for method, path, body in (
        ("PATCH", f"/team/{viewer}", {"role": "owner"}),
        ("DELETE", f"/team/{viewer}", None),
        ("DELETE", f"/team/{seller.user_id}", None),
        ("DELETE", f"/api-keys/{key.key.id}", None),
    ):
        assert (await theirs.send(method, path, body)).status_code == 404, path
    assert [item["user_id"] for item in (await theirs.http.get("/team")).json()["items"]] == [str(stranger.user_id)]
    assert (await theirs.http.get("/api-keys")).json()["items"] == []
    assert (await theirs.send("PATCH", "/company", {"name": "Theirs"})).json()["id"] == str(stranger.company_id)
    team = (await signed_in.http.get("/team")).json()["items"]
    assert {(item["user_id"], item["role"]) for item in team} == {
        (str(seller.user_id), "owner"),
        (str(viewer), "viewer"),
    }
    assert (await signed_in.http.get("/company")).json()["name"] == "Kaveri Handlooms"
    assert (await signed_in.http.get("/orders", headers=bearer(key.token))).status_code == 200


async def test_the_team_over_http(signed_in, seller, email, new_browser):
    added = await signed_in.send(
        "POST", "/team", {"email": email, "name": "Ravi Menon", "role": "picker", "password": PASSWORD}
    )
    assert added.status_code == 201
    assert {"name": "Ravi Menon", "email": email, "role": "picker"}.items() <= added.json().items()
    user_id = added.json()["user_id"]
    theirs = await new_browser()
    assert (await theirs.sign_in(email)).status_code == 200
    assert (await theirs.http.get("/team")).status_code == 403
    changed = await signed_in.send("PATCH", f"/team/{user_id}", {"role": "manager"})
    assert changed.json()["role"] == "manager"
    assert (await theirs.http.get("/team")).status_code == 200
    page = (await signed_in.http.get("/team?limit=1")).json()
    rest = (await signed_in.http.get("/team", params={"limit": 1, "after": page["next"]})).json()
    assert [item["user_id"] for item in page["items"] + rest["items"]] == [user_id, str(seller.user_id)]
    assert rest["next"] is None
    assert (await signed_in.http.get("/team?after=nonsense")).status_code == 422
    assert (await signed_in.send("DELETE", f"/team/{user_id}")).status_code == 204
    assert (await theirs.http.get("/auth/me")).status_code == 401
    last = await signed_in.send("DELETE", f"/team/{seller.user_id}")
    assert (last.status_code, last.json()["code"]) == (409, "last_owner")


async def test_a_key_is_shown_once(signed_in, browser):
    body = {"name": "Nightly export", "scopes": ["orders:read"]}
    issued = await signed_in.send("POST", "/api-keys", body)
    assert issued.status_code == 201
    token = issued.json()["token"]
    listed = await signed_in.http.get("/api-keys")
    assert [item["prefix"] for item in listed.json()["items"]] == [issued.json()["prefix"]]
    assert token.split("_", 3)[3] not in listed.text
    assert (await signed_in.send("DELETE", f"/api-keys/{issued.json()['id']}")).status_code == 204
    assert (await browser.http.get("/orders", headers=bearer(token))).status_code == 401
    assert (await signed_in.send("POST", "/api-keys", body | {"scopes": ["faxes:write"]})).status_code == 422


async def test_no_answer_of_the_module_carries_a_hash(signed_in, seller, browser):
    issued = await signed_in.send("POST", "/api-keys", {"name": "Nightly export", "scopes": ["orders:read"]})
    async with unowned() as session:
        user = await session.get_one(User, seller.user_id)
        key = (await session.scalars(select(ApiKey).where(ApiKey.company_id == seller.company_id))).one()
    texts = [issued.text]
    texts += [(await signed_in.http.get(path)).text for path in ("/auth/me", "/team", "/api-keys", "/company")]
    for text in texts:
        assert "hash" not in text
        assert "argon2" not in text
        for secret in (
            user.password_hash,
            user.email_hash.hex(),
            key.secret_hash.hex(),
            signed_in.http.cookies[COOKIE],
        ):
            assert secret not in text


async def test_the_companys_details_over_http(signed_in, seller):
    changed = await signed_in.send("PATCH", "/company", {"gstin": " 27aapfu0939f1zv ", "legal_name": "Kaveri & Sons"})
    assert {"gstin": "27AAPFU0939F1ZV", "legal_name": "Kaveri & Sons", "name": "Kaveri Handlooms"}.items() <= (
        changed.json().items()
    )
    wrong = await signed_in.send("PATCH", "/company", {"name": "Changed", "gstin": "27AAPFU0939F1ZX"})
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["field"]) == (422, "invalid_gstin", "gstin")
    assert (await signed_in.send("PATCH", "/company", {"status": "approved"})).status_code == 422
    now = (await signed_in.http.get("/company")).json()
    assert (now["name"], now["gstin"], now["status"]) == ("Kaveri Handlooms", "27AAPFU0939F1ZV", "registered")
    assert (await signed_in.send("PATCH", "/company", {"gstin": None})).json()["gstin"] is None


def test_a_password_does_not_show_in_what_was_read_from_a_request():
    assert PASSWORD not in repr(Login.model_validate({"email": "asha@kaveri.example", "password": PASSWORD}))
