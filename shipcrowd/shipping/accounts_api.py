"""Couriers, and the accounts a company has there, over HTTP: parse, one call, answer."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from shipcrowd.connections import forms
from shipcrowd.couriers import vendors
from shipcrowd.couriers.contract import CourierVendor
from shipcrowd.identity.api import May, Member
from shipcrowd.kernel import tenancy
from shipcrowd.kernel.outbound import OutsideFailure, Refused
from shipcrowd.orders.schemas import Input
from shipcrowd.shipping import connecting
from shipcrowd.shipping.accounts import Account, BilledBy, NoCourierAccount, accounts
from shipcrowd.shipping.connecting import Standing

router = APIRouter(prefix="/couriers", tags=["couriers"])

Reads = Annotated[Member, May("couriers:read")]
Writes = Annotated[Member, May("couriers:write")]


class ConnectCourier(Input):
    """The fields are those of the courier's form (`GET /couriers`)."""

    credentials: forms.Typed = Field(max_length=20)
    name: str = Field(default="", max_length=120, description="What to call the account; blank: the courier's name")


class AccountChange(Input):
    """Only what is given changes; of the credentials, too. null takes an optional field back."""

    name: str | None = Field(default=None, min_length=1, max_length=120)
    credentials: forms.Typed = Field(default_factory=forms.Typed, max_length=20)


class AccountOut(BaseModel):
    """A courier account of the company's own. No secret, and of the login its end alone.

    `level`: ok | attention | broken; `words` say why and what to do. Give `webhook_url` to the courier, with the
    secret that was shown when it was made.
    """

    id: UUID
    courier: str
    name: str
    login: str
    status: str
    level: Literal["ok", "attention", "broken"]
    words: str
    parcels_under_way: int
    connected_at: datetime
    last_ok_at: datetime | None
    last_error: str
    last_error_at: datetime | None
    webhook_url: str | None
    has_webhook_secret: bool


class ConnectedOut(BaseModel):
    """`webhook_secret`, where we made one, is shown this one time."""

    account: AccountOut
    webhook_secret: str | None


class WebhookSecretOut(BaseModel):
    """Shown this one time."""

    webhook_url: str
    webhook_secret: str


class CourierOut(BaseModel):
    """A courier parcels can be booked with. `books_with`: whose account new parcels are booked with, and `billed_by`
    whom their freight is paid to: the wallet here, or the courier itself. Both are null while there is none."""

    slug: str
    name: str
    abilities: list[str]
    tracked: bool
    fields: list[forms.Field]
    books_with: Literal["own", "platform", "none needed"] | None
    billed_by: BilledBy | None
    accounts: list[AccountOut]


class CourierTestOut(BaseModel):
    """What came of signing in. `ok` false: `problem` says what to do."""

    ok: bool
    problem: str | None = None


# --- couriers -------------------------------------------------------------------------------------------------------


@router.get("")
async def list_couriers(who: Reads) -> list[CourierOut]:
    """The couriers there are, what each can do, the fields of its connect form, and your accounts there. A
    marketplace's own courier is not among them: it comes with its store."""
    usable = [account for account in await accounts(who.company_id) if account.usable]
    async with tenancy.acting_for(who.company_id) as session:
        own = await connecting.standings(session)
    return [
        _courier(
            vendor,
            next((account for account in usable if account.vendor.slug == vendor.slug), None),
            [_account(each) for each in own if each.connection.vendor == vendor.slug],
        )
        for vendor in vendors.vendors()
        if vendor.channel is None
    ]


@router.post("/{courier}/connect", status_code=201)
async def connect_courier(courier: str, body: ConnectCourier, who: Writes) -> ConnectedOut:
    """Connect an account of your own. The courier is asked first; when it does not take the credentials, 422 says
    what is wrong and nothing is saved. From then on it bills you for the parcels booked with the account."""
    made = await connecting.connect(
        who.company_id, courier=courier, given=forms.plain(body.credentials), name=body.name, actor=who.actor
    )
    return ConnectedOut(account=await _read(who, courier, made.id), webhook_secret=made.webhook_secret)


# --- an account -----------------------------------------------------------------------------------------------------


@router.get("/{courier}/accounts/{account_id}")
async def get_courier_account(courier: str, account_id: UUID, who: Reads) -> AccountOut:
    """One account, and how it fares."""
    return await _read(who, courier, account_id)


@router.patch("/{courier}/accounts/{account_id}")
async def change_courier_account(courier: str, account_id: UUID, body: AccountChange, who: Writes) -> AccountOut:
    """Change the name or the credentials. New credentials are tried first; 422 when the courier does not take them,
    and the old ones stay."""
    await connecting.change(
        who.company_id,
        account_id,
        courier=courier,
        given=forms.plain(body.credentials),
        name=body.name,
        actor=who.actor,
    )
    return await _read(who, courier, account_id)


@router.delete("/{courier}/accounts/{account_id}", status_code=204)
async def disconnect_courier_account(
    courier: str,
    account_id: UUID,
    who: Writes,
    anyway: Annotated[bool, Query(description="Although nobody will follow its parcels under way any more")] = False,
) -> None:
    """Cut the account. 409 while parcels booked with it are under way: pause it until they have arrived."""
    await connecting.disconnect(who.company_id, account_id, courier=courier, anyway=anyway, actor=who.actor)


@router.post("/{courier}/accounts/{account_id}/test")
async def test_courier_account(courier: str, account_id: UUID, who: Writes) -> CourierTestOut:
    """Sign in at the courier now. `ok` is false when that did not work; `problem` says why."""
    try:
        await connecting.test(who.company_id, account_id, courier=courier)
    except NoCourierAccount as error:
        return CourierTestOut(ok=False, problem=error.detail)
    except OutsideFailure as failure:
        return CourierTestOut(ok=False, problem=failure.message if isinstance(failure, Refused) else str(failure))
    return CourierTestOut(ok=True)


@router.post("/{courier}/accounts/{account_id}/pause")
async def pause_courier_account(courier: str, account_id: UUID, who: Writes) -> AccountOut:
    """Book no new parcel with it. Those under way are followed to their end."""
    async with tenancy.acting_for(who.company_id) as session:
        await connecting.pause(session, account_id, courier=courier, actor=who.actor)
    return await _read(who, courier, account_id)


@router.post("/{courier}/accounts/{account_id}/resume")
async def resume_courier_account(courier: str, account_id: UUID, who: Writes) -> AccountOut:
    """Use a paused account again."""
    async with tenancy.acting_for(who.company_id) as session:
        await connecting.resume(session, account_id, courier=courier, actor=who.actor)
    return await _read(who, courier, account_id)


@router.post("/{courier}/accounts/{account_id}/webhook-secret", status_code=201)
async def make_webhook_secret(courier: str, account_id: UUID, who: Writes) -> WebhookSecretOut:
    """Make a new secret for the courier's webhooks. The old one no longer counts; the new one is shown once."""
    async with tenancy.acting_for(who.company_id) as session:
        made = await connecting.new_webhook_secret(session, account_id, courier=courier, actor=who.actor)
        standing = await connecting.standing(session, account_id, courier=courier)
    return WebhookSecretOut(webhook_url=connecting.webhook_url(standing.connection) or "", webhook_secret=made)


# --- shapes ---------------------------------------------------------------------------------------------------------


async def _read(who: Member, courier: str, account_id: UUID) -> AccountOut:
    async with tenancy.acting_for(who.company_id) as session:
        return _account(await connecting.standing(session, account_id, courier=courier))


def _courier(vendor: CourierVendor, used: Account | None, own: list[AccountOut]) -> CourierOut:
    whose = None
    if used is not None:
        whose = "platform" if not used.own else "own" if vendor.credentials.model_fields else "none needed"
    return CourierOut(
        slug=vendor.slug,
        name=vendor.name,
        abilities=connecting.abilities(vendor),
        tracked=vendor.tracked,
        fields=list(forms.fields(vendor.credentials)),
        books_with=whose,
        billed_by=used.billed_by if used is not None else None,
        accounts=own,
    )


def _account(standing: Standing) -> AccountOut:
    row = standing.connection
    return AccountOut(
        id=row.id,
        courier=row.vendor,
        name=row.name,
        login=standing.masked_login,
        status=row.status,
        level=standing.level,
        words=standing.words,
        parcels_under_way=standing.under_way,
        connected_at=row.connected_at,
        last_ok_at=row.last_ok_at,
        last_error=row.last_error,
        last_error_at=row.last_error_at,
        webhook_url=connecting.webhook_url(row),
        has_webhook_secret=standing.has_webhook_secret,
    )
