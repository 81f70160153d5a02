"""Errors on the wire: one shape, a stable code, and never the value that was wrong."""

from typing import Annotated, Literal
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI, Header, Query
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from structlog.testing import capture_logs

from shipcrowd.kernel import errors, problems
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Disconnected, Malformed, Refused, Unavailable
from shipcrowd.kernel.web import Observe


class InsufficientBalance(errors.Conflict):
    """The wallet does not hold enough for this shipment.

    Only the first line is the title.
    """


OURS = [
    (errors.ShipcrowdError("x"), 500, "shipcrowd_error"),
    (errors.BadRequest("x"), 400, "bad_request"),
    (errors.Unauthenticated("x"), 401, "unauthenticated"),
    (errors.Forbidden("x"), 403, "forbidden"),
    (errors.NotFound("x"), 404, "not_found"),
    (errors.Conflict("x"), 409, "conflict"),
    (errors.TooLarge("x"), 413, "too_large"),
    (errors.Invalid("x"), 422, "invalid"),
    (errors.TooMany("x"), 429, "too_many"),
    (InsufficientBalance("recharge it", available_paise=5), 409, "insufficient_balance"),
]
OUTSIDE = [
    (Unavailable("vendor answered 500 to book"), 503, "outside_unavailable"),
    (Refused("E42", "The pincode is not served."), 422, "refused"),
    (Disconnected("The token was revoked."), 409, "disconnected"),
    (Malformed("not JSON", "<html>secret</html>"), 502, "outside_malformed"),
]


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    password: SecretStr = Field(default=SecretStr("long enough"), min_length=8)
    pin: str = Field(default="560038", pattern=r"^\d{6}$")
    kind: Literal["cod", "prepaid"] = "cod"
    amount: Money = Money.zero
    count: int = Field(default=1, ge=1, le=5)
    who: UUID | None = None
    short: str = Field(default="", max_length=5)


raising: list[Exception] = []


@pytest.fixture
async def http():
    app = FastAPI()
    problems.install(app)
    app.add_middleware(Observe, https=False)

    @app.get("/raise")
    async def fail() -> None:
        raise raising[-1]

    @app.post("/wanted")
    async def wanted(body: Wanted) -> None: ...

    @app.get("/things/{thing_id}")
    async def thing(
        thing_id: UUID, limit: Annotated[int, Query(le=5)] = 1, x_key: Annotated[int, Header()] = 1
    ) -> None: ...

    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://shipcrowd.test") as client:
        yield client


def read(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"] == f"urn:shipcrowd:problem:{body['code']}"
    assert body["title"]
    return body


def test_every_kind_of_error_is_in_the_table():
    assert {type(error) for error, *_ in OURS} - {InsufficientBalance} == {
        errors.ShipcrowdError,
        *errors.ShipcrowdError.__subclasses__(),
    } & {value for value in vars(errors).values() if isinstance(value, type)}


@pytest.mark.parametrize(("error", "status", "code"), OURS + OUTSIDE, ids=lambda value: getattr(value, "code", value))
async def test_every_error_has_its_status_and_code(http, error, status, code):
    raising.append(error)
    answer = await http.get("/raise")
    assert (answer.status_code, read(answer)["code"]) == (status, code)


async def test_the_docstrings_first_line_is_the_title_and_extras_are_told(http):
    raising.append(InsufficientBalance("recharge it", field="amount", available_paise=5))
    body = read(await http.get("/raise"))
    assert body["title"] == "The wallet does not hold enough for this shipment."
    assert (body["detail"], body["field"], body["available_paise"]) == ("recharge it", "amount", 5)


async def test_the_headers_a_client_acts_on_are_there(http):
    raising.append(errors.TooMany(retry_after=7))
    assert (await http.get("/raise")).headers["retry-after"] == "7"
    raising.append(errors.Unauthenticated())
    assert (await http.get("/raise")).headers["www-authenticate"] == "Bearer"
    raising.append(Unavailable("x", retry_after=4.2))
    assert (await http.get("/raise")).headers["retry-after"] == "5"


async def test_an_unreadable_answer_of_theirs_is_not_passed_on(http):
    raising.append(OUTSIDE[-1][0])
    assert "secret" not in (await http.get("/raise")).text


async def test_an_error_of_ours_tells_nothing_but_the_request_id(http):
    raising.append(RuntimeError("postgresql://user:PASSWORD@host/db"))
    with capture_logs():
        answer = await http.get("/raise")
    body = read(answer)
    assert (answer.status_code, body["code"]) == (500, "internal")
    assert UUID(body["request_id"])
    assert "PASSWORD" not in answer.text and "RuntimeError" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("DELETE", "/raise", 405, "method_not_allowed")],
)
async def test_what_is_not_there_is_a_problem_too(http, method, path, status, code):
    answer = await http.request(method, path)
    assert (answer.status_code, read(answer)["code"]) == (status, code)


SECRET = "S3cret"  # short enough to be quoted whole, were it quoted


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": SECRET}, "password"),
        ({"password": [SECRET]}, "password"),
        ({"pin": SECRET}, "pin"),
        ({"kind": SECRET}, "kind"),
        ({"amount": SECRET}, "amount"),
        ({"amount": {"x": SECRET}}, "amount"),
        ({"count": SECRET}, "count"),
        ({"who": SECRET}, "who"),
        ({"short": SECRET}, "short"),
        ({"more": SECRET}, "more"),
    ],
    ids=str,
)
async def test_a_wrong_value_is_named_by_its_field_and_never_repeated(http, body, field):
    answer = await http.post("/wanted", json=body)
    problem = read(answer)
    assert (answer.status_code, problem["code"]) == (422, "invalid")
    assert field in {each["field"] for each in problem["errors"]}
    assert field in problem["detail"]
    assert SECRET not in answer.text


@pytest.mark.parametrize("raw", [f'{{"pin": "{SECRET}', SECRET, f'"{SECRET}"', "", "null", f'["{SECRET}"]'], ids=repr)
async def test_a_body_that_cannot_be_read_is_not_repeated_either(http, raw):
    answer = await http.post("/wanted", content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 422 and read(answer)["code"] == "invalid"
    assert SECRET not in answer.text


async def test_wrong_paths_queries_and_headers_are_named_and_not_repeated(http):
    answer = await http.get(f"/things/{SECRET}?limit={SECRET}", headers={"x-key": SECRET})
    assert {each["field"] for each in read(answer)["errors"]} == {"thing_id", "limit", "x-key"}
    assert SECRET not in answer.text
