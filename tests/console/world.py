"""A seller's working day, as the pages show it: stores, orders in every state, parcels on their way."""

import dataclasses
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from uuid import UUID

from sqlalchemy import select

from shipcrowd.channels import service as channels
from shipcrowd.channels import vendors as channel_vendors
from shipcrowd.connections import service as connections
from shipcrowd.couriers.contract import Booking, BookingRequest, Mode, Parcel, Pod, Progress, Scan, ServiceOffer
from shipcrowd.identity import passwords, service
from shipcrowd.identity.member import Member
from shipcrowd.identity.permissions import Role
from shipcrowd.integrations import manual
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.locations import service as locations
from shipcrowd.orders import service as orders
from shipcrowd.orders.models import Order
from shipcrowd.orders.schemas import IncomingOrder
from shipcrowd.shipping import booking, jobs, quoting, tracking
from shipcrowd.shipping.models import Shipment
from shipcrowd.wallet import service as wallet
from tests import make
from tests.channels import bazaar
from tests.make import courier
from tests.support import drain

PASSWORD = "blue-kettle-on-the-roof"
_awbs = count(1490812260351)


@dataclass
class Seller:
    """A company and its owner."""

    company_id: UUID
    user_id: UUID
    email: str

    @property
    def owner(self) -> Member:
        return Member.person(self.company_id, self.user_id, Role.owner)


@dataclass
class World:
    """What the seller has."""

    seller: Seller
    script: courier.Scripted
    far: bazaar.FarSide
    store_id: UUID
    orders: dict[str, UUID] = field(default_factory=dict)
    """Order number → id."""
    shipments: dict[str, UUID] = field(default_factory=dict)
    """Order number → the id of its newest parcel."""


class Carriers(courier.ScriptedCourier):
    """The scripted courier under names a seller knows."""

    async def offers(self, parcel: Parcel) -> Sequence[ServiceOffer]:
        if not self.script.serviceable(parcel):
            return []
        return [
            ServiceOffer("del-std", "Standard", "Delhivery", min_days=4, max_days=6),
            ServiceOffer("ekart-std", "Standard", "Ekart", min_days=3, max_days=5),
            ServiceOffer("bd-air", "Air", "Bluedart", mode=Mode.air, min_days=1, max_days=2),
        ]

    async def book(self, request: BookingRequest) -> Booking:
        given = await super().book(request)
        carrier = {"del-std": "Delhivery", "ekart-std": "Ekart", "bd-air": "Bluedart"}[request.service]
        return dataclasses.replace(given, awb=str(next(_awbs)), carrier=carrier)


async def new_seller(name: str = "Kaveri Handlooms", *, rupees: str = "12450", place: bool = True) -> Seller:
    email = f"asha.{secrets.token_hex(6)}@kaveri.example"
    password_hash = await passwords.hashed(PASSWORD, email=email)
    async with tenancy.acting_for(new_id()) as session:
        made = await service.register(
            session, company_name=name, name="Asha Iyer", email=email, password_hash=password_hash
        )
    async with tenancy.acting_for(made.company_id) as session:
        if place:
            await locations.create(
                session,
                place=make.place(
                    name="Jayanagar workshop",
                    contact="Ravi Menon",
                    line1="41, 9th Main, 4th Block",
                    city="Bengaluru",
                    state="Karnataka",
                    pincode="560011",
                ),
                actor="test",
            )
        if rupees != "0":
            await wallet.fund(session, amount=Money.rupees(rupees), reference="test:funding", key="f", actor="test")
    return Seller(made.company_id, made.user_id, email)


async def installed() -> courier.Scripted:
    """The vendors of this process: the scripted courier, the manual one, and Bazaar twice, once called Shopify."""
    channel_vendors.use([dataclasses.replace(bazaar.vendor, slug="shopify", name="Shopify"), bazaar.RUGGED])
    return await courier.installed(manual.vendor, name="Velocity", acting=Carriers)


BUYERS = (
    ("Meera Nair", "Kochi", "Kerala", "682016"),
    ("Arjun Deshpande", "Pune", "Maharashtra", "411004"),
    ("Fatima Sheikh", "Hyderabad", "Telangana", "500034"),
    ("Gurpreet Singh", "Ludhiana", "Punjab", "141001"),
    ("Ananya Chatterjee", "Kolkata", "West Bengal", "700029"),
    ("Lalrinpuia Ralte", "Aizawl", "Mizoram", "796001"),
    ("Priya Raghunathan", "Chennai", "Tamil Nadu", "600020"),
    ("Rohan Mehta", "Ahmedabad", "Gujarat", "380009"),
    ("Shreya Kulkarni", "Nagpur", "Maharashtra", "440010"),
    ("Vikram Rathore", "Jaipur", "Rajasthan", "302001"),
    ("Nisha Verma", "Lucknow", "Uttar Pradesh", "226001"),
    ("Karthik Subramanian", "Coimbatore", "Tamil Nadu", "641002"),
)
THINGS = (
    ("SAREE-ILK-RED", "Ilkal cotton saree, red", 1849, 620),
    ("DUP-KAL-BLU", "Kalamkari dupatta, indigo", 899, 240),
    ("CUSH-BLK-4", "Block-print cushion covers, set of 4", 1199, 540),
    ("SAREE-MYS-GRN", "Mysore silk saree, bottle green", 12499, 780),
    ("STOLE-PASH", "Wool stole", 2249, 310),
)


def incoming(i: int, **changes: object) -> IncomingOrder:
    """The i-th order of the day."""
    name, city, state, pincode = BUYERS[i % len(BUYERS)]
    sku, thing, rupees, grams = THINGS[i % len(THINGS)]
    units = 2 if i % 7 == 3 else 1
    total = Money.rupees(rupees * units)
    at = clock.now() - timedelta(minutes=23 + 97 * i)
    given: dict[str, object] = {
        "cod": i % 3 != 1,
        "number": f"#KH{2480 - i}",
        "placed_at": at,
        "source_updated_at": at,
        "total": total,
        "ship_to": make.address(
            name=name,
            phone=f"98450{i:05d}",
            email=f"buyer{i}@mail.example",
            line1=f"{12 + i}, Temple Street",
            line2="Near the post office",
            city=city,
            state=state,
            pincode=pincode,
        ),
        "lines": (
            make.line(
                external_id=f"{i}-1",
                sku=sku,
                name=thing,
                quantity=units,
                unit_price=Money.rupees(rupees),
                weight_grams=grams,
            ),
        ),
        "weight_grams": grams * units,
        "ship_by": at + timedelta(hours=30) if i % 2 == 0 else None,
    }
    return make.incoming(**(given | changes))


async def build(*, orders_wanted: int = 24) -> World:
    """The whole day. Every parcel was booked and moved by the product's own verbs."""
    seller = await new_seller()
    script = await installed()
    far = bazaar.FarSide(f"kaveri-{secrets.token_hex(4)}.example")
    bazaar.SHOPS[far.external_id] = far
    store_id = await channels.connect_pasted(
        seller.company_id,
        platform="shopify",
        store=far.external_id,
        given={"token": bazaar.GOOD_TOKEN},
        actor="user:asha",
    )
    await drain()
    async with tenancy.acting_for(seller.company_id) as session:
        (await connections.get(session, store_id)).name = "Kaveri Handlooms"
    day = [incoming(i) for i in range(orders_wanted)]
    day[2] = incoming(2, ship_to=make.address(name="Fatima Sheikh", phone="040 2345", line1="Road 12", city="Hyderabad",
                                              state="Telangana", pincode="500034"))  # fmt: skip
    day[5] = incoming(5, weight_grams=None, lines=(make.line(external_id="5-1", weight_grams=None),))
    day[9] = day[9].model_copy(update={"ship_by": clock.now() - timedelta(hours=5)})
    made = await make.orders(seller.company_id, *day, connection_id=store_id)
    world = World(seller, script, far, store_id, {order.number: id_ for order, id_ in zip(day, made, strict=True)})
    ids = list(world.orders.values())
    for i, rest in PARCELS.items():
        if i < orders_wanted:
            await ship(world, ids[i], *rest)
    async with tenancy.acting_for(seller.company_id) as session:
        if orders_wanted > 8:
            await orders.hold(session, ids[6], reason="confirm the colour with the buyer", actor="user:asha")
            (await session.get_one(Order, (seller.company_id, ids[7]))).duplicate_of = ids[8]
    return world


_WAY = (Progress.picked_up, Progress.in_transit, Progress.out_for_delivery)
PARCELS: dict[int, tuple[Progress, ...]] = {
    10: (),
    11: (),
    12: (Progress.picked_up,),
    13: _WAY[:2],
    14: _WAY,
    15: (*_WAY, Progress.delivery_failed),
    16: (*_WAY, Progress.delivered),
    17: (*_WAY, Progress.delivered),
    18: (*_WAY, Progress.delivery_failed, Progress.rto_initiated),
}
HUBS = ("Bengaluru Hub", "Bengaluru Airport Gateway", "Destination Hub", "Destination Branch", "Destination Branch")


async def ship(world: World, order_id: UUID, *progress: Progress, service: str = "del-std") -> UUID:
    """Book an order and let its parcel come so far."""
    company_id = world.seller.company_id
    box = quoting.Package(length_mm=300, breadth_mm=240, height_mm=60)
    quote = await quoting.quote(company_id, order_id, package=box)
    async with tenancy.acting_for(company_id) as session:
        shipment = await booking.book(session, quote.id, service=service, actor="user:asha")
        await jobs.request_label.enqueue(session, company_id=company_id, shipment_id=shipment.id)
        world.shipments[shipment.order_number] = shipment.id
    await drain()
    if progress:
        start = clock.now() - timedelta(hours=20)
        scans = [
            Scan(at=start + timedelta(hours=4 * n), status=step.replace("_", " ").upper(), progress=step, location=hub)
            for n, (step, hub) in enumerate(zip(progress, HUBS, strict=False))
        ]
        async with tenancy.acting_for(company_id) as session:
            pod = Pod(receiver="Self") if Progress.delivered in progress else None
            await tracking.take_scans(session, shipment.id, scans, via="poll", pod=pod)
            row = await session.get_one(Shipment, (company_id, shipment.id))
            row.last_checked_at = clock.now() - timedelta(minutes=12)
    return shipment.id


async def shipment(company_id: UUID, shipment_id: UUID) -> Shipment:
    async with tenancy.acting_for(company_id) as session:
        return (await session.execute(select(Shipment).where(Shipment.id == shipment_id))).scalar_one()
