"""The API's description is true: what it promises is what is answered, whatever is sent.

The cases are made from the document by schemathesis and sent to the application in this process. It makes up ids, so
that half of the cases stand on ids of things that are there: otherwise a route's own code would never run.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from structlog.testing import capture_logs

from shipcrowd import settings as product_settings
from shipcrowd.channels import vendors as channel_vendors
from shipcrowd.couriers import vendors
from shipcrowd.documents import keeping
from shipcrowd.identity import api_keys, passwords
from shipcrowd.identity.permissions import PERMISSIONS
from shipcrowd.kernel import events, tenancy
from shipcrowd.kernel.ids import new_id
from tests import two_companies
from tests.routes import application
from tests.test_isolation import KINDS, WORDS, Filler, put
from tests.two_companies import House

DOCUMENT = json.loads(json.dumps(application().openapi()))
VALID, INVALID = 5, 4
"""Cases an operation: of what the document allows (half on ids that are there), and of what it forbids."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def operations() -> dict[str, APIOperation]:
    # Who asks is decided here, not made up.
    config = SchemathesisConfig.from_dict({"generation": {"with-security-parameters": False}})
    schema = schemathesis.openapi.from_dict(DOCUMENT, config=config)
    return {found.ok().label: found.ok() for found in schema.get_all_operations()}


OPERATIONS = operations()
DESCRIBED = [
    (method, path, operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()
]


# --- the document ---------------------------------------------------------------------------------------------------


def test_every_operation_has_a_name_of_its_own():
    names = [operation["operationId"] for _, _, operation in DESCRIBED]
    assert sorted(names) == sorted(set(names))
    assert len(names) == len(OPERATIONS) > 80


@pytest.mark.parametrize(
    ("method", "path", "operation"), DESCRIBED, ids=lambda each: each if isinstance(each, str) else ""
)
def test_every_operation_says_what_a_problem_looks_like(method, path, operation):
    problem = operation["responses"]["default"]["content"]["application/problem+json"]["schema"]
    assert problem == {"$ref": "#/components/schemas/Problem"}
    assert operation["tags"]
    # The framework's own error shape is never answered.
    assert "HTTPValidationError" not in json.dumps(operation)


def test_every_reference_leads_somewhere():
    said = json.dumps(DOCUMENT)
    for name in set(re.findall(r'"#/components/schemas/([^"]+)"', said)):
        assert name in DOCUMENT["components"]["schemas"], name


def test_no_example_or_default_holds_a_secret():
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for field, each in schema.get("properties", {}).items():
            if re.search(r"password|secret|token", field):
                assert "default" not in each and "example" not in each, f"{name}.{field}"


def of_requests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object a client may send, nested ones too."""
    schemas, seen = DOCUMENT["components"]["schemas"], set[str]()
    waiting = [json.dumps(operation.get("requestBody", {})) for _, _, operation in DESCRIBED]
    while waiting:
        for name in set(re.findall(r'"#/components/schemas/([^"]+)"', waiting.pop())) - seen:
            seen.add(name)
            waiting.append(json.dumps(schemas[name]))
            if schemas[name].get("type") == "object":
                yield name, schemas[name]


def test_a_misspelt_field_is_refused_at_every_depth():
    found = dict(of_requests())
    assert {"ManualOrder", "ManualLine", "AddressIn"} <= set(found)
    assert [name for name, schema in found.items() if schema.get("additionalProperties") is not False] == []


def test_every_default_is_of_the_type_described():
    kinds: dict[str, type] = {"integer": int, "string": str, "boolean": bool, "array": list, "object": dict}
    seen = 0
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for field, each in schema.get("properties", {}).items():
            if "default" in each and each.get("type") in kinds:
                seen += 1
                assert type(each["default"]) is kinds[each["type"]], f"{name}.{field}"
    assert seen > 20
    assert DOCUMENT["components"]["schemas"]["ManualOrder"]["properties"]["discount_paise"]["default"] == 0


def test_no_schema_is_named_after_the_module_it_stands_in():
    assert [name for name in DOCUMENT["components"]["schemas"] if "__" in name] == []


# --- what is answered -----------------------------------------------------------------------------------------------


@dataclass
class World:
    house: House
    http: httpx2.AsyncClient
    key: str
    spare_key_id: str

    def path(self, operation: APIOperation) -> dict[str, Any]:
        """Path parameters that lead to something that is there."""
        found = {}
        for name in re.findall(r"{(\w+)}", operation.path):
            if name == "key_id":
                found[name] = self.spare_key_id
            elif name in KINDS and self.house.ids.get(KINDS[name]):
                found[name] = self.house.ids[KINDS[name]][-1]
            elif name in WORDS:
                found[name] = WORDS[name]
        return found

    async def send(self, case: Case) -> httpx2.Response:
        wanted = case.as_transport_kwargs(base_url="http://shipcrowd.test")
        headers = {str(name).lower(): value for name, value in dict(wanted.get("headers") or {}).items()}
        headers |= {"authorization": f"Bearer {self.key}"}
        if "json" in wanted:
            headers.setdefault("content-type", "application/json")
            body: bytes | None = json.dumps(wanted["json"]).encode()
        else:
            data = wanted.get("data")
            body = data.encode() if isinstance(data, str) else data
        return await self.http.request(
            case.method, wanted["url"], params=wanted.get("params"), headers=headers, content=body
        )


@pytest.fixture(scope="module")
async def world(database_urls, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("SHIPCROWD_ENVIRONMENT", "test")
    product_settings.settings.cache_clear()
    quick = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
    patch.setattr(passwords, "HASHER", quick)
    patch.setattr(passwords, "DECOY", quick.hash("nobody's"))
    before = (vendors._Vendors.known, channel_vendors._Vendors.known, events._Wired.listeners)
    keeping.use(tmp_path_factory.mktemp("documents").as_uri())
    app = application()
    script = await two_companies.install()
    house = await two_companies.build(f"MARK{new_id().hex[-4:].upper()}", app, script, database_urls[0])
    async with tenancy.acting_for(house.company_id) as session:
        spare, used = [
            await api_keys.issue_key(session, by=house.owner, name=name, scopes=PERMISSIONS)
            for name in ("spare", "used")
        ]
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    # Thousands of log lines, some with tracebacks, would be most of the time.
    with capture_logs():
        async with httpx2.AsyncClient(transport=transport, base_url="http://shipcrowd.test") as http:
            yield World(house, http, used.token, str(spare.key.id))
    await keeping.close()
    vendors._Vendors.known, channel_vendors._Vendors.known, events._Wired.listeners = before
    patch.undo()
    product_settings.settings.cache_clear()


async def hammered(world: World, strategy: Any, examples: int, *, also: Any = None) -> None:
    """Send cases of a strategy and hold the answers to the document. The cases are made in a thread of their own, for
    hypothesis knows no event loop; each is sent in this one."""
    loop = asyncio.get_running_loop()

    @seed(4711)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one(case: Case) -> None:
        answer = asyncio.run_coroutine_threadsafe(world.send(case), loop).result(30)
        case.validate_response(answer, checks=CHECKS)
        if also is not None:
            also(case, answer)

    await asyncio.to_thread(one)


def is_expected(case: Case, answer: httpx2.Response) -> None:
    assert answer.status_code != 401 or "/auth/" in case.path or "/webhooks/" in case.path or "callback" in case.path


@pytest.mark.parametrize("label", sorted(OPERATIONS))
async def test_what_the_document_allows_is_answered_as_it_says(world, label):
    operation = OPERATIONS[label]
    await hammered(world, operation.as_strategy(GenerationMode.POSITIVE), VALID, also=is_expected)
    if there := world.path(operation):
        strategy = operation.as_strategy(GenerationMode.POSITIVE, path_parameters=there)
        await hammered(world, strategy, VALID, also=is_expected)


@pytest.mark.parametrize("label", sorted(OPERATIONS))
async def test_what_the_document_forbids_is_never_an_error_of_ours(world, label):
    operation = OPERATIONS[label]
    if not (operation.body or operation.query or operation.path_parameters):
        pytest.skip("takes nothing that could be wrong")
    try:
        await hammered(world, operation.as_strategy(GenerationMode.NEGATIVE), INVALID)
    except Unsatisfiable:
        pytest.skip("it takes any text: nothing it forbids can be sent")


# --- extremes -------------------------------------------------------------------------------------------------------

EXTREME_TEXT = ("\x00", "a\x00b", "\ud800", "x" * 20_000, "")
EXTREME_NUMBERS = (2**63, 10**30, -(2**63) - 1, 2**53)


def leaves(value: Any) -> Iterator[tuple[list[Any], Any]]:
    """Every text and number of a body, and the way there."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from (([key, *way], found) for way, found in leaves(each))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from (([index, *way], found) for way, found in leaves(each))
    elif isinstance(value, str | int) and not isinstance(value, bool):
        yield [], value


WITH_BODY = [f"{method.upper()} {path}" for method, path, operation in DESCRIBED if "requestBody" in operation]


@pytest.mark.parametrize("label", WITH_BODY)
async def test_extreme_values_in_a_body_are_no_error_of_ours(world, label):
    """NUL and half a surrogate pair, which PostgreSQL cannot store, and numbers beyond a bigint: in each field in turn,
    the rest of the body being right."""
    method, _, path = label.partition(" ")
    schema = DOCUMENT["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
    body = Filler(DOCUMENT, world.house, everything=True).value(schema, "body")
    where, broken = path.format(**world.path(OPERATIONS[label])), []
    for way, value in leaves(body):
        for extreme in EXTREME_TEXT if isinstance(value, str) else EXTREME_NUMBERS:
            sent = json.dumps(put(body, way, extreme))
            headers = {"authorization": f"Bearer {world.key}", "content-type": "application/json"}
            answer = await world.http.request(method, where, content=sent, headers=headers)
            if answer.status_code >= 500:
                broken.append(f"{'.'.join(map(str, way))} = {str(extreme)[:12]!r}")
    assert broken == []


TEXT_IN_QUERY = [
    (path, each["name"])
    for method, path, operation in DESCRIBED
    for each in operation.get("parameters", [])
    if method == "get" and each["in"] == "query"
]


@pytest.mark.parametrize(("path", "name"), TEXT_IN_QUERY)
async def test_extreme_values_in_a_query_are_no_error_of_ours(world, path, name):
    for extreme in ("%00", "a%00b", "%ED%A0%80", "%25_%5C", "9" * 30, "0001-01-01", "9999-12-31", "x" * 3000):
        where = f"{filled(world, path)}?{name}={extreme}"
        answer = await world.http.get(where, headers={"authorization": f"Bearer {world.key}"})
        assert answer.status_code < 500, where[:200]


# --- what nobody should have to guess -------------------------------------------------------------------------------


def lists() -> list[str]:
    return sorted(
        path
        for method, path, operation in DESCRIBED
        if method == "get" and any(each["name"] == "limit" for each in operation.get("parameters", []))
    )


PLAIN_LISTS = ["/api/v1/pickups", "/api/v1/integrations", "/api/v1/integrations/{platform}/stores",
               "/api/v1/system/jobs/failed"]  # fmt: skip


def filled(world: World, path: str) -> str:
    return path.format(**world.path(OPERATIONS[f"GET {path}"]))


async def refused(world: World, path: str, query: str, field: str) -> None:
    answer = await world.http.get(f"{filled(world, path)}?{query}", headers={"authorization": f"Bearer {world.key}"})
    assert answer.status_code == 422, f"{path}?{query} → {answer.status_code} {answer.text[:300]}"
    problem = answer.json()
    assert problem["code"] == "invalid"
    assert problem["field"] == field
    assert {each["field"] for each in problem["errors"]} == {field}


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=201", "limit=x", "limit=1.5", "limit="])
@pytest.mark.parametrize("path", lists())
async def test_a_page_of_an_impossible_size_is_refused(world, path, query):
    await refused(world, path, query, "limit")


@pytest.mark.parametrize("path", [*lists(), *PLAIN_LISTS])
async def test_an_unknown_filter_is_refused_by_name(world, path):
    """A misspelt filter must not mean "everything"."""
    await refused(world, path, "nonsense=1", "nonsense")


@pytest.mark.parametrize("after", ["x", "bm90IGpzb24", "%00", "W10", "₹"])
@pytest.mark.parametrize("path", [path for path in lists() if "webhooks" not in path])
async def test_a_cursor_we_did_not_make_is_refused(world, path, after):
    await refused(world, path, f"after={after}", "after")


WITH_IDS = [
    (method, path, name)
    for method, path, operation in DESCRIBED
    for name in [each["name"] for each in operation.get("parameters", []) if each["in"] == "path"]
    if name in KINDS and "webhooks/" not in path
]


@pytest.mark.parametrize(("method", "path", "name"), WITH_IDS)
async def test_a_malformed_id_in_the_path_is_refused(world, method, path, name):
    operation = OPERATIONS[f"{method.upper()} {path}"]
    for wrong in ("not-an-id", "1", "00000000-0000-0000-0000-00000000000g", "%00"):
        where = path.format(**world.path(operation) | {name: wrong})
        answer = await world.http.request(
            method.upper(), where, headers={"authorization": f"Bearer {world.key}"}, json={}
        )
        assert answer.status_code == 422, f"{where} → {answer.status_code} {answer.text[:200]}"
        assert name in {each["field"] for each in answer.json()["errors"]}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/v1/orders", "connection_id=x"),
        ("/api/v1/orders", "state=lost"),
        ("/api/v1/orders", "placed_from=yesterday"),
        ("/api/v1/orders", "pincode=abc"),
        ("/api/v1/shipments", "order_id=1"),
        ("/api/v1/shipments", "manifest_id=1"),
        ("/api/v1/shipments", "created_to=2026-13-01"),
        ("/api/v1/places", "kind=shop"),
        ("/api/v1/ratecards", "on=today"),
        ("/api/v1/integrations/{platform}/failed-items", "store=1"),
        ("/api/v1/integrations/{platform}/announcements", "state=lost"),
    ],
)
async def test_a_filter_with_a_value_that_cannot_be_is_refused(world, path, query):
    await refused(world, path, query, query.partition("=")[0])
