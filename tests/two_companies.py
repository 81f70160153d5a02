"""A company that has one of everything, with its own mark in every word of it; made by the product's own verbs."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2
from fastapi import FastAPI
from pydantic import SecretStr

from shipcrowd import wiring
from shipcrowd.channels import cancelling, reading, returns, stock, stocking
from shipcrowd.channels import service as channels
from shipcrowd.channels import vendors as channel_vendors
from shipcrowd.channels import webhooks as channel_webhooks
from shipcrowd.channels.contract import Listing, MarketplaceLevel, StoreAccount
from shipcrowd.channels.returns_contract import ChannelReturn, ReturnKind, ReturnState
from shipcrowd.connections import routes
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Kind
from shipcrowd.couriers.contract import Pod, Progress, Scan
from shipcrowd.identity import api_keys, passwords, sessions
from shipcrowd.identity import service as identity
from shipcrowd.identity.guard import COOKIE
from shipcrowd.identity.member import Member
from shipcrowd.identity.permissions import PERMISSIONS, Role
from shipcrowd.integrations import manual
from shipcrowd.kernel import app_secrets, clock, db, events, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.outbound import Disconnected, Refused, Unavailable
from shipcrowd.locations import service as locations
from shipcrowd.orders import service as orders
from shipcrowd.ratecards import service as ratecards
from shipcrowd.shipping import bulk, jobs, manifests, pickups, tracking
from shipcrowd.shipping.models import Shipment
from shipcrowd.wallet import service as wallet
from tests import make
from tests.channels import bazaar
from tests.make import courier
from tests.ratecards.make import card
from tests.shipping.support import ship
from tests.support import drain

PLATFORM = "shopify"


@dataclass
class House:
    """A company and the way in. `ids` holds the ids of all its rows, by table."""

    mark: str
    company_id: UUID
    user_id: UUID
    key: str
    ids: dict[str, list[str]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    """What others might know of it: an AWB, an order number, a buyer's phone."""

    @property
    def owner(self) -> Member:
        return Member.person(self.company_id, self.user_id, Role.owner)

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    async def session(self) -> dict[str, str]:
        """The headers of a browser that has just signed in."""
        async with tenancy.unowned() as session:
            opened = await sessions.open_session(session, user_id=self.user_id, company_id=self.company_id)
        return {"cookie": f"{COOKIE}={opened.token}", "x-csrf-token": opened.csrf}


async def install() -> courier.Scripted:
    """The vendors of this process: the scripted courier, the manual one, and Bazaar under Shopify's name."""
    channel_vendors.use([dataclasses.replace(bazaar.vendor, slug=PLATFORM, name="Shopify", open=_opened)])
    events.listen(wiring.LISTENERS)
    routes._Known.by_account.clear()
    channel_webhooks.forget_doors()
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    return await courier.installed(manual.vendor)


class _NoShop(bazaar.BazaarChannel):
    async def _call(self, operation: str) -> bazaar.FarSide:
        raise Disconnected("there is no such shop")


def _opened(account: StoreAccount) -> bazaar.BazaarChannel:
    return (bazaar.BazaarChannel if account.external_id in bazaar.SHOPS else _NoShop)(account)


async def build(mark: str, app: FastAPI, script: courier.Scripted, owner_url: str) -> House:
    """One of everything: orders, parcels in every kind of trouble, a store, money, papers, keys, failures."""
    house = await _people(mark)
    company, by = house.company_id, house.owner.actor
    async with tenancy.acting_for(company) as session:
        place = make.place(
            name=f"{mark} godown", contact=f"{mark} Ravi", line1=f"{mark} lane", company=f"{mark} Traders"
        )
        place_id = (await locations.create(session, place=place, actor=by)).id
        await wallet.fund(
            session, amount=Money.rupees("90000"), reference="test:funding", key="f", actor=by, note=f"{mark} note"
        )
        await ratecards.create_card(session, company_id=company, card=card(name=f"{mark} card"))
        await connections.connect(
            session,
            vendor="velocity",
            external_id=f"own-{mark}",
            name=f"{mark} own courier",
            kind=Kind.courier,
            credentials=courier.NoCredentials(user=mark),
        )
    store_id, made = await _store(house, app)
    await _parcels(house, script, made, place_id)
    await _stock(house, store_id, made[5])
    async with tenancy.acting_for(company) as session:
        await orders.note(session, made[5], words=f"{mark} note", actor=by)
        await orders.hold(session, made[5], reason=f"{mark} hold", actor=by)
        await app_secrets.receive(  # the platform's own company alone has such; row security does not know that
            session,
            vendor="amazon",
            client_id=f"{mark}-client",
            secret=SecretStr(f"{mark}-secret"),
            expires_at=None,
            others_until=None,
        )
        run = await bulk.start(session, made[6:8], choose="cheapest", place_id=place_id, actor=by)
        await jobs.enqueue_run(session, run.id, made[6:8])
    await drain(skip_waits=True)
    await _held_job(house, store_id)
    house.ids = await ids_of(owner_url, house)
    return house


async def _people(mark: str) -> House:
    at = f"{mark.lower()}@{mark.lower()}.example"
    password_hash = await passwords.hashed("blue-kettle-on-the-roof", email=at)
    async with tenancy.acting_for(new_id()) as session:
        made = await identity.register(
            session,
            company_name=f"{mark} Traders",
            name=f"{mark} Owner",
            email=f"owner.{at}",
            password_hash=password_hash,
        )
    owner = Member.person(made.company_id, made.user_id, Role.owner)
    async with tenancy.acting_for(made.company_id) as session:
        await identity.change_company(
            session, by=owner, changes={"legal_name": f"{mark} Private Limited", "state": "Karnataka"}
        )
        await identity.add_member(
            session,
            by=owner,
            email=f"member.{at}",
            name=f"{mark} Member",
            role=Role.member,
            password_hash=password_hash,
        )
        issued = await api_keys.issue_key(session, by=owner, name=f"{mark} key", scopes=PERMISSIONS)
    return House(mark, made.company_id, made.user_id, issued.token)


def _order(mark: str, number: int, **changes: Any):
    buyer = make.address(
        name=f"{mark} Buyer{number}",
        phone=f"98{int(mark[-4:], 16) % 100000:05d}{number:03d}",
        email=f"buyer{number}@{mark.lower()}.example",
        line1=f"{mark} street {number}",
        city=f"{mark} town",
    )
    given = {
        "external_id": f"{mark}-{number}",
        "number": f"#{mark}-{number}",
        "ship_to": buyer,
        "bill_to": buyer,
        "note": f"{mark} please ring twice",
        "tags": (f"{mark}-tag",),
        "lines": (make.line(external_id=f"{mark}-{number}-1", sku=f"{mark}-SKU", name=f"{mark} bottle"),),
    }
    return make.incoming(cod=number % 2 == 0, **(given | changes))


async def _store(house: House, app: FastAPI) -> tuple[UUID, list[UUID]]:
    """A store with orders swept in and sent in, some of which could not be read, and a sign-in under way."""
    mark = house.mark
    far = bazaar.FarSide(f"{mark.lower()}.bazaar.example")
    bazaar.SHOPS[far.external_id] = far
    far.put(_order(mark, 1), _order(mark, 2))
    far.unreadable.add(f"{mark}-2")
    store_id = await channels.connect_pasted(
        house.company_id,
        platform=PLATFORM,
        store=far.external_id,
        given={"token": bazaar.GOOD_TOKEN, "note": mark},
        actor=house.owner.actor,
    )
    await drain()
    async with tenancy.acting_for(house.company_id) as session:
        (await connections.get(session, store_id)).name = f"{mark} shop"
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://shipcrowd.test") as http:
        for payload in (bazaar.created(_order(mark, 3)), {"mark": mark}):
            body, headers = bazaar.webhook("orders/create", far.external_id, payload)
            answer = await http.post(f"/api/v1/webhooks/{PLATFORM}", content=body, headers=headers)
            assert answer.status_code == 200
        answer = await http.post(
            "/api/v1/wallet/fund",
            json={"amount_paise": 100_00, "note": f"{mark} cash"},
            headers={**house.bearer, "idempotency-key": "the-same-key"},
        )
        assert answer.status_code == 200, answer.text
    await drain(skip_waits=True)
    url = await channels.start_sign_in(
        house.company_id, platform=PLATFORM, store=f"second-{far.external_id}", actor=house.owner.actor
    )
    house.facts |= {"shop": far.external_id, "state": url.split("state=")[1].split("&")[0], "number": f"#{mark}-10"}
    many = [_order(mark, n) for n in range(10, 18)]
    house.facts["phone"] = many[0].ship_to.phone
    return store_id, await make.orders(house.company_id, *many, connection_id=store_id)


async def _parcels(house: House, script: courier.Scripted, made: list[UUID], place_id: UUID) -> None:
    """A parcel on its way, one for the manifest, one unconfirmed, one whose store would not hear of it."""
    mark, company = house.mark, house.company_id
    far = bazaar.SHOPS[house.facts["shop"]]
    moving = await ship(company, made[0])
    waiting = await ship(company, made[1])
    await drain()
    far.fail("dispatched", Refused("closed", f"{mark} is closed"))
    await ship(company, made[2])
    await drain(skip_waits=True)

    def silence(request: Any) -> None:
        raise Unavailable("no answer", maybe_received=True)

    script.after_booking = silence
    await ship(company, made[3])
    await drain(skip_waits=True)
    script.after_booking = lambda request: None
    at = clock.now()
    scans = [
        Scan(at=at, status=f"{mark} {step}", progress=step, location=f"{mark} hub", remark=f"{mark} said so")
        for step in (Progress.picked_up, Progress.in_transit)
    ]
    async with tenancy.acting_for(company) as session:
        await tracking.take_scans(session, moving, scans, via="poll", pod=Pod(receiver=f"{mark} neighbour"))
        await manifests.create(session, [waiting])
        house.facts["awb"] = (await session.get_one(Shipment, (company, moving))).awb or ""
    await pickups.request(company, place_id=place_id, courier="velocity", on=clock.today())
    await drain(skip_waits=True)


async def _stock(house: House, store_id: UUID, order_id: UUID) -> None:
    """What the store sells and what lies at the marketplace; stock pushed, some of it in a file nobody reports on; an
    order to be cancelled there."""
    mark, company = house.mark, house.company_id
    far = bazaar.SHOPS[house.facts["shop"]]
    far.on_sale = [[Listing(f"{mark}-V1", f"{mark}-P1", f"{mark}-SKU", f"{mark} bottle")]]
    far.held = [[MarketplaceLevel(f"{mark}-FBA", 3, location=f"{mark} place", details={"mark": mark})]]
    await reading.read_listings.run(company, store_id)
    await reading.read_marketplace_stock.run(company, store_id)
    await _return(mark, company, store_id, order_id)
    far.by_file = True
    far.fail("cancel_order", Refused("late", f"{mark} is packed"))
    async with tenancy.acting_for(company) as session:
        connection = await connections.get(session, store_id)
        levels = [stock.Level(3, f"{mark} place", sku=f"{mark}-SKU"), stock.Level(1, sku=f"{mark}-NONE")]
        await stock.make(session, connection, levels, actor=house.owner.actor)
        await cancelling.ask(session, connection, order_id, reason=f"{mark} sold out", actor=house.owner.actor)
    await stocking.send_stock.run(company, store_id)
    far.report("FEED-1")
    await drain(skip_waits=True)


async def _return(mark: str, company: UUID, store_id: UUID, order_id: UUID) -> None:
    async with tenancy.acting_for(company) as session:
        order = await orders.got(session, order_id)
        told = ChannelReturn(
            f"{mark}-R1", ReturnKind.customer, order.external_id or "", None, ReturnState.open, "created", 1,
            reason=f"{mark} broke", comment=f"{mark} says so",
        )  # fmt: skip
        await returns.take(session, await connections.get(session, store_id), [told])


async def _held_job(house: House, store_id: UUID) -> None:
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute(
            "INSERT INTO pgqueuer (priority, entrypoint, payload, headers, status) VALUES (0, 'channels.sweep',"
            " $1, jsonb_build_object('company', $2::text, 'error', $3::text), 'failed')",
            f'{{"company_id": "{house.company_id}", "connection_id": "{store_id}"}}'.encode(),
            str(house.company_id),
            f"{house.mark} failed",
        )


# --- looking at it as the owner of the database ---------------------------------------------------------------------


async def rows_of(owner_url: str, house: House) -> dict[str, list[str]]:
    """Every row of the company in every table, as text; and of its people, and its jobs."""
    connection = await db.open_connection(owner_url)
    try:
        tables = await connection.fetch(
            "SELECT table_name AS name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'company_id' ORDER BY 1"
        )
        found: dict[str, list[str]] = {}
        for name in [str(row["name"]) for row in tables]:
            rows = await connection.fetch(
                f"SELECT row_to_json(t)::text AS row FROM {name} t WHERE company_id = $1 ORDER BY 1", house.company_id
            )
            found[name] = [str(row["row"]) for row in rows]
        people = await connection.fetch(
            "SELECT row_to_json(u)::text AS row FROM users u WHERE id IN"
            " (SELECT user_id FROM memberships WHERE company_id = $1) ORDER BY 1",
            house.company_id,
        )
        queue = await connection.fetch(
            "SELECT row_to_json(q)::text AS row FROM pgqueuer q WHERE headers ->> 'company' = $1::text"
            " OR convert_from(payload, 'UTF8')::jsonb ->> 'company_id' = $1::text ORDER BY 1",
            str(house.company_id),
        )
        return found | {
            "users": [str(row["row"]) for row in people],
            "pgqueuer": [str(row["row"]) for row in queue],
        }
    finally:
        await connection.close()


async def ids_of(owner_url: str, house: House) -> dict[str, list[str]]:
    """The ids of all rows of the company, by table."""
    connection = await db.open_connection(owner_url)
    try:
        tables = await connection.fetch(
            "SELECT table_name AS name FROM information_schema.columns WHERE table_schema = 'public' AND"
            " column_name = 'id' AND data_type = 'uuid' AND table_name IN (SELECT table_name FROM"
            " information_schema.columns WHERE table_schema = 'public' AND column_name = 'company_id')"
        )
        found: dict[str, list[str]] = {}
        for name in [str(row["name"]) for row in tables]:
            rows = await connection.fetch(
                f"SELECT id::text AS id FROM {name} WHERE company_id = $1 ORDER BY id", house.company_id
            )
            if rows:
                found[name] = [str(row["id"]) for row in rows]
        people = await connection.fetch(
            "SELECT user_id::text AS id FROM memberships WHERE company_id = $1 ORDER BY 1", house.company_id
        )
        jobs_held = await connection.fetch(
            "SELECT id::text AS id FROM pgqueuer WHERE headers ->> 'company' = $1 AND status = 'failed'",
            str(house.company_id),
        )
        return found | {
            "users": [str(row["id"]) for row in people],
            "jobs": [str(row["id"]) for row in jobs_held],
        }
    finally:
        await connection.close()
