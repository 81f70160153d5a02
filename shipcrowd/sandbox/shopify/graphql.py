"""The GraphQL endpoint: a document and its variables in, Shopify's answer out, with what it cost."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    OperationDefinitionNode,
    build_schema,
    execute_sync,  # pyright: ignore[reportUnknownVariableType]
    get_operation_ast,
    parse,
    validate,
)

from shipcrowd.kernel import clock
from shipcrowd.sandbox.shopify import bulk, goods_fields, mutations, order_fields, queries
from shipcrowd.sandbox.shopify.call import Args, Call, Info, call, field_of, kind_of
from shipcrowd.sandbox.shopify.cost import Coster
from shipcrowd.sandbox.shopify.state import Bucket

SCHEMA = build_schema((Path(__file__).parent / "schema.graphql").read_text())
MAX_COST = 1000
DOCS = "https://shopify.dev/api/usage/rate-limits"

Body = dict[str, Any]

DECLARED = (queries, order_fields, goods_fields, mutations)
"""Importing these modules declares how fields are answered."""


class BadDocument(Exception):
    """The document cannot be run; `body` is the answer, sent with 200."""

    def __init__(self, body: Body) -> None:
        super().__init__("bad document")
        self.body = body


def read(query: str, operation_name: str | None) -> tuple[DocumentNode, OperationDefinitionNode]:
    """Parse and validate; raises BadDocument."""
    try:
        document = parse(query)
    except GraphQLError as error:
        raise BadDocument({"errors": [_error(error)]}) from error
    errors = validate(SCHEMA, document)
    if errors:
        raise BadDocument({"errors": [_error(error) for error in errors]})
    operation = get_operation_ast(document, operation_name)
    if operation is None:
        raise BadDocument({"errors": [{"message": "An operation name is required"}]})
    return document, operation


def root_fields(operation: OperationDefinitionNode) -> list[str]:
    """What an operation does, by name: `orders`, `fulfillmentCreate`. Faults are armed by these."""
    return [one.name.value for one in operation.selection_set.selections if isinstance(one, FieldNode)]


def run(asks: Call, document: DocumentNode, operation: OperationDefinitionNode) -> Body:
    """The answer to one operation, within the app's bucket of cost."""
    coster = Coster(SCHEMA, document, operation, asks.variables)
    requested = coster.requested()
    if requested > MAX_COST:
        message = (
            f"Query cost is {requested}, which exceeds the single query max cost limit ({MAX_COST}).\n"
            f"See {DOCS} for more information on how the cost of a query is calculated."
        )
        extensions = {"code": "MAX_COST_EXCEEDED", "cost": requested, "maxCost": MAX_COST, "documentation": DOCS}
        return {"errors": [{"message": message, "extensions": extensions}]}
    bucket = bucket_of(asks)
    if requested > bucket.level:
        error = {"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": DOCS}}
        return {"errors": [error], "extensions": {"cost": _cost(requested, None, bucket)}}
    bucket.level -= requested
    result = execute(asks, document, operation)
    actual = coster.actual(result.data)
    bucket.level = min(bucket.size, bucket.level + requested - actual)
    body: Body = {}
    if result.data is not None:
        body["data"] = result.data
    if result.errors:
        body["errors"] = [_error(error) for error in result.errors]
    extensions: Body = {"cost": _cost(requested, actual, bucket)}
    body["extensions"] = extensions
    if asks.warnings:
        extensions["search"] = [{"path": root_fields(operation)[:1], "warnings": asks.warnings}]
    return body


def execute(asks: Call, document: DocumentNode, operation: OperationDefinitionNode) -> ExecutionResult:
    return execute_sync(
        SCHEMA,
        document,
        context_value=asks,
        variable_values=dict(asks.variables),
        operation_name=operation.name.value if operation.name else None,
        field_resolver=queries.resolve,
        type_resolver=lambda value, info, kind: kind_of(value),
    )


def bucket_of(asks: Call) -> Bucket:
    knobs = asks.world.knobs
    bucket = asks.shop.buckets.setdefault(
        asks.app.client_id, Bucket(knobs.bucket_size, knobs.restore_rate, knobs.bucket_size, asks.now)
    )
    bucket.refill(asks.now)
    return bucket


def _cost(requested: int, actual: int | None, bucket: Bucket) -> Body:
    return {
        "requestedQueryCost": requested,
        "actualQueryCost": actual,
        "throttleStatus": {
            "maximumAvailable": float(bucket.size),
            "currentlyAvailable": int(bucket.level),
            "restoreRate": float(bucket.restore),
        },
    }


def _error(error: GraphQLError) -> Body:
    body: Body = {"message": error.message}
    if error.locations:
        body["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if error.path:
        body["path"] = list(error.path)
    if error.extensions:
        body["extensions"] = dict(error.extensions)
    return body


# --- bulk operations run a second document, so they are answered here -------------------------------------------


@field_of("Mutation", "bulkOperationRunQuery")
def bulk_operation_run_query(source: object, info: Info, args: Args) -> Mapping[str, object]:
    asks = call(info)

    def no(message: str, code: str) -> Mapping[str, object]:
        return {"bulkOperation": None, "userErrors": [{"field": ["query"], "message": message, "code": code}]}

    if bulk.running(asks.shop) >= bulk.MAX_RUNNING:
        return no("Too many bulk operations are running for this shop.", "LIMIT_REACHED")
    try:
        document = bulk.check(args["query"])
    except bulk.CannotRun as error:
        return no(str(error), "INVALID")
    if errors := validate(SCHEMA, document):
        return no(errors[0].message, "INVALID")
    operation = get_operation_ast(document, None)
    assert operation is not None
    result = execute(replace(asks, bulk=True, variables={}, now=clock.now()), document, operation)
    if result.errors:
        return no(result.errors[0].message, "INVALID")
    return {"bulkOperation": bulk.start(asks.world, asks.shop, bulk.lines(result.data or {})), "userErrors": []}


def types() -> list[str]:
    """The object types the stand-in knows, for tests that hold it to its resolvers."""
    return [name for name, kind in SCHEMA.type_map.items() if isinstance(kind, GraphQLObjectType) and name[0] != "_"]
