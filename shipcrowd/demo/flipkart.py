"""The day's part at Flipkart: the seller signs in there, shipments come in by notification and by sweep, Flipkart's own
courier carries some and the seller's another, and one is held, one cancelled in part, one shipped by Flipkart itself.
"""

import asyncio
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from pypdf import PdfReader

from shipcrowd.demo.seller import NotAnswered, Seller, until
from shipcrowd.demo.summary import Check, failures
from shipcrowd.kernel.money import Money
from shipcrowd.sandbox.client import DeskClient
from shipcrowd.sandbox.flipkart.schemas import (
    Cancellation,
    Kind,
    KnobChange,
    NewItem,
    NewShipment,
    NotificationTarget,
    ShipmentView,
)
from shipcrowd.sandbox.schemas import Knobs, NewScan

COD, CUT = "standard, cash on delivery", "partly cancelled"

SWEPT = {
    "standard, prepaid": Kind.standard_prepaid,
    "shipped by Flipkart's warehouse": Kind.fbf,
}
"""There before the store is connected, and so found by reading it. What it is in the story → what it is there."""

NOTIFIED = {
    COD: Kind.standard_cod,
    "self-ship": Kind.self_ship,
    "on hold": Kind.on_hold,
    CUT: Kind.standard_prepaid,
}
"""Placed once notifications are on."""

BY_FLIPKART = ("standard, prepaid", COD, "on hold", CUT)
THREE = NewItem(sku="BOT-1L-BLU", quantity=3)
"""What is in the one of which the buyer cancels a unit."""
SERVED = "560038"
LABELS = "flipkart-labels.pdf"
INVOICE = "TAX INVOICE"  # Flipkart's own labels come with one


@dataclass
class Part:
    """What Flipkart's part left behind, for its checks."""

    seller: Seller
    desk: DeskClient
    out: Path
    id: str = ""
    """The seller's, at Flipkart."""
    store: str = ""
    named: dict[str, str] = field(default_factory=dict[str, str])
    """A shipment's part in the story → its id at Flipkart."""
    first_seen: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Each order as it first came in, by its part."""
    self_ship_heard: list[str] = field(default_factory=list[str])
    """What Flipkart had the self-ship parcel as, after each thing that happened to it."""
    fbf_refused: bool = False
    labels: list[str] = field(default_factory=list[str])
    """What each page of the labels says."""

    async def orders(self) -> dict[str, dict[str, Any]]:
        """The orders of this store, by their part in the story."""
        found = [order for order in await self.seller.everything("/orders") if order["connection_id"] == self.store]
        parts = {shipment: part for part, shipment in self.named.items()}
        return {parts.get(order["external_id"], str(order["external_id"])): order for order in found}

    async def parcels(self, part: str) -> list[dict[str, Any]]:
        order = (await self.orders())[part]
        return await self.seller.everything("/shipments", order_id=order["id"])

    async def there(self, part: str) -> ShipmentView:
        return await self.desk.flipkart.shipment(self.id, self.named[part])


async def tell(seller: Seller, desk: DeskClient, url: str, out: Path) -> Part:
    """The whole of it, against the running processes."""
    part = Part(seller, desk, out)
    # By now parcels are booked and orders in: what went wrong on purpose before does not here.
    await desk.set_knobs(Knobs(duplicate=0.2, reorder=0.0))
    await desk.flipkart.set_knobs(KnobChange(pack_seconds=1))
    await sign_in(part, url)
    await buyers_order(part)
    await asyncio.gather(carried_by_flipkart(part), own_parcel_travels(part))
    return part


async def sign_in(part: Part, url: str) -> None:
    """Two shipments are there already; the seller allows us in, and Flipkart is told where news of the rest goes."""
    there = (await part.desk.flipkart.sellers())[0]
    part.id = there.id
    for name, kind in SWEPT.items():
        await place(part, name, kind, silent=True)
    consent = await part.seller.redirected("/integrations/flipkart/install", shop=part.id)
    if (status := await part.seller.open(await part.desk.flipkart.approve(consent, part.id))) >= 400:
        raise NotAnswered(f"Signing in at Flipkart ended with {status}.")
    part.store = (await part.seller.get("/integrations/flipkart/stores"))[0]["id"]
    await part.desk.flipkart.notify(part.id, NotificationTarget(url=f"{url}/api/v1/webhooks/flipkart/{part.id}"))
    await come_in(part, "reading the Flipkart store", set(SWEPT))


async def buyers_order(part: Part) -> None:
    for name, kind in NOTIFIED.items():
        await place(part, name, kind)
    await come_in(part, "taking in Flipkart's notifications", {*SWEPT, *NOTIFIED})
    await part.desk.flipkart.cancel(part.id, part.named[CUT], Cancellation(quantities={THREE.sku: 1}))
    await until(
        "subtracting what the buyer cancelled at Flipkart",
        part.orders,
        lambda orders: orders[CUT]["units"] < part.first_seen[CUT]["units"],
    )
    await part.desk.flipkart.release(part.id, part.named["on hold"])
    await until(
        "releasing what Flipkart held",
        part.orders,
        lambda orders: orders["on hold"]["state"] == "ready",
    )
    warehouse = (await part.orders())["shipped by Flipkart's warehouse"]
    try:
        await part.seller.post("/quotes", {"order_id": warehouse["id"]})
    except NotAnswered:
        part.fbf_refused = True


async def place(part: Part, name: str, kind: Kind, *, silent: bool = False) -> None:
    items = (THREE,) if name == CUT else ()
    new = NewShipment(kind=kind, items=items, pincode=SERVED, silent=silent)
    part.named[name] = (await part.desk.flipkart.place(part.id, new)).id


async def come_in(part: Part, what: str, wanted: set[str]) -> None:
    orders = await until(what, part.orders, lambda orders: wanted <= set(orders))
    part.first_seen |= {name: order for name, order in orders.items() if name not in part.first_seen}


async def carried_by_flipkart(part: Part) -> None:
    await pack(part)
    await flipkarts_parcels_travel(part)


async def pack(part: Part) -> None:
    """With one click: packed at Flipkart, its labels stored and printed, and Flipkart told to come."""
    orders = await part.orders()
    wanted = [orders[name]["id"] for name in BY_FLIPKART]
    run = await part.seller.post("/shipments/bulk", {"order_ids": wanted})
    done = await until(
        "packing at Flipkart",
        lambda: part.seller.get(f"/shipments/bulk/{run['id']}"),
        lambda seen: seen["finished"],
    )
    ids = [item["shipment_id"] for item in done["items"] if item["shipment_id"]]
    found = await until(
        "storing Flipkart's labels",
        lambda: labels(part, ids),
        lambda pages: pages_with(pages, INVOICE) == len(ids),
    )
    part.labels = found
    manifest = await part.seller.post("/manifests", {"shipment_ids": ids})
    await part.seller.post(f"/manifests/{manifest['id']}/close")
    for name in BY_FLIPKART:
        await until(
            "telling Flipkart that parcels are ready",
            lambda name=name: part.there(name),
            lambda seen: seen.status == "READY_TO_DISPATCH",
        )


async def labels(part: Part, ids: list[str]) -> list[str]:
    """The labels of these parcels in one PDF; what each page says. None while Flipkart's are not all there."""
    try:
        printed = await part.seller.bytes_of("POST", "/shipments/labels", {"shipment_ids": ids})
    except NotAnswered:
        return []
    part.out.mkdir(parents=True, exist_ok=True)
    (part.out / LABELS).write_bytes(printed)
    return [page.extract_text() for page in PdfReader(BytesIO(printed)).pages]


async def flipkarts_parcels_travel(part: Part) -> None:
    """To the door, by Flipkart's drivers."""
    for name in BY_FLIPKART:
        for _ in range(3):
            await part.desk.flipkart.move(part.id, part.named[name])
    parcels = [parcel for name in BY_FLIPKART for parcel in await part.parcels(name)]
    for parcel in parcels:
        await part.seller.post(f"/shipments/{parcel['id']}/track")
    for name in BY_FLIPKART:
        await until(
            "hearing from Flipkart of the parcels it carries",
            lambda name=name: part.parcels(name),
            lambda seen: [each["state"] for each in seen] == ["delivered"],
        )


async def own_parcel_travels(part: Part) -> None:
    """By the seller's courier; Flipkart hears of each step."""
    order = (await part.orders())["self-ship"]
    quote = await part.seller.post("/quotes", {"order_id": order["id"]})
    # The company's store at Amazon carries other parcels too; this one goes by the courier whose driver is played here.
    option = next(each for each in quote["options"] if each["courier"] == "velocity")
    booked = await part.seller.post("/shipments", {"quote_id": quote["id"], "service": option["service"]})
    parcel = await until(
        "booking the self-ship parcel",
        lambda: part.seller.get(f"/shipments/{booked['id']}"),
        lambda seen: seen["awb"] is not None,
    )
    part.self_ship_heard.append((await part.there("self-ship")).status)
    await part.desk.scan(parcel["awb"], NewScan(status="PICKED UP", location="Okhla"))
    part.self_ship_heard.append(await heard(part, "SHIPPED"))
    await part.desk.deliver(parcel["awb"])
    part.self_ship_heard.append(await heard(part, "DELIVERED"))


async def heard(part: Part, status: str) -> str:
    seen = await until(
        f"telling Flipkart that the parcel is {status.lower()}",
        lambda: part.there("self-ship"),
        lambda seen: seen.status == status,
    )
    return seen.status


# --- what it came to ------------------------------------------------------------------------------------------------


async def checked(part: Part) -> tuple[list[tuple[str, str]], list[Check]]:
    """The summary's rows of this part, and its checks."""
    orders = await part.orders()
    parcels = {name: await part.parcels(name) for name in orders}
    there = {name: await part.there(name) for name in part.named}
    deliveries = await part.seller.get(f"/integrations/flipkart/stores/{part.store}/webhooks", limit="200")
    announced = (await part.seller.get("/integrations/flipkart/announcements"))["items"]
    traffic = (await part.desk.flipkart.stats()).traffic[part.id]
    failed = await part.seller.get("/system/jobs/failed")
    by_flipkart = [parcel for name in BY_FLIPKART for parcel in parcels[name]]
    own = parcels["self-ship"]
    cod, cut = orders[COD], orders[CUT]
    rows = [
        ("Flipkart: shipments, read, notified", f"{len(orders)}, {len(SWEPT)}, {len(NOTIFIED)}"),
        ("  notifications taken", str(len(deliveries))),
        ("  packed there, labels of Flipkart's", f"{len(by_flipkart)}, {pages_with(part.labels, INVOICE)}"),
        ("  to collect on its COD shipment", str(Money(cod["to_collect_paise"]))),
        ("  self-ship by, as Flipkart has it", ", ".join(f"{each['carrier']} {each['awb']}" for each in own)),
        ("  most calls in a second, of 10", str(traffic.most_in_a_second)),
    ]
    checks = [
        Check("Flipkart: every shipment came in, once", set(orders) == set(part.named)),
        Check(
            "Flipkart: notifications were signed, taken, and came in by themselves",
            {each["outcome"] for each in deliveries} == {"handled"} and len(deliveries) >= len(NOTIFIED),
            ", ".join(f"{each['topic']} {each['outcome']}" for each in deliveries if each["outcome"] != "handled"),
        ),
        Check(
            "Flipkart: the COD shipment collects what Flipkart says",
            cod["payment"] == "cod" and Money(cod["to_collect_paise"]) == Money.rupees(there[COD].to_collect),
        ),
        Check(
            "Flipkart: its own courier carries the standard ones, uncharged, with its number and its label",
            all(
                [(one["courier"], one["charge_paise"], one["awb"]) for one in parcels[name]]
                == [("flipkart", 0, there[name].awb)]
                and pages_with(part.labels, str(there[name].awb)) == 1
                for name in BY_FLIPKART
            ),
        ),
        Check(
            "Flipkart: they were dispatched and tracked to the door",
            all(there[name].status == "DELIVERED" and orders[name]["state"] == "delivered" for name in BY_FLIPKART),
        ),
        Check(
            "Flipkart: self-ship was told step by step, with the courier's number",
            part.self_ship_heard == ["APPROVED", "SHIPPED", "DELIVERED"]
            and [one["awb"] for one in own] == [there["self-ship"].awb]
            and [each["last_error"] for each in announced if each["state"] != "sent" or each["last_error"]] == [],
        ),
        Check(
            "Flipkart: the held shipment waited until it was released",
            part.first_seen["on hold"]["state"] == "pending" and orders["on hold"]["state"] == "delivered",
        ),
        Check(
            "Flipkart: what the buyer cancelled is subtracted, and only that",
            (part.first_seen[CUT]["units"], cut["units"]) == (THREE.quantity, THREE.quantity - 1)
            and part.first_seen[CUT]["total_paise"] > cut["total_paise"]
            and Money(cut["total_paise"]) == live_price(there[CUT]),
        ),
        Check(
            "Flipkart: what its warehouse ships is shown, and cannot be booked",
            orders["shipped by Flipkart's warehouse"]["state"] == "ignored"
            and part.fbf_refused
            and parcels["shipped by Flipkart's warehouse"] == [],
        ),
        Check("Flipkart: no call was over a limit", not traffic.over_limit and traffic.refused == 0),
        Check("Flipkart: no job failed for good", not failed, ", ".join(failures(failed))),
    ]
    return rows, checks


def pages_with(pages: list[str], words: str) -> int:
    return sum(words in page for page in pages)


def live_price(shipment: ShipmentView) -> Money:
    return Money.total(Money.rupees(item.customer_price) for item in shipment.items if item.status != "CANCELLED")
