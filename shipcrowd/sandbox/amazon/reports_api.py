"""Reports 2021-06-30: ask, wait, fetch. Those that name buyers are fetched with a restricted token."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from shipcrowd.sandbox.amazon import documents, easy_ship_papers, order_fields, publish
from shipcrowd.sandbox.amazon.call import Answer, Body, Call, Refused, denied, invalid, parse_time, record, stamp, texts
from shipcrowd.sandbox.amazon.orders import Order
from shipcrowd.sandbox.amazon.state import MARKETPLACES, Amazon, Report

OLDEST = timedelta(days=90)
STATES = frozenset(("CANCELLED", "DONE", "FATAL", "IN_PROGRESS", "IN_QUEUE"))
TEXT = "text/plain; charset=UTF-8"

Cells = Sequence[object]


# --- the API --------------------------------------------------------------------------------------------------


def create(call: Call) -> Answer:
    kind, markets = call.body.get("reportType"), texts(call.body.get("marketplaceIds"))
    if kind not in WRITERS and kind != easy_ship_papers.TYPE:
        raise _bad("reportType is invalid")
    call.check_marketplaces(markets)
    start, end = (
        parse_time(str(call.body[name]), name) if call.body.get(name) else None
        for name in ("dataStartTime", "dataEndTime")
    )
    if start and end and end < start:
        raise _bad("dataEndTime is before dataStartTime")
    options = {str(name): str(value) for name, value in record(call.body.get("reportOptions")).items()}
    report = Report(
        call.world.digits(12), call.seller, call.app, str(kind), tuple(markets), options, start, end, call.now
    )
    call.seller.reports[report.id] = report
    call.world.running_reports.append(report)
    call.world.wake()
    return Answer({"reportId": report.id}, 202)


def get(call: Call) -> Answer:
    return Answer(_report(_find(call)))


def get_many(call: Call) -> Answer:
    """Newest first."""
    kinds, states = call.listed("reportTypes"), call.listed("processingStatuses")
    start = 0
    if token := call.query.get("nextToken"):
        joined, _, number = token.partition("~")
        if not number.isdigit():
            raise _bad("nextToken is invalid")
        kinds, start = joined.split(","), int(number)
    if not kinds:
        raise _bad("reportTypes or nextToken is required")
    if frozenset(states) - STATES:
        raise _bad("Invalid input in processing status")
    size = call.number("pageSize", 10, 1, 100)
    since, until = call.moment("createdSince") or call.now - OLDEST, call.moment("createdUntil") or call.now
    fits = [
        one
        for one in reversed(call.seller.reports.values())
        if one.type in kinds and (not states or one.status in states) and since <= one.created_at <= until
    ]
    body: Body = {"reports": [_report(one) for one in fits[start : start + size]]}
    if len(fits) > start + size:
        body["nextToken"] = f"{','.join(kinds)}~{start + size}"
    return Answer(body)


def cancel(call: Call) -> Answer:
    report = _find(call)
    if report.status != "IN_QUEUE":
        raise _bad(f"A report that is {report.status} cannot be cancelled")
    _end(call.world, report, "CANCELLED")
    return Answer({})


def get_document(call: Call) -> Answer:
    document = call.world.documents.get(call.path["reportDocumentId"])
    report = next((one for one in call.seller.reports.values() if document and one.document is document), None)
    if document is None or report is None:
        raise _bad("Invalid reportDocumentId")
    if report.type in RESTRICTED and call.resource is None:
        raise denied("A restricted report needs a restricted data token.")
    return Answer(documents.told(call.world, document, "reportDocumentId"))


def _find(call: Call) -> Report:
    found = call.seller.reports.get(call.path["reportId"])
    if found is None:
        raise _bad("Invalid reportId")
    return found


def _bad(details: str) -> Refused:
    return invalid("Invalid input", details, "400")


def _report(it: Report) -> Body:
    return {
        "reportId": it.id,
        "reportType": it.type,
        "marketplaceIds": list(it.marketplaces),
        "createdTime": stamp(it.created_at),
        "processingStatus": it.status,
        **({"dataStartTime": stamp(it.start)} if it.start else {}),
        **({"dataEndTime": stamp(it.end)} if it.end else {}),
        **({"processingStartTime": stamp(it.started_at)} if it.started_at else {}),
        **({"processingEndTime": stamp(it.ended_at)} if it.ended_at else {}),
        **({"reportDocumentId": it.document.id} if it.document else {}),
    }


# --- its states -----------------------------------------------------------------------------------------------


def settle(world: Amazon) -> bool:
    """Write every report whose time has come; whether some still run."""
    now = world.now()
    for report in list(world.running_reports):
        half = timedelta(seconds=world.knobs.report_seconds / 2)
        if now >= report.created_at + 2 * half:
            write(world, report)
        elif now >= report.created_at + half and report.status == "IN_QUEUE":
            report.status, report.started_at = "IN_PROGRESS", report.created_at + half
    return bool(world.running_reports)


def write(world: Amazon, report: Report) -> None:
    """The report's end: DONE with a document, or CANCELLED where there is nothing to tell or it came too often."""
    if report.status not in ("IN_QUEUE", "IN_PROGRESS"):
        return
    report.started_at = report.started_at or world.now()
    if report.type not in WRITERS:
        # Easy Ship's documents are asked for by a feed.
        _end(world, report, "FATAL")
        return
    if _too_often(report):
        _end(world, report, "CANCELLED")
        return
    head, rows = WRITERS[report.type](world, report)
    lines = list(rows)
    if not lines:
        _end(world, report, "CANCELLED")
        return
    out = io.StringIO()
    writer = csv.writer(
        out, delimiter="\t", lineterminator="\r\n", quoting=csv.QUOTE_NONE, quotechar=None, escapechar="\\"
    )
    writer.writerows([head, *lines])
    report.document = documents.make(world, report.seller, "spdoc", TEXT, out.getvalue().encode())
    _end(world, report, "DONE")


def _too_often(report: Report) -> bool:
    """Inventory reports are written at most once in half an hour."""
    if report.type != "GET_AFN_INVENTORY_DATA":
        return False
    return any(
        one.type == report.type and one.status == "DONE" and one.created_at > report.created_at - timedelta(minutes=30)
        for one in report.seller.reports.values()
    )


def _end(world: Amazon, report: Report, status: str) -> None:
    report.status, report.ended_at = status, world.now()
    if report in world.running_reports:
        world.running_reports.remove(report)
    publish.report_finished(world, report)


# --- what they say --------------------------------------------------------------------------------------------

Writer = Callable[[Amazon, Report], tuple[Cells, Iterable[Cells]]]


def _listings(world: Amazon, report: Report) -> tuple[Cells, Iterable[Cells]]:
    head = (
        "item-name", "listing-id", "seller-sku", "price", "quantity", "open-date",
        "asin1", "product-id", "fulfillment-channel", "status",
    )  # fmt: skip
    for one in report.seller.listings.values():
        one.settle(world.now())
    rows = (
        (
            one.title, f"L{one.asin}", one.sku, f"{one.price:.2f}", "" if one.by_amazon else one.quantity,
            f"{one.created_at:%Y-%m-%d %H:%M:%S} UTC", one.asin, one.asin,
            "AMAZON_IN" if one.by_amazon else "DEFAULT", "Active" if one.quantity else "Inactive",
        )
        for one in report.seller.listings.values()
    )  # fmt: skip
    return head, rows


def _open_listings(world: Amazon, report: Report) -> tuple[Cells, Iterable[Cells]]:
    for one in report.seller.listings.values():
        one.settle(world.now())
    rows = (
        (one.sku, one.asin, f"{one.price:.2f}", "" if one.by_amazon else one.quantity)
        for one in report.seller.listings.values()
    )
    return ("sku", "asin", "price", "quantity"), rows


def _within(report: Report, orders: Iterable[Order], *, by_update: bool) -> Iterable[Order]:
    for one in orders:
        at = one.updated_at if by_update else one.created_at
        if (report.start is None or report.start <= at) and (report.end is None or at <= report.end):
            yield one


def _all_orders(world: Amazon, report: Report) -> tuple[Cells, Iterable[Cells]]:
    head = (
        "amazon-order-id", "merchant-order-id", "purchase-date", "last-updated-date", "order-status",
        "fulfillment-channel", "sales-channel", "ship-service-level", "product-name", "sku", "asin", "item-status",
        "quantity", "currency", "item-price", "ship-city", "ship-state", "ship-postal-code", "ship-country",
    )  # fmt: skip
    by_update = "BY_LAST_UPDATE" in report.type
    rows = (
        (
            one.id, one.reference or one.id, stamp(one.created_at), stamp(one.updated_at),
            "Cancelled" if one.status == "CANCELLED" else one.v0_status,
            "Amazon" if one.fulfilled_by == "AMAZON" else "Merchant", MARKETPLACES[one.marketplace].name,
            one.service.title(), item.title, item.sku, item.asin, one.v0_status, item.quantity, "INR",
            f"{item.total:.2f}", one.person.city.upper(), one.person.state.upper(), one.person.pincode, "IN",
        )
        for one in _within(report, report.seller.orders.values(), by_update=by_update)
        for item in one.items
    )  # fmt: skip
    return head, rows


def _actionable_orders(world: Amazon, report: Report) -> tuple[Cells, Iterable[Cells]]:
    head = (
        "order-id", "order-item-id", "purchase-date", "buyer-name", "sku", "product-name", "quantity-purchased",
        "quantity-to-ship", "ship-service-level", "recipient-name", "ship-address-1", "ship-address-2", "ship-city",
        "ship-state", "ship-postal-code", "ship-country", "ship-phone-number",
    )  # fmt: skip
    rows = (
        (
            one.id, item.id, stamp(one.created_at), one.person.name, item.sku, item.title, item.quantity,
            item.quantity - item.shipped, one.service.title(), one.person.name, one.person.line1, one.person.line2,
            one.person.city, one.person.state, one.person.pincode, "IN", one.person.phone,
        )
        for one in report.seller.orders.values()
        if one.status in ("UNSHIPPED", "PARTIALLY_SHIPPED") and order_fields.may_name(one, report.seller)
        for item in one.items
    )  # fmt: skip
    return head, rows


def _waiting_for_pickup(world: Amazon, report: Report) -> tuple[Cells, Iterable[Cells]]:
    head = ("order-id", "tracking-id", "order-item-id", "sku", "quantity-purchased", "pickup-slot")
    rows = (
        (one.id, one.easy_ship.tracking, item.id, item.sku, item.quantity, one.easy_ship.slot.get("startTime", ""))
        for one in report.seller.orders.values()
        if one.easy_ship and one.easy_ship.status == "PendingPickUp"
        for item in one.items
    )
    return head, rows


def _fba(world: Amazon, report: Report) -> tuple[Cells, Iterable[Cells]]:
    head = (
        "sku", "fnsku", "asin", "product-name", "condition", "your-price", "afn-warehouse-quantity",
        "afn-fulfillable-quantity", "afn-unsellable-quantity", "afn-reserved-quantity", "afn-total-quantity",
    )  # fmt: skip
    rows = (
        (
            one.sku, one.fnsku, one.asin, one.title, "New", f"{one.price:.2f}", one.quantity, one.quantity,
            one.unfulfillable, one.reserved, one.quantity + one.reserved + one.unfulfillable,
        )
        for one in report.seller.listings.values()
        if one.by_amazon
    )  # fmt: skip
    return head, rows


WRITERS: dict[str, Writer] = {
    "GET_MERCHANT_LISTINGS_ALL_DATA": _listings,
    "GET_FLAT_FILE_OPEN_LISTINGS_DATA": _open_listings,
    "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL": _all_orders,
    "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_ORDER_DATE_GENERAL": _all_orders,
    "GET_FLAT_FILE_ACTIONABLE_ORDER_DATA_SHIPPING": _actionable_orders,
    "GET_EASYSHIP_WAITING_FOR_PICKUP": _waiting_for_pickup,
    "GET_FBA_MYI_UNSUPPRESSED_INVENTORY_DATA": _fba,
    "GET_AFN_INVENTORY_DATA": _fba,
}
RESTRICTED = frozenset(("GET_FLAT_FILE_ACTIONABLE_ORDER_DATA_SHIPPING", easy_ship_papers.TYPE))
