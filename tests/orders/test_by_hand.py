"""Orders typed in by hand or sent by the seller's own system: what they may hold, and what is said of the rest."""

from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI

from shipcrowd.identity.guard import signed_in
from shipcrowd.identity.member import Member
from shipcrowd.identity.permissions import Role
from shipcrowd.kernel import problems, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.orders import queries, service
from shipcrowd.orders.api import router
from shipcrowd.orders.schemas import Fulfilment, SourceState
from tests.make import address, incoming

pytestmark = pytest.mark.postgres

GSTIN = "29AABCU9603R1ZJ"


def order(**changes: Any) -> dict[str, Any]:
    line = {"name": "Lamp", "units": 2, "unit_price_paise": 450_00}
    return {"payment": "prepaid", "ship_to": address().model_dump(), "lines": [line], **changes}


@pytest.fixture
async def http(company: UUID):
    app = FastAPI()
    problems.install(app)
    app.include_router(router)
    app.dependency_overrides[signed_in] = lambda: Member.person(company, new_id(), Role.owner)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://desk") as client:
        yield client


async def orders_of(company: UUID) -> int:
    async with tenancy.acting_for(company) as session:
        rows, _ = await queries.page_of(session, queries.OrderFilter(), after=None, limit=10)
        return len(rows)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"buyer_gstin": "X"}, "buyer_gstin", "a GSTIN has 15 characters, such as 27AAPFU0939F1ZV"),
        ({"buyer_gstin": GSTIN[:-1] + "K"}, "buyer_gstin",
         "the last character does not fit the others; one of them is mistyped"),
        ({"ship_to": {"name": "Asha", "zip": "560001"}}, "ship_to.zip", "there is no such field here"),
        ({"bill_to": {"street": "MG Road"}}, "bill_to.street", "there is no such field here"),
        ({"zip": "560001"}, "zip", "there is no such field here"),
        ({"lines": [{"name": "Lamp", "units": 1, "unit_price_paise": 1, "colour": "red"}]}, "lines.0.colour",
         "there is no such field here"),
        ({"discount_paise": -1}, "discount_paise", "an amount is zero or more, and at most ₹100 crore"),
        ({"discount_paise": 900_01}, "discount_paise", "the discount is larger than the order"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_what_does_not_fit_is_named_in_one_shape_and_nothing_is_kept(http, company, changes, field, words):
    answer = await http.post("/orders", json=order(**changes))
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (422, "invalid", field)
    assert problem["errors"] == [{"field": field, "message": words}]
    assert await orders_of(company) == 0


async def test_a_gstin_is_kept_as_it_is_written_on_invoices(http, company):
    answer = await http.post("/orders", json=order(buyer_gstin=" 29aabcu9603r 1zj"))
    assert answer.status_code == 201, answer.text
    assert (await http.get(f"/orders/{answer.json()['id']}")).json()["buyer_gstin"] == GSTIN


@pytest.mark.parametrize(
    ("changes", "field", "word"),
    [
        ({"pincode": ""}, "pincode", "missing"),
        ({"pincode": "000000"}, "pincode", "wrong"),
        ({"pincode": "12"}, "pincode", "wrong"),
        ({"phone": None}, "phone", "missing"),
        ({"phone": " "}, "phone", "missing"),
        ({"phone": "12345"}, "phone", "wrong"),
    ],
)
async def test_what_is_there_and_wrong_is_not_called_missing(http, company, changes, field, word):
    answer = await http.post("/orders", json=order(ship_to=address(**changes).model_dump()))
    said = answer.json()["problems"][field]
    assert {each for each in ("missing", "wrong") if each in said} == {word}
    assert "12345" not in said  # a phone is sealed, and not told beside its seal


async def test_a_number_another_order_has_is_told(http, company):
    """Stores number by themselves, so two orders may share one; the second is marked."""
    async with tenancy.acting_for(company) as session:
        done = await service.import_orders(
            session, connection_id=company, source="shopify", incoming=[incoming(number="#1045")]
        )
    one = (await http.post("/orders", json=order(number="#1045"))).json()
    assert (one["number"], one["duplicate_of"]) == ("#1045", str(done.inserted[0]))
    other = order(number="#1046", ship_to=address(phone="9811122233").model_dump())
    assert (await http.post("/orders", json=other)).json()["duplicate_of"] is None


async def test_a_cancelled_order_gives_its_number_free(http, company):
    first = (await http.post("/orders", json=order(number="A-1"))).json()
    async with tenancy.acting_for(company) as session:
        await service.cancel(session, UUID(first["id"]), reason="typed twice", actor="user:1")
    assert (await http.post("/orders", json=order(number="A-1"))).json()["duplicate_of"] is None


async def test_what_the_marketplace_ships_itself_is_not_cancelled_here(http, company):
    async with tenancy.acting_for(company) as session:
        fba = incoming(fulfilment=Fulfilment.marketplace_warehouse, source_state=SourceState.nothing_to_ship)
        done = await service.import_orders(session, connection_id=company, source="amazon", incoming=[fba])
    answer = await http.post(f"/orders/{done.inserted[0]}/cancel", json={"reason": "no stock"})
    assert (answer.status_code, answer.json()["code"]) == (409, "shipped_by_marketplace")
    async with tenancy.acting_for(company) as session:
        assert (await service.got(session, done.inserted[0])).state == "ignored"
