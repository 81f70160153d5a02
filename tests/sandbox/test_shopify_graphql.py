"""Access, errors, cost and paging of the GraphQL endpoint."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from graphql import build_schema, get_named_type, is_input_object_type, is_object_type, parse, validate

from shipcrowd.sandbox.desk import Desk
from shipcrowd.sandbox.schemas import Access, Knobs, Mode, NewLine, NewOrder, Payment
from shipcrowd.sandbox.shopify.graphql import SCHEMA, types
from shipcrowd.sandbox.shopify.queries import FIELDS

SHOP = "asha-crafts.myshopify.com"
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
HERE = Path(__file__).parent


def test_every_document_a_shipping_app_sends_is_valid_here():
    assert validate(SCHEMA, parse((HERE / "documents.graphql").read_text())) == []


def test_the_schema_agrees_with_shopifys_own():
    """Every type, field and argument here is there too, with the same type."""
    specs = Path(os.environ.get("SHIPCROWD_SPECS", HERE.parents[2] / "shared" / "specs"))
    file = specs / "shopify" / "2026-04-admin-schema.graphql"
    if not file.exists():
        pytest.skip(f"Shopify's schema is not at {file}")
    theirs = build_schema(file.read_text(), assume_valid=True).type_map
    # Looser here on purpose: country and currency codes are plain text, the user errors are fewer types.
    loose = {"CountryCode": "String", "CurrencyCode": "String"}
    wrong = []
    for name, kind in SCHEMA.type_map.items():
        if (
            name.startswith("__")
            or name == "StockUserError"
            or not (is_object_type(kind) or is_input_object_type(kind))
        ):
            continue
        if name not in theirs:
            wrong.append(f"{name} is not a type there")
            continue
        for field, definition in kind.fields.items():
            real = theirs[name].fields.get(field)
            if real is None:
                wrong.append(f"{name}.{field} is not there")
                continue
            said = str(real.type)
            for code, text in loose.items():
                said = said.replace(code, text)
            if all(get_named_type(one.type).name.endswith("UserError") for one in (real, definition)):
                continue
            if said != str(definition.type):
                wrong.append(f"{name}.{field}: {definition.type} here, {said} there")
            wrong += [
                f"{name}.{field}({argument}) is not there"
                for argument in getattr(definition, "args", {})
                if argument not in real.args
            ]
    assert wrong == []


def test_every_declared_field_exists_in_the_schema():
    names = set(types())
    for kind, field in FIELDS:
        assert kind in names, kind
        assert field in SCHEMA.type_map[kind].fields, f"{kind}.{field}"


COSTS = [
    ("OrdersScan", {"first": 250, "q": "status:any"}, 252),
    ("OrderById", {"id": "gid://shopify/Order/1"}, 747),
    ("OpenFulfillmentOrders", {"id": "gid://shopify/Order/1"}, 683),
    ("Locations", {}, 102),
    ("Tag", {"id": "gid://shopify/Order/1", "tags": []}, 10),
]


@pytest.mark.parametrize(("name", "variables", "cost"), COSTS)
async def test_a_query_is_charged_by_the_rule(shopify, name, variables, cost):
    answer = await shopify.ask(name, **variables)
    assert answer["extensions"]["cost"]["requestedQueryCost"] == cost


async def test_the_unused_part_of_a_querys_cost_is_given_back(shopify, desk):
    for _ in range(3):
        desk.place_order(SHOP)
    with time_machine.travel(datetime.now(UTC), tick=False):
        answer = await shopify.ask("OrdersScan", first=100, q="status:any")
    assert answer["extensions"]["cost"] == {
        "requestedQueryCost": 102,
        "actualQueryCost": 5,
        "throttleStatus": {"maximumAvailable": 2000.0, "currentlyAvailable": 1995, "restoreRate": 100.0},
    }


async def test_a_query_over_1000_points_is_refused_whole(shopify):
    answer = await shopify.ask("Variants", first=250)
    assert "data" not in answer
    assert answer["errors"][0]["extensions"] | {"documentation": ""} == {
        "code": "MAX_COST_EXCEEDED", "cost": 1252, "maxCost": 1000, "documentation": "",
    }  # fmt: skip


async def test_an_empty_bucket_throttles_with_200_and_fills_again_with_time(shopify, desk):
    with time_machine.travel(NOW, tick=False) as clock:
        await shopify.ask("ShopInfo")
        desk.drain_bucket(SHOP)
        throttled = await shopify.ask("OrderById", id="gid://shopify/Order/1")
        assert throttled["errors"][0]["extensions"]["code"] == "THROTTLED"
        cost = throttled["extensions"]["cost"]
        assert cost["actualQueryCost"] is None
        assert cost["throttleStatus"]["currentlyAvailable"] == 0
        wait = (cost["requestedQueryCost"] - 0) / cost["throttleStatus"]["restoreRate"]
        clock.shift(timedelta(seconds=wait))
        assert "errors" not in await shopify.ask("OrderById", id="gid://shopify/Order/1")


async def test_the_served_version_is_echoed_and_an_expired_one_falls_forward(shopify):
    reply = await shopify.post("{ shop { name } }")
    assert reply.headers["X-Shopify-API-Version"] == "2026-10"
    assert reply.headers["X-Request-Id"]
    shopify.version = "2024-01"
    assert (await shopify.post("{ shop { name } }")).headers["X-Shopify-API-Version"] == "2026-01"
    shopify.version = "2026-11"
    assert (await shopify.post("{ shop { name } }")).status_code == 404


async def test_a_wrong_token_is_401_with_errors_as_text(shopify):
    shopify.token = "shpat_wrong"
    reply = await shopify.post("{ shop { name } }")
    assert reply.status_code == 401
    assert reply.json() == {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}


@pytest.mark.parametrize(("mode", "status"), [(Mode.frozen, 402), (Mode.locked, 423), (Mode.gone, 404)])
async def test_a_closed_shop_answers_with_its_status(shopify, desk, mode, status):
    desk.set_shop(SHOP, mode=mode)
    assert (await shopify.post("{ shop { name } }")).status_code == status


async def test_bad_json_is_400_and_bad_graphql_is_200_with_errors(shopify):
    reply = await shopify.http.post(
        f"https://{SHOP}/admin/api/2026-10/graphql.json",
        headers={"X-Shopify-Access-Token": shopify.token},
        content=b"{not json",
    )
    assert reply.status_code == 400
    unknown = await shopify.post("{ shop { motto } }")
    assert unknown.status_code == 200
    assert "motto" in unknown.json()["errors"][0]["message"]


async def test_without_approval_for_customer_data_there_are_no_orders(shopify, desk):
    desk.set_shop(SHOP, access=Access.denied)
    answer = await shopify.ask("OrdersScan", first=10, q="status:any")
    error = answer["errors"][0]
    assert error["message"].startswith("This app is not approved to access the Order object")
    assert (error["extensions"]["code"], error["path"]) == ("ACCESS_DENIED", ["orders"])
    refused = await shopify.ask("Hook", topic="ORDERS_CREATE", s={"uri": "https://app.example/hooks"})
    assert "protected-customer-data" in refused["errors"][0]["message"]


async def test_with_level_one_only_the_rest_of_the_order_comes_beside_the_errors(shopify, desk):
    placed = desk.place_order(SHOP)
    desk.set_shop(SHOP, access=Access.fields_denied)
    answer = await shopify.ask("OrderById", id=placed.gid)
    order = answer["data"]["order"]
    assert order["name"] == placed.name
    assert order["shippingAddress"] is None
    assert order["email"] is None
    assert {"order", "shippingAddress"} <= {part for error in answer["errors"] for part in error["path"]}


async def test_a_missing_scope_is_denied_by_name_but_hides_fulfilment_orders_silently(shopify, desk):
    placed = desk.place_order(SHOP)
    shopify.token, _ = desk.custom_token(SHOP, ["read_orders"])
    denied = await shopify.ask("Locations")
    assert denied["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert "read_locations" in denied["errors"][0]["message"]
    open_ones = await shopify.data("OpenFulfillmentOrders", id=placed.gid)
    assert open_ones["order"]["fulfillmentOrders"]["nodes"] == []


async def scan(shopify, query, first=2):
    """All pages of a scan."""
    found, after = [], None
    while True:
        page = (await shopify.data("OrdersScan", first=first, after=after, q=query))["orders"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


async def test_orders_are_walked_by_when_they_changed_oldest_first(shopify, desk):
    with time_machine.travel(NOW, tick=False) as clock:
        names = []
        for _ in range(5):
            names.append(desk.place_order(SHOP).gid)
            clock.shift(timedelta(minutes=10))
        desk.cancel_order(SHOP, desk.orders(SHOP)[0].name)
        everything = await scan(shopify, "status:any")
        assert [one["id"] for one in everything] == [*names[1:], names[0]]
        since = await scan(shopify, "updated_at:>='2026-11-22T10:30:00Z' AND status:any")
        assert [one["id"] for one in since] == [names[3], names[4], names[0]]
        assert [one["id"] for one in await scan(shopify, "status:cancelled")] == [names[0]]


async def test_a_timestamp_without_quotes_is_dropped_with_a_warning(shopify, desk):
    desk.place_order(SHOP)
    answer = await shopify.ask("OrdersScan", first=10, q="updated_at:>=2030-01-01T00:00:00Z")
    assert len(answer["data"]["orders"]["nodes"]) == 1
    assert answer["extensions"]["search"][0]["warnings"]


async def test_search_sees_a_change_late(shopify, desk):
    desk.set_knobs(Knobs(index_lag_seconds=30))
    with time_machine.travel(NOW, tick=False) as clock:
        placed = desk.place_order(SHOP)
        assert await scan(shopify, "status:any") == []
        assert (await shopify.data("OrderById", id=placed.gid))["order"]["name"] == placed.name
        clock.shift(timedelta(seconds=31))
        assert len(await scan(shopify, "status:any")) == 1


async def test_orders_older_than_sixty_days_need_their_own_scope(shopify, desk):
    old = desk.place_order(SHOP, NewOrder(placed_at=datetime.now(UTC) - timedelta(days=61)))
    assert await scan(shopify, "status:any") == []
    assert (await shopify.data("OrderById", id=old.gid))["order"] is None
    shopify.token, _ = desk.custom_token(SHOP, ["read_orders", "read_all_orders"])
    assert len(await scan(shopify, "status:any")) == 1


async def test_an_order_tells_what_is_to_be_collected_in_cash(shopify, desk):
    lines = (NewLine(sku="BOT-1L-BLU", quantity=2, discount="100"), NewLine(sku="GONE-1", price="50.00"))
    new = NewOrder(payment=Payment.partial, paid_online="198.00", lines=lines, shipping_fee="80.00", pincode="560038")
    order = (await shopify.data("OrderById", id=desk.place_order(SHOP, new).gid))["order"]
    assert order["displayFinancialStatus"] == "PARTIALLY_PAID"
    assert order["totalPriceSet"]["shopMoney"]["amount"] == "1028.00"
    assert order["totalOutstandingSet"]["shopMoney"]["amount"] == "830.00"
    assert order["paymentGatewayNames"] == ["razorpay", "Cash on Delivery (COD)"]
    assert order["shippingAddress"]["zip"] == "560038"
    assert order["totalWeight"] == "1340"
    bottle, gone = order["lineItems"]["nodes"]
    assert bottle["discountedUnitPriceAfterAllDiscountsSet"]["shopMoney"]["amount"] == "449.00"
    assert bottle["variant"]["inventoryItem"]["harmonizedSystemCode"] == "732393"
    assert gone["variant"] is None
    assert gone["product"] is None


@pytest.mark.parametrize(
    ("payment", "status"),
    [("cod", "PENDING"), ("prepaid", "PAID"), ("authorized", "AUTHORIZED"), ("bank", "PENDING")],
)
def test_financial_status_follows_from_the_payment(desk: Desk, payment, status):
    assert desk.place_order(SHOP, NewOrder(payment=Payment(payment))).financial_status == status


async def test_a_missing_first_is_an_error(shopify):
    answer = (await shopify.post("{ orders { nodes { id } } }")).json()
    assert "first or last" in answer["errors"][0]["message"]


async def test_a_bulk_export_ends_in_a_file_of_lines_with_parents(shopify, desk, http):
    orders = [desk.place_order(SHOP) for _ in range(3)]
    query = '{ orders(query: "status:any") { edges { node { id name lineItems { edges { node { id sku } } } } } } }'
    started = (await shopify.data("BulkRun", q=query))["bulkOperationRunQuery"]
    assert started["userErrors"] == []
    seen = []
    for _ in range(4):
        polled = (await shopify.data("BulkPoll", id=started["bulkOperation"]["id"]))["bulkOperation"]
        seen.append(polled["status"])
    assert seen == ["CREATED", "RUNNING", "COMPLETED", "COMPLETED"]
    lines = (await http.get(polled["url"])).text.splitlines()
    assert len(lines) == 6 == int(polled["objectCount"])
    assert sum(f'"__parentId":"{orders[0].gid}"' in line for line in lines) == 1
    bad = await shopify.data("BulkRun", q="{ shop { name } }")
    assert bad["bulkOperationRunQuery"]["userErrors"][0]["code"] == "INVALID"
