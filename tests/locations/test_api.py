"""Places over HTTP."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI

from shipcrowd.identity.guard import signed_in
from shipcrowd.identity.member import Member
from shipcrowd.identity.permissions import Role
from shipcrowd.kernel import problems
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.locations import service
from shipcrowd.locations.api import router
from tests.locations.make import WAREHOUSE, create

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


async def test_a_place_is_made_read_changed_and_taken_out_of_use(desk: Desk, company: UUID):
    client = desk.asks(company)
    made = await client.post("/places", json=WAREHOUSE)
    assert made.status_code == 201, made.text
    place = made.json()
    assert {name: place[name] for name in WAREHOUSE} == WAREHOUSE
    assert (place["default_pickup"], place["default_return"], place["state"]) == (True, True, "Karnataka")
    assert place["registrations"] == []
    path = f"/places/{place['id']}"
    assert (await client.get(path)).json() == place
    changed = (await client.patch(path, json={"city": "Bangalore", "line2": ""})).json()
    assert changed == place | {"city": "Bangalore", "line2": ""}
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).json()["active"] is False
    assert (await client.get("/places", params={"active": True})).json() == {"items": [], "next": None}
    assert (await client.post(f"{path}/activate")).json()["active"] is True
    chosen = (await client.post(f"{path}/default", json={"return": True})).json()
    assert (chosen["default_pickup"], chosen["default_return"]) == (False, True)


async def test_what_couriers_know_of_a_place_is_shown(desk: Desk, company: UUID):
    place, account = await create(company), new_id()
    async with acting_for(company) as session:
        await service.record_registration(
            session, place.id, account_id=account, courier="velocity", version=1, error="phone is invalid"
        )
    [item] = (await desk.asks(company).get("/places")).json()["items"]
    [known] = item["registrations"]
    assert (known["account_id"], known["courier"]) == (str(account), "velocity")
    assert (known["state"], known["registered_as"], known["error"]) == ("failed", None, "phone is invalid")


@pytest.mark.parametrize(
    ("changes", "status", "code", "field"),
    [
        ({"line1": ""}, 422, "incomplete_address", "line1"),
        ({"gstin": "29AAPFU0939F1ZX"}, 422, "invalid_gstin", "gstin"),
        ({"name": "  "}, 422, "invalid", "name"),
        ({"kind": "shop"}, 422, "invalid", "kind"),
        ({"zip": "560001"}, 422, "invalid", "zip"),
        ({"name": "Taken"}, 409, "place_name_taken", "name"),
    ],
)
async def test_what_is_wrong_is_told_by_field(
    desk: Desk, company: UUID, changes: dict[str, Any], status: int, code: str, field: str | None
):
    await create(company, name="Taken")
    answer = await desk.asks(company).post("/places", json=WAREHOUSE | changes)
    assert (answer.status_code, answer.json()["code"], answer.json().get("field")) == (status, code, field)
    assert len((await desk.client.get("/places")).json()["items"]) == 1


async def test_a_null_byte_in_a_line_does_no_harm(desk: Desk, company: UUID):
    answer = await desk.asks(company).post("/places", json=WAREHOUSE | {"city": "Benga\x00luru", "name": "A\u2028B"})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["city"], answer.json()["name"]) == ("Benga luru", "A B")


async def test_another_companys_place_is_404_for_every_verb(desk: Desk, company: UUID):
    place = await create(company)
    client, path = desk.asks(new_id()), f"/places/{place.id}"
    answers = [
        await client.get(path),
        await client.patch(path, json={"city": "Mysuru"}),
        await client.post(f"{path}/default", json={"pickup": True}),
        await client.post(f"{path}/activate"),
        await client.delete(path),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert {answer.json()["code"] for answer in answers} == {"no_such_place"}


@pytest.mark.parametrize("role", [Role.viewer, Role.picker, Role.member])
async def test_who_may_only_read_places_changes_none(desk: Desk, company: UUID, role: Role):
    place = await create(company)
    client, path = desk.asks(company, role), f"/places/{place.id}"
    assert (await client.get(path)).status_code == 200
    answers = [
        await client.post("/places", json=WAREHOUSE | {"name": "Other"}),
        await client.patch(path, json={"city": "Mysuru"}),
        await client.post(f"{path}/default", json={"pickup": True}),
        await client.post(f"{path}/activate"),
        await client.delete(path),
    ]
    assert [answer.status_code for answer in answers] == [403] * 5
    assert (await client.get(path)).json()["city"] == "Bengaluru"


def test_the_routes_can_be_described(desk: Desk):
    assert desk.app.openapi()["paths"]
