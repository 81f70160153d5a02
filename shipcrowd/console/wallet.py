"""The wallet: what can be spent, what is set aside, and every movement with its cause."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from shipcrowd.console import forms, queries, web
from shipcrowd.identity.guard import May
from shipcrowd.identity.member import Member
from shipcrowd.kernel.errors import Invalid
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.tenancy import acting_for
from shipcrowd.ledger.schemas import StatementLine
from shipcrowd.settings import settings
from shipcrowd.wallet import service
from shipcrowd.wallet.api import FundedByGateway
from shipcrowd.wallet.holds import words
from shipcrowd.wallet.schemas import FundWallet

router = APIRouter(route_class=web.PageRoute, include_in_schema=False)


def fundable() -> bool:
    """Money without a payment exists in the demo, in development and in the sandbox only."""
    return not settings().is_production or settings().sandbox


async def wallet_page(request: Request, who: Member) -> Response:
    after = request.query_params.get("after") or None
    async with acting_for(who.company_id) as session:
        shell = await queries.shell(session)
        balance = await service.balance(session)
        lines, following = await service.transactions(session, after=after)
        holds = await service.holds(session, lines)
        parcels = await queries.shipments_named(session, _shipment_ids(lines))
    return web.page(
        request,
        "wallet.html",
        title="Wallet",
        shell=shell,
        balance=balance,
        lines=[(line, holds.get(line.reference)) for line in lines],
        said=words,
        parcels=parcels,
        fundable=fundable() and who.may("wallet:write"),
        key=str(new_id()),
        after=after,
        following=following,
    )


def _shipment_ids(lines: list[StatementLine]) -> Mapping[str, UUID]:
    """Reference → the shipment it names. Pure."""
    found: dict[str, UUID] = {}
    for line in lines:
        kind, _, rest = line.reference.partition(":")
        if kind == "shipment":
            found[line.reference] = UUID(rest)
    return found


@router.get("/wallet")
async def show(request: Request, who: Annotated[Member, May("wallet:read")]) -> Response:
    return await wallet_page(request, who)


@router.post("/wallet/fund")
@web.shown_again_on(wallet_page)
async def fund(request: Request, who: Annotated[Member, May("wallet:write")]) -> Response:
    if not fundable():
        raise FundedByGateway("recharge it with a payment instead")
    form = await forms.form_of(request)
    amount = forms.rupees(form, "amount_paise")
    if not amount:
        raise forms.wrong({"amount_paise": "type an amount"})
    given = forms.read(FundWallet, {"amount_paise": amount.paise, "note": forms.text(form, "note")})
    key = forms.text(form, "key")[:100]
    if not key:
        raise Invalid("reload the page and try again", field="amount_paise")
    async with acting_for(who.company_id) as session:
        # The key came with the page, so a form sent twice pays once.
        await service.fund(
            session, amount=amount, reference=f"manual:{key}", key=f"manual:{key}", actor=who.actor, note=given.note
        )
    return web.after("/wallet", f"{amount} added.")
