import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import select

from shipcrowd.identity import api_keys
from shipcrowd.identity.api_keys import NoSuchKey, ScopeNotYours, TooManyKeys, UnknownScope
from shipcrowd.identity.member import Member
from shipcrowd.identity.models import ApiKey
from shipcrowd.identity.permissions import Role
from shipcrowd.kernel import audit, clock
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.tenancy import acting_for, unowned


async def issue(seller, *scopes, by=None):
    async with acting_for(seller.company_id) as session:
        return await api_keys.issue_key(session, by=by or seller.owner, name="Nightly export", scopes=scopes)


async def find(token):
    async with unowned() as session:
        return await api_keys.find_key(session, token)


async def keys_of(company_id):
    async with unowned() as session:
        return (await session.scalars(select(ApiKey).where(ApiKey.company_id == company_id))).all()


async def test_a_key_leads_to_its_company_and_its_scopes_and_to_no_person(seller):
    issued = await issue(seller, "orders:read", "shipments:read")
    assert issued.token.startswith(f"sck_live_{issued.key.prefix}_")
    assert await find(issued.token) == Member(
        seller.company_id, None, issued.key.id, None, frozenset({"orders:read", "shipments:read"})
    )


async def test_the_table_holds_the_hash_of_the_secret_and_never_the_secret(seller):
    issued = await issue(seller, "orders:read")
    secret = issued.token.split("_", 3)[3]
    (row,) = await keys_of(seller.company_id)
    assert row.secret_hash == hashlib.sha256(secret.encode()).digest()
    assert secret not in repr(vars(row))


async def test_a_key_that_was_altered_anywhere_is_unknown(seller):
    token = (await issue(seller, "orders:read")).token
    other = (await issue(seller, "orders:read")).token
    swapped = "_".join([*other.split("_", 3)[:3], token.split("_", 3)[3]])
    tail = "A" if token[-1] != "A" else "B"
    for forged in (token[:-1] + tail, token.lower() + "x", swapped, token.removeprefix("sck_live_"), "sck_live_", ""):
        assert await find(forged) is None


async def test_the_time_of_use_moves_at_most_once_a_minute(seller, monkeypatch):
    issued = await issue(seller, "orders:read")
    true, used = clock.now, []
    start = true()
    for seconds in (0, 30, 100):
        monkeypatch.setattr(clock, "now", lambda s=seconds: start + timedelta(seconds=s))
        assert await find(issued.token)
        (row,) = await keys_of(seller.company_id)
        used.append((row.last_used_at - start).total_seconds())
    assert used == [0, 0, 100]


async def test_a_revoked_key_opens_nothing_and_revoking_twice_is_noted_once(seller):
    issued = await issue(seller, "orders:read")
    for _ in range(2):
        async with acting_for(seller.company_id) as session:
            await api_keys.revoke_key(session, issued.key.id, by=seller.owner)
    assert await find(issued.token) is None
    async with acting_for(seller.company_id) as session:
        entries = await audit.of(session, f"api_key:{issued.key.id}")
    assert [(entry.action, entry.actor) for entry in entries] == [
        ("api_key.revoked", seller.owner.actor),
        ("api_key.issued", seller.owner.actor),
    ]
    assert issued.token.split("_", 3)[3] not in repr([entry.details for entry in entries])


async def test_another_company_neither_sees_nor_revokes_a_key(seller, new_seller):
    stranger = await new_seller()
    issued = await issue(seller, "orders:read")
    async with acting_for(stranger.company_id) as session:
        assert await api_keys.list_keys(session) == ([], None)
    with pytest.raises(NoSuchKey):
        async with acting_for(stranger.company_id) as session:
            await api_keys.revoke_key(session, issued.key.id, by=stranger.owner)
    assert await find(issued.token)


@pytest.mark.parametrize(
    ("scopes", "refusal"),
    [
        ((), UnknownScope),
        (("orders:read", "faxes:write"), UnknownScope),
        (("team:write",), ScopeNotYours),
        (("orders:read", "wallet:read"), ScopeNotYours),
    ],
)
async def test_a_key_with_scopes_that_are_unknown_or_beyond_its_issuer_is_refused_and_not_made(seller, scopes, refusal):
    packer = Member.person(seller.company_id, seller.user_id, Role.packer)
    with pytest.raises(refusal):
        await issue(seller, *scopes, by=packer)
    assert await keys_of(seller.company_id) == []


async def test_a_key_cannot_make_a_key_that_may_do_more(seller):
    program = await find((await issue(seller, "api_keys:write", "orders:read")).token)
    with pytest.raises(ScopeNotYours):
        await issue(seller, "orders:read", "wallet:write", by=program)
    made = await issue(seller, "orders:read", by=program)
    assert made.key.created_by == program.actor


async def test_a_company_may_have_so_many_live_keys(seller, monkeypatch):
    monkeypatch.setattr(api_keys, "KEYS_A_COMPANY", 2)
    first = await issue(seller, "orders:read")
    await issue(seller, "orders:read")
    with pytest.raises(TooManyKeys):
        await issue(seller, "orders:read")
    async with acting_for(seller.company_id) as session:
        await api_keys.revoke_key(session, first.key.id, by=seller.owner)
    await issue(seller, "orders:read")


async def test_keys_are_listed_newest_first_page_by_page(seller):
    issued = [(await issue(seller, "orders:read")).key.id for _ in range(5)]
    seen, after = [], None
    while True:
        async with acting_for(seller.company_id) as session:
            page, after = await api_keys.list_keys(session, after=after, limit=2)
        seen.append([key.id for key in page])
        if after is None:
            break
    assert seen == [issued[:2:-1], issued[2:0:-1], issued[:1]]


async def test_revoking_what_never_was_is_refused(seller):
    with pytest.raises(NoSuchKey):
        async with acting_for(seller.company_id) as session:
            await api_keys.revoke_key(session, new_id(), by=seller.owner)
