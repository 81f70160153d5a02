"""One GraphQL call: who asks, at which shop, in which version; and how objects of a shop become GraphQL objects."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from graphql import GraphQLError, GraphQLResolveInfo

from shipcrowd.kernel.money import Money
from shipcrowd.sandbox.shopify import goods, orders, state
from shipcrowd.sandbox.shopify.goods import gid
from shipcrowd.sandbox.shopify.orders import App
from shipcrowd.sandbox.shopify.state import Shop, Shopify

T = TypeVar("T")
Args = Mapping[str, Any]

MAX_PAGE = 250
MAX_DEPTH = 25_000

KINDS: dict[type, str] = {
    orders.Order: "Order",
    orders.LineItem: "LineItem",
    orders.Transaction: "OrderTransaction",
    orders.Customer: "Customer",
    orders.FulfilmentOrder: "FulfillmentOrder",
    orders.FulfilmentLine: "FulfillmentOrderLineItem",
    orders.Hold: "FulfillmentHold",
    orders.Fulfilment: "Fulfillment",
    orders.FulfilmentEvent: "FulfillmentEvent",
    goods.Product: "Product",
    goods.Variant: "ProductVariant",
    goods.InventoryItem: "InventoryItem",
    goods.Level: "InventoryLevel",
    goods.Location: "Location",
    state.Shop: "Shop",
    state.Subscription: "WebhookSubscription",
    state.BulkOperation: "BulkOperation",
}


@dataclass
class Call:
    world: Shopify
    shop: Shop
    app: App
    scopes: frozenset[str]
    version: str
    now: datetime
    variables: Args
    bulk: bool = False  # connections without `first` give everything
    warnings: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def may(self, scope: str) -> bool:
        return scope in self.scopes or scope.replace("read_", "write_", 1) in self.scopes


Info = GraphQLResolveInfo[Call]
Resolver = Callable[[Any, Info, Args], object]

FIELDS: dict[tuple[str, str], Resolver] = {}
"""(type, field) → how it is answered. What is not here is an attribute of the same name."""


def call(info: Info) -> Call:
    return info.context


def constant(value: object) -> Resolver:
    return lambda source, info, args: value


def limited(items: list[Any], args: Args) -> list[Any]:
    """A plain list cut to its `first` argument."""
    return items[: args["first"]] if args.get("first") is not None else items


def by_id(node: Any) -> int:
    return node.id


def field_of(kind: str, name: str) -> Callable[[Resolver], Resolver]:
    """Declare how a field is answered."""

    def declare(resolver: Resolver) -> Resolver:
        FIELDS[kind, name] = resolver
        return resolver

    return declare


def plain(value: object) -> object:
    """Scalars in the form they travel in."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, Money):
        return value.plain()
    return value


def kind_of(source: object) -> str:
    return KINDS[type(source)]


def id_of(source: Any) -> str:
    return gid(kind_of(source), source.id)


def refuse(message: str, code: str, **more: object) -> GraphQLError:
    return GraphQLError(message, extensions={"code": code, **more})


@dataclass(frozen=True)
class Connection:
    """A page of a list. `cursors` stand beside `nodes`."""

    nodes: Sequence[object]
    cursors: Sequence[str]
    has_next_page: bool
    has_previous_page: bool


def cursor(key: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def uncursor(text: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError as error:
        raise refuse("Invalid cursor for current pagination sort.", "BAD_REQUEST") from error


def paged(items: Sequence[T], args: Args, info: Info, key: Callable[[T], Any]) -> Connection:
    """The page `first`/`after` (or `last`/`before`) ask for. `items` are sorted by `key`, ascending or descending.

    A cursor holds the key of the item it stands behind, so a list that changes between pages stays walkable.
    """
    first, last = args.get("first"), args.get("last")
    if first is None and last is None:
        if not call(info).bulk:
            raise refuse("you must provide one of first or last", "BAD_REQUEST")
        first = len(items)
    elif (first if first is not None else last or 0) > MAX_PAGE or (first is not None and first < 0):
        raise refuse(f"The `first` or `last` argument must be between 0 and {MAX_PAGE}.", "BAD_REQUEST")
    rows = list(items)
    if args.get("reverse"):
        rows.reverse()
    keys = [key(row) for row in rows]
    falling = len(keys) > 1 and keys[0] > keys[-1]
    start, end = 0, len(rows)
    down = falling or bool(args.get("reverse"))
    if after := args.get("after"):
        mark = uncursor(after)
        start = next((i for i, k in enumerate(keys) if _behind(k, mark, down=down)), len(rows))
    if before := args.get("before"):
        mark = uncursor(before)
        end = next((i for i, k in enumerate(keys) if not _behind(mark, k, down=down)), end)
    if start > MAX_DEPTH:
        raise refuse("Pagination goes no deeper than 25,000 objects.", "BAD_REQUEST")
    if first is not None:
        stop = min(start + first, end)
    else:
        start, stop = max(start, end - (last or 0)), end
    return Connection(
        nodes=rows[start:stop],
        cursors=[cursor(k) for k in keys[start:stop]],
        has_next_page=stop < len(rows),
        has_previous_page=start > 0,
    )


def _behind(key: Any, mark: Any, *, down: bool) -> bool:
    """Whether `key` comes after `mark`; a cursor of another sort order is refused."""
    try:
        return key < mark if down else key > mark
    except TypeError as error:
        raise refuse("Invalid cursor for current pagination sort.", "BAD_REQUEST") from error
