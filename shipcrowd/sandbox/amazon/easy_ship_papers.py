"""Easy Ship's label, invoice and warranty: a report that exists as soon as its feed is done."""

from shipcrowd.sandbox.amazon import documents
from shipcrowd.sandbox.amazon.orders import Order
from shipcrowd.sandbox.amazon.state import Amazon, Feed, Report
from shipcrowd.sandbox.pdf import document

TYPE = "GET_EASYSHIP_DOCUMENTS"


def make_report(world: Amazon, feed: Feed, order: Order, kinds: list[str]) -> Report:
    now = world.now()
    report = Report(
        id=f"amzn1.easyship.document.{world.uuid()}",
        seller=feed.seller,
        app=feed.app,
        type=TYPE,
        marketplaces=feed.marketplaces,
        options={},
        start=None,
        end=None,
        created_at=now,
        status="DONE",
        started_at=now,
        ended_at=now,
        document=documents.make(world, feed.seller, "spdoc", "application/pdf", label(order, kinds)),
    )
    feed.seller.reports[report.id] = report
    return report


def label(order: Order, kinds: list[str]) -> bytes:
    assert order.easy_ship is not None
    cash = f"COD  Rs {order.total - order.gift_card:.2f}" if order.cod else "PREPAID"
    rows = [
        (18, "Amazon Transportation Services"),
        (26, order.easy_ship.tracking or ""),
        (16, cash),
        (12, f"To: {order.person.name}"),
        (12, f"{order.person.city} {order.person.pincode}"),
        (10, f"Order {order.id}"),
        (10, ", ".join(kinds)),
        (8, "SANDBOX LABEL - NOT FOR SHIPPING"),
    ]
    return document([rows])
