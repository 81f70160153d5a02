"""What a store asks for a buyer, or for all of them, is carried out: told what is held of them, or forgotten.

One job is one bounded step, and enqueues the next in its own transaction: a big store takes as many as it needs, and
one that is stopped goes on where it was. The webhook that asks is read again by each step, because only its sealed
body knows the buyer's phone and e-mail; it is emptied by the last.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import failures, sweeps, vendors
from shipcrowd.channels.contract import PrivacyAsk
from shipcrowd.connections import service as connections
from shipcrowd.connections.models import Connection
from shipcrowd.kernel import audit, inbox
from shipcrowd.kernel.inbox import Delivery, Naming
from shipcrowd.kernel.jobs import job, on
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.orders import privacy as orders


@dataclass(frozen=True)
class Asked:
    """One request of a store."""

    connection: Connection
    delivery: Delivery
    ask: PrivacyAsk

    @property
    def naming(self) -> Naming | None:
        """Whom it names; None when the whole store is meant."""
        if self.ask.kind == "redact_store":
            return None
        words = (*self.ask.external_order_ids, *filter(None, [self.ask.email]))
        return Naming(words, tuple(filter(None, [self.ask.phone])))

    @property
    def whose(self) -> orders.Whose:
        store = self.connection.company_id, self.connection.id
        if self.ask.kind == "redact_store":
            return orders.of_store(*store)
        ask = self.ask
        return orders.of_buyer(*store, external_ids=ask.external_order_ids, email=ask.email, phone=ask.phone)


async def _orders(session: AsyncSession, asked: Asked, after: str | None) -> tuple[int, str | None]:
    return await orders.redact(session, asked.whose, after=after or "")


async def _failures(session: AsyncSession, asked: Asked, after: str | None) -> tuple[int, str | None]:
    ids = asked.ask.external_order_ids
    following = await failures.redact(session, asked.connection.id, external_ids=ids, naming=asked.naming, after=after)
    return 0, following


async def _deliveries(session: AsyncSession, asked: Asked, after: str | None) -> tuple[int, str | None]:
    delivery = asked.delivery
    following = await inbox.empty(
        session, vendor=delivery.vendor, store=delivery.store, naming=asked.naming, keep=delivery.id, after=after
    )
    return 0, following


async def _told(session: AsyncSession, asked: Asked, after: str | None) -> tuple[int, str | None]:
    actor = f"channel:{asked.connection.vendor}"
    found, following = await orders.asked_for(session, asked.whose, actor=actor, after=after or "")
    if found:
        numbers = ", ".join(order.number for order in found)
        await sweeps.note(session, asked.connection, "data_request", error=f"Answer within 30 days. Orders: {numbers}")
    return len(found), following


Step = Callable[[AsyncSession, Asked, str | None], Awaitable[tuple[int, str | None]]]

STEPS: Mapping[str, Sequence[Step]] = {
    "redact_buyer": (_orders, _failures, _deliveries),
    "redact_store": (_orders, _failures, _deliveries),
    "data_request": (_told,),
}
"""What is done for each kind of request, one after another."""


@job(retry=on(Exception, times=8, first=2.0))
async def carry_out(
    company_id: UUID, delivery_id: UUID, stage: int = 0, after: str | None = None, done: int = 0
) -> None:
    """One step of what a stored webhook asks; `done` orders were reached by those before."""
    async with acting_for(company_id) as session:
        asked = await _asked(session, company_id, delivery_id)
        if asked is None:
            return
        steps = STEPS[asked.ask.kind]
        count, following = await steps[stage](session, asked, after)
        if following is None:
            stage += 1
        if stage == len(steps):
            await _end(session, asked, done + count)
            return
        await carry_out.enqueue(
            session, company_id=company_id, delivery_id=delivery_id, stage=stage, after=following, done=done + count
        )


async def _asked(session: AsyncSession, company_id: UUID, delivery_id: UUID) -> Asked | None:
    delivery = await session.get(Delivery, (company_id, delivery_id), with_for_update=True)
    if delivery is None or delivery.body is None:
        return None  # carried out already
    connection = await connections.find(session, vendor=delivery.vendor, external_id=delivery.store)
    if connection is None:
        return None
    headers, body = inbox.opened(delivery)
    news = vendors.vendor(delivery.vendor).webhooks.read(delivery.topic, body, headers)
    ask = next((event for event in news if isinstance(event, PrivacyAsk)), None)
    return Asked(connection, delivery, ask) if ask else None


async def _end(session: AsyncSession, asked: Asked, count: int) -> None:
    kind, delivery = asked.ask.kind, asked.delivery
    if kind == "data_request":
        words = f"a buyer asks for the data you hold of them; {count} orders of theirs are here"
        if not count:
            await sweeps.note(session, asked.connection, "data_request", error="No order of theirs is here.")
    else:
        words = f"the buyer's data was removed from {count} orders"
    await audit.record(
        session,
        actor=f"channel:{asked.connection.vendor}",
        action=f"privacy.{kind}.done",
        subject=f"connection:{asked.connection.id}",
        details={"orders": count},
    )
    delivery.note, delivery.body = words, None
