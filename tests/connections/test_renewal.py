"""One renewal at a time, whoever asks, whatever dies."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from shipcrowd.connections import renewal, service
from shipcrowd.connections.models import Connection, Status
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.outbound import Disconnected, Refused, Unavailable
from tests.connections.make import Keys, again, keys


class Vendor:
    """Renews slowly and counts."""

    def __init__(self, *, seconds: float = 0.2, fails: Exception | None = None) -> None:
        self.seconds, self.fails, self.calls = seconds, fails, 0
        self.open_transactions = 0

    async def renew(self, held: Keys) -> Keys:
        self.calls += 1
        self.open_transactions = max(self.open_transactions, await transactions())
        await asyncio.sleep(self.seconds)
        if self.fails:
            raise self.fails
        return keys(f"renewed-{self.calls}", minutes=60)


async def transactions() -> int:
    """How many connections of ours sit in an open transaction, besides the one that asks."""
    async with tenancy.unowned() as session:
        return (
            await session.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
                    " AND datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        ).scalar_one()


def ask(connection: Connection, vendor: Vendor | None, stale: Keys | None = None):
    return renewal.fresh(
        connection.company_id,
        connection.id,
        model=Keys,
        expires_at=lambda held: held.expires_at,
        renew=None if vendor is None else vendor.renew,
        stale=stale,
    )


async def test_good_credentials_are_given_without_asking_the_vendor(connect):
    vendor = Vendor()
    given = keys(minutes=60)
    assert await ask(await connect(given), vendor) == given
    assert vendor.calls == 0


async def test_two_processes_renew_one_token_once(connect):
    connection, vendor = await connect(keys("old", minutes=-1)), Vendor()
    answers = await asyncio.gather(*(ask(connection, vendor) for _ in range(8)))
    assert vendor.calls == 1
    assert {one.token.get_secret_value() for one in answers} == {"renewed-1"}
    now = await again(connection)
    assert now.credentials_version == connection.credentials_version + 1
    assert now.renewing_until is None
    assert now.expires_at == answers[0].expires_at
    assert service.credentials(now, Keys) == answers[0]


async def test_no_transaction_is_open_while_the_vendor_is_asked(connect):
    connection, vendor = await connect(keys("old", minutes=-1)), Vendor(seconds=0)
    await ask(connection, vendor)
    assert (vendor.calls, vendor.open_transactions) == (1, 0)


async def test_while_one_renews_early_the_others_go_on_with_what_still_holds(connect):
    connection, vendor = await connect(keys("ending", minutes=3)), Vendor(seconds=0.3)
    answers = await asyncio.gather(*(ask(connection, vendor) for _ in range(4)))
    assert vendor.calls == 1
    assert sorted(one.token.get_secret_value() for one in answers) == ["ending"] * 3 + ["renewed-1"]


async def test_a_token_the_vendor_refused_is_renewed_once_for_all_who_held_it(connect):
    refused = keys("refused", minutes=60)
    connection, vendor = await connect(refused), Vendor()
    answers = await asyncio.gather(*(ask(connection, vendor, stale=refused) for _ in range(4)))
    assert vendor.calls == 1
    # One who comes late with the same complaint gets the new token, and nobody is asked again.
    late = await ask(connection, vendor, stale=refused)
    assert vendor.calls == 1
    assert {one.token.get_secret_value() for one in [*answers, late]} == {"renewed-1"}


async def test_the_lease_of_a_dead_winner_runs_out(connect):
    connection, vendor = await connect(keys("old", minutes=-1)), Vendor(seconds=0)
    async with tenancy.acting_for(connection.company_id) as session:  # someone claimed it, and died
        await session.execute(
            update(Connection)
            .where(Connection.id == connection.id)
            .values(renewing_until=clock.now() + timedelta(seconds=0.5))
        )
    started = clock.now()
    assert (await ask(connection, vendor)).token.get_secret_value() == "renewed-1"
    assert timedelta(seconds=0.4) < clock.now() - started < timedelta(seconds=5)
    assert vendor.calls == 1


async def test_a_lease_that_never_ends_is_not_waited_for_forever(connect, monkeypatch):
    connection, vendor = await connect(keys("old", minutes=-1)), Vendor()
    monkeypatch.setattr(renewal, "PATIENCE", timedelta(seconds=0.3))
    async with tenancy.acting_for(connection.company_id) as session:
        await session.execute(
            update(Connection)
            .where(Connection.id == connection.id)
            .values(renewing_until=clock.now() + timedelta(hours=1))
        )
    with pytest.raises(Unavailable):
        await ask(connection, vendor)
    assert vendor.calls == 0


async def test_a_slow_winner_is_stopped_before_its_lease_ends(connect, monkeypatch):
    connection, vendor = await connect(keys("old", minutes=-1)), Vendor(seconds=30)
    assert renewal.LEASE.total_seconds() > renewal.RENEWAL_SECONDS
    monkeypatch.setattr(renewal, "RENEWAL_SECONDS", 0.2)
    with pytest.raises(Unavailable) as failure:
        await ask(connection, vendor)
    assert failure.value.maybe_received
    now = await again(connection)
    assert (now.renewing_until, now.status) == (None, Status.connected)


async def test_a_vendor_that_does_not_answer_leaves_the_account_connected_and_free(connect):
    connection = await connect(keys("old", minutes=-1))
    with pytest.raises(Unavailable):
        await ask(connection, Vendor(seconds=0, fails=Unavailable("502")))
    with pytest.raises(Refused):
        await ask(connection, Vendor(seconds=0, fails=Refused("bad_app_secret", "our own key is wrong")))
    now = await again(connection)
    assert (now.status, now.renewing_until) == (Status.connected, None)
    assert (await ask(connection, Vendor(seconds=0))).token.get_secret_value() == "renewed-1"


async def test_a_vendor_that_wants_a_new_sign_in_disconnects_the_account(connect):
    connection, vendor = await connect(keys("old", minutes=-1)), Vendor(fails=Disconnected("invalid_grant"))
    outcomes = await asyncio.gather(*(ask(connection, vendor) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in outcomes] == [Disconnected] * 3
    assert vendor.calls == 1
    now = await again(connection)
    assert (now.status, now.reason, now.closed_at) == (Status.disconnected, "invalid_grant", None)
    with pytest.raises(Disconnected):
        await ask(connection, vendor)
    assert vendor.calls == 1


async def test_a_reconnect_during_a_renewal_wins(connect):
    connection, vendor = await connect(keys("old", minutes=-1)), Vendor(seconds=0.3)
    asked = asyncio.create_task(ask(connection, vendor))
    await asyncio.sleep(0.1)
    await connect(keys("signed-in-again", minutes=60))
    assert (await asked).token.get_secret_value() == "signed-in-again"
    assert (await again(connection)).status == Status.connected


async def test_a_reconnect_during_a_renewal_that_fails_is_not_undone(connect):
    connection, vendor = await connect(keys("old", minutes=-1)), Vendor(seconds=0.3, fails=Disconnected("revoked"))
    asked = asyncio.create_task(ask(connection, vendor))
    await asyncio.sleep(0.1)
    await connect(keys("signed-in-again", minutes=60))
    assert (await asked).token.get_secret_value() == "signed-in-again"
    assert (await again(connection)).status == Status.connected


async def test_permanent_credentials_the_vendor_refused_mean_connecting_again(connect):
    held = keys("permanent")
    connection = await connect(held)
    assert await ask(connection, None) == held
    with pytest.raises(Disconnected):
        await ask(connection, None, stale=held)
    assert (await again(connection)).status == Status.disconnected


async def test_a_cancelled_winner_gives_its_lease_back(connect):
    connection, vendor = await connect(keys("old", minutes=-1)), Vendor(seconds=30)
    asked = asyncio.create_task(ask(connection, vendor))
    async with asyncio.timeout(5):
        while vendor.calls == 0:
            await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert (await again(connection)).renewing_until is None


async def test_a_closed_account_has_no_credentials_to_give(connect):
    connection, vendor = await connect(keys(minutes=60)), Vendor()
    async with tenancy.acting_for(connection.company_id) as session:
        await service.disconnect(session, connection.id)
    with pytest.raises(Disconnected, match="Disconnected here"):
        await ask(connection, vendor)
    assert vendor.calls == 0


# --- renewing long before the end -----------------------------------------------------------------------------------


def ask_early(connection: Connection, vendor: Vendor, stale: Keys | None = None):
    """As `ask`, for a vendor whose tokens are to be renewed two hours before they end."""
    return renewal.fresh(
        connection.company_id,
        connection.id,
        model=Keys,
        expires_at=lambda held: held.expires_at,
        renew=vendor.renew,
        stale=stale,
        renew_at=lambda held: held.expires_at - timedelta(hours=2),
    )


async def test_credentials_are_renewed_from_the_moment_the_vendor_declares(connect):
    vendor, given = Vendor(seconds=0), keys(minutes=121)
    assert await ask_early(await connect(given), vendor) == given
    assert vendor.calls == 0


async def test_an_early_renewal_is_one_renewal(connect):
    connection, vendor = await connect(keys("old", minutes=119)), Vendor(seconds=0.1)
    answers = await asyncio.gather(*(ask_early(connection, vendor) for _ in range(6)))
    assert vendor.calls == 1
    assert "renewed-1" in {one.token.get_secret_value() for one in answers}


@pytest.mark.parametrize("failure", [Unavailable("down"), Refused("bad_app_secret", "wrong key")])
async def test_while_an_early_renewal_fails_what_is_held_is_used_and_the_vendor_left_in_peace(connect, failure):
    given = keys("old", minutes=60)
    connection, vendor = await connect(given), Vendor(seconds=0, fails=failure)
    assert [await ask_early(connection, vendor) for _ in range(4)] == [given] * 4
    assert vendor.calls == 1
    assert (await again(connection)).status == Status.connected


async def test_a_renewal_that_is_not_early_any_more_fails_as_ever(connect):
    connection, vendor = await connect(keys("old", minutes=0.5)), Vendor(seconds=0, fails=Unavailable("down"))
    with pytest.raises(Unavailable):
        await ask_early(connection, vendor)


async def test_an_early_renewal_that_is_refused_for_good_asks_to_sign_in_again(connect):
    connection, vendor = await connect(keys("old", minutes=60)), Vendor(seconds=0, fails=Disconnected("revoked"))
    with pytest.raises(Disconnected):
        await ask_early(connection, vendor)
    assert (await again(connection)).status == Status.disconnected
