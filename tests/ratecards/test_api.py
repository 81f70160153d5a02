from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI

from shipcrowd.identity.guard import signed_in
from shipcrowd.identity.member import Member
from shipcrowd.identity.permissions import Role
from shipcrowd.kernel import audit, clock, problems
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.tenancy import PLATFORM_COMPANY, acting_for
from shipcrowd.pincodes.api import router as pincodes_router
from shipcrowd.ratecards.api import router
from tests.ratecards.make import card

pytestmark = pytest.mark.postgres


class Desk:
    """The two routers, with whoever is asking."""

    def __init__(self) -> None:
        self.app = FastAPI()
        problems.install(self.app)
        self.app.include_router(router)
        self.app.include_router(pincodes_router)
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
def courier() -> str:
    return f"courier-{new_id().hex[-12:]}"


def body(courier: str, **changes: Any) -> dict[str, Any]:
    return card(courier=courier).model_dump(mode="json") | changes


PARCEL = {
    "from_pincode": "560001",
    "to_pincode": "302001",
    "weight_grams": 800,
    "length_mm": 300,
    "breadth_mm": 200,
    "height_mm": 150,
    "payment": "cod",
    "to_collect_paise": 149900,
}


async def test_the_platform_gives_a_company_a_card_and_the_company_sees_it(desk: Desk, company: UUID, courier: str):
    made = await desk.asks(PLATFORM_COMPANY).post("/ratecards", json=body(courier, company_id=str(company)))
    assert made.status_code == 201, made.text
    listed = await desk.asks(company).get("/ratecards", params={"courier": courier})
    assert [item["id"] for item in listed.json()["items"]] == [made.json()["id"]]
    assert listed.json()["items"][0]["default"] is False
    assert listed.json()["items"][0]["terms"]["zones"]["a"]["first_paise"] == 45_00
    async with acting_for(company) as session:
        [entry] = await audit.of(session, f"rate_card:{made.json()['id']}")
    assert entry.action == "ratecard.created"


async def test_without_a_company_the_card_is_the_platforms_and_everyone_may_read_it(
    desk: Desk, company: UUID, courier: str
):
    made = await desk.asks(PLATFORM_COMPANY).post("/ratecards", json=body(courier))
    assert made.json()["default"] is True
    seller = desk.asks(company, Role.viewer)
    own = await seller.get("/ratecards", params={"courier": courier})
    shared = await seller.get("/ratecards", params={"courier": courier, "default": True})
    assert own.json() == {"items": [], "next": None}
    assert [item["id"] for item in shared.json()["items"]] == [made.json()["id"]]


async def test_a_seller_cannot_set_its_own_rates(desk: Desk, company: UUID, courier: str):
    refused = await desk.asks(company).post("/ratecards", json=body(courier))
    assert (refused.status_code, refused.json()["code"]) == (403, "operator_sets_rates")
    made = await desk.asks(PLATFORM_COMPANY).post("/ratecards", json=body(courier, company_id=str(company)))
    refused = await desk.asks(company).post(f"/ratecards/{made.json()['id']}/retire", json={})
    assert refused.status_code == 403
    listed = await desk.asks(company).get("/ratecards")
    assert [(item["id"], item["status"]) for item in listed.json()["items"]] == [(made.json()["id"], "active")]


async def test_a_manager_may_not_write_cards_even_at_the_platform(desk: Desk, courier: str):
    refused = await desk.asks(PLATFORM_COMPANY, Role.manager).post("/ratecards", json=body(courier))
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_permission")


async def test_a_card_is_retired(desk: Desk, company: UUID, courier: str):
    operator = desk.asks(PLATFORM_COMPANY)
    made = (await operator.post("/ratecards", json=body(courier, company_id=str(company)))).json()
    ended = await operator.post(f"/ratecards/{made['id']}/retire", json={"company_id": str(company)})
    assert ended.status_code == 200, ended.text
    assert (ended.json()["status"], ended.json()["effective_to"]) == ("retired", clock.today().isoformat())
    again = await operator.post(f"/ratecards/{made['id']}/retire", json={"company_id": str(company)})
    assert (again.status_code, again.json()["code"]) == (409, "card_ended")
    missing = await operator.post(f"/ratecards/{new_id()}/retire", json={"company_id": str(company)})
    assert (missing.status_code, missing.json()["code"]) == (404, "no_such_card")


@pytest.mark.parametrize(
    "wrong",
    [
        {"effective_to": "2025-12-31"},
        {"mode": "rail"},
        {"courier": "Velocity Shipfast"},
        {"terms": {}},
        {"name": ""},
    ],
)
async def test_a_card_that_makes_no_sense_is_refused(desk: Desk, courier: str, wrong: dict[str, Any]):
    refused = await desk.asks(PLATFORM_COMPANY).post("/ratecards", json=body(courier) | wrong)
    assert refused.status_code == 422


async def test_an_overlapping_card_is_a_conflict(desk: Desk, company: UUID, courier: str):
    operator = desk.asks(PLATFORM_COMPANY)
    await operator.post("/ratecards", json=body(courier, company_id=str(company)))
    refused = await operator.post("/ratecards", json=body(courier, company_id=str(company)))
    assert (refused.status_code, refused.json()["code"]) == (409, "overlapping_card")


async def test_a_parcel_is_simulated_by_the_companys_card(desk: Desk, company: UUID, courier: str):
    operator = desk.asks(PLATFORM_COMPANY)
    made = (await operator.post("/ratecards", json=body(courier, company_id=str(company)))).json()
    got = (await desk.asks(company).post("/ratecards/simulate", json=PARCEL | {"courier": courier})).json()
    assert (got["card_id"], got["card_version"], got["default"], got["reason"]) == (made["id"], 1, False, None)
    assert got["quote"]["bill"]["total_paise"] == 234_82
    assert [charge["code"] for charge in got["quote"]["bill"]["charges"]] == ["freight", "cod"]


async def test_terms_on_no_card_can_be_tried(desk: Desk, company: UUID):
    terms = card().model_dump(mode="json")["terms"] | {"fuel_bp": 1_000}
    got = await desk.asks(company).post("/ratecards/simulate", json=PARCEL | {"courier": "any", "terms": terms})
    assert got.json()["card_id"] is None
    assert got.json()["quote"]["bill"]["taxable_paise"] == 159_00 + 15_90 + 40_00


async def test_a_simulation_without_a_card_says_so(desk: Desk, company: UUID, courier: str):
    got = await desk.asks(company).post("/ratecards/simulate", json=PARCEL | {"courier": courier})
    assert (got.json()["quote"], got.json()["reason"]) == (None, "no_rate_card")


async def test_a_pincode_is_looked_up(desk: Desk, company: UUID):
    asking = desk.asks(company)
    assert (await asking.get("/pincodes/560001")).json() == {
        "pincode": "560001",
        "city": "Bengaluru",
        "district": "Bengaluru Urban",
        "state": "KA",
        "metro": "bengaluru",
        "listed": True,
        "state_name": "Karnataka",
        "gst_state": "29",
    }
    for unknown in ("900056", "12", "abcdef"):
        answer = await asking.get(f"/pincodes/{unknown}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_pincode")
