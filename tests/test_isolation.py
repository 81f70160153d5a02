"""Nobody sees another company's rows: every route there is, asked with one company's credentials and another's ids.

Two companies have one of everything. Company A asks every route of the application's own description; wherever an id
may stand, it puts ids of B. No answer holds B's mark, and not a byte of B's rows is different afterwards, also when
the queue has run. A route that this cannot ask (an id whose kind is not in `KINDS`, a body that cannot be filled)
fails by name, so that a new route is covered or says why not.
"""

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from shipcrowd.channels import vendors as channel_vendors
from shipcrowd.couriers import vendors
from shipcrowd.documents import keeping
from shipcrowd.kernel import clock, events, pages
from shipcrowd.kernel.ids import new_id
from shipcrowd.settings import settings
from tests import two_companies
from tests.ratecards.make import terms
from tests.routes import Route, application, routes
from tests.support import drain
from tests.two_companies import PLATFORM, House

A_MARK, B_MARK = "MARKA1C7", "MARKB2E9"

KINDS = {
    "account_id": "connections",
    "announcement_id": "announcements",
    "card_id": "rate_cards",
    "company_id": "companies",
    "connection_id": "connections",
    "delivery_id": "inbox",
    "ids": "jobs",
    "item_id": "failed_items",
    "key_id": "api_keys",
    "line_id": "order_lines",
    "manifest_id": "manifests",
    "order_id": "orders",
    "order_ids": "orders",
    "place_id": "places",
    "push_id": "stock_pushes",
    "quote_id": "quotes",
    "return_id": "marketplace_returns",
    "run_id": "bulk_runs",
    "shipment_id": "shipments",
    "shipment_ids": "shipments",
    "store": "connections",
    "store_id": "connections",
    "user_id": "users",
}
"""Name of a parameter or field → the table its ids are of."""

MUST_HAVE = {
    "app_secrets",
    "announcements", "api_keys", "audit", "bulk_items", "bulk_runs", "companies", "connections", "failed_items",
    "inbox", "ledger_accounts", "ledger_movements", "manifests", "order_events", "order_lines", "order_references",
    "orders", "pickups", "place_registrations", "places", "quotes", "rate_cards", "scans", "shipment_lines",
    "shipments", "sign_in_states", "store_syncs", "sync_entries", "idempotency_answers", "counters",
    "connection_routes", "shipment_routes", "memberships", "users", "pgqueuer", "cancellations", "listings",
    "marketplace_returns", "marketplace_stock", "stock_feeds", "stock_items", "stock_pushes",
}  # fmt: skip
"""Tables in which B has rows; a new table belongs here and in `two_companies.build`."""

WORDS = {
    "platform": PLATFORM, "pincode": "110020", "courier": "velocity", "service": "slow", "carrier": "Slowpoke",
    "awb": "TYPED00001", "reason": "because", "words": "a note", "to": "a driver", "name": "A name", "contact": "Ravi",
    "phone": "9811111111", "line1": "Plot 4", "city": "New Delhi", "state": "Delhi", "shop": "third.bazaar.example",
    "store": "third.bazaar.example", "from_pincode": "110020", "to_pincode": "560038", "place_of_supply": "KA",
    "password": "blue-kettle-on-the-roof", "present": "wrong-kettle-on-the-roof", "company_name": "A company",
    "legal_name": "A Company Private Limited",
    "email": "someone.new@third.example", "gstin": "29AABCU9603R1ZJ", "pan": "AABCU9603R", "hsn": "7323",
    "supplier_state": "KA", "buyer_gstin": "29AABCU9603R1ZJ", "vendor": PLATFORM, "topic": "order-placed",
    "action": "approve", "kind": "invoice",
}  # fmt: skip
"""Words that fit, for fields no schema can describe."""

OBJECTS = {"terms": terms().model_dump(mode="json")}
"""Whole objects that fit."""

MAY_DOUBT_WHO_ASKS = {
    "GET /api/v1/integrations/{platform}/callback": "what a store's redirect brings is signed by the store",
    "POST /api/v1/auth/change-password": "asks for the present password",
}
"""Routes that may answer 401 to someone who is signed in."""

ANSWERS_ON_ITS_OWN = {
    "POST /api/v1/manifests/{manifest_id}/remove": "what is not on the manifest is not on it afterwards either",
    "POST /api/v1/shipments/bulk": "an order that is not there is refused in the run's own results",
    "POST /api/v1/system/jobs/failed/requeue": "says how many were requeued: none",
}
"""Routes that take ids in the body and answer 2xx for those that are not there."""


@dataclass(frozen=True)
class Ask:
    """One request. `foreign` says which ids of B are in it: those in the path must not be found."""

    route: Route
    path: str
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    foreign: str = ""
    in_path: bool = False

    def __str__(self) -> str:
        return f"{self.route.name} with {self.foreign or 'nothing of B'}: {self.path} {self.query} {self.body}"


# --- filling in what a route wants -------------------------------------------------------------------------------


class CannotFill(Exception):
    """The description does not say enough to ask this route; teach `KINDS` or `WORDS`."""


class Filler:
    """Bodies and parameters from the application's own description, with a company's ids where ids may stand."""

    def __init__(self, document: dict[str, Any], house: House, *, everything: bool = False) -> None:
        self.schemas, self.house, self.everything = document["components"]["schemas"], house, everything

    def schema(self, given: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in given:
            given = self.schemas[given["$ref"].rpartition("/")[2]]
        for of in ("anyOf", "oneOf", "allOf"):
            if of in given:
                return self.schema(next(each for each in given[of] if each.get("type") != "null"))
        return given

    def id_of(self, name: str) -> str:
        if name not in KINDS:
            raise CannotFill(f"{name!r} is an id of an unknown kind")
        return self.house.ids[KINDS[name]][0]

    def value(self, given: dict[str, Any], name: str) -> Any:
        schema = self.schema(given)
        if "const" in schema or "enum" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        match schema.get("type"):
            case "string":
                return self.text(schema, name)
            case "integer" | "number":
                return int(self.id_of(name)) if name in KINDS else schema.get("minimum", 1)
            case "boolean":
                return True
            case "array":
                return [self.value(schema["items"], name)]
            case "object":
                return OBJECTS[name] if name in OBJECTS else self.object(schema)
            case _:
                raise CannotFill(f"{name!r}: {schema}")

    def text(self, schema: dict[str, Any], name: str) -> str:
        match schema.get("format"):
            case "uuid":
                return self.id_of(name)
            case "date":
                return clock.today().isoformat()
            case "date-time":
                return clock.now().isoformat()
            case _:
                if name in WORDS:
                    return WORDS[name]
                if "pattern" in schema:
                    raise CannotFill(f"{name!r} has a pattern; give it a word in WORDS")
                return "word".ljust(schema.get("minLength", 1), "x")

    def object(self, schema: dict[str, Any]) -> dict[str, Any]:
        """What is required, and every optional id; of an object that requires nothing, its first field too."""
        fields: dict[str, Any] = schema.get("properties", {})
        wanted = set(schema.get("required", ()))
        wanted |= {name for name, each in fields.items() if self.holds_ids(each, name)}
        if self.everything:
            wanted |= set(fields)
        if fields and not wanted:
            wanted.add(next(iter(fields)))
        made = {name: self.value(fields[name], name) for name in fields if name in wanted}
        if not fields and isinstance(schema.get("additionalProperties"), dict):
            made = {"token": "tok-good-1"}
        return made

    def holds_ids(self, given: dict[str, Any], name: str) -> bool:
        schema = self.schema(given)
        if schema.get("type") == "array":
            return self.holds_ids(schema["items"], name)
        if schema.get("type") == "object":
            return any(self.holds_ids(each, below) for below, each in schema.get("properties", {}).items())
        return schema.get("format") == "uuid" or (schema.get("type") == "integer" and name in KINDS)


def places_of_ids(value: Any, name: str = "") -> Iterator[tuple[list[Any], str]]:
    """Where ids stand in a body: the way there, and the field's name."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from (([key, *way], found) for way, found in places_of_ids(each, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from (([index, *way], found) for way, found in places_of_ids(each, name))
    elif name in KINDS:
        yield [], name


def put(body: Any, way: list[Any], value: Any) -> Any:
    made = copy.deepcopy(body)
    at = made
    for step in way[:-1]:
        at = at[step]
    at[way[-1]] = value
    return made


def asks(route: Route, operation: dict[str, Any], filler: Filler, b: House, *, thorough: bool) -> Iterator[Ask]:
    """Everything A asks of one route: once as it is, and with ids of B in each place in turn."""
    parameters = operation.get("parameters", [])
    own = {each["name"]: filler.value(each["schema"], each["name"]) for each in parameters if each["in"] == "path"}
    query = {
        each["name"]: filler.value(each["schema"], each["name"])
        for each in parameters
        if each["in"] == "query" and each.get("required")
    }
    content = operation.get("requestBody", {}).get("content", {})
    body = filler.value(content["application/json"]["schema"], "body") if content else None

    def path(**changed: str) -> str:
        return route.path.format(**own | changed)

    def candidates(name: str) -> list[tuple[str, str]]:
        kind = KINDS[name]
        found = [(f"{kind} of B", each) for each in b.ids[kind][: 50 if thorough else 1]]
        if kind != "jobs":
            found += [("nobody's id", str(new_id())), ("nobody's id", str(uuid4()))]
            found += [(f"{other} of B", ids[0]) for other, ids in b.ids.items() if thorough and other != "jobs"]
        return found

    id_places = [name for name in own if name in KINDS]
    ids_in_body = list(places_of_ids(body))
    for name in id_places:
        for what, value in candidates(name):
            yield Ask(route, path(**{name: value}), query, body, f"{name} = {what}", in_path=True)
    for way, name in ids_in_body:
        for what, value in candidates(name):
            typed = int(value) if KINDS[name] == "jobs" else value
            changed = put(body, way, typed)
            yield Ask(route, path(), query, changed, f"{'.'.join(map(str, way))} = {what}")
    if len(ids_in_body) > 1:
        everything = body
        for way, name in ids_in_body:
            everything = put(everything, way, int(b.ids["jobs"][0]) if name == "ids" else b.ids[KINDS[name]][0])
        yield Ask(route, path(), query, everything, "every id of the body = B's")
    for each in parameters:
        if each["in"] != "query":
            continue
        schema = filler.schema(each["schema"])
        if filler.holds_ids(each["schema"], each["name"]):
            for what, value in candidates(each["name"]):
                yield Ask(route, path(), {**query, each["name"]: value}, body, f"?{each['name']} = {what}")
        elif each["name"] == "after":
            yield Ask(route, path(), {**query, "after": pages.cursor(clock.now(), new_id())}, body, "B's cursor")
        elif schema.get("type") == "string" and "enum" not in schema and schema.get("format") is None:
            for fact in (B_MARK, *b.facts.values()):
                yield Ask(route, path(), {**query, each["name"]: fact}, body, f"?{each['name']} = what is known of B")
    if not id_places and not ids_in_body:
        yield Ask(route, path(), query, body)


# --- the two companies ----------------------------------------------------------------------------------------------


@dataclass
class World:
    a: House
    b: House
    http: httpx2.AsyncClient
    document: dict[str, Any]
    routes: list[Route]
    before: dict[str, list[str]]
    look: Callable[[], Any]

    async def send(self, ask: Ask, headers: dict[str, str]) -> httpx2.Response:
        return await self.http.request(
            ask.route.method, ask.path, params=ask.query, json=ask.body, headers=headers, follow_redirects=False
        )


@pytest.fixture(scope="module")
async def world(database_urls, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("SHIPCROWD_ENVIRONMENT", "test")
    settings.cache_clear()
    before = (vendors._Vendors.known, channel_vendors._Vendors.known, events._Wired.listeners)
    keeping.use(tmp_path_factory.mktemp("documents").as_uri())
    app = application()
    script = await two_companies.install()
    a = await two_companies.build(A_MARK, app, script, database_urls[0])
    b = await two_companies.build(B_MARK, app, script, database_urls[0])
    await drain(skip_waits=True)

    async def look() -> dict[str, list[str]]:
        return await two_companies.rows_of(database_urls[0], b)

    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://shipcrowd.test") as http:
        yield World(a, b, http, app.openapi(), routes(app), await look(), look)
    await keeping.close()
    vendors._Vendors.known, channel_vendors._Vendors.known, events._Wired.listeners = before
    patch.undo()
    settings.cache_clear()


async def unchanged(world: World) -> None:
    """B's rows are byte for byte what they were; also when what A set in motion has run."""
    for when in ("at once", "after the queue has run"):
        now = await world.look()
        for table, rows in world.before.items():
            assert now[table] == rows, f"{table} of B changed {when}"
        await drain(skip_waits=True)


async def test_b_has_one_of_everything(world):
    """Without rows to find, finding none would prove nothing."""
    assert {table for table, rows in world.before.items() if rows} - {"sessions"} == MUST_HAVE
    assert set(world.before) == MUST_HAVE | {"sessions"}
    for house in (world.a, world.b):
        for table in ("orders", "shipments", "places", "connections", "failed_items", "announcements", "jobs"):
            assert house.ids[table], table


async def test_b_sees_itself(world):
    """The marks are where they are looked for."""
    shown = 0
    for path in ("/orders", "/shipments", "/places", "/company", "/team", "/api-keys", "/ratecards",
                 "/wallet/transactions", "/system/jobs/failed", f"/integrations/{PLATFORM}/stores",
                 f"/integrations/{PLATFORM}/failed-items", f"/integrations/{PLATFORM}/announcements"):  # fmt: skip
        answer = await world.http.get(f"/api/v1{path}", headers=world.b.bearer)
        assert answer.status_code == 200 and B_MARK in answer.text, path
        shown += 1
    assert shown == 12


def judged(ask: Ask, answer: httpx2.Response) -> Iterator[str]:
    """What is wrong with an answer."""
    said, ok = answer.content.decode("utf-8", "replace").lower(), answer.status_code < 400
    if B_MARK.lower() in said and (ok or B_MARK.lower() not in str(ask).lower()):
        yield "shows B's mark"
    if answer.status_code >= 500 or (answer.status_code == 401 and ask.route.name not in MAY_DOUBT_WHO_ASKS):
        yield "broke"
    if ask.in_path and answer.status_code not in (403, 404):
        yield "found what stands in the path"
    in_body = ask.foreign and not ask.in_path and not ask.query
    if ok and in_body and ask.route.name not in ANSWERS_ON_ITS_OWN:
        yield "took what stands in the body"
    if answer.status_code == 422 and refused_by_shape(answer.json()) and not ask.query:
        yield "did not reach the route's own code, which proves nothing about it"


def refused_by_shape(problem):
    """Whether the framework turned the input down: only it tells every fault with its field."""
    told = "; ".join(f"{each['field']}: {each['message']}" for each in problem.get("errors", [])[:5])
    return problem["code"] == "invalid" and problem.get("detail") == told


@pytest.mark.parametrize("credentials", ["an API key", "a session"])
async def test_every_api_route_keeps_to_its_company(world, credentials):
    """The fuzz itself. With a key: every id of B's, wherever an id may stand; in a browser's session: one of each."""
    asked: Counter[str] = Counter()
    trouble: dict[str, list[str]] = {}
    filler = Filler(world.document, world.a)
    guarded = [route for route in world.routes if route.is_api and route.guards]
    for route in guarded:
        operation = world.document["paths"][route.path][route.method.lower()]
        try:
            wanted = list(asks(route, operation, filler, world.b, thorough=credentials == "an API key"))
        except (CannotFill, KeyError) as error:
            trouble.setdefault("cannot be asked", []).append(f"{route.name}: {error}")
            continue
        for ask in wanted:
            # A fresh session each time: some routes end the one they are asked with.
            headers = world.a.bearer if credentials == "an API key" else await world.a.session()
            answer = await world.send(ask, headers)
            asked[route.name] += 1
            for what in judged(ask, answer):
                trouble.setdefault(what, []).append(f"{ask} → {answer.status_code} {answer.text[:300]}")
    if trouble:
        pytest.fail(json.dumps({what: places[:8] for what, places in trouble.items()}, indent=1))
    assert set(asked) == {route.name for route in guarded}
    await unchanged(world)


async def test_every_page_keeps_to_its_company(world):
    """The console: every page and every form, with ids of B in its address and its fields."""
    pages_of_people = [route for route in world.routes if not route.is_api and route.guards]
    assert len(pages_of_people) > 50
    names = ("order_id", "shipment_id", "quote_id", "place_id", "store_id", "manifest_id", "company_id", "job_id")
    of_b = {name: world.b.ids[KINDS.get(name, "jobs")][:3] for name in names}
    leaks, found, broken = [], [], []
    for route in pages_of_people:
        inside = [part.strip("{}").partition(":")[0] for part in route.path.split("/") if part.startswith("{")]
        unknown = [name for name in inside if name not in KINDS and name not in WORDS]
        assert not unknown, f"{route.name}: {unknown} is not in KINDS"
        own = {name: WORDS.get(name) or world.a.ids[KINDS[name]][0] for name in inside}
        ways = [own] + [
            {**own, name: value} for name in inside if name in KINDS for value in world.b.ids[KINDS[name]][:3]
        ]
        for way in ways:
            path = "/".join(
                way[part.strip("{}").partition(":")[0]] if part.startswith("{") else part
                for part in route.path.split("/")
            )
            headers = {**(await world.a.session()), "accept": "text/html"}
            if route.method == "GET":
                answer = await world.http.get(path, headers=headers)
            elif way == own and inside:
                continue  # A's own things: nothing of B in it
            else:
                form = {**of_b, "sure": "yes", "reason": "x", "words": "x", "option": f"{of_b['place_id'][0]}:slow"}
                answer = await world.http.post(path, data=form, headers=headers)
            said = answer.text
            where = f"{route.method} {path} → {answer.status_code} {said[:200]}"
            if B_MARK.lower() in said.lower():
                leaks.append(where)
            if answer.status_code >= 500:
                broken.append(where)
            if way != own and answer.status_code < 400:
                found.append(where)
    assert broken == []
    assert leaks == []
    assert found == []
    await unchanged(world)


async def test_what_one_knows_of_another_company_opens_nothing(world):
    """A sign-in that another company started, its idempotency key, its AWB typed for one's own parcel."""
    a, b = world.a, world.b
    session = await a.session()
    stolen = {"shop": f"second-{b.facts['shop']}", "state": b.facts["state"], "hmac": "right", "code": "good-code"}
    for headers in (a.bearer, session):
        answer = await world.http.get(f"/api/v1/integrations/{PLATFORM}/callback", params=stolen, headers=headers)
        assert answer.status_code >= 400 and B_MARK not in answer.text
    taken = {"store": b.facts["shop"], "credentials": {"token": "tok-good-1"}}
    answer = await world.http.post(f"/api/v1/integrations/{PLATFORM}/connect", json=taken, headers=a.bearer)
    assert answer.status_code == 409
    fund = {"amount_paise": 77, "note": "mine"}
    key = {"idempotency-key": "the-same-key"}
    first = await world.http.post("/api/v1/wallet/fund", json=fund, headers={**a.bearer, **key})
    assert first.status_code == 422 and first.json()["code"] == "key_reused"  # its own, not B's
    listed = await world.http.get("/api/v1/shipments?state=unconfirmed", headers=a.bearer)
    if items := listed.json()["items"]:
        typed = {"awb": b.facts["awb"]}
        answer = await world.http.post(f"/api/v1/shipments/{items[0]['id']}/confirm", json=typed, headers=a.bearer)
        assert answer.status_code == 409, answer.text
    await unchanged(world)


async def test_a_forged_company_in_the_credentials_is_no_company(world):
    """Half of A's key and half of B's, a cookie with another's token, no credentials: nobody."""
    key_a, key_b = world.a.key, world.b.key
    mixed = key_a.rpartition("_")[0] + "_" + key_b.rpartition("_")[2]
    for headers in (
        {"authorization": f"Bearer {mixed}"},
        {"authorization": "Bearer "},
        {"cookie": "shipcrowd_session=x"},
        {},
    ):
        for route in world.routes:
            if route.is_api and route.guards and route.method == "GET" and "{" not in route.path:
                answer = await world.http.get(route.path, headers=headers)
                assert answer.status_code == 401, route.name
                assert json.loads(answer.content)["code"] in ("not_signed_in", "invalid"), route.name


async def test_what_a_buyer_sees_of_a_parcel_is_nothing_personal(world):
    listed = (await world.http.get("/api/v1/shipments?limit=200", headers=world.b.bearer)).json()["items"]
    moving = next(item for item in listed if item["awb"] == world.b.facts["awb"])
    link = moving["tracking_url"].rpartition("/")[2]
    for path in (f"/api/v1/public/track/{link}", f"/track/{link}"):
        answer = await world.http.get(path)
        assert answer.status_code == 200 and f"{B_MARK} Traders" in answer.text
        for hidden in ("Buyer", "street", "said so", "neighbour", world.b.facts["phone"], str(world.b.company_id)):
            assert hidden not in answer.text, (path, hidden)
