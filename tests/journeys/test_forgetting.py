"""A buyer who is to be forgotten stands nowhere any more: no row, no sealed value, no document opens to them."""

from dataclasses import dataclass
from io import BytesIO
from itertools import count
from typing import Any
from uuid import UUID

from pypdf import PdfReader
from sqlalchemy import select, text

from shipcrowd import rotation
from shipcrowd.channels import privacy as channel_privacy
from shipcrowd.documents import keeping
from shipcrowd.kernel import crypto, db, inbox, tenancy
from shipcrowd.orders import privacy
from shipcrowd.sandbox.schemas import NewOrder, NewScan
from shipcrowd.shipping import forgetting, labels
from shipcrowd.shipping.models import Shipment
from tests.journeys.test_after_booking import moved
from tests.journeys.world import Seller, World, an_order, buyer, kinds

_people = count(1)


@dataclass(frozen=True)
class Person:
    """A buyer nobody else is: what is found of one is theirs."""

    first: str
    street: str
    phone: str
    email: str

    @property
    def words(self) -> tuple[str, ...]:
        return self.first, self.street, self.phone, self.email

    def orders(self) -> NewOrder:
        address = buyer(first_name=self.first, address1=self.street, address2="", phone=f"+91{self.phone}")
        return an_order(shipping_address=address, email=self.email)


def someone() -> Person:
    n = next(_people)
    name = f"Meena{'abcdefghijklmnopqrstuvwxyz'[n]}tchi"
    return Person(name, f"{n}7, {name[4:]}ry Road", f"98400{10_000 + n}", f"{name.lower()}@mail.example")


async def found(words: tuple[str, ...]) -> dict[str, list[str]]:
    """Where anything of it can be read: every column of every table, sealed ones opened, and every document."""
    places: dict[str, list[str]] = {}

    def look(where: str, what: object) -> None:
        said = what.decode("utf-8", "replace") if isinstance(what, bytes) else str(what)
        if hit := [word for word in words if word.casefold() in said.casefold()]:
            places.setdefault(where, []).extend(hit)

    async with tenancy.acting_for_platform(why="test") as session:
        for table in db.Base.metadata.sorted_tables:
            for row in (await session.execute(select(table))).mappings():
                for column, value in row.items():
                    look(f"{table.name}.{column}", value)
        for sealed in rotation.SEALED:
            for row in (await session.execute(select(sealed.model))).scalars():
                value = getattr(row, sealed.column)
                if value is not None:
                    look(
                        f"{sealed.model.__tablename__}.{sealed.column}", crypto.keyring().open(value, sealed.about(row))
                    )
        for row in await session.execute(text("SELECT payload, headers FROM pgqueuer")):
            look("pgqueuer", row)
    for path in sorted(keeping.store().folder.rglob("*.pdf")):  # type: ignore[attr-defined]
        look("documents", "\n".join(page.extract_text() for page in PdfReader(BytesIO(path.read_bytes())).pages))
    return places


def labels_of(seller: Seller) -> list[str]:
    folder = keeping.store().folder / str(seller.company_id)  # type: ignore[attr-defined]
    return sorted(path.stem for path in folder.rglob("*.pdf"))


async def written_of(world: World, seller: Seller, who: Person) -> dict[str, Any]:
    """A parcel of hers, and everything else in which she is written of."""
    shipment = await seller.ship(who.orders())
    await seller.post(f"/orders/{shipment['order_id']}/notes", {"words": f"{who.first} called from {who.phone}"})
    world.desk.scan(shipment["awb"], NewScan(status="IN TRANSIT", remark=f"Call {who.first} {who.phone}"))
    unreadable = {"id": 77, "email": who.email, "line_items": [{"id": 1, "quantity": "many"}], "name": who.first}
    await seller.webhook("orders/create", unreadable)
    garbled = moved(shipment, "IN TRANSIT", minutes=3)
    garbled["shipment_data"]["updated_at"] = {"said": f"left with {who.first}"}
    await world.courier_webhook(garbled)
    await seller.settle()
    return shipment


async def test_a_buyer_who_is_forgotten_stands_nowhere_and_others_stand_where_they_stood(world: World, seller: Seller):
    who, other = someone(), someone()
    neighbour = await world.seller("Neighbour Lamps")
    await neighbour.ship(other.orders())
    shipment = await written_of(world, seller, who)
    kept = await seller.ship(other.orders())
    world.desk.deliver(shipment["awb"])
    await seller.settle()
    before = await found(who.words)
    assert {
        "orders.pii", "shipments.pii", "shipments.pod", "inbox.body", "order_events.words", "scans.remark", "documents",
    } <= set(before)  # fmt: skip
    others = await found(other.words)

    for _ in range(2):  # twice is as once
        world.desk.privacy(seller.shop, "customers/redact", shipment["order_number"])
        await seller.settle()
        assert await found(who.words) == {}
        assert await found(other.words) == others
        after = await seller.shipment(shipment["id"])
        for fact in ("awb", "weight_grams", "charge_paise", "to_collect_paise"):
            assert after[fact] == shipment[fact], fact
        assert after["state"] == "delivered"
        assert labels_of(seller) == [kept["id"]]
        order = await seller.order(shipment["order_number"])
        assert kinds(order).count("redacted") == 1
    assert [d["note"] for d in await seller.deliveries() if d["topic"] == "customers/redact"] == [
        "the buyer's data was removed from 0 orders",
        "the buyer's data was removed from 1 orders",
    ]

    # Nothing of hers comes back: not with the store's news, the courier's, nor a label asked for again.
    world.desk.resend_webhook(seller.shop, shipment["order_number"])
    await world.courier_webhook(moved(shipment, "DELIVERED", minutes=9, pod_details={"receiver_name": who.first}))
    await seller.settle()
    assert await found(who.words) == {}
    refused = await seller.refused("GET", f"/shipments/{shipment['id']}/label.pdf", status=409)
    assert refused["code"] == "receiver_forgotten"


async def test_a_parcel_under_way_keeps_what_the_courier_needs_and_forgets_when_it_ended(world: World, seller: Seller):
    who = someone()
    shipment = await written_of(world, seller, who)
    world.desk.privacy(seller.shop, "customers/redact", shipment["order_number"])
    await seller.settle()
    assert set(await found(who.words)) == {"shipments.pii", "documents"}
    label = await seller.pdf("GET", f"/shipments/{shipment['id']}/label.pdf")
    assert who.first in PdfReader(BytesIO(label)).pages[0].extract_text()
    async with tenancy.unowned() as session:
        await forgetting.forget_ended.enqueue(session)
    await seller.settle()
    assert set(await found(who.words)) == {"shipments.pii", "documents"}  # not yet

    world.desk.fail_delivery(shipment["awb"], f"{who.first.upper()} NOT AVAILABLE")
    world.desk.deliver(shipment["awb"])
    await seller.settle()
    assert (await seller.shipment(shipment["id"]))["state"] == "delivered"
    assert set(await found(who.words)) == {"shipments.pii", "documents"}  # no remark and no proof of delivery
    async with tenancy.unowned() as session:
        await forgetting.forget_ended.enqueue(session)
    await seller.settle()
    assert await found(who.words) == {}
    assert labels_of(seller) == []


async def test_a_document_store_that_is_away_keeps_nothing_for_ever(world: World, seller: Seller, monkeypatch):
    who = someone()
    shipment = await written_of(world, seller, who)
    world.desk.deliver(shipment["awb"])
    await seller.settle()

    async def away(*_: object) -> None:
        raise OSError("the bucket is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(keeping.store()), "delete", away)
        world.desk.privacy(seller.shop, "customers/redact", shipment["order_number"])
        await seller.settle()
    assert set(await found(who.words)) == {"documents"}
    await seller.settle(impatient=True)
    assert await found(who.words) == {}


async def test_a_label_that_comes_while_its_receiver_is_forgotten_does_not_stay(
    world: World, seller: Seller, monkeypatch
):
    who = someone()
    shipment = await seller.ship(who.orders())
    world.desk.deliver(shipment["awb"])
    await seller.settle()
    async with tenancy.acting_for(seller.company_id) as session:
        row = await session.get(Shipment, (seller.company_id, UUID(shipment["id"])))
        row.label_key = None
    put = type(keeping.store()).put

    async def put_late(self: object, *given: object) -> None:
        world.desk.privacy(seller.shop, "customers/redact", shipment["order_number"])
        await seller.settle()
        await put(self, *given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(type(keeping.store()), "put", put_late)
        await labels.fetch(seller.company_id, UUID(shipment["id"]))
    assert labels_of(seller) == []
    assert await found(who.words) == {}


async def test_a_store_that_must_be_forgotten_goes_in_steps_and_one_that_stops_goes_on(
    world: World, seller: Seller, monkeypatch
):
    who, other = someone(), someone()
    neighbour = await world.seller("Neighbour Lamps")
    await neighbour.place(other.orders())
    others = await found(other.words)
    for _ in range(5):
        await seller.place(who.orders())
    redact, calls = privacy.redact, []

    async def two_at_a_time(session, whose, *, after=""):
        calls.append(after)
        if len(calls) == 2:
            raise RuntimeError("the worker is stopped in the middle")
        return await redact(session, whose, after=after, limit=2)

    monkeypatch.setattr(channel_privacy.orders, "redact", two_at_a_time)
    world.desk.uninstall(seller.shop)
    world.desk.privacy(seller.shop, "shop/redact")
    await seller.settle()
    left = [order for order in await seller.orders() if (await seller.order(order["number"]))["ship_to"]]
    assert len(left) == 3  # the first two are done for good
    await seller.settle(impatient=True)
    assert await found(who.words) == {}
    assert await found(other.words) == others
    assert len(calls) == 4
    assert calls[1] == calls[2] != ""  # it went on where it was
    (asked,) = [d for d in await seller.deliveries() if d["topic"] == "shop/redact"]
    assert asked["note"] == "the buyer's data was removed from 5 orders"


async def test_a_buyer_who_asks_for_their_data_is_put_before_the_seller(world: World, seller: Seller):
    who = someone()
    order = await seller.place(who.orders())
    second = await seller.place(who.orders())
    world.desk.privacy(seller.shop, "customers/data_request", order["number"])
    await seller.settle()
    for number in (order["number"], second["number"]):  # hers by name, and by e-mail address
        assert kinds(await seller.order(number)).count("data_requested") == 1
    log = (await seller.get(f"/integrations/shopify/stores/{seller.store_id}/sync/logs"))["items"]
    (entry,) = [entry for entry in log if entry["what"] == "data_request"]
    assert {order["number"], second["number"]} <= set(entry["error"].removesuffix(".").replace(",", "").split())
    async with tenancy.acting_for(seller.company_id) as session:
        asked = [d for d in await inbox.recent(session) if d.topic == "customers/data_request"]
    assert [d.body for d in asked] == [None]
