"""Amazon's part of the day: the company sells there as well. Orders come by notification and by sweep; what the seller
ships is booked like any other parcel and confirmed at Amazon; what cannot or must not be shipped is left alone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from shipcrowd.demo.seller import NotAnswered, until
from shipcrowd.demo.story import Day
from shipcrowd.demo.summary import SHIPPED, Check, failures
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.money import Money
from shipcrowd.ledger import invariants
from shipcrowd.sandbox.amazon.schemas import AmazonOrderView, NewAmazonOrder, OrderKind
from shipcrowd.sandbox.client import DeskClient
from shipcrowd.sandbox.desk import Credentials
from shipcrowd.sandbox.schemas import Knobs
from shipcrowd.shipping import books

SUBSCRIPTIONS = 5
GRAMS = 750
"""Amazon does not say what an order weighs; the seller does."""

LONG_BEFORE, JUST_BEFORE = timedelta(hours=6), timedelta(minutes=5)
"""Of orders that only a sweep can bring: placed before the store was connected, and one whose notification is lost.
Amazon's search tells nothing younger than two minutes."""

PARTS: Mapping[str, NewAmazonOrder] = {
    "prepaid": NewAmazonOrder(pincode="560034"),
    "cash on delivery": NewAmazonOrder(kind=OrderKind.cod, pincode="110024"),
    "Easy Ship": NewAmazonOrder(kind=OrderKind.easy_ship_cod),
    "FBA": NewAmazonOrder(kind=OrderKind.fba),
    "the buyer asks to cancel": NewAmazonOrder(cancel_reason="Ordered by mistake"),
    "pending": NewAmazonOrder(pending=True),
    "without the buyer": NewAmazonOrder(personal_data=False),
}
"""What is announced while the store is connected. By its part in the story."""

EASY_SHIP = "Easy Ship"
OF_THE_SELLER = ("prepaid", "cash on delivery", "before the store was connected", "its notification lost")
LEFT_ALONE = ("FBA", "the buyer asks to cancel", "pending", "without the buyer")


@dataclass
class Amazon:
    """What this part of the day left behind."""

    seller_id: str = ""
    store_id: str = ""
    named: dict[str, str] = field(default_factory=dict[str, str])
    """A special order's part in the story → its id at Amazon."""
    bulk: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Our order → what shipping it with all the others came to."""


async def environment(sandbox_url: str) -> dict[str, str]:
    """Open the queue Amazon writes to; what the product must be told of it and of its application there."""
    app = Credentials()
    async with DeskClient(sandbox_url) as desk:
        queue = await desk.amazon.open_queue()
    return {
        "SHIPCROWD_AMAZON_CLIENT_ID": app.amazon_client_id,
        "SHIPCROWD_AMAZON_CLIENT_SECRET": app.amazon_client_secret,
        "SHIPCROWD_AMAZON_APPLICATION_ID": app.amazon_application_id,
        "SHIPCROWD_AMAZON_QUEUE_URL": queue.url,
        "SHIPCROWD_AMAZON_QUEUE_ARN": queue.arn,
        "SHIPCROWD_AMAZON_QUEUE_ENDPOINT": queue.endpoint,
        "SHIPCROWD_AMAZON_FAILED_QUEUE_URL": queue.dead_letter_url,
        # Whatever AWS credentials this machine has are nobody's business here: the queue is on it.
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
    }


async def connect(day: Day) -> Amazon:
    """The company signs in at Amazon, and its notifications are subscribed to."""
    seller = (await day.desk.amazon.sellers())[0]
    told = Amazon(seller_id=seller.id)
    consent = await day.seller.redirected("/integrations/amazon/install", shop="IN")
    callback = await day.desk.amazon.approve(consent, seller.id)
    if (status := await day.seller.open(callback)) >= 400:
        raise NotAnswered(f"Connecting Amazon ended with {status}.")
    [store] = await day.seller.get("/integrations/amazon/stores")
    told.store_id = store["id"]
    await until(
        "subscribing to Amazon's notifications",
        day.desk.amazon.sellers,
        lambda sellers: len(sellers[0].subscriptions) >= SUBSCRIPTIONS,
    )
    return told


async def tell(day: Day) -> Amazon:
    """Orders come in, two of them by sweep; the seller ships what may be shipped, and Amazon hears of it."""
    [seller] = await day.desk.amazon.sellers()
    old = await day.desk.amazon.place_order(
        seller.id, NewAmazonOrder(pincode="400050", placed_at=clock.now() - LONG_BEFORE)
    )
    told = await connect(day)
    told.named["before the store was connected"] = old.id
    await orders_come_in(day, told)
    await ship(day, told)
    return told


async def orders_come_in(day: Day, told: Amazon) -> None:
    await until(
        "the first sweep of Amazon's orders",
        lambda: day.seller.get(f"/integrations/amazon/stores/{told.store_id}/sync-status"),
        lambda seen: seen["store"]["last_sweep_at"] is not None,
    )
    await day.desk.set_knobs(Knobs(lose=1.0))
    lost = await day.desk.amazon.place_order(
        told.seller_id, NewAmazonOrder(pincode="302001", placed_at=clock.now() - JUST_BEFORE)
    )
    await day.desk.set_knobs(Knobs(lose=0.0, duplicate=0.5))
    told.named["its notification lost"] = lost.id
    for part, new in PARTS.items():
        told.named[part] = (await day.desk.amazon.place_order(told.seller_id, new)).id
    announced = {told.named[part] for part in PARTS}
    await until(
        "reading what Amazon announced", lambda: of_amazon(day), lambda seen: announced <= set(seen), seconds=90
    )
    await day.desk.set_knobs(Knobs(duplicate=0.0))
    await day.seller.post(f"/integrations/amazon/stores/{told.store_id}/sync/orders")
    everything = set(told.named.values())
    await until(
        "sweeping Amazon for what was not announced", lambda: of_amazon(day), lambda seen: everything <= set(seen)
    )


async def ship(day: Day, told: Amazon) -> None:
    """Each order by the courier it belongs to; what must not be shipped is tried with one click, and refused. Then
    what Amazon hears of the parcels."""
    orders = await of_amazon(day)
    for part in (*OF_THE_SELLER, EASY_SHIP):
        await book(day, orders[told.named[part]], "amazon" if part == EASY_SHIP else "velocity")
    wanted = [orders[told.named[part]]["id"] for part in LEFT_ALONE]
    run = await day.seller.post("/shipments/bulk", {"order_ids": wanted, "choose": "cheapest"})
    ended = await until(
        "trying what must not be shipped",
        lambda: day.seller.get(f"/shipments/bulk/{run['id']}"),
        lambda seen: seen["finished"],
    )
    told.bulk = {item["order_id"]: item for item in ended["items"]}
    await until(
        "confirming the parcels at Amazon",
        lambda: at_amazon(day, told),
        lambda there: all(there[told.named[part]].status == "SHIPPED" for part in OF_THE_SELLER),
        seconds=90,
    )
    easy_ship = orders[told.named[EASY_SHIP]]["id"]
    await until(
        "scheduling Easy Ship's parcel",
        lambda: day.seller.everything("/shipments", order_id=easy_ship),
        lambda found: bool(found) and found[0]["awb"] is not None,
    )


async def book(day: Day, order: Mapping[str, Any], courier: str) -> None:
    """Weigh the order and book it with the cheapest that this courier offers."""
    await day.seller.patch(f"/orders/{order['id']}", {"weight_grams": GRAMS})
    quote = await day.seller.post("/quotes", {"order_id": order["id"]})
    offered = [each for each in quote["options"] if each["courier"] == courier and each["price_paise"] is not None]
    if not offered:
        raise NotAnswered(f"No offer of {courier} for {order['number']}.")
    option = min(offered, key=lambda each: each["price_paise"])
    chosen = {"quote_id": quote["id"], "service": option["service"], "account_id": option["account_id"]}
    await day.seller.post("/shipments", chosen)


async def of_amazon(day: Day) -> dict[str, dict[str, Any]]:
    """Our orders of Amazon's, by their ids there."""
    return {order["external_id"]: order for order in await day.seller.everything("/orders", source="amazon")}


async def at_amazon(day: Day, told: Amazon) -> dict[str, AmazonOrderView]:
    """The same orders as Amazon has them."""
    return {order.id: order for order in await day.desk.amazon.orders(told.seller_id)}


# --- what it came to ------------------------------------------------------------------------------------------------


async def checked(day: Day, told: Amazon) -> tuple[list[tuple[str, str]], list[Check]]:
    """Amazon's rows of the summary, and its checks."""
    listed = await day.seller.everything("/orders", source="amazon")
    ours = {order["external_id"]: order for order in listed}
    there = await at_amazon(day, told)
    mine = {order["id"] for order in listed}
    parcels = [each for each in await day.seller.everything("/shipments") if each["order_id"] in mine and each["awb"]]
    overdrawn = (await day.desk.amazon.stats()).overdrawn
    booked = {part: [p for p in parcels if p["order_id"] == ours[told.named[part]]["id"]] for part in told.named}
    rows = [
        ("orders placed at Amazon", str(len(there))),
        ("orders in from Amazon", str(len(listed))),
        ("  announced / found by sweep", f"{len(PARTS)} / {len(there) - len(PARTS)}"),
        ("  cash on delivery", str(sum(order["payment"] == "cod" for order in listed))),
        ("parcels booked for Amazon", ", ".join(f"{name} {n}" for name, n in couriers(parcels))),
        ("confirmed at Amazon", str(sum(order.status == "SHIPPED" for order in there.values()))),
        ("left alone, and why", ""),
        *((f"  {part}", why(told, ours[told.named[part]])) for part in LEFT_ALONE),
    ]
    return rows, [
        Check("every order of Amazon's came in, once", len(listed) == len(ours) and set(ours) == set(there)),
        Check(
            "what may be shipped was booked, once each, and nothing else",
            [len(booked[part]) for part in told.named] == [int(part not in LEFT_ALONE) for part in told.named],
        ),
        Check("Amazon knows each parcel by its number", *confirmed(told, there, booked)),
        Check(
            "cash on delivery is collected to the rupee Amazon says",
            [Money(p["to_collect_paise"]) for p in booked["cash on delivery"]]
            == [Money.rupees(there[told.named["cash on delivery"]].to_collect)],
        ),
        *left_alone(told, ours),
        Check(
            "the order without its buyer is kept, and marked",
            "did not show" in ours[told.named["without the buyer"]]["problems"].get("ship_to", ""),
        ),
        easy_ship(ours[told.named[EASY_SHIP]], there[told.named[EASY_SHIP]], booked[EASY_SHIP]),
        Check("Amazon was not asked more often than it allows", not overdrawn, ", ".join(overdrawn)),
        *await books_and_jobs(day),
    ]


def couriers(parcels: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    return Counter(str(parcel["courier"]) for parcel in parcels).most_common()


def why(told: Amazon, order: Mapping[str, Any]) -> str:
    return told.bulk[order["id"]]["message"] or "; ".join(order["problems"].values())


def confirmed(
    told: Amazon, there: Mapping[str, AmazonOrderView], booked: Mapping[str, list[dict[str, Any]]]
) -> tuple[bool, str]:
    """Each parcel's number stands at Amazon, with all of the order's units in it; which parts do not, in words."""
    missing = [
        part
        for part in OF_THE_SELLER
        if [package.tracking for package in there[told.named[part]].packages] != [p["awb"] for p in booked[part]]
        or any(item.shipped != item.quantity for item in there[told.named[part]].items)
    ]
    return not missing, ", ".join(missing)


def left_alone(told: Amazon, ours: Mapping[str, dict[str, Any]]) -> list[Check]:
    """What must not be shipped was refused when it was asked for with all the others, and says why."""
    wanted = {
        "FBA": ("fulfilment", "marketplace_warehouse", "the FBA order was left to Amazon"),
        "the buyer asks to cancel": ("holds", "seller", "the order its buyer wants cancelled is held"),
        "pending": ("state", "seller", "the pending order waits"),
    }
    checks: list[Check] = []
    for part, (field_, fulfilment, words) in wanted.items():
        order = ours[told.named[part]]
        refused = told.bulk[order["id"]]["state"] == "refused" and field_ in order["problems"]
        good = refused and order["fulfilment"] == fulfilment and order["state"] not in SHIPPED
        checks.append(Check(words, good, str(order["problems"])))
    return checks


def easy_ship(order: Mapping[str, Any], there: AmazonOrderView, parcels: Sequence[Mapping[str, Any]]) -> Check:
    """Amazon's own courier carries it, under the number Amazon gave; nobody confirmed it besides."""
    carried = [(parcel["courier"], parcel["awb"]) for parcel in parcels]
    good = (
        order["fulfilment"] == "marketplace_logistics"
        and carried == [("amazon", there.easy_ship_tracking)]
        and not there.packages
    )
    return Check("the Easy Ship order is carried by Amazon's own courier", good, f"{carried}")


async def books_and_jobs(day: Day) -> list[Check]:
    """What holds for the whole company, once more after this part of the day."""
    failed = await day.seller.get("/system/jobs/failed")
    me = await day.seller.get("/auth/me")
    async with tenancy.acting_for(UUID(me["company_id"])) as session:
        wrong = [*await invariants.verify(session), *await books.held_but_not_open(session)]
    return [
        Check("after Amazon's part, too: no job failed for good", not failed, ", ".join(failures(failed))),
        Check("after Amazon's part, too: the books are right", not wrong, f"{len(wrong)} discrepancies"),
    ]
