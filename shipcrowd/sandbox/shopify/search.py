"""Shopify's search syntax, as far as order and variant lists use it: `updated_at:>='2026-11-20T00:00:00Z' status:any`.

A value that holds a colon must stand in quotes. Left bare, Shopify does not refuse the query: it warns, drops that
filter and returns more than was asked for. So does this.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from shipcrowd.sandbox.shopify.orders import Order

TERM = re.compile(
    r"""(?P<not>-|NOT\s+)?(?P<field>[a-z_]+):(?P<op><=|>=|<|>|=)?(?P<value>'[^']*'|"[^"]*"|[^\s]+)""", re.IGNORECASE
)

COMPARE: dict[str, Callable[[datetime, datetime], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
    "": lambda a, b: a.date() == b.date(),
}


@dataclass(frozen=True)
class Term:
    field: str
    op: str
    value: str
    negated: bool


def parse(query: str | None) -> tuple[list[Term], list[dict[str, str]]]:
    """The terms of a search, and warnings about what could not be used."""
    terms: list[Term] = []
    warnings: list[dict[str, str]] = []
    for found in TERM.finditer(query or ""):
        value, field = found["value"], found["field"].lower()
        if value[0] in "'\"":
            value = value[1:-1]
        elif ":" in value:
            warnings.append(
                {"field": field, "message": f"Invalid syntax: quote the value of `{field}`.", "code": "invalid_value"}
            )
            continue
        terms.append(Term(field, found["op"] or "", value, bool(found["not"])))
    return terms, warnings


FULFILLMENT = {
    "unshipped": {"UNFULFILLED", "ON_HOLD", "SCHEDULED", "IN_PROGRESS"},
    "unfulfilled": {"UNFULFILLED", "ON_HOLD", "SCHEDULED", "IN_PROGRESS", "PARTIALLY_FULFILLED"},
    "shipped": {"FULFILLED"},
    "fulfilled": {"FULFILLED"},
    "partial": {"PARTIALLY_FULFILLED"},
    "on_hold": {"ON_HOLD"},
    "scheduled": {"SCHEDULED"},
}


def matches(order: Order, term: Term, updated_at: datetime, version: str) -> bool | None:
    """Whether an order satisfies a term; None for a filter this stand-in does not know."""
    found = _matches(order, term, updated_at, version)
    return found if found is None else found != term.negated


def _matches(order: Order, term: Term, updated_at: datetime, version: str) -> bool | None:
    value = term.value.lower()
    moments = {"updated_at": updated_at, "created_at": order.created_at, "processed_at": order.processed_at}
    if term.field in moments:
        against = moment(term.value)
        return None if against is None else COMPARE[term.op](moments[term.field], against)
    match term.field:
        case "status":
            is_open = order.closed_at is None and order.cancelled_at is None
            known = {
                "any": True,
                "open": is_open,
                "closed": order.closed_at is not None and order.cancelled_at is None,
                "cancelled": order.cancelled_at is not None,
                "not_closed": order.closed_at is None,
            }
            return known.get(value)
        case "financial_status":
            return order.financial_status.lower() == value
        case "fulfillment_status":
            return order.fulfillment_status(version) in FULFILLMENT[value] if value in FULFILLMENT else None
        case "name":
            return order.name.lower().lstrip("#") == value.lstrip("#")
        case "id":
            number = int(value) if value.isdigit() else 0
            compare = {
                "<": order.id < number,
                ">": order.id > number,
                "<=": order.id <= number,
                ">=": order.id >= number,
            }
            return compare.get(term.op, order.id == number)
        case "tag":
            return value in (tag.lower() for tag in order.tags)
        case "tag_not":
            return value not in (tag.lower() for tag in order.tags)
        case "test":
            return order.test == (value == "true")
        case "sku":
            return any(line.sku.lower() == value for line in order.lines)
        case "gateway":
            return any(value in gateway.lower() for gateway in order.gateways)
        case "source_name":
            return order.source_name.lower() == value
        case _:
            return None


def moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
