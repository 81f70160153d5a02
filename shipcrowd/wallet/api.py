"""The wallet over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Header

from shipcrowd.identity.api import May, Member
from shipcrowd.kernel import idempotency
from shipcrowd.kernel.errors import Forbidden
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.money import Money
from shipcrowd.kernel.pages import After, Limit, Page
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.settings import settings
from shipcrowd.wallet import service
from shipcrowd.wallet.schemas import BalanceOut, FundWallet, TransactionOut, WalletBalance

router = APIRouter(prefix="/wallet", tags=["wallet"])


class FundedByGateway(Forbidden):
    """A wallet is recharged by payment gateway; money from nowhere exists in the demo only."""


@router.get("")
async def balance(who: Annotated[Member, May("wallet:read")]) -> BalanceOut:
    """What can be spent now, and what is set aside for bookings under way."""
    async with acting_for(who.company_id) as session:
        return _out(await service.balance(session))


@router.get("/transactions")
async def transactions(
    who: Annotated[Member, May("wallet:read")], after: After = None, limit: Limit = 50
) -> Page[TransactionOut]:
    """The wallet's statement, newest first."""
    async with acting_for(who.company_id) as session:
        lines, following = await service.transactions(session, after=after, limit=limit)
        holds = await service.holds(session, lines)
    return Page(items=[TransactionOut.of(line, holds.get(line.reference)) for line in lines], next=following)


@router.post("/fund")
async def fund(
    body: FundWallet,
    who: Annotated[Member, May("wallet:write")],
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> BalanceOut:
    """Credit the wallet without a payment. Only in the demo, in development, and in the sandbox."""
    if settings().is_production and not settings().sandbox:
        raise FundedByGateway("recharge it with a payment instead")
    key = idempotency_key or str(new_id())

    async with acting_for(who.company_id) as session:

        async def work() -> dict[str, int]:
            after = await service.fund(
                session,
                amount=Money(body.amount_paise),
                reference=f"manual:{key}",
                key=f"manual:{key}",
                actor=who.actor,
                note=body.note,
            )
            return _out(after).model_dump()

        answer = await idempotency.once(
            session,
            route="POST /wallet/fund",
            key=idempotency_key,
            body=body.model_dump_json().encode(),
            work=work,
        )
    return BalanceOut.model_validate(answer)


def _out(now: WalletBalance) -> BalanceOut:
    return BalanceOut(available_paise=now.available.paise, held_paise=now.held.paise)
