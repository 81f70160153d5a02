"""Errors on the wire: one shape, a stable code, and never the value that was wrong."""

from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI, Header, Query
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from structlog.testing import capture_logs

from shipcrowd.kernel import errors, problems, validation
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


class Line(BaseModel):
    units: int

    @field_validator("units")
    @classmethod
    def _not_seven(cls, units: int) -> int:
        if units == 7:
            raise ValueError("seven is not sold")
        return units


class Filters(BaseModel):
    state: tuple[Literal["cod", "prepaid"], ...] = ()


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    password: SecretStr = Field(default=SecretStr("long enough"), min_length=8)
    pin: str = Field(default="560038", pattern=r"^\d{6}$")
    kind: Literal["cod", "prepaid"] = "cod"
    amount: Money = Money.zero
    count: int = Field(default=1, ge=1, le=5)
    who: UUID | None = None
    short: str = Field(default="", max_length=5)
    lines: tuple[Line, ...] = Field(default=(Line(units=1),), min_length=1, max_length=2)


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

    @app.get("/filtered")
    async def filtered(wanted: Annotated[Filters, Query()]) -> None: ...

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
    problem = read(answer)
    assert (answer.status_code, problem["code"]) == (status, code)
    assert problem["title"] not in {each.phrase for each in HTTPStatus}  # ours, and not the framework's


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


@pytest.mark.parametrize("raw", [f'"{SECRET}"', "", "null", f'["{SECRET}"]'], ids=repr)
async def test_a_body_of_another_shape_is_wrong_as_a_whole_and_not_repeated_either(http, raw):
    answer = await http.post("/wanted", content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 422 and read(answer)["code"] == "invalid"
    assert answer.json()["field"] == "body"
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "raw", [f'{{"pin": "{SECRET}', SECRET, "{,}", b'{"pin": "\xff"}', "[" * 200_000], ids=lambda raw: raw[:9]
)
async def test_a_body_that_is_no_json_is_a_bad_request(http, raw):
    answer = await http.post("/wanted", content=raw, headers={"content-type": "application/json"})
    problem = read(answer)
    assert (answer.status_code, problem["code"]) == (400, "bad_request")
    assert "field" not in problem and "errors" not in problem
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"password": "short"}, "password", "at least 8 characters"),
        ({"pin": "12"}, "pin", "this is not of the form expected"),
        ({"kind": "barter"}, "kind", "one of: cod, prepaid"),
        ({"amount": "12.50"}, "amount", "a whole number"),
        ({"count": 0}, "count", "at least 1"),
        ({"count": 6}, "count", "at most 5"),
        ({"who": "me"}, "who", "an id, such as 01890a5d-ac96-774b-bcce-b302099a8057"),
        ({"short": "too long"}, "short", "at most 5 characters"),
        ({"short": 5}, "short", "text"),
        ({"more": 1}, "more", "there is no such field here"),
        ({"lines": []}, "lines", "this is needed"),
        ({"lines": [{"units": 1}] * 3}, "lines", "at most 2 of them"),
        ({"lines": [{"units": 1}, {}]}, "lines.1.units", "this is needed"),
        ({"lines": [{"units": 7}]}, "lines.0.units", "seven is not sold"),
    ],
    ids=str,
)
async def test_what_is_wrong_is_said_in_our_words(http, body, field, words):
    problem = read(await http.post("/wanted", json=body))
    assert (problem["field"], problem["errors"]) == (field, [{"field": field, "message": words}])
    assert problem["detail"] == f"{field}: {words}"


def test_a_kind_of_error_without_words_of_ours_is_not_said_in_the_librarys():
    assert (
        validation.words({"type": "made_up_since", "msg": "Input should be PascalCase", "ctx": {}})
        == validation.OTHERWISE
    )
    assert validation.words({"type": "enum", "msg": "Input should be 'a'"}) == validation.OTHERWISE


async def test_wrong_input_has_one_shape_whoever_found_it(http):
    """`errors` names every field, and `field` the only one: of the framework's checks and of our own."""
    raising.append(errors.Invalid("at most the total", field="to_collect_paise"))
    body = read(await http.get("/raise"))
    assert (body["field"], body["errors"]) == (
        "to_collect_paise", [{"field": "to_collect_paise", "message": "at most the total"}],
    )  # fmt: skip
    raising.append(errors.Invalid.naming({"name": "it is missing", "phone": "it is wrong"}))
    body = read(await http.get("/raise"))
    assert [each["field"] for each in body["errors"]] == ["name", "phone"]
    assert "field" not in body and body["detail"] == "it is missing; it is wrong"
    raising.append(errors.Invalid("it makes no sense"))
    body = read(await http.get("/raise"))
    assert body["errors"] == [] and "field" not in body
    body = read(await http.get("/things/x?limit=9"))
    assert [each["field"] for each in body["errors"]] == ["thing_id", "limit"] and "field" not in body


async def test_a_filter_given_several_times_is_named_once(http):
    body = read(await http.get("/filtered?state=lost"))
    assert (body["field"], body["errors"]) == ("state", [{"field": "state", "message": "one of: cod, prepaid"}])


async def test_wrong_paths_queries_and_headers_are_named_and_not_repeated(http):
    answer = await http.get(f"/things/{SECRET}?limit={SECRET}", headers={"x-key": SECRET})
    assert {each["field"] for each in read(answer)["errors"]} == {"thing_id", "limit", "x-key"}
    assert SECRET not in answer.text
