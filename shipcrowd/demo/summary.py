"""What the day came to, and whether everything is accounted for."""

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shipcrowd.demo.story import Day
from shipcrowd.kernel import tenancy
from shipcrowd.kernel.money import Money
from shipcrowd.ledger import invariants
from shipcrowd.shipping import books


@dataclass(frozen=True)
class Check:
    name: str
    good: bool
    detail: str = ""


async def checked(day: Day) -> tuple[list[tuple[str, str]], list[Check]]:
    """The summary's rows, and the checks."""
    orders = await day.seller.everything("/orders")
    shipments = await day.seller.everything("/shipments")
    failed_jobs = await day.seller.get("/system/jobs/failed")
    me = await day.seller.get("/auth/me")
    company_id = UUID(me["company_id"])
    stats = await day.desk.stats()
    wallet = await day.seller.get("/wallet")
    states = Counter(shipment["state"] for shipment in shipments)
    by_number = {order["number"]: order for order in orders}
    refused = Counter(word for order in orders if order["state"] in ("ready", "pending") for word in why(order))
    async with tenancy.acting_for(company_id) as session:
        discrepancies = await invariants.verify(session)
        mismatch = await books.held_but_not_open(session)
    doubles = [f"{n} parcels of {reference}" for reference, n in stats.parcels_by_order.items() if n != 1]
    booked = [shipment for shipment in shipments if shipment["awb"]]
    theirs = sum("SANDBOX LABEL" in label for label in day.labels)
    unlabelled = [
        s["awb"] for s in booked if s["awb"] not in "".join(day.labels) and s["id"] not in day.unconfirmed_seen
    ]
    rows = [
        ("orders placed at the store", str(day.placed)),
        ("orders in", str(len(orders))),
        ("  cash on delivery / prepaid", f"{count(orders, 'cod')} / {count(orders, 'prepaid')}"),
        ("parcels booked", str(len(booked))),
        ("  carried by", ", ".join(f"{name} {n}" for name, n in carriers(booked))),
        ("  zones", ", ".join(f"{zone.upper()} {n}" for zone, n in zones(booked))),
        ("not booked, and why", ""),
        *((f"  {word}", str(n)) for word, n in refused.most_common()),
        ("unconfirmed → settled by tracking", f"{len(day.unconfirmed_seen)} → {len(day.unconfirmed_settled)}"),
        ("labels: the courier's, ours", f"{theirs}, {len(day.labels) - theirs}"),
        ("delivered", str(states["delivered"])),
        ("returned to origin", str(states["rto_delivered"])),
        ("still on the way", str(sum(n for state, n in states.items() if state in ON_THE_WAY))),
        ("charged to the wallet", str(Money(sum(s["charge_paise"] for s in booked)))),
        ("wallet now, of which held", f"{Money(wallet['available_paise'])}, {Money(wallet['held_paise'])}"),
    ]
    checks = [
        Check("every order came in, once", len(orders) == day.placed == len(by_number)),
        Check("no order was booked twice", not doubles and len(booked) == stats.parcels, ", ".join(doubles)),
        Check(
            "the unanswered booking was unconfirmed, then settled by its tracking",
            day.unconfirmed_seen == day.unconfirmed_settled != [],
        ),
        Check("cached balances equal recomputed ones", not discrepancies, f"{len(discrepancies)} of them do not"),
        Check("held money equals open bookings", not mismatch, f"{len(mismatch)} of them do not"),
        Check("no job failed for good", not failed_jobs, ", ".join(failures(failed_jobs))),
        Check("the store knows every parcel", {s["awb"] for s in booked} <= set(stats.fulfilments_by_awb)),
        Check("every parcel handed over has a label with its number", not unlabelled, ", ".join(unlabelled)),
        Check("the courier's labels were printed, and ours where it gave none", 0 < theirs < len(day.labels)),
        Check(
            "the Hindi address stands on its label in its own letters",
            any("302015" in label and in_devanagari(label) and "?" not in label for label in day.labels),
        ),
        *story_checks(day, by_number),
    ]
    return rows, checks


ON_THE_WAY = frozenset({"pickup_pending", "picked_up", "in_transit", "out_for_delivery", "delivery_failed"})


def story_checks(day: Day, by_number: dict[str, dict[str, Any]]) -> list[Check]:
    def order(part: str) -> dict[str, Any]:
        return by_number[day.named[part]]

    return [
        Check("no phone: refused for it", "phone" in order("no phone")["problems"]),
        Check("the blank shipping address fell back to billing", order("a blank shipping address")["pincode"] != ""),
        Check("the unserved pincode was not booked", order("an unserved pincode")["state"] == "ready"),
        Check(
            "the unpaid order waits",
            order("paid by bank transfer, not yet paid")["state"] == "pending",
        ),
        Check("the cancelled order was not shipped", order("cancelled by the buyer")["state"] == "cancelled"),
        Check(
            "the Hindi address was shipped",
            order("a Hindi address")["state"] in ("delivered", "shipped", "booked", "rto"),
        ),
    ]


SHIPPED = frozenset({"booked", "shipped", "delivered", "rto"})


def in_devanagari(label: str) -> bool:
    """Whether a good part of it is; which letters exactly, a PDF of joined ones does not give back."""
    return sum("\u0900" <= letter <= "\u097f" for letter in label) > 30


def failures(failed_jobs: list[dict[str, Any]]) -> list[str]:
    """Each job that failed and how often, in words."""
    return [f"{name} {n} times" for name, n in Counter(str(job["name"]) for job in failed_jobs).most_common()]


def why(order: dict[str, Any]) -> list[str]:
    return list(order["problems"].values()) or ["no courier delivers to its pincode"]


def count(orders: list[dict[str, Any]], payment: str) -> int:
    return sum(order["payment"] == payment for order in orders)


def carriers(shipments: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return Counter(str(shipment["carrier"]) for shipment in shipments).most_common()


def zones(shipments: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return sorted(Counter(str(shipment["zone"]) for shipment in shipments).items())
