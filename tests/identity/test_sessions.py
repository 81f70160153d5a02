import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import delete, event, select, update

from shipcrowd.identity import service, sessions
from shipcrowd.identity.models import Membership, Session, User
from shipcrowd.identity.permissions import Role
from shipcrowd.identity.sessions import NoCompany, NoSuchCompany
from shipcrowd.kernel import clock
from shipcrowd.kernel.tenancy import acting_for, unowned
from shipcrowd.settings import settings


async def open_for(seller, company_id=None, user_agent=""):
    async with unowned() as session:
        return await sessions.open_session(
            session, user_id=seller.user_id, company_id=company_id, user_agent=user_agent
        )


async def find(token):
    async with unowned() as session:
        return await sessions.find_session(session, token)


async def rows(user_id):
    async with unowned() as session:
        return (await session.scalars(select(Session).where(Session.user_id == user_id))).all()


async def test_a_session_leads_to_its_person_company_and_role(seller):
    opened = await open_for(seller)
    assert await find(opened.token) == sessions.FoundSession(seller.user_id, seller.company_id, Role.owner, opened.csrf)


async def test_the_table_holds_the_hash_of_the_token_and_never_the_token(seller):
    opened = await open_for(seller, user_agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0")
    (row,) = await rows(seller.user_id)
    assert row.id == hashlib.sha256(opened.token.encode()).digest()
    assert opened.token not in repr(vars(row))
    assert row.agent == "desktop"
    assert await find(row.id.hex()) is None


@pytest.mark.parametrize(
    ("user_agent", "kind"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0", "desktop"),
        ("Mozilla/5.0 (Linux; Android 16; Pixel 9) Mobile Safari/537.36", "mobile"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 20_0 like Mac OS X)", "mobile"),
        ("curl/8.9", "other"),
        ("", "other"),
    ],
)
def test_of_a_browser_only_its_class_is_kept(user_agent, kind):
    assert sessions.agent_class(user_agent) == kind


async def test_finding_a_session_is_one_statement(seller, database, monkeypatch):
    opened = await open_for(seller)
    sent = []
    async with unowned() as session:
        wire = await sessions.db.driver(session)

        class Noted:
            async def fetchrow(self, query, *args):
                sent.append(query)
                return await wire.fetchrow(query, *args)

        async def driver(_):
            return Noted()

        monkeypatch.setattr(sessions.db, "driver", driver)
        event.listen(database.sync_engine, "before_cursor_execute", lambda *args: sent.append(args[2]))
        assert await sessions.find_session(session, opened.token)
    assert len(sent) == 1


async def test_the_time_last_seen_moves_at_most_once_a_minute(seller, monkeypatch):
    opened = await open_for(seller)
    true, seen = clock.now, []
    for seconds in (0, 30, 59, 90, 120, 151):
        monkeypatch.setattr(clock, "now", lambda s=seconds: true() + timedelta(seconds=s))
        assert await find(opened.token)
        (row,) = await rows(seller.user_id)
        seen.append(round((row.last_seen_at - row.created_at).total_seconds()))
    assert seen == [0, 0, 0, 90, 90, 151]


async def test_a_session_is_over_at_its_time_however_often_it_was_used(seller, monkeypatch):
    opened = await open_for(seller)
    true = clock.now
    monkeypatch.setattr(clock, "now", lambda: true() + timedelta(days=settings().session_days, seconds=-5))
    assert await find(opened.token)
    monkeypatch.setattr(clock, "now", lambda: true() + timedelta(days=settings().session_days, seconds=5))
    assert await find(opened.token) is None


async def test_a_closed_session_is_over(seller):
    one, other = await open_for(seller), await open_for(seller)
    async with unowned() as session:
        await sessions.close_session(session, one.token)
    assert await find(one.token) is None
    assert await find(other.token)
    async with unowned() as session:
        await sessions.close_all(session, seller.user_id)
    assert await find(other.token) is None


async def test_the_eleventh_session_closes_the_oldest(seller, new_seller):
    neighbour = await new_seller()
    theirs = await open_for(neighbour)
    opened = [await open_for(seller) for _ in range(11)]
    assert await find(opened[0].token) is None
    assert all([await find(each.token) for each in opened[1:]])
    assert await find(theirs.token)


async def test_who_is_disabled_is_out_at_once(seller):
    opened = await open_for(seller)
    async with unowned() as session:
        await session.execute(update(User).where(User.id == seller.user_id).values(disabled_at=clock.now()))
    assert await find(opened.token) is None


async def test_a_new_role_counts_from_the_next_request_on(seller, new_colleague):
    user_id, _ = await new_colleague(seller, Role.manager)
    async with unowned() as session:
        opened = await sessions.open_session(session, user_id=user_id)
    async with acting_for(seller.company_id) as session:
        await service.change_role(session, by=seller.owner, user_id=user_id, role=Role.picker)
    assert (await find(opened.token)).role is Role.picker


async def test_who_leaves_a_company_is_signed_out_of_it_and_of_no_other(new_seller, new_colleague):
    one, other = await new_seller(), await new_seller("Nilgiri Teas")
    user_id, email = await new_colleague(one, Role.member)
    await new_colleague(other, Role.member, email=email)
    async with unowned() as session:
        here = await sessions.open_session(session, user_id=user_id, company_id=one.company_id)
        there = await sessions.open_session(session, user_id=user_id, company_id=other.company_id)
    async with acting_for(one.company_id) as session:
        await service.remove_member(session, by=one.owner, user_id=user_id)
    assert await find(here.token) is None
    assert len(await rows(user_id)) == 1
    assert (await find(there.token)).company_id == other.company_id


async def test_a_role_in_one_company_is_no_role_in_another(new_seller, new_colleague):
    one, other = await new_seller(), await new_seller("Nilgiri Teas")
    await new_colleague(other, Role.picker, email=one.email)
    here, there = await open_for(one), await open_for(one, company_id=other.company_id)
    for _ in range(2):
        assert (await find(here.token)).role is Role.owner
        assert (await find(there.token)).role is Role.picker
    async with unowned() as session:
        await session.execute(
            delete(Membership).where(Membership.user_id == one.user_id, Membership.company_id == other.company_id)
        )
    assert await find(there.token) is None, "an open session outlived the membership"
    assert await find(here.token)


async def test_switching_company_opens_a_new_session_and_closes_the_old(new_seller, new_colleague):
    one, other = await new_seller(), await new_seller("Nilgiri Teas")
    await new_colleague(other, Role.viewer, email=one.email)
    before = await open_for(one)
    async with unowned() as session:
        after = await sessions.switch_company(session, token=before.token, company_id=other.company_id)
    assert (after.company_id, after.role) == (other.company_id, Role.viewer)
    assert after.token != before.token
    assert after.csrf != before.csrf
    assert await find(before.token) is None


async def test_nobody_switches_to_a_company_they_do_not_work_for(seller, new_seller):
    stranger = await new_seller()
    before = await open_for(seller)
    with pytest.raises(NoSuchCompany):
        async with unowned() as session:
            await sessions.switch_company(session, token=before.token, company_id=stranger.company_id)
    assert (await find(before.token)).company_id == seller.company_id
    assert len(await rows(seller.user_id)) == 1


async def test_a_person_without_a_company_has_no_session(seller):
    async with unowned() as session:
        await session.execute(delete(Membership).where(Membership.user_id == seller.user_id))
    with pytest.raises(NoCompany):
        await open_for(seller)
    assert await rows(seller.user_id) == []
