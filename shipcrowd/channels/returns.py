"""What comes back, as marketplaces tell it, and what the seller says to it. The calls themselves are in `returning`.

A return is told again and again, in any order: its newest form holds, how far it is never goes back, and a word we do
not know is kept and moves nothing. Money and stock are not moved here.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.channels import failures
from shipcrowd.channels.importing import Taken
from shipcrowd.channels.listings import clean
from shipcrowd.channels.models import RETURN_STEPS, DecisionState, MarketplaceReturn
from shipcrowd.channels.returns_contract import ChannelReturn, ReturnKind, ReturnState
from shipcrowd.connections.models import Connection
from shipcrowd.kernel import clock, pages
from shipcrowd.kernel.errors import Conflict, NotFound
from shipcrowd.kernel.ids import new_id
from shipcrowd.orders import service as orders
from shipcrowd.orders.models import Order
from shipcrowd.orders.schemas import Fulfilment
from shipcrowd.shipping import service as shipping
from shipcrowd.shipping.models import CAME_TO_NOTHING

KINDS: Mapping[ReturnKind, str] = {
    ReturnKind.customer: "the buyer sends back",
    ReturnKind.undelivered: "the courier brings back",
}

SAID: Mapping[ReturnState, str] = {
    ReturnState.open: "is open",
    ReturnState.approved: "was approved",
    ReturnState.rejected: "was rejected",
    ReturnState.picked_up: "was picked up",
    ReturnState.completed: "arrived",
    ReturnState.cancelled: "was cancelled",
}

MAY: Mapping[str, Mapping[ReturnKind, frozenset[ReturnState]]] = {
    "approve": {ReturnKind.customer: frozenset({ReturnState.open})},
    "reject": {ReturnKind.customer: frozenset({ReturnState.open})},
    "pickup": {ReturnKind.customer: frozenset({ReturnState.approved})},
    "attempt": {ReturnKind.customer: frozenset({ReturnState.approved})},
    "complete": {
        ReturnKind.customer: frozenset({ReturnState.picked_up}),
        ReturnKind.undelivered: frozenset({ReturnState.open, ReturnState.approved, ReturnState.picked_up}),
    },
    "cancel": {
        ReturnKind.customer: frozenset({ReturnState.open, ReturnState.approved}),
        ReturnKind.undelivered: frozenset({ReturnState.open, ReturnState.approved}),
    },
}
"""Action → kind of return → the states it may be said in."""

BRINGS: Mapping[str, ReturnState] = {
    "approve": ReturnState.approved,
    "reject": ReturnState.rejected,
    "pickup": ReturnState.picked_up,
    "complete": ReturnState.completed,
    "cancel": ReturnState.cancelled,
}
"""Action → the state a return is in when the store has heard of it; an attempt leaves it where it is."""


class NoSuchReturn(NotFound):
    """There is no such return."""


class NotForTheSeller(Conflict):
    """The marketplace sees to this return itself."""


class WrongReturnState(Conflict):
    """The return's present state does not allow this."""


class DecisionUnderWay(Conflict):
    """The store is being told of another decision about this return."""


def item_of(external_id: str) -> str:
    """The failed item of a return that could not be read."""
    return f"return:{external_id}"


# --- taking in ------------------------------------------------------------------------------------------------------


async def take(session: AsyncSession, connection: Connection, found: Sequence[ChannelReturn]) -> Taken:
    """Keep a page of returns, each once, in its newest form; what changed stands on the order's timeline."""
    unread = [each for each in found if each.problem is not None or not each.external_id]
    for each in unread:
        await failures.keep(
            session,
            connection_id=connection.id,
            vendor=connection.vendor,
            external_id=item_of(clean(each.external_id, 200) or "unknown"),
            reason=each.problem or "a return without its id",
        )
    told = {each.external_id: each for each in found if each.problem is None and each.external_id}
    fresh = await _insert(session, connection, told)
    rows = await _locked(session, connection.id, list(told))
    changed, news = 0, [row for row in rows if row.external_id in fresh]
    for row in rows:
        before = row.state, row.status
        if row.external_id not in fresh and merge(row, told[row.external_id]):
            changed += 1
            if (row.state, row.status) != before:
                news.append(row)
    await session.flush()
    linked = await _link(session, connection, rows)
    await _tell(session, connection, {row.id: row for row in (*news, *linked)})
    await failures.resolve(session, connection.id, [item_of(external_id) for external_id in told])
    return Taken(len(fresh), changed, len(rows) - len(fresh) - changed, len(unread))


async def _insert(session: AsyncSession, connection: Connection, told: Mapping[str, ChannelReturn]) -> set[str]:
    now = clock.now()
    values = [
        {
            "company_id": connection.company_id,
            "id": new_id(),
            "connection_id": connection.id,
            "external_id": each.external_id,
            "kind": each.kind.value,
            "state": each.state.value if each.state else None,
            "created_at": now,
            "updated_at": now,
            **_news(each),
        }
        for each in told.values()
        if each.kind is not None  # the search says what a new one is: it comes with that
    ]
    if not values:
        return set()
    key = [MarketplaceReturn.company_id, MarketplaceReturn.connection_id, MarketplaceReturn.external_id]
    made = insert(MarketplaceReturn).values(values).on_conflict_do_nothing(index_elements=key)
    return set((await session.execute(made.returning(MarketplaceReturn.external_id))).scalars())


def _news(told: ChannelReturn) -> dict[str, Any]:
    """What the store says of a return, but for how far it is."""
    return {
        "order_external_id": clean(told.order_external_id, 200),
        "line_external_id": clean(told.line_external_id, 200),
        "status": clean(told.status, 100),
        "units": told.units,
        "reason": clean(told.reason, 300),
        "comment": clean(told.comment, 1000),
        "awb": clean(told.awb, 60),
        "carrier": clean(told.carrier, 100),
        "location": clean(told.location, 200),
        "service_id": clean(told.service_id, 200),
        "asked_at": told.asked_at,
        "source_updated_at": told.updated_at,
        "expected_at": told.expected_at,
    }


def merge(row: MarketplaceReturn, told: ChannelReturn) -> bool:
    """Take over what is newer; whether anything changed. Older news changes nothing, and none takes a return back."""
    if row.source_updated_at is not None and told.updated_at is not None and told.updated_at < row.source_updated_at:
        return False
    changed = False
    for name, value in _news(told).items():
        # A blank is no news: channels leave out what they said before, and a forgotten buyer's words stay away.
        if value in (None, "") or getattr(row, name) == value or (name == "comment" and row.order_id is not None):
            continue
        setattr(row, name, value)
        changed = changed or name != "source_updated_at"
    if told.state is not None and told.state != row.state and not _goes_back(row.state, told.state):
        row.state, changed = told.state.value, True
    if changed:
        row.updated_at = clock.now()
    return changed


def _goes_back(present: str | None, to: ReturnState) -> bool:
    return present is not None and RETURN_STEPS[to] < RETURN_STEPS[ReturnState(present)]


async def _link(
    session: AsyncSession, connection: Connection, rows: Sequence[MarketplaceReturn]
) -> Sequence[MarketplaceReturn]:
    """Find order and parcel of these returns, and the order of older ones that it came after; those with a new one."""
    found = await session.execute(
        update(MarketplaceReturn)
        .where(
            MarketplaceReturn.connection_id == connection.id,
            MarketplaceReturn.order_id.is_(None),
            Order.company_id == MarketplaceReturn.company_id,
            Order.connection_id == MarketplaceReturn.connection_id,
            Order.external_id == MarketplaceReturn.order_external_id,
        )
        .values(order_id=Order.id)
        .returning(MarketplaceReturn.id)
        .execution_options(synchronize_session=False)
    )
    linked = set(found.scalars())
    wanted = linked | {row.id for row in rows if row.shipment_id is None}
    if not wanted:
        return ()
    query = select(MarketplaceReturn).where(MarketplaceReturn.id.in_(wanted), MarketplaceReturn.order_id.is_not(None))
    found_rows = (await session.execute(query.execution_options(populate_existing=True))).scalars().all()
    for row in found_rows:
        assert row.order_id is not None
        parcels = await shipping.of_order(session, row.order_id)
        went = [parcel for parcel in parcels if parcel.awb and parcel.state not in CAME_TO_NOTHING]
        named = [parcel for parcel in went if parcel.awb == row.awb]
        if named or len(went) == 1:
            row.shipment_id = (named or went)[0].id
    return [row for row in found_rows if row.id in linked]


async def _tell(session: AsyncSession, connection: Connection, news: Mapping[UUID, MarketplaceReturn]) -> None:
    """Put what is new on the orders' timelines. Takes no buyer's words where the buyer was forgotten."""
    ids = {row.order_id for row in news.values() if row.order_id is not None}
    if not ids:
        return
    # Shared locks: whoever forgets the buyer meanwhile was before this, or comes after it and finds the comment.
    query = select(Order).where(Order.id.in_(ids)).order_by(Order.id).with_for_update(read=True)
    whose = {order.id: order for order in (await session.execute(query)).scalars()}
    for row in news.values():
        order = whose.get(row.order_id) if row.order_id else None
        if order is not None:
            if order.redacted_at is not None:
                row.comment = ""
            _on_timeline(session, order, row, f"return_{row.state or 'unknown'}", _words(row), _actor(connection))


def _words(row: MarketplaceReturn) -> str:
    if row.state is None:
        return f"is {row.status or 'in a state nobody told'}"
    if row.state == ReturnState.open:
        return f"{KINDS[ReturnKind(row.kind)]} {row.units}: {row.reason or 'no reason told'}"
    return SAID[ReturnState(row.state)]


def _on_timeline(
    session: AsyncSession, order: Order, row: MarketplaceReturn, kind: str, words: str, actor: str
) -> None:
    said = f"Return {row.external_id}: {words}"
    orders.tell(session, order, kind, said, actor=actor, details={"return_id": str(row.id)})


def _actor(connection: Connection) -> str:
    return f"channel:{connection.vendor}"


# --- what the seller says -------------------------------------------------------------------------------------------


def may(row: MarketplaceReturn, order: Order | None) -> Sequence[str]:
    """What the seller may say to this return now: nothing, where the marketplace sees to it or a decision is under
    way. Pure."""
    theirs = order is None or order.fulfilment != Fulfilment.seller
    if theirs or row.state is None or row.decision_state == DecisionState.asked:
        return ()
    kind, state = ReturnKind(row.kind), ReturnState(row.state)
    return [action for action, states in MAY.items() if state in states.get(kind, ())]


async def ask(
    session: AsyncSession,
    connection: Connection,
    return_id: UUID,
    action: str,
    *,
    at: datetime | None = None,
    comment: str = "",
    actor: str,
) -> MarketplaceReturn:
    """Record what the seller says; the caller enqueues `returning.decide_return` in the same transaction. The same
    again while it is under way is once.

    Raises NoSuchReturn, NotForTheSeller, WrongReturnState, DecisionUnderWay.
    """
    row = await locked(session, return_id)
    if row is None or row.connection_id != connection.id:
        raise NoSuchReturn
    if row.decision_state == DecisionState.asked:
        if row.decision == action:
            return row
        raise DecisionUnderWay(f"the store is being told to {row.decision} it")
    order = await orders.got(session, row.order_id) if row.order_id else None
    if order is None:
        raise NotForTheSeller("its order is not here yet, so nobody can say who ships it")
    if order.fulfilment != Fulfilment.seller:
        raise NotForTheSeller("the marketplace carries this order, and what comes back of it")
    if action not in may(row, order):
        raise WrongReturnState(f"a return that is {row.state or row.status} cannot be told to {action}")
    row.decision, row.decision_state, row.decided_by = action, DecisionState.asked.value, actor
    row.decision_at, row.decision_comment, row.decision_because = at, clean(comment, 300) or "", ""
    row.decision_asked_at, row.decision_sent_at, row.decision_ended_at = clock.now(), None, None
    await session.flush()
    return row


def reached(state: str | None, action: str) -> bool:
    """Whether a return that is in `state` has heard of this decision. Pure."""
    to = BRINGS.get(action)
    if to is None or state is None:
        return False
    present = ReturnState(state)
    undone = present in (ReturnState.rejected, ReturnState.cancelled)
    return present is to or (RETURN_STEPS[present] > RETURN_STEPS[to] and not undone)


async def decided(session: AsyncSession, connection: Connection, return_id: UUID, refused: str | None = None) -> None:
    """The store took the decision, or refused it with these words; once, on the order's timeline too."""
    row = await locked(session, return_id)
    if row is None or row.decision_state != DecisionState.asked:
        return
    row.decision_state = (DecisionState.done if refused is None else DecisionState.refused).value
    row.decision_because, row.decision_ended_at = (refused or "")[:500], clock.now()
    order = await orders.got(session, row.order_id) if row.order_id else None
    if order is not None:
        words = f"the store was told to {row.decision} it"
        if refused is not None:
            words = f"the store did not {row.decision} it: {row.decision_because[:300]}"
        kind = f"return_decision_{row.decision_state}"
        _on_timeline(session, order, row, kind, words, _actor(connection))


def undecided(connection_id: UUID) -> Select[UUID]:
    """Returns whose decision the store has not answered."""
    return select(MarketplaceReturn.id).where(
        MarketplaceReturn.connection_id == connection_id,
        MarketplaceReturn.decision_state == DecisionState.asked.value,
    )


# --- reading, forgetting --------------------------------------------------------------------------------------------


async def got(session: AsyncSession, connection_id: UUID, return_id: UUID) -> tuple[MarketplaceReturn, Order | None]:
    """A return and its order, where it is here. Raises NoSuchReturn."""
    query = _with_orders().where(MarketplaceReturn.id == return_id, MarketplaceReturn.connection_id == connection_id)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise NoSuchReturn
    return found[0], found[1]


async def page(
    session: AsyncSession,
    connection_id: UUID,
    *,
    kind: ReturnKind | None = None,
    state: ReturnState | None = None,
    order_id: UUID | None = None,
    after: str | None = None,
    limit: int = 50,
) -> tuple[Sequence[tuple[MarketplaceReturn, Order | None]], str | None]:
    """Returns of a store and their orders, newest first."""
    query = (
        _with_orders()
        .where(MarketplaceReturn.connection_id == connection_id)
        .order_by(MarketplaceReturn.created_at.desc(), MarketplaceReturn.id.desc())
        .limit(limit + 1)
    )
    if kind is not None:
        query = query.where(MarketplaceReturn.kind == kind.value)
    if state is not None:
        query = query.where(MarketplaceReturn.state == state.value)
    if order_id is not None:
        query = query.where(MarketplaceReturn.order_id == order_id)
    if after:
        query = query.where(pages.older_than(MarketplaceReturn.created_at, MarketplaceReturn.id, after))
    rows: list[tuple[MarketplaceReturn, Order | None]] = [(row[0], row[1]) for row in await session.execute(query)]
    return pages.page(rows, limit, lambda row: (row[0].created_at, row[0].id))


def _with_orders() -> Select[MarketplaceReturn, Order]:
    return select(MarketplaceReturn, Order).outerjoin(
        Order, (Order.company_id == MarketplaceReturn.company_id) & (Order.id == MarketplaceReturn.order_id)
    )


async def locked(session: AsyncSession, return_id: UUID) -> MarketplaceReturn | None:
    query = select(MarketplaceReturn).where(MarketplaceReturn.id == return_id).with_for_update()
    return (await session.execute(query.execution_options(populate_existing=True))).scalar_one_or_none()


async def _locked(
    session: AsyncSession, connection_id: UUID, external_ids: Sequence[str]
) -> Sequence[MarketplaceReturn]:
    query = (
        select(MarketplaceReturn)
        .where(MarketplaceReturn.connection_id == connection_id, MarketplaceReturn.external_id.in_(external_ids))
        .order_by(MarketplaceReturn.id)
        .with_for_update()
    )
    return (await session.execute(query.execution_options(populate_existing=True))).scalars().all()


async def forget_comments(session: AsyncSession, order_ids: Sequence[UUID]) -> None:
    """The buyers of these orders are forgotten: so is what they wrote."""
    wrote = MarketplaceReturn.order_id.in_(list(order_ids)) & (MarketplaceReturn.comment != "")
    await session.execute(update(MarketplaceReturn).where(wrote).values(comment=""))


async def forget_orphans(session: AsyncSession, *, before: datetime) -> None:
    """What buyers wrote to returns whose order never came goes by age."""
    alone = MarketplaceReturn.order_id.is_(None) & (MarketplaceReturn.created_at < before)
    await session.execute(update(MarketplaceReturn).where(alone, MarketplaceReturn.comment != "").values(comment=""))
