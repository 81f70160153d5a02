"""Letters nobody could handle: kept once, shown without what they hold, tried again, dropped; the operator's alone."""

import json
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from shipcrowd import support, wiring
from shipcrowd.channels import letters, taking, vendors
from shipcrowd.integrations import amazon
from shipcrowd.kernel import audit, clock, db, inbox, mailbox, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.inbox import Delivery, Emptied, Outcome
from shipcrowd.kernel.tenancy import PLATFORM_COMPANY, acting_for
from tests.support import drain

OPERATOR = "user:operator"
BODY = json.dumps(
    {"NotificationType": "ORDER_CHANGE", "Payload": {"Name": "Meenakshi Sundaram", "Phones": ["98400 12345"], "n": 3}}
).encode()


@pytest.fixture(autouse=True)
async def _nothing_aside():
    known = vendors._Vendors.known
    vendors.use([amazon.vendor])
    async with acting_for(PLATFORM_COMPANY) as session:
        await (await db.driver(session)).execute("DELETE FROM inbox")
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    yield
    vendors._Vendors.known = known


async def aside(body=BODY, because="unreadable"):
    await letters.keep(amazon.vendor, body, because)
    await drain()
    return (await letters.page(after=None, limit=50))[0]


async def rows():
    async with acting_for(PLATFORM_COMPANY) as session:
        return (await session.execute(select(Delivery))).scalars().all()


async def audited(letter):
    async with acting_for(PLATFORM_COMPANY) as session:
        return [entry.action for entry in await audit.of(session, f"letter:{letter.id}")]


async def test_a_letter_is_kept_once_and_sealed_and_shown_without_what_it_holds():
    [letter] = await aside()
    assert [each.id for each in await aside()] == [letter.id]  # the same again
    assert await letters.count() == 1
    assert (letter.vendor, letter.topic, letter.can_be_tried) == ("amazon", "ORDER_CHANGE", True)
    assert letter.reason == "ORDER_CHANGE concerns the application, not a store"
    assert letter.outline == ("NotificationType: text of 12", "Payload.Name: text of 18", "Payload.Phones: list of 1",
                              "Payload.n: number")  # fmt: skip
    [row] = await rows()
    for shown in (repr(letter), repr(row.body), row.note):
        assert "Meenakshi" not in shown
        assert "98400" not in shown


@pytest.mark.parametrize("body", [b"<html>", b"\xff\xfe", b"[" * 100_000, b"null", b'{"Meenakshi Sundaram": 1}', b"{}"])
async def test_whatever_it_is_it_is_kept_and_shows_nothing(body):
    [letter] = await aside(body)
    assert letter.size == len(body)
    assert "Meenakshi" not in repr(letter.outline)


@pytest.mark.parametrize("odd", ["\0", "\ud83d"])
@pytest.mark.parametrize("field", ["NotificationType", "SellerId", "NotificationId"])
async def test_a_letter_with_characters_the_database_does_not_take_is_put_aside_and_does_not_come_again(field, odd):
    names = {"NotificationType": "ORDER_CHANGE", "SellerId": "A1INSELLER0001", "NotificationId": "d0e9c8b7"}
    names[field] += odd
    raw = {
        "NotificationType": names["NotificationType"],
        "Payload": {"OrderChangeNotification": {"SellerId": names["SellerId"], "AmazonOrderId": "403-1"}},
        "NotificationMetadata": {"NotificationId": names["NotificationId"]},
    }
    body = json.dumps(raw).encode()
    with pytest.raises(mailbox.Unusable, match="unreadable"):
        await taking.take(amazon.vendor, body)
    [letter] = await aside(body)
    assert letter.topic == ("unreadable" if field == "NotificationType" else "ORDER_CHANGE")


async def test_a_letter_that_can_be_handled_now_is_handled(monkeypatch):
    async def broken(vendor, body):
        raise ZeroDivisionError

    taken = []

    async def mended(vendor, body):
        taken.append((vendor.slug, body))

    monkeypatch.setattr(taking, "take", broken)
    [letter] = await aside(because="ZeroDivisionError after 5 tries")
    assert "ZeroDivisionError" in letter.reason
    monkeypatch.setattr(taking, "take", mended)
    await letters.replay(letter.id, actor=OPERATOR)
    with pytest.raises(letters.LetterSettled):
        await letters.replay(letter.id, actor=OPERATOR)  # pressed twice
    await drain()
    assert taken == [("amazon", BODY)]
    assert (await letters.page(after=None, limit=50))[0] == []
    assert [each.outcome for each in (await letters.page(after=None, limit=50, failed=False))[0]] == [Outcome.handled]
    assert await audited(letter) == ["letter.replay"]


async def test_all_that_wait_are_tried_again_and_what_fails_again_waits_again():
    for n in range(3):
        await aside(b'{"NotificationType": "X", "n": %d}' % n)
    assert await letters.replay_all(actor=OPERATOR) == 3
    assert await letters.count() == 0
    assert await letters.replay_all(actor=OPERATOR) == 0  # they are under way
    await drain()
    assert await letters.count() == 3


async def test_a_dropped_letter_leaves_its_reason_and_comes_back_no_more():
    [letter] = await aside()
    await letters.drop(letter.id, reason="a test of Amazon's", actor=OPERATOR)
    [row] = await rows()
    assert (row.body, row.outcome) == (None, Outcome.ignored)
    assert row.note.startswith("dropped: a test of Amazon's; it was: ORDER_CHANGE")
    assert await audited(letter) == ["letter.drop"]
    assert await aside() == []
    for act in (letters.replay(letter.id, actor=OPERATOR), letters.drop(letter.id, reason="again", actor=OPERATOR)):
        with pytest.raises(letters.LetterSettled):
            await act


async def test_what_it_said_goes_by_age_and_the_line_stays():
    [letter] = await aside()
    with time_machine.travel(clock.now() + timedelta(days=31), tick=True):
        async with acting_for(PLATFORM_COMPANY) as session:
            await wiring.tidy_company.enqueue(session, company_id=PLATFORM_COMPANY)
        await drain()
        [left] = (await letters.page(after=None, limit=50))[0]
        assert (left.id, left.can_be_tried, left.outline) == (letter.id, False, ())
        with pytest.raises(Emptied):
            await letters.replay(letter.id, actor=OPERATOR)


async def test_trouble_of_our_own_says_nothing_about_the_letter(monkeypatch):
    tries = []

    async def away(vendor, body):
        tries.append(body)
        if len(tries) < 3:
            raise ConnectionRefusedError("the database is away")

    monkeypatch.setattr(taking, "take", away)
    await letters.keep(amazon.vendor, BODY, "unreadable")
    await drain(skip_waits=True)
    [row] = await rows()
    assert (len(tries), row.outcome) == (3, Outcome.handled)


async def test_another_delivery_of_the_platforms_is_no_letter():
    await inbox.receive(
        company_id=PLATFORM_COMPANY, vendor="velocity", store="", delivery_id=str(new_id()), topic="t", body=b"{}",
        headers={}, reader=letters.read_letter,
    )  # fmt: skip
    await drain()
    [row] = await rows()
    with pytest.raises(letters.NoSuchLetter):
        await letters.get(row.id)
    assert await letters.count() == 0


# --- over HTTP, and on the page -------------------------------------------------------------------------------------


@pytest.fixture
async def operator(monkeypatch):
    """The API as the platform's operator uses it."""
    from httpx2 import ASGITransport, AsyncClient

    from shipcrowd.app import create_app

    monkeypatch.setenv("SHIPCROWD_ENVIRONMENT", "test")
    email = f"operator-{new_id().hex[-8:]}@shipcrowd.example"
    await support.add_operator(PLATFORM_COMPANY, email=email, name="Op", password="brass-lamps-2026")
    async with AsyncClient(transport=ASGITransport(create_app()), base_url="https://shipcrowd.test") as http:
        signed = await http.post("/api/v1/auth/login", json={"email": email, "password": "brass-lamps-2026"})
        http.headers["x-csrf-token"] = signed.json()["csrf_token"]
        yield http


async def test_the_operator_does_all_of_it_over_http(operator):
    [one] = await aside()
    [listed] = (await operator.get("/api/v1/system/letters")).json()["items"]
    assert (listed["id"], listed["outline"][0]) == (str(one.id), "NotificationType: text of 12")
    path = f"/api/v1/system/letters/{one.id}"
    assert (await operator.get(path)).json() == listed
    assert (await operator.post("/api/v1/system/letters/replay")).json() == {"letters": 1}
    await drain()
    assert (await operator.post(f"{path}/replay")).status_code == 202
    await drain()
    assert (await operator.post(f"{path}/drop", json={"reason": ""})).status_code == 422
    assert (await operator.post(f"{path}/drop", json={"reason": "a test"})).status_code == 204
    assert (await operator.get("/api/v1/system/letters")).json()["items"] == []
    assert len((await operator.get("/api/v1/system/letters", params={"settled": True})).json()["items"]) == 1


async def test_the_page_shows_them_and_takes_the_same_acts(operator):
    [one] = await aside()
    html = (await operator.get("/letters", headers={"accept": "text/html"})).text
    assert "ORDER_CHANGE" in html
    assert "Payload.Name" in html
    assert "Meenakshi" not in html
    assert "/letters" in (await operator.get("/jobs", headers={"accept": "text/html"})).text
    page = {"accept": "text/html"}
    assert (await operator.post(f"/letters/{one.id}/again", headers=page)).status_code == 303
    await drain()
    assert (await operator.post(f"/letters/{one.id}/drop", data={"reason": " "}, headers=page)).status_code == 422
    assert (await operator.post(f"/letters/{one.id}/drop", data={"reason": "a test"}, headers=page)).status_code == 303
    assert await letters.count() == 0


async def test_nobody_else_sees_them(operator):
    [one] = await aside()
    name = new_id().hex[-8:]
    operator.cookies.clear()
    body = {"company_name": name, "name": "Asha", "email": f"{name}@shop.example", "password": "brass-lamps-2026"}
    await operator.post("/api/v1/auth/register", json=body)
    signed = await operator.post("/api/v1/auth/login", json={"email": body["email"], "password": body["password"]})
    operator.headers["x-csrf-token"] = signed.json()["csrf_token"]
    path, page = f"/system/letters/{one.id}", {"accept": "text/html"}
    for method, url, sent in (
        ("GET", "/system/letters", None), ("GET", path, None), ("POST", "/system/letters/replay", None),
        ("POST", f"{path}/replay", None), ("POST", f"{path}/drop", {"reason": "not mine"}),
    ):  # fmt: skip
        assert (await operator.request(method, f"/api/v1{url}", json=sent)).status_code == 404, url
    assert (await operator.get("/letters", headers=page)).status_code == 404
    for url in ("/letters/again", f"/letters/{one.id}/again", f"/letters/{one.id}/drop"):
        assert (await operator.post(url, data={"reason": "not mine"}, headers=page)).status_code == 404, url
    assert "put aside" not in (await operator.get("/jobs", headers=page)).text
    assert await letters.count() == 1
