"""The wallet over HTTP."""

from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI

from shipcrowd.identity.guard import signed_in
from shipcrowd.identity.member import Member
from shipcrowd.identity.permissions import Role
from shipcrowd.kernel import problems
from shipcrowd.kernel.ids import new_id
from shipcrowd.settings import settings
from shipcrowd.wallet.api import router
from tests.wallet.make import balance, fund, hold, refund, release, settle

pytestmark = pytest.mark.postgres


class Desk:
    """The router, with whoever is asking."""

    def __init__(self) -> None:
        self.app = FastAPI()
        problems.install(self.app)
        self.app.include_router(router)
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(self.app), base_url="http://desk")

    def asks(self, company: UUID, role: Role = Role.owner) -> httpx2.AsyncClient:
        member = Member.person(company, new_id(), role)
        self.app.dependency_overrides[signed_in] = lambda: member
        return self.client


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    yield made
    await made.client.aclose()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("SHIPCROWD_ENVIRONMENT", "demo")
    monkeypatch.delenv("SHIPCROWD_SANDBOX", raising=False)
    settings.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    settings.cache_clear()


async def test_the_balance_and_the_statement_are_shown(desk: Desk, company: UUID):
    await fund(company, 500_00)
    await hold(company, "shipment:1", 120_00)
    client = desk.asks(company, Role.viewer)
    assert (await client.get("/wallet")).json() == {"available_paise": 380_00, "held_paise": 120_00}
    page = (await client.get("/wallet/transactions", params={"limit": 1})).json()
    [line] = page["items"]
    assert (line["code"], line["amount_paise"], line["balance_paise"]) == ("hold", -120_00, 380_00)
    assert (line["text"], line["reference"]) == ("Set aside for a booking", "shipment:1")
    rest = (await client.get("/wallet/transactions", params={"after": page["next"]})).json()
    assert [item["code"] for item in rest["items"]] == ["manual_credit"]
    assert rest["next"] is None


async def test_a_line_says_what_became_of_the_money_set_aside(desk: Desk, company: UUID):
    await fund(company, 1_000_00)
    for name in ("open", "settled", "released", "refunded"):
        await hold(company, f"shipment:{name}", 120_00)
    for name in ("settled", "refunded"):
        await settle(company, f"shipment:{name}", ("freight", 100_00), ("gst", 18_00))
    await release(company, "shipment:released")
    await refund(company, "shipment:refunded")
    items = (await desk.asks(company).get("/wallet/transactions")).json()["items"]
    holds = {item["reference"].split(":")[1]: (item["state"], item["text"]) for item in items if item["code"] == "hold"}
    assert holds == {
        "open": ("open", "Set aside for a booking"),
        "settled": ("settled", "Charged for a booking"),
        "released": ("released", "Set aside for a booking, and given back"),
        "refunded": ("refunded", "Charged for a booking, and given back"),
    }
    assert all(item["state"] is None for item in items if item["code"] != "hold")


async def test_another_companys_wallet_does_not_show(desk: Desk, company: UUID):
    await fund(company, 500_00)
    client = desk.asks(new_id())
    assert (await client.get("/wallet")).json() == {"available_paise": 0, "held_paise": 0}
    assert (await client.get("/wallet/transactions")).json()["items"] == []


async def test_in_the_demo_a_wallet_is_funded_by_asking(desk: Desk, company: UUID, environment: pytest.MonkeyPatch):
    answer = await desk.asks(company).post(
        "/wallet/fund", json={"amount_paise": 1_000_00, "note": "to begin\x00with\n"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"available_paise": 1_000_00, "held_paise": 0}
    [line] = (await desk.client.get("/wallet/transactions")).json()["items"]
    assert line["note"] == "to begin with"


async def test_an_idempotency_key_funds_once_and_gives_the_same_answer(
    desk: Desk, company: UUID, environment: pytest.MonkeyPatch
):
    client, headers = desk.asks(company), {"Idempotency-Key": "first"}
    answers = [await client.post("/wallet/fund", json={"amount_paise": 700_00}, headers=headers) for _ in range(2)]
    assert [answer.json()["available_paise"] for answer in answers] == [700_00, 700_00]
    other = await client.post("/wallet/fund", json={"amount_paise": 701_00}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    await client.post("/wallet/fund", json={"amount_paise": 700_00})
    assert await balance(company) == (1_400_00, 0)


async def test_in_production_funding_by_asking_is_refused_in_words(
    desk: Desk, company: UUID, environment: pytest.MonkeyPatch
):
    environment.setenv("SHIPCROWD_ENVIRONMENT", "production")
    settings.cache_clear()
    answer = await desk.asks(company).post("/wallet/fund", json={"amount_paise": 1_000_00})
    assert (answer.status_code, answer.json()["code"]) == (403, "funded_by_gateway")
    assert "payment gateway" in answer.json()["title"]
    assert await balance(company) == (0, 0)


async def test_in_the_sandbox_funding_by_asking_is_allowed(desk: Desk, company: UUID, environment: pytest.MonkeyPatch):
    environment.setenv("SHIPCROWD_ENVIRONMENT", "production")
    environment.setenv("SHIPCROWD_SANDBOX", "1")
    settings.cache_clear()
    assert (await desk.asks(company).post("/wallet/fund", json={"amount_paise": 5})).status_code == 200


@pytest.mark.parametrize("amount", [0, -1, 10_00_000_00 + 1, 1.5, "100", None])
async def test_an_amount_that_is_none_is_refused_and_moves_nothing(
    desk: Desk, company: UUID, environment: pytest.MonkeyPatch, amount: object
):
    answer = await desk.asks(company).post("/wallet/fund", json={"amount_paise": amount})
    assert answer.status_code == 422
    assert await balance(company) == (0, 0)


async def test_who_may_not_write_the_wallet_may_not_fund_it(desk: Desk, company: UUID, environment: pytest.MonkeyPatch):
    client = desk.asks(company, Role.viewer)
    assert (await client.post("/wallet/fund", json={"amount_paise": 5})).status_code == 403
    assert (await desk.asks(company, Role.picker).get("/wallet")).status_code == 403
    assert await balance(company) == (0, 0)


def test_the_routes_can_be_described(desk: Desk):
    assert desk.app.openapi()["paths"]
