"""Connecting, closing, whose account it is, health, key rotation."""

import asyncio
import traceback
from datetime import timedelta
from uuid import UUID

import pytest
import time_machine
from pydantic import SecretStr
from sqlalchemy import delete, func, select

from shipcrowd.connections import routes, service
from shipcrowd.connections.events import ConnectionLost, ConnectionPaused
from shipcrowd.connections.models import MOVES, Connection, Kind, Status
from shipcrowd.connections.sealing import CredentialsDoNotFit
from shipcrowd.kernel import clock, crypto, db, events, jobs, tenancy
from shipcrowd.kernel.ids import new_id
from tests.connections.make import Keys, again, keys
from tests.support import drain

heard: list[str] = []


@jobs.job(name="tests.connection_lost")
async def hear_lost(company_id: UUID, connection_id: UUID) -> None:
    heard.append(f"lost {connection_id}")


@jobs.job(name="tests.connection_paused")
async def hear_paused(company_id: UUID, connection_id: UUID) -> None:
    heard.append(f"paused {connection_id}")


@pytest.fixture(autouse=True)
async def _ears():
    heard.clear()
    async with tenancy.unowned() as session:
        await (await db.driver(session)).execute("DELETE FROM pgqueuer")
    before = events._Wired.listeners
    events.listen({ConnectionLost: [hear_lost], ConnectionPaused: [hear_paused]})
    yield
    events._Wired.listeners = before


async def test_credentials_are_sealed_and_come_back_whole(connect):
    given = keys("very-secret-token", minutes=60)
    connection = await connect(given)
    stored = await again(connection)
    assert stored.credentials is not None
    assert b"very-secret-token" not in stored.credentials
    assert service.credentials(stored, Keys) == given


async def test_sealed_credentials_do_not_open_in_another_row(connect):
    one, two = await connect(), await connect(external_id="narmada.bazaar.example")
    two.credentials = one.credentials  # never written: the row in hand is enough
    with pytest.raises(crypto.CannotDecrypt):
        service.credentials(two, Keys)


async def test_credentials_of_another_shape_are_named_without_their_values(connect):
    class Other(Keys):
        client_id: str

    connection = await connect()
    with pytest.raises(CredentialsDoNotFit, match="client_id") as failure:
        service.credentials(connection, Other)
    assert "tok-one" not in "".join(traceback.format_exception(failure.value))


async def test_connecting_again_revives_the_same_account_with_new_credentials(connect):
    first = await connect(keys("old"))
    async with tenancy.acting_for(first.company_id) as session:
        await service.disconnect(session, first.id)
    second = await connect(keys("new"))
    assert (second.id, second.status, second.closed_at) == (first.id, Status.connected, None)
    assert second.credentials_version == first.credentials_version + 1
    assert service.credentials(second, Keys) == keys("new")
    found = await routes.route("bazaar", second.external_id)
    assert found is not None
    assert not found.released


async def test_the_same_shop_connected_by_a_second_company_is_refused_by_name(connect, shop):
    mine = await connect()
    other = new_id()
    with pytest.raises(service.ConnectedElsewhere, match=shop):
        await connect(by=other)
    async with tenancy.acting_for(other) as session:
        assert await service.list_connections(session, closed=True) == []
    found = await service.route("bazaar", shop)
    assert found is not None
    assert (found.company_id, found.connection_id) == (mine.company_id, mine.id)


async def test_two_companies_racing_for_one_shop_leave_one_owner(connect, company, shop):
    other = new_id()
    outcomes = await asyncio.gather(connect(), connect(by=other), return_exceptions=True)
    owners = [one for one in outcomes if isinstance(one, Connection)]
    assert len(owners) == 1
    assert sum(isinstance(one, service.ConnectedElsewhere) for one in outcomes) == 1
    found = await service.route("bazaar", shop)
    assert found is not None
    assert found.company_id == owners[0].company_id


async def test_one_company_connecting_twice_at_once_has_one_account(connect, company):
    one, two = await asyncio.gather(connect(keys("a")), connect(keys("b")))
    assert one.id == two.id
    async with tenancy.acting_for(company) as session:
        assert len(await service.list_connections(session)) == 1


async def test_a_closed_shop_can_be_taken_over_once_no_process_remembers_its_old_owner(connect, shop):
    mine = await connect()
    async with tenancy.acting_for(mine.company_id) as session:
        await service.disconnect(session, mine.id)
    other = new_id()
    with pytest.raises(service.ConnectedElsewhere, match="wait a minute"):
        await connect(by=other)
    assert routes.HANDOVER > 2 * routes.REMEMBERED
    with time_machine.travel(clock.now() + routes.HANDOVER + timedelta(seconds=1)):
        theirs = await connect(by=other)
        found = await service.route("bazaar", shop)
    assert found is not None
    assert (found.company_id, found.connection_id, found.released) == (other, theirs.id, False)
    # The first owner's account stays its own, closed, and cannot be revived over the second's.
    assert (await again(mine)).status == Status.disconnected
    with pytest.raises(service.ConnectedElsewhere):
        await connect()


async def test_a_courier_account_may_be_used_by_many_companies(connect):
    await connect(kind=Kind.courier, external_id="manual")
    theirs = await connect(kind=Kind.courier, external_id="manual", by=new_id())
    assert theirs.status == Status.connected
    assert await service.route("bazaar", "manual") is None


async def test_another_companys_account_is_not_found(connect):
    mine = await connect()
    async with tenancy.acting_for(new_id()) as session:
        with pytest.raises(service.UnknownConnection):
            await service.get(session, mine.id)
        with pytest.raises(service.UnknownConnection):
            await service.disconnect(session, mine.id)
    assert (await again(mine)).status == Status.connected


async def test_an_account_of_another_vendor_is_not_found_under_this_one(connect):
    mine = await connect()
    async with tenancy.acting_for(mine.company_id) as session:
        with pytest.raises(service.UnknownConnection):
            await service.get(session, mine.id, vendor="another")


async def test_a_route_is_remembered_and_dropped_when_the_account_closes(connect, shop):
    mine = await connect()
    assert await service.route("bazaar", shop) is not None
    async with tenancy.unowned() as session:  # behind the cache's back
        await session.execute(delete(routes.ConnectionRoute).where(routes.ConnectionRoute.external_id == shop))
    assert await service.route("bazaar", shop) is not None
    with time_machine.travel(clock.now() + routes.REMEMBERED + timedelta(seconds=1)):
        assert await service.route("bazaar", shop) is None
    revived = await connect()
    assert await service.route("bazaar", shop) is not None
    async with tenancy.acting_for(mine.company_id) as session:
        await service.disconnect(session, revived.id)
    closed = await service.route("bazaar", shop)
    assert closed is not None
    assert closed.released


async def test_an_unknown_shop_is_looked_up_every_time(connect, shop):
    assert await service.route("bazaar", shop) is None
    await connect()
    assert await service.route("bazaar", shop) is not None


@pytest.mark.parametrize(
    ("start", "verb", "end"),
    [
        (Status.connected, "pause", Status.paused),
        (Status.paused, "pause", Status.paused),
        (Status.paused, "resume", Status.connected),
        (Status.connected, "resume", Status.connected),
        (Status.connected, "disconnect", Status.disconnected),
        (Status.paused, "disconnect", Status.disconnected),
        (Status.left, "disconnect", Status.disconnected),
        (Status.connected, "left", Status.left),
        (Status.disconnected, "left", Status.left),
        (Status.disconnected, "pause", None),
        (Status.disconnected, "resume", None),
        (Status.left, "resume", None),
    ],
)
async def test_the_legal_moves(connect, start, verb, end):
    mine = await connect()
    async with tenancy.acting_for(mine.company_id) as session:
        (await service.get(session, mine.id)).status = start.value
    if end is None:
        with pytest.raises(service.WrongConnectionState):
            async with tenancy.acting_for(mine.company_id) as session:
                await getattr(service, verb)(session, mine.id)
        assert (await again(mine)).status == start
        return
    async with tenancy.acting_for(mine.company_id) as session:
        await getattr(service, verb)(session, mine.id)
    assert (await again(mine)).status == end
    assert start is end or end in MOVES[start]


async def test_ten_errors_in_a_row_pause_an_account_and_a_success_starts_over(connect):
    mine = await connect()

    async def fail(times: int) -> list[bool]:
        paused: list[bool] = []
        for _ in range(times):
            async with tenancy.acting_for(mine.company_id) as session:
                paused.append(await service.failed(session, mine.id, "the shop answered 500"))
        return paused

    assert not any(await fail(9))
    async with tenancy.acting_for(mine.company_id) as session:
        await service.worked(session, mine.id)
    assert not any(await fail(9))
    assert (await fail(1)) == [True]
    now = await again(mine)
    assert (now.status, now.consecutive_errors) == (Status.paused, 10)
    assert "the shop answered 500" in now.reason
    await drain()
    assert heard == [f"paused {mine.id}"]
    async with tenancy.acting_for(mine.company_id) as session:
        await service.resume(session, mine.id)
    assert (await again(mine)).consecutive_errors == 0


async def test_a_lost_account_is_announced_once(connect):
    mine = await connect()
    for _ in range(2):
        async with tenancy.acting_for(mine.company_id) as session:
            await service.lost(session, mine.id, "token revoked")
    await drain()
    now = await again(mine)
    assert (now.status, now.reason, now.closed_at) == (Status.disconnected, "token revoked", None)
    assert heard == [f"lost {mine.id}"]
    found = await service.route("bazaar", mine.external_id)
    assert found is not None
    assert not found.released  # nobody may take over a shop whose token merely died


async def test_a_failure_seen_before_a_reconnect_does_not_close_the_new_connection(connect):
    before = await connect()
    after = await connect(keys("new"))
    async with tenancy.acting_for(after.company_id) as session:
        assert not await service.lost(session, after.id, "old token", connected_at=before.connected_at)
    assert (await again(after)).status == Status.connected


async def test_what_closed_accounts_left_behind_is_forgotten_after_a_week(connect, shop):
    mine = await connect()
    stays = await connect(external_id="narmada-" + shop)
    async with tenancy.acting_for(mine.company_id) as session:
        await service.disconnect(session, mine.id)
    async with tenancy.acting_for_platform(why="test") as session:
        await service.forget_closed(session)
    assert (await again(mine)).credentials is not None
    with time_machine.travel(clock.now() + service.KEPT_AFTER_CLOSING + timedelta(minutes=1)):
        async with tenancy.acting_for_platform(why="test") as session:
            await service.forget_closed(session)
        assert await service.route("bazaar", shop) is None
    assert (await again(mine)).credentials is None
    assert (await again(stays)).credentials is not None


async def test_after_a_key_rotation_every_credential_is_sealed_anew(connect, monkeypatch):
    mine, theirs = await connect(keys("mine")), await connect(keys("theirs"), external_id="b", by=new_id())
    old = crypto.keyring()
    rotated = crypto.Keyring((("rotated", b"k" * 32), *old.keys))
    monkeypatch.setattr(crypto._Keys, "ring", rotated)
    rounds = 0
    while True:
        async with tenancy.acting_for_platform(why="test") as session:
            if not await service.reseal(session, 2):
                break
            rounds += 1
    assert rounds >= 1
    monkeypatch.setattr(crypto._Keys, "ring", crypto.Keyring((("rotated", b"k" * 32),)))
    assert service.credentials(await again(mine), Keys) == keys("mine")
    assert service.credentials(await again(theirs), Keys) == keys("theirs")
    # Other tests go on with the old key.
    monkeypatch.setattr(crypto._Keys, "ring", crypto.Keyring((*old.keys, ("rotated", b"k" * 32))))
    async with tenancy.acting_for_platform(why="test") as session:
        while await service.reseal(session, 100):
            pass


async def test_remembering_changed_credentials_leaves_a_closed_account_alone(connect):
    mine = await connect()
    await service.remember(mine.company_id, mine.id, Keys(token=SecretStr("tok-two")), version=mine.credentials_version)
    now = await again(mine)
    assert service.credentials(now, Keys) == Keys(token=SecretStr("tok-two"))
    assert now.credentials_version == mine.credentials_version + 1
    async with tenancy.acting_for(mine.company_id) as session:
        await service.disconnect(session, mine.id)
    await service.remember(mine.company_id, mine.id, keys("late"), version=now.credentials_version)
    assert service.credentials(await again(mine), Keys) == Keys(token=SecretStr("tok-two"))


async def test_a_token_got_with_an_old_password_does_not_bring_the_password_back(connect):
    mine = await connect()
    await service.remember(mine.company_id, mine.id, keys("changed"), version=mine.credentials_version)
    late = await service.remember(mine.company_id, mine.id, keys("old"), version=mine.credentials_version)
    assert late is None
    assert service.credentials(await again(mine), Keys) == keys("changed")


async def test_accounts_are_listed_without_the_closed_ones(connect, company):
    mine, closed = await connect(), await connect(external_id="closed.example")
    courier = await connect(kind=Kind.courier, external_id="acc-9")
    async with tenancy.acting_for(company) as session:
        await service.disconnect(session, closed.id)
        assert [c.id for c in await service.list_connections(session)] == [mine.id, courier.id]
        assert [c.id for c in await service.list_connections(session, kind=Kind.courier)] == [courier.id]
        assert len(await service.list_connections(session, vendor="bazaar", closed=True)) == 3
        assert (await session.execute(select(func.count()).select_from(Connection))).scalar_one() == 3


# --- sign-in --------------------------------------------------------------------------------------------------------


async def start(company, actor="user:asha"):
    async with tenancy.acting_for(company) as session:
        return await service.start_sign_in(session, vendor="bazaar", external_id="kaveri.example", actor=actor)


async def finish(company, state, *, vendor="bazaar", actor="user:asha"):
    async with tenancy.acting_for(company) as session:
        return await service.finish_sign_in(session, vendor=vendor, state=state, actor=actor)


async def test_a_sign_in_comes_back_once(company):
    state = await start(company)
    assert await finish(company, state) == "kaveri.example"
    with pytest.raises(service.SignInStale):
        await finish(company, state)


async def test_of_two_callbacks_at_once_one_counts(company):
    state = await start(company)
    outcomes = await asyncio.gather(finish(company, state), finish(company, state), return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["SignInStale", "str"]


async def test_a_state_of_someone_else_does_not_count_and_stays_good(company):
    state = await start(company)
    for attempt in (
        finish(new_id(), state),
        finish(company, state, actor="user:ravi"),
        finish(company, state, vendor="other"),
        finish(company, state + "x"),
    ):
        with pytest.raises(service.SignInStale):
            await attempt
    assert await finish(company, state) == "kaveri.example"


async def test_a_state_older_than_ten_minutes_is_stale(company):
    state = await start(company)
    with time_machine.travel(clock.now() + timedelta(minutes=10, seconds=1)):
        with pytest.raises(service.SignInStale):
            await finish(company, state)
        async with tenancy.acting_for(company) as session:
            await service.forget_stale_sign_ins(session)
    with pytest.raises(service.SignInStale):
        await finish(company, state)
