"""Our table of operations and every official request/response pair of them, held against Amazon's own models.

Skipped where the models are absent (`SHIPCROWD_SPECS`).
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema_rs import Draft4Validator

from shipcrowd.integrations.amazon import mapping
from shipcrowd.integrations.amazon.operations import OPERATIONS, Operation
from shipcrowd.integrations.amazon.refusals import NotDone
from shipcrowd.kernel.money import Money

SPECS = Path(os.environ.get("SHIPCROWD_SPECS") or Path(__file__).parents[4] / "shared" / "specs") / "amazon"
VERBS = ("get", "post", "put", "patch", "delete")
NOT_IN_THE_MODELS = {"cancelOrder"}
"""In Amazon's reference pages, not in the models of 2026-08-05: used only where the operator says so."""

_GIFT = "an item's charge is called GIFT, the schema says GIFT_WRAP"
BROKEN = {
    ("easyShip_2022-03-23", "getScheduledPackage", "200", 0): "a package is called Scheduled, an older word",
    ("easyShip_2022-03-23", "createScheduledPackageBulk", "200", 0): "lengths are in IN, the schema knows cm only",
    ("externalFulfillmentShipments_2024-09-11", "getShipments", "200", 0): _GIFT,
    ("externalFulfillmentShipments_2024-09-11", "getShipment", "200", 0): _GIFT,
    ("externalFulfillmentShipments_2024-09-11", "getShipment", "200", 1): _GIFT,
    ("merchantFulfillmentV0", "getEligibleShipmentServices", "200", 0): "a label's format is blank",
    ("merchantFulfillmentV0", "cancelShipment", "200", 0): "a label's file type is blank",
    ("sellers", "getAccount", "200", 0): "a marketplace lacks its currency",
}
"""Pairs whose response breaks the schema of their own model (draft 4): file, operation, status, number → how. Of these
we call getScheduledPackage alone; its pair passes through the client all the same, for words are not checked there."""


@dataclass(frozen=True)
class Pair:
    model: str
    operation: str
    status: str
    number: int
    given: dict[str, Any]
    response: Any
    places: dict[str, str]

    @property
    def key(self) -> tuple[str, str, str, int]:
        return (self.model, self.operation, self.status, self.number)


def models() -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(SPECS.glob("*.json"))} if SPECS.exists() else {}


MODELS = models()
OURS = {operation.name: operation for operation in OPERATIONS}
pytestmark = pytest.mark.skipif(not MODELS, reason="Amazon's official models are not here (SHIPCROWD_SPECS)")


def described() -> Iterator[tuple[str, str, str, dict[str, Any], dict[str, Any]]]:
    """Model, path, verb, the operation, and the path's item."""
    for name, model in MODELS.items():
        for path, item in model["paths"].items():
            for verb in VERBS:
                if verb in item:
                    yield name, path, verb, item[verb], item


def pairs() -> Iterator[Pair]:
    for name, path, verb, operation, item in described():
        places = {}
        for parameter in [*item.get("parameters", []), *operation.get("parameters", [])]:
            if "$ref" in parameter:
                parameter = MODELS[name]["parameters"][parameter["$ref"].rpartition("/")[2]]
            places[parameter["name"]] = parameter["in"]
        ours = OURS.get(operation["operationId"])
        if ours is None or (ours.method, ours.path) != (verb.upper(), path):
            continue
        for status, answer in operation["responses"].items():
            static = (answer.get("x-amzn-api-sandbox") or {}).get("static") or []
            for number, pair in enumerate(static):
                given = (pair.get("request") or {}).get("parameters") or {}
                yield Pair(name, ours.name, status, number, given, pair.get("response"), places)


PAIRS = list(pairs())


def value(given: Any) -> Any:
    """A parameter's value; some bodies are written without the `value` around them."""
    return given["value"] if isinstance(given, dict) and "value" in given else given


# --- the table ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_an_operation_is_where_the_models_say_and_as_often_as_they_say(operation: Operation):
    found = {
        (verb.upper(), path): each for _, path, verb, each, _ in described() if each["operationId"] == operation.name
    }
    if operation.name in NOT_IN_THE_MODELS:
        assert found == {}
        return
    assert (operation.method, operation.path) in found
    text = found[operation.method, operation.path]["description"]
    rates = re.search(r"\|\s*([\d.]+)\s*\|\s*([\d.]+)\s*\|", text)
    assert rates is not None
    assert (operation.rate, operation.burst) == (float(rates[1]), float(rates[2]))


def test_names_and_buckets_are_one_to_one():
    assert len(OURS) == len(OPERATIONS)


# --- the pairs ------------------------------------------------------------------------------------------------------


def test_there_are_pairs_of_most_operations():
    assert len(PAIRS) == 56


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: "-".join(map(str, pair.key)))
async def test_every_official_pair_passes_through_the_client(amazon, pair: Pair):
    operation = OURS[pair.operation]
    fields = re.findall(r"\{(\w+)\}", operation.path)
    given = {name: value(each) for name, each in pair.given.items()}
    path = {name: str(given.get(name, "some-id")) for name in fields}
    query = {name: each for name, each in given.items() if pair.places.get(name) == "query"}
    body = given.get("body") or None
    amazon.lwa = [{"access_token": "Atc|own", "expires_in": 3600}]
    status = int(pair.status)
    content = b"" if status == 204 else json.dumps(pair.response if pair.response is not None else {}).encode()
    amazon.on(operation.name, httpx2.Response(status, content=content))
    call = amazon.client().call(operation, path=path, query=query, body=body)

    if status < 400:
        assert dumped(await call) == dumped({} if status == 204 else pair.response or {})
    else:
        with pytest.raises(NotDone) as raised:
            await call
        said = pair.response["errors"][0]
        assert said["message"] in raised.value.message
        assert raised.value.faults[0].code == said["code"]

    [asked] = amazon.asked
    assert asked.path == path
    assert asked.query == {name: joined(each) for name, each in query.items()}
    assert dumped(asked.body) == dumped(body)


def test_of_all_pairs_those_that_break_their_own_schema_are_the_named_ones():
    seen, broken = 0, set()
    for name, _, _, operation, _ in described():
        for status, answer in operation["responses"].items():
            for number, pair in enumerate((answer.get("x-amzn-api-sandbox") or {}).get("static") or []):
                seen += 1
                schema = {**answer.get("schema", {}), "definitions": MODELS[name]["definitions"]}
                response = pair.get("response")
                if response is not None and not Draft4Validator(schema).is_valid(response):
                    broken.add((name, operation["operationId"], status, number))
    assert seen == 170
    assert broken == set(BROKEN)


def joined(each: Any) -> str:
    return ",".join(each) if isinstance(each, list) else str(each)


def dumped(each: Any) -> str:
    return json.dumps(each, sort_keys=True, default=float)


# --- and through the mapping ----------------------------------------------------------------------------------------

ORDERS = [
    raw
    for pair in PAIRS
    if pair.operation in ("searchOrders", "getOrder") and pair.status == "200"
    for raw in (pair.response.get("orders") or [pair.response.get("order")])
]


@pytest.mark.parametrize("raw", ORDERS, ids=lambda raw: raw["orderId"])
def test_every_official_order_is_mapped(raw: dict[str, Any]):
    order = mapping.incoming_order(raw)
    assert order.external_id == raw["orderId"]
    total = raw.get("proceeds", {}).get("grandTotal")
    if total:
        assert (order.total, order.currency) == (Money.rupees(total["amount"]), total["currencyCode"])
    assert len(order.lines) == len(raw["orderItems"])
    assert all(line.name and line.external_id for line in order.lines)
    assert order.attributes["fulfillment_status"] == raw["fulfillment"]["fulfillmentStatus"]
