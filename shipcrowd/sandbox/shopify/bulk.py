"""Bulk operations: a query over everything, whose answer is a file of JSON lines somewhere else."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)

from shipcrowd.kernel import clock
from shipcrowd.sandbox.shopify.goods import gid
from shipcrowd.sandbox.shopify.hooks import publish
from shipcrowd.sandbox.shopify.payloads import moment
from shipcrowd.sandbox.shopify.state import BulkOperation, Shop, Shopify

HOST = "storage.googleapis.com"
FOLDER = "shopify-tiers-assets-prod-sandbox"
MAX_CONNECTIONS, MAX_DEPTH, MAX_RUNNING = 5, 2, 5


class CannotRun(ValueError):
    """The query is not one a bulk operation takes."""


def check(query: str) -> DocumentNode:
    """The parsed query; raises CannotRun when it breaks the rules for bulk queries."""
    try:
        document = parse(query)
    except GraphQLError as error:
        raise CannotRun(f"Invalid bulk query: {error.message}") from error
    operation = document.definitions[0]
    if not isinstance(operation, OperationDefinitionNode) or operation.operation.value != "query":
        raise CannotRun("A bulk operation takes one query.")
    if operation.variable_definitions:
        raise CannotRun("Bulk queries cannot contain variables.")
    depths = list(_connections(operation.selection_set, 0))
    if not depths:
        raise CannotRun("Bulk queries must contain at least one connection.")
    if len(depths) > MAX_CONNECTIONS:
        raise CannotRun(f"Bulk queries cannot contain more than {MAX_CONNECTIONS} connections.")
    if max(depths) > MAX_DEPTH:
        raise CannotRun(f"Bulk queries cannot nest connections deeper than {MAX_DEPTH} levels.")
    return document


def _connections(selections: SelectionSetNode, depth: int) -> Iterator[int]:
    for field in selections.selections:
        if not isinstance(field, FieldNode) or field.selection_set is None:
            continue
        nodes = _nodes(field.selection_set)
        if nodes is None:
            yield from _connections(field.selection_set, depth)
            continue
        if any(argument.name.value in ("first", "last") for argument in field.arguments or ()):
            raise CannotRun("Bulk queries cannot use `first` or `last`.")
        inner = list(_connections(nodes, depth + 1))
        names = {one.name.value for one in nodes.selections if isinstance(one, FieldNode)}
        if inner and "id" not in names:
            raise CannotRun("The parent of a nested connection must select `id`.")
        yield depth + 1
        yield from inner


def _nodes(selections: SelectionSetNode) -> SelectionSetNode | None:
    for field in selections.selections:
        if isinstance(field, FieldNode) and field.selection_set:
            if field.name.value == "nodes":
                return field.selection_set
            if field.name.value == "edges":
                return next(
                    (
                        one.selection_set
                        for one in field.selection_set.selections
                        if isinstance(one, FieldNode) and one.name.value == "node"
                    ),
                    None,
                )
    return None


def lines(data: Mapping[str, Any]) -> list[str]:
    """The answer as JSON lines: parents first, children after all parents of their kind, tied by `__parentId`."""
    rows: list[dict[str, Any]] = []
    later: list[dict[str, Any]] = []
    for value in data.values():
        for node in _list(value) or []:
            _flatten(node, None, rows, later)
    return [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in [*rows, *later]]


def _flatten(
    node: Mapping[str, Any], parent: str | None, into: list[dict[str, Any]], later: list[dict[str, Any]]
) -> None:
    row: dict[str, Any] = {}
    children: list[Mapping[str, Any]] = []
    for key, value in node.items():
        nested = _list(value)
        if nested is None:
            row[key] = value
        else:
            children.extend(nested)
    if parent:
        row["__parentId"] = parent
    into.append(row)
    for child in children:
        _flatten(child, str(node["id"]), later, later)


def _list(value: Any) -> list[Mapping[str, Any]] | None:
    if not isinstance(value, Mapping):
        return None
    held = cast(Mapping[str, Any], value)
    if "edges" in held:
        return [edge["node"] for edge in held["edges"]]
    return list(held["nodes"]) if "nodes" in held else None


def start(world: Shopify, shop: Shop, made: list[str]) -> BulkOperation:
    operation = BulkOperation(world.ids(), "CREATED", made, clock.now())
    shop.bulks[operation.id] = operation
    return operation


def running(shop: Shop) -> int:
    return sum(one.status in ("CREATED", "RUNNING") for one in shop.bulks.values())


def advance(world: Shopify, shop: Shop, operation: BulkOperation) -> None:
    """Each poll moves it on: created, running, completed."""
    operation.polls += 1
    if operation.status == "CREATED" and operation.polls > 1:
        operation.status = "RUNNING"
    elif operation.status == "RUNNING":
        operation.status = "COMPLETED"
        publish(
            world,
            shop,
            "bulk_operations/finish",
            {
                "admin_graphql_api_id": gid("BulkOperation", operation.id),
                "completed_at": moment(clock.now()),
                "created_at": moment(operation.started_at),
                "error_code": None,
                "status": "completed",
                "type": "query",
            },
        )


def url_of(operation: BulkOperation) -> str | None:
    """Where the file is; None while it is not ready, or when nothing was found."""
    if operation.status != "COMPLETED" or not operation.lines:
        return None
    return f"https://{HOST}/{FOLDER}/bulk-{operation.id}.jsonl"


def file(world: Shopify, name: str) -> bytes | None:
    for shop in world.shops.values():
        for operation in shop.bulks.values():
            if name == f"bulk-{operation.id}.jsonl" and url_of(operation):
                return "".join(line + "\n" for line in operation.lines).encode()
    return None
