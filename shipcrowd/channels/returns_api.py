"""A store's returns over HTTP: parse, one call, answer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from shipcrowd.channels import queries, returning, returns, service
from shipcrowd.channels.api import Reads, Writes, store_path
from shipcrowd.channels.models import MarketplaceReturn
from shipcrowd.channels.open import require
from shipcrowd.channels.returns_contract import HandlesReturns, ReturnKind, ReturnState
from shipcrowd.channels.returns_schemas import Action, DecideReturn, ReturnDecided, ReturnOut
from shipcrowd.channels.schemas import Accepted
from shipcrowd.identity.api import May, Member
from shipcrowd.kernel.pages import After, Limit, Page
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.orders.models import Order

router = APIRouter(prefix="/integrations", tags=["store returns"])

Decides = Annotated[Member, May("orders:write")]


@router.get("/{platform}/stores/{store_id}/returns")
async def list_returns(
    platform: str,
    store_id: UUID,
    who: Reads,
    kind: ReturnKind | None = None,
    state: ReturnState | None = None,
    order_id: Annotated[UUID | None, Query(description="Of this order only")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[ReturnOut]:
    """What comes back to this store, newest first: buyers' returns (`customer`) and parcels that never reached the
    buyer (`undelivered`)."""
    async with acting_for(who.company_id) as session:
        store = await queries.store(session, store_id, vendor=platform)
        require(store.connection, HandlesReturns, "see its returns")
        rows, following = await returns.page(
            session, store.connection.id, kind=kind, state=state, order_id=order_id, after=after, limit=limit
        )
    return Page(items=[shown(*row) for row in rows], next=following)


@router.get("/{platform}/stores/{store_id}/returns/{return_id}")
async def get_return(platform: str, store_id: UUID, return_id: UUID, who: Reads) -> ReturnOut:
    """One return."""
    async with acting_for(who.company_id) as session:
        store = await queries.store(session, store_id, vendor=platform)
        return shown(*await returns.got(session, store.connection.id, return_id))


@router.post("/{platform}/stores/{store_id}/returns/{return_id}/{action}", status_code=202)
async def decide_return(
    platform: str, store_id: UUID, return_id: UUID, action: Action, body: DecideReturn, who: Decides
) -> ReturnDecided:
    """Approve or reject a return of an order you ship yourself, or say how far it is. Returns of what the marketplace
    carries are its own to decide. Saying the same twice is saying it once."""
    async with acting_for(who.company_id) as session:
        connection = await service.usable(session, store_id, platform)
        require(connection, HandlesReturns, "decide returns")
        row = await returns.ask(
            session, connection, return_id, action, at=body.at, comment=body.comment, actor=who.actor
        )
        await returning.enqueue_decision(session, row)
        answer = shown(*await returns.got(session, connection.id, return_id))
    follow = store_path(platform, store_id, f"returns/{return_id}")
    return ReturnDecided(**answer.model_dump(), follow=follow)


@router.post("/{platform}/stores/{store_id}/sync-returns", status_code=202)
async def sync_returns(platform: str, store_id: UUID, who: Writes) -> Accepted:
    """Read the store's changed returns now."""
    async with acting_for(who.company_id) as session:
        connection = await service.usable(session, store_id, platform)
        require(connection, HandlesReturns, "see its returns")
        await returning.read_now(session, connection)
    return Accepted(follow=store_path(platform, store_id, "returns"))


def shown(row: MarketplaceReturn, order: Order | None) -> ReturnOut:
    """A return as it is shown."""
    same = ReturnOut.model_fields.keys() - {"order_number", "may"}
    number = order.number if order is not None else None
    given = {name: getattr(row, name) for name in same}
    return ReturnOut(**given, order_number=number, may=list(returns.may(row, order)))
