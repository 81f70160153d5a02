"""A day of trade: buyers order at a Shopify store, the seller ships, parcels travel, a few things go wrong."""

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pypdf import PdfReader

from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Kind
from shipcrowd.demo.seller import NotAnswered, Seller, until
from shipcrowd.integrations.velocity import VelocityCredentials
from shipcrowd.kernel import tenancy
from shipcrowd.kernel.crypto import new_key
from shipcrowd.sandbox.client import DeskClient
from shipcrowd.sandbox.desk import Credentials
from shipcrowd.sandbox.faults import FaultKind
from shipcrowd.sandbox.schemas import Knobs, NewAddress, NewEdit, NewFault, NewOrder, NewScan, Payment, WebhookTarget

SHOP = "asha-steel.myshopify.com"
EMAIL, PASSWORD = "asha@demo.example", "steel-bottles-2026"
UNSERVED = "799001"

# Where buyers live, seen from Delhi: city, state, code, pincode. All zones, A to E.
PLACES = (
    ("New Delhi", "Delhi", "DL", "110024"), ("Gurugram", "Haryana", "HR", "122001"),
    ("Noida", "Uttar Pradesh", "UP", "201301"), ("Jaipur", "Rajasthan", "RJ", "302001"),
    ("Mumbai", "Maharashtra", "MH", "400050"), ("Bengaluru", "Karnataka", "KA", "560038"),
    ("Chennai", "Tamil Nadu", "TN", "600040"), ("Hyderabad", "Telangana", "TS", "500034"),
    ("Kolkata", "West Bengal", "WB", "700019"), ("Pune", "Maharashtra", "MH", "411004"),
    ("Ahmedabad", "Gujarat", "GJ", "380009"), ("Lucknow", "Uttar Pradesh", "UP", "226001"),
    ("Patna", "Bihar", "BR", "800001"), ("Kochi", "Kerala", "KL", "682016"),
    ("Guwahati", "Assam", "AS", "781005"), ("Srinagar", "Jammu and Kashmir", "JK", "190001"),
)  # fmt: skip

BUYERS = (
    ("Priya", "Sharma"), ("Imran", "Qureshi"), ("Lakshmi", "Iyer"), ("Arjun", "Reddy"), ("Meera", "Nair"),
    ("Gurpreet", "Singh"), ("Ananya", "Das"), ("Rohit", "Patil"), ("Fatima", "Khan"), ("Karthik", "Subramanian"),
    ("Neha", "Agarwal"),
)  # fmt: skip


@dataclass
class Day:
    """What the day left behind, for the summary."""

    seller: Seller
    desk: DeskClient
    out: Path
    placed: int = 0
    named: dict[str, str] = field(default_factory=dict[str, str])
    """A special order's part in the story → its number."""
    unconfirmed_seen: list[str] = field(default_factory=list[str])
    unconfirmed_settled: list[str] = field(default_factory=list[str])
    labels: list[str] = field(default_factory=list[str])
    """What each printed label says."""


def ordinal(n: int) -> str:
    """1st, 2nd, 3rd, 4th … 9th."""
    return str(n) + {1: "st", 2: "nd", 3: "rd"}.get(n, "th")


def address(n: int, **changes: Any) -> NewAddress:
    city, state, code, pincode = PLACES[n % len(PLACES)]
    first, last = BUYERS[n % len(BUYERS)]
    given: dict[str, Any] = {
        "first_name": first,
        "last_name": last,
        "address1": f"{n + 3}, {ordinal(n % 9 + 1)} Main Road",
        "address2": "Near the post office",
        "city": city,
        "province": state,
        "province_code": code,
        "zip": pincode,
        "phone": f"+9198{n:08d}",
    }
    return NewAddress(**(given | changes))


async def shared_courier(webhook_secret: str) -> None:
    """The operator connects the platform's own Velocity account, which every seller may use."""
    vendor = Credentials()
    credentials = VelocityCredentials(
        username=vendor.velocity_username,
        password=SecretStr(vendor.velocity_password),
        webhook_secret=SecretStr(webhook_secret),
    )
    async with tenancy.acting_for(tenancy.PLATFORM_COMPANY) as session:
        await connections.connect(
            session,
            vendor="velocity",
            external_id=vendor.velocity_username,
            name="Velocity (platform account)",
            kind=Kind.courier,
            credentials=credentials,
        )


async def open_shop(day: Day, url: str) -> None:
    """The seller signs up, says where parcels are picked up, adds money, and connects the store."""
    secret = new_key()
    await shared_courier(secret)
    await day.desk.velocity_webhook(WebhookTarget(url=f"{url}/api/v1/webhooks/velocity", secret=secret))
    # Now and then the courier prints no label, so that the day shows ShipCrowd's own as well.
    await day.desk.set_knobs(Knobs(unserviceable=(UNSERVED,), label_missing=0.3))
    seller = day.seller
    await seller.sign_up(company="Asha Steel", name="Asha Rao", email=EMAIL, password=PASSWORD)
    await seller.patch("/company", {"state": "Delhi"})
    place = {
        "name": "Okhla warehouse", "contact": "Ravi Kumar", "phone": "9811111111", "email": "okhla@asha-steel.example",
        "line1": "Plot 4, Okhla Phase 2",
        "city": "New Delhi", "state": "Delhi", "pincode": "110020",
    }  # fmt: skip
    await seller.post("/places", place)
    await seller.put("/shipping/preferences", {"box": {"length_mm": 280, "breadth_mm": 110, "height_mm": 110}})
    await seller.post("/wallet/fund", {"amount_paise": 25_000_00, "note": "demo-opening"})
    consent = await seller.redirected("/integrations/shopify/install", shop=SHOP)
    callback = await day.desk.approve(consent)
    if (status := await seller.open(callback)) >= 400:
        raise NotAnswered(f"Connecting the store ended with {status}.")
    await until(
        "subscribing to the store's webhooks",
        day.desk.shops,
        lambda shops: len(shops[0].subscriptions) >= 8,
    )


async def buyers_order(day: Day) -> None:
    """Forty-four orders, most of them plain, some of them the kind that breaks things."""
    desk = day.desk

    async def place(part: str | None, new: NewOrder) -> str:
        made = await desk.place_order(SHOP, new)
        day.placed += 1
        if part:
            day.named[part] = made.name
        return made.name

    for n in range(33):
        payment = Payment.cod if n % 5 else Payment.prepaid
        await place(None, NewOrder(payment=payment, shipping_address=address(n)))
    hindi = address(
        40, first_name="सुनीता", last_name="वर्मा", address1="मकान नं. 14, गांधी नगर", address2="रेलवे स्टेशन के पास",
        city="जयपुर", province="Rajasthan", province_code="RJ", zip="302015",
    )  # fmt: skip
    await place("a Hindi address", NewOrder(shipping_address=hindi))
    await place("a blank shipping address", NewOrder(no_shipping_address=True, billing_address=address(41)))
    await place("no phone", NewOrder(shipping_address=address(42, phone=None), no_phone=True))
    away = address(43, city="Agartala", province="Tripura", province_code="TR", zip=UNSERVED)
    await place("an unserved pincode", NewOrder(shipping_address=away))
    await place("paid by bank transfer, not yet paid", NewOrder(payment=Payment.bank, shipping_address=address(44)))
    await place("part paid online", NewOrder(payment=Payment.partial, shipping_address=address(45)))
    cancelled = await place("cancelled by the buyer", NewOrder(shipping_address=address(46)))
    await desk.cancel_order(SHOP, cancelled)
    held = await place("held at the store", NewOrder(shipping_address=address(47)))
    await desk.hold_order(SHOP, held)

    await desk.drain()
    await desk.set_knobs(Knobs(duplicate=1.0))
    await place("webhooks delivered twice", NewOrder(shipping_address=address(48)))
    await desk.drain()
    await desk.set_knobs(Knobs(duplicate=0.0, reorder=1.0))
    disordered = await place("webhooks out of order", NewOrder(shipping_address=address(49)))
    moved = address(49, address1="77, the new flat")
    await desk.edit_order(SHOP, disordered, NewEdit(shipping_address=moved))
    await desk.drain()
    await desk.set_knobs(Knobs(reorder=0.0))
    await place("booked, and the courier's answer lost", NewOrder(shipping_address=address(50)))
    await desk.drain()


async def orders_come_in(day: Day) -> list[dict[str, Any]]:
    """All of them, once each."""
    return await until(
        "taking in all orders",
        lambda: day.seller.everything("/orders"),
        lambda orders: len(orders) >= day.placed and all(settled(order, day) for order in orders),
        seconds=90,
    )


def settled(order: dict[str, Any], day: Day) -> bool:
    """The news that came after an order's own has arrived as well."""
    if order["number"] == day.named["cancelled by the buyer"]:
        return order["state"] == "cancelled"
    if order["number"] == day.named["held at the store"]:
        return order["state"] == "pending"
    return True


async def ship(day: Day, orders: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything is shipped with one click; the courier's answer to one booking never comes."""
    lost = day.named["booked, and the courier's answer lost"]
    by_number = {order["number"]: order["id"] for order in orders}
    ready = [order["id"] for order in orders if order["state"] == "ready" and order["number"] != lost]
    run = await day.seller.post("/shipments/bulk", {"order_ids": ready, "choose": "cheapest"})
    await until(
        "shipping in bulk",
        lambda: day.seller.get(f"/shipments/bulk/{run['id']}"),
        lambda seen: seen["finished"],
        seconds=120,
    )
    fault = NewFault(vendor="velocity", operation="forward-order-orchestration", kind=FaultKind.timeout_after)
    await day.desk.add_fault(fault)
    await day.seller.post("/shipments/bulk", {"order_ids": [by_number[lost]], "choose": "cheapest"})
    (shipment,) = await until(
        "the unanswered booking becoming unconfirmed",
        lambda: day.seller.everything("/shipments", order_id=by_number[lost]),
        lambda found: bool(found) and found[0]["state"] == "unconfirmed",
        seconds=60,
    )
    day.unconfirmed_seen.append(shipment["id"])
    result: dict[str, Any] = await day.seller.get(f"/shipments/bulk/{run['id']}")
    return result


async def paperwork(day: Day) -> None:
    """Labels in one PDF, a manifest, a pickup."""
    booked = await day.seller.everything("/shipments", state="pickup_pending")
    await until(
        "fetching the courier's labels",
        lambda: day.seller.get("/system/jobs/failed"),
        lambda failed: not [job for job in failed if job["name"] == "shipping.fetch_label"],
    )
    ids = [shipment["id"] for shipment in booked]
    labels = await day.seller.bytes_of("POST", "/shipments/labels", {"shipment_ids": ids})
    slips = await day.seller.bytes_of("POST", "/shipments/packing-slips", {"shipment_ids": ids})
    manifest = await day.seller.post("/manifests", {"shipment_ids": ids})
    await day.seller.post(f"/manifests/{manifest['id']}/close")
    await day.seller.post(f"/manifests/{manifest['id']}/handover", {"to": "Velocity's driver"})
    paper = await day.seller.bytes_of("GET", f"/manifests/{manifest['id']}/manifest.pdf")
    day.out.mkdir(parents=True, exist_ok=True)
    day.labels = [page.extract_text() for page in PdfReader(BytesIO(labels)).pages]
    (day.out / "labels.pdf").write_bytes(labels)
    (day.out / "packing-slips.pdf").write_bytes(slips)
    (day.out / "manifest.pdf").write_bytes(paper)


async def parcels_travel(day: Day) -> None:
    """To the door, most of them; one is refused twice and comes back, one is delivered at the second try."""
    parcels = [parcel for parcel in await day.desk.parcels() if parcel.awb]
    awbs = [parcel.awb for parcel in parcels if parcel.awb]
    lost = next(p.awb for p in parcels if p.order_id == day.unconfirmed_seen[0])
    assert lost is not None
    # The parcel we never got an answer for was picked up like the others: its first scan settles it.
    await day.desk.scan(lost, NewScan(status="PICKED UP", location="Okhla"))
    await until(
        "the lost booking settled by its tracking",
        lambda: day.seller.get(f"/shipments/{day.unconfirmed_seen[0]}"),
        lambda seen: seen["awb"] == lost and seen["state"] != "unconfirmed",
    )
    day.unconfirmed_settled.append(day.unconfirmed_seen[0])
    for awb in awbs[:-4]:
        await day.desk.deliver(awb)
    retried, returned, slow = awbs[-4], awbs[-3], awbs[-2]
    await day.desk.fail_delivery(retried)
    await day.desk.deliver(retried)
    await day.desk.fail_delivery(returned, "CUSTOMER REFUSED")
    await day.desk.rto(returned, all_the_way=True)
    await day.desk.advance(slow)
    await day.desk.drain()
    delivered = {*awbs[:-4], retried}
    await until(
        "parcels reaching their buyers",
        lambda: day.seller.everything("/shipments"),
        lambda seen: delivered <= {s["awb"] for s in seen if s["state"] == "delivered"},
        seconds=90,
    )
    await until(
        "the refused parcel coming back",
        lambda: day.seller.everything("/shipments", state="rto_delivered"),
        lambda seen: [s["awb"] for s in seen] == [returned],
    )


async def store_knows(day: Day) -> None:
    """The store was told of every parcel."""
    booked = [s for s in await day.seller.everything("/shipments") if s["awb"]]
    await until(
        "telling the store of every parcel",
        day.desk.stats,
        lambda stats: {s["awb"] for s in booked} <= set(stats.fulfilments_by_awb),
        seconds=90,
    )


async def tell(day: Day, url: str) -> dict[str, Any]:
    """The whole day; the bulk run's results."""
    await open_shop(day, url)
    await buyers_order(day)
    orders = await orders_come_in(day)
    run = await ship(day, orders)
    await paperwork(day)
    await parcels_travel(day)
    await store_knows(day)
    return run
