"""Connecting stores over HTTP, by paste and by sign-in; pausing, testing, cutting; who may; how they fare."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from sqlalchemy import func, select

from shipcrowd.channels.open import open_store
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection, SignInState
from shipcrowd.identity.permissions import Role
from shipcrowd.kernel import audit, clock, outbound, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.outbound import Disconnected, Refused, Unavailable
from tests.channels import look
from tests.channels.bazaar import GOOD_TOKEN, order
from tests.support import drain

PASTE = {"credentials": {"token": GOOD_TOKEN}}


async def saved(company) -> int:
    async with tenancy.acting_for(company) as session:
        return (await session.execute(select(func.count()).select_from(Connection))).scalar_one()


async def test_the_channels_and_their_forms_are_listed(http):
    found = {each["slug"]: each for each in (await http.get("/integrations")).json()}
    assert (found["bazaar"]["sign_in"], found["rugged"]["sign_in"]) == (True, False)
    assert found["bazaar"]["fields"] == [
        {
            "name": "token",
            "title": "Access token",
            "help": "Bazaar → Settings → API",
            "secret": True,
            "required": True,
        },
        {"name": "note", "title": "Note", "help": "", "secret": False, "required": False},
    ]


async def test_a_store_is_connected_with_pasted_credentials(http, company, who, far):
    answer = await http.post(
        "/integrations/bazaar/connect", json={**PASTE, "store": f"https://{far.external_id}/", "import_days": 7}
    )
    assert answer.status_code == 201
    store = answer.json()
    assert (store["external_id"], store["name"], store["status"]) == (far.external_id, "Kaveri Handlooms", "connected")
    assert store["settings"]["import_days"] == 7
    assert store["abilities"] == [
        "announces_dispatch",
        "sets_stock",
        "follows_feeds",
        "lists_products",
        "reports_marketplace_stock",
        "marks_dispatched",
        "cancels_orders",
        "subscribes",
        "sets_prices",
        "changes_delivery_date",
        "handles_returns",
    ]
    assert GOOD_TOKEN not in answer.text
    await drain()
    store = (await http.get(f"/integrations/bazaar/stores/{store['id']}")).json()
    assert far.hooks == store["webhook_url"]
    assert store["topics"] == ["app/uninstalled", "orders/create"]
    assert (store["health"]["level"], store["health"]["words"]) == ("ok", "Up to date.")
    async with tenancy.acting_for(company) as session:
        (entry,) = await audit.of(session, f"connection:{store['id']}")
    assert (entry.actor, entry.action) == (who.member.actor, "store.connected")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"store": "not an address", **PASTE}, "store"),
        ({"store": "kaveri.bazaar.example", "credentials": {}}, "credentials.token"),
        ({"store": "kaveri.bazaar.example", "credentials": {"token": "shrt"}}, "credentials.token"),
        ({"store": "kaveri.bazaar.example", "credentials": {"tokn": "secret-value"}}, "credentials.tokn"),
        (
            {"store": "kaveri.bazaar.example", "credentials": {"token": GOOD_TOKEN, "expires_at": "2030-01-01"}},
            "credentials.expires_at",
        ),
    ],
)
async def test_a_form_filled_wrongly_is_refused_by_field_and_calls_nobody(http, company, body, field):
    answer = await http.post("/integrations/bazaar/connect", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert "shrt" not in answer.text
    assert "secret-value" not in answer.text
    assert await saved(company) == 0


@pytest.mark.parametrize(
    ("failure", "reason", "words"),
    [
        (None, "disconnected", "Bazaar does not accept these credentials."),
        (Refused("no_api", "Your plan has no API."), "no_api", "Your plan has no API."),
    ],
)
async def test_wrong_credentials_are_named_and_nothing_is_saved(http, company, far, failure, reason, words):
    if failure:
        far.fail("store", failure)
    answer = await http.post(
        "/integrations/bazaar/connect", json={"store": far.external_id, "credentials": {"token": "tok-wrong"}}
    )
    problem = answer.json()
    assert answer.status_code == 422
    assert (problem["code"], problem["reason"], problem["detail"]) == ("cannot_connect", reason, words)
    assert await saved(company) == 0
    assert await connections.route("bazaar", far.external_id) is None
    assert await look.jobs_waiting(company) == 0


async def test_a_store_that_does_not_answer_now_is_not_saved_either(http, company, far):
    far.fail("store", Unavailable("503", retry_after=9))
    answer = await http.post("/integrations/bazaar/connect", json={"store": far.external_id, **PASTE})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert await saved(company) == 0


async def test_credentials_can_be_tried_without_saving_them(http, company, far):
    answer = await http.post("/integrations/bazaar/test", json={"store": far.external_id, **PASTE})
    assert answer.json()["ok"] is True
    assert answer.json()["details"] == {"location.L1": "Peenya"}
    assert await saved(company) == 0


async def test_a_second_company_is_refused_by_name_and_first_proves_that_it_owns_the_store(http, who, store, far):
    who.become(new_id())
    wrong = await http.post(
        "/integrations/bazaar/connect", json={"store": far.external_id, "credentials": {"token": "tok-wrong"}}
    )
    assert wrong.json()["code"] == "cannot_connect"  # a stranger does not learn that the store is here
    right = await http.post("/integrations/bazaar/connect", json={"store": far.external_id, **PASTE})
    assert (right.status_code, right.json()["code"]) == (409, "connected_elsewhere")
    assert far.external_id in right.json()["detail"]
    assert await saved(who.member.company_id) == 0


# --- sign-in --------------------------------------------------------------------------------------------------------


async def set_out(http, far) -> str:
    answer = await http.get("/integrations/bazaar/install", params={"shop": far.external_id})
    assert answer.status_code == 302
    where = urlsplit(answer.headers["location"])
    assert where.netloc == far.external_id
    asked = parse_qs(where.query)
    assert asked["redirect_uri"] == ["http://127.0.0.1:8000/api/v1/integrations/bazaar/callback"]
    return asked["state"][0]


def back(far, state: str, **changes: str) -> dict[str, str]:
    return {"shop": far.external_id, "state": state, "code": "good-code", "hmac": "right", **changes}


async def test_a_store_is_connected_by_signing_in_there(http, company, far):
    answer = await http.get("/integrations/bazaar/callback", params=back(far, await set_out(http, far)))
    assert answer.status_code == 200
    assert answer.json()["status"] == "connected"
    connection = await look.connection(company, answer.json()["id"])
    assert connection.expires_at is not None
    await drain()
    assert far.hooks is not None


async def test_a_browser_is_sent_on_to_the_stores_page(http, far):
    state = await set_out(http, far)
    answer = await http.get(
        "/integrations/bazaar/callback", params=back(far, state), headers={"accept": "text/html,*/*"}
    )
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/stores/")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"hmac": "forged"}, 401),
        ({"state": "made-up"}, 400),
        ({"shop": "narmada.bazaar.example"}, 401),
        ({"code": "used-code"}, 422),
    ],
)
async def test_a_sign_in_that_comes_back_wrong_connects_nothing(http, company, far, changes, status):
    state = await set_out(http, far)
    answer = await http.get("/integrations/bazaar/callback", params={**back(far, state), **changes})
    assert answer.status_code == status
    assert await saved(company) == 0


async def test_a_callback_counts_once_and_for_whoever_set_out(http, company, who, far):
    state = await set_out(http, far)
    mine = who.member
    who.become(company)
    assert (await http.get("/integrations/bazaar/callback", params=back(far, state))).status_code == 400
    who.member = mine
    assert (await http.get("/integrations/bazaar/callback", params=back(far, state))).status_code == 200
    assert (await http.get("/integrations/bazaar/callback", params=back(far, state))).status_code == 400
    assert far.count("finish") == 1
    async with tenancy.acting_for(company) as session:
        assert (await session.execute(select(func.count()).select_from(SignInState))).scalar_one() == 0


async def test_a_channel_without_sign_in_says_so(http, far):
    answer = await http.get("/integrations/rugged/install", params={"shop": far.external_id})
    assert (answer.status_code, answer.json()["code"]) == (422, "no_sign_in")


# --- a connected store ----------------------------------------------------------------------------------------------


async def test_disconnecting_takes_the_webhooks_away_and_keeps_the_orders(http, company, store, far):
    far.put(order("1", minutes_ago=1))
    await http.post(f"/integrations/bazaar/stores/{store}/sync/orders")
    await drain()
    assert (await http.delete(f"/integrations/bazaar/stores/{store}")).status_code == 204
    assert far.hooks is None
    assert far.count("unsubscribe") == 1
    connection = await look.connection(company, store)
    assert (connection.status, connection.closed_at is not None) == ("disconnected", True)
    assert await look.order_numbers(company) == ["#1"]
    assert (await http.get("/integrations/bazaar/stores")).json() == []
    closed = (await http.get("/integrations/bazaar/stores", params={"closed": True})).json()
    assert [each["id"] for each in closed] == [str(store)]
    assert (await http.post(f"/integrations/bazaar/stores/{store}/sync/orders")).status_code == 409
    assert (await http.delete(f"/integrations/bazaar/stores/{store}")).status_code == 204  # safe to repeat
    assert far.count("unsubscribe") == 1


async def test_a_store_that_does_not_answer_is_disconnected_all_the_same(http, company, store, far):
    far.fail("unsubscribe", Unavailable("503"))
    assert (await http.delete(f"/integrations/bazaar/stores/{store}")).status_code == 204
    assert (await look.connection(company, store)).closed_at is not None
    (entry,) = await look.log(company, "unsubscribe")
    assert "could not be removed" in entry.error


async def test_pausing_stops_and_resuming_catches_up(http, company, store, far):
    assert (await http.post(f"/integrations/bazaar/stores/{store}/pause")).json()["status"] == "paused"
    assert (await http.post(f"/integrations/bazaar/stores/{store}/sync/orders")).status_code == 409
    far.put(order("1", minutes_ago=0))
    assert (await http.post(f"/integrations/bazaar/stores/{store}/resume")).json()["status"] == "connected"
    await drain()
    assert await look.order_numbers(company) == ["#1"]
    actions = []
    async with tenancy.acting_for(company) as session:
        actions = [entry.action for entry in await audit.of(session, f"connection:{store}")]
    assert actions == ["store.resumed", "store.paused", "store.connected"]


async def test_the_test_button_tells_how_it_went(http, company, store, far):
    path = f"/integrations/bazaar/stores/{store}/test"
    far.missing_scopes = ("write_dispatch",)
    assert (await http.post(path)).json() == {
        "ok": True,
        "name": "Kaveri Handlooms",
        "external_id": far.external_id,
        "currency": "INR",
        "missing_scopes": ["write_dispatch"],
        "details": {"location.L1": "Peenya"},
        "problem": None,
    }
    assert "write_dispatch" in (await http.get(f"/integrations/bazaar/stores/{store}")).json()["health"]["words"]
    far.fail("store", Unavailable("bazaar answered 503 to store"))
    answer = (await http.post(path)).json()
    assert (answer["ok"], answer["problem"]) == (False, "bazaar answered 503 to store")
    assert (await look.connection(company, store)).status == "connected"
    far.fail("store", Disconnected("The token was revoked."))
    assert (await http.post(path)).json()["problem"] == "The token was revoked."
    found = (await http.get(f"/integrations/bazaar/stores/{store}")).json()
    assert (found["status"], found["health"]["level"]) == ("disconnected", "broken")
    assert found["health"]["words"] == "Not connected: The token was revoked."


async def test_a_token_that_ran_out_is_renewed_on_the_way(company, connect, far):
    store = await connect()
    await drain()
    far.tokens = {"tok-good-2"}
    channel = await open_store(company, store)
    assert (await channel.store()).name == "Kaveri Handlooms"
    assert far.count("renew") == 1
    assert (await channel.store()).name == "Kaveri Handlooms"
    assert far.count("renew") == 1


async def test_settings_change_only_what_is_given(http, store):
    path = f"/integrations/bazaar/stores/{store}/settings"
    changed = (await http.patch(path, json={"sweep_minutes": 60, "notify_buyer": False})).json()["settings"]
    assert changed == {"import_days": 30, "sweep_minutes": 60, "announce": True, "notify_buyer": False}
    assert (await http.patch(path, json={"sweep_minutes": None})).json()["settings"]["sweep_minutes"] is None
    for wrong in ({"sweep_minutes": 1}, {"import_days": 9999}, {"colour": "red"}):
        assert (await http.patch(path, json=wrong)).status_code == 422


async def test_another_companys_store_is_not_found_by_any_route(http, who, company, store, far):
    mine = who.member
    far.unreadable.add("1")
    far.put(order("1", minutes_ago=0))
    await http.post(f"/integrations/bazaar/stores/{store}/sync/orders")
    await drain()
    (item,) = await look.failed(company)
    who.become(new_id())
    stores = f"/integrations/bazaar/stores/{store}"
    tries = [
        ("GET", stores), ("DELETE", stores), ("PATCH", f"{stores}/settings"), ("POST", f"{stores}/test"),
        ("POST", f"{stores}/pause"), ("POST", f"{stores}/resume"), ("POST", f"{stores}/sync/orders"),
        ("POST", f"{stores}/refresh"), ("GET", f"{stores}/sync/logs"), ("GET", f"{stores}/webhooks"),
        ("GET", f"/integrations/bazaar/failed-items/{item.id}"),
        ("POST", f"/integrations/bazaar/failed-items/{item.id}/replay"),
        ("GET", f"/integrations/bazaar/failed-items?store={store}"),
    ]  # fmt: skip
    for method, path in tries:
        answer = await http.request(method, path, json={} if method == "PATCH" else None)
        assert answer.status_code == 404, path
    assert (await http.get("/integrations/bazaar/stores")).json() == []
    assert (await http.get("/integrations/bazaar/failed-items")).json()["items"] == []
    who.member = mine
    assert (await http.get(stores)).json()["status"] == "connected"
    assert (await http.get(stores.replace("bazaar", "rugged"))).status_code == 404  # nor under another platform


async def test_a_viewer_may_look_and_change_nothing(http, who, company, store):
    who.become(company, Role.viewer)
    stores = f"/integrations/bazaar/stores/{store}"
    assert (await http.get(stores)).status_code == 200
    assert (await http.delete(stores)).status_code == 403
    assert (await http.post("/integrations/bazaar/connect", json={"store": "a.b", **PASTE})).status_code == 403
    assert (await look.connection(company, store)).status == "connected"


async def test_logs_come_in_pages_newest_first(http, company, store, far):
    for _ in range(4):
        await http.post(f"/integrations/bazaar/stores/{store}/sync/orders")
        await drain()
    first = (await http.get(f"/integrations/bazaar/stores/{store}/sync/logs", params={"limit": 3})).json()
    rest = (
        await http.get(f"/integrations/bazaar/stores/{store}/sync/logs", params={"limit": 3, "after": first["next"]})
    ).json()
    starts = [entry["started_at"] for entry in first["items"] + rest["items"]]
    assert starts == sorted(starts, reverse=True)
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (3, 3, None)
    assert len(set(starts)) == 6  # five sweeps and the subscription


async def test_health_tells_of_the_worst_store_first(http, company, store):
    assert (await http.get("/integrations/health")).json()["level"] == "ok"
    with time_machine.travel(clock.now() + timedelta(hours=3)):
        answer = (await http.get("/integrations/health")).json()
    assert answer["level"] == "broken"
    (found,) = answer["stores"]
    assert found["words"] == "No orders could be read for 3 hours."
    assert found["lag_seconds"] >= 3 * 3600


async def test_a_browser_goes_through_the_sandbox_when_it_is_on(http, far, monkeypatch):
    monkeypatch.setattr(outbound._Wire, "route", staticmethod(lambda url: "http://sandbox.test/" + url))
    answer = await http.get("/integrations/bazaar/install", params={"shop": far.external_id})
    assert answer.headers["location"].startswith("http://sandbox.test/https://" + far.external_id)


def test_the_apps_own_keys_come_from_settings_named_after_the_vendor(monkeypatch):
    from pydantic import BaseModel, SecretStr

    from shipcrowd.channels import open as opening
    from shipcrowd.integrations.shopify import vendor as shopify
    from shipcrowd.settings import Settings

    ours = Settings(shopify_client_id="our-app", shopify_client_secret=SecretStr("shhh"), _env_file=None)
    monkeypatch.setattr(opening, "settings", lambda: ours)
    app: BaseModel = opening.app_settings(shopify)
    assert app.model_dump()["client_id"] == "our-app"
    assert "shhh" not in repr(app)
