"""Commands as an operator types them: what they did wrong is one line, and nothing happened."""

import asyncio
import json

import pytest

from shipcrowd import wiring
from shipcrowd.couriers import vendors
from shipcrowd.kernel import db, postgres, tenancy
from shipcrowd.kernel.ids import new_id
from shipcrowd.sandbox.desk import Credentials
from shipcrowd.shipping import connecting

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("commands")]

SEND = ("webhook", "send", "--topic", "orders/create")
MISTAKES = [
    ((*SEND, "--vendor", "shopify", "--store", "nobody.myshopify.com"), "nobody.myshopify.com is not connected"),
    ((*SEND, "--vendor", "etsy", "--store", "x"), "known"),
    (("operator", "connect-courier", "pigeon-post"), "known couriers: manual, velocity"),
    (("operator", "connect-courier", "manual"), "is there for everyone"),
]


@pytest.mark.parametrize(("command", "words"), MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_1(theatre, tmp_path, command, words):
    if command[0] == "webhook":
        payload = tmp_path / "payload.json"
        payload.write_text(json.dumps({"id": 1}))
        command = (*command, "--file", str(payload))
    done = theatre.run(*command)
    assert done.returncode == 1, done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(said) == 1 and words.lower() in said[0].lower(), done.stderr


def test_a_setting_that_cannot_be_read_is_named(theatre, monkeypatch):
    monkeypatch.setenv("SHIPCROWD_PORT", "eighty")
    done = theatre.run("doctor")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "SHIPCROWD_PORT" in done.stderr


@pytest.fixture
def real_couriers():
    """This process reads what the commands stored."""
    before = vendors._Vendors.known
    vendors.use(wiring.COURIERS)
    yield
    vendors._Vendors.known = before


def test_the_operator_connects_the_platforms_courier_account(theatre, real_couriers):
    vendor = Credentials()

    def standings():
        async def read(desk):
            async with tenancy.acting_for(tenancy.PLATFORM_COMPANY) as session:
                seen.extend(await connecting.standings(session))

        seen: list[connecting.Standing] = []
        theatre.tell(read)
        return seen

    before = standings()
    wrong = theatre.run("operator", "connect-courier", "velocity", typed=f"{vendor.velocity_username}\nguess\n\n\n")
    assert wrong.returncode == 1, wrong.stderr
    assert "Velocity did not accept the user name and password" in wrong.stderr
    assert "guess" not in wrong.stdout + wrong.stderr and "Traceback" not in wrong.stderr
    assert [each.connection.connected_at for each in standings()] == [each.connection.connected_at for each in before]
    typed = f"{vendor.velocity_username}\n{vendor.velocity_password}\n\n\n"
    done = theatre.run("operator", "connect-courier", "velocity", "--name", "Shared Velocity", typed=typed)
    assert done.returncode == 0, done.stderr
    assert "Connected: Shared Velocity." in done.stdout
    assert f"{theatre.stage.url}/api/v1/webhooks/velocity" in done.stdout and "signed with" in done.stdout
    (now,) = standings()
    assert (now.connection.name, now.level, now.has_webhook_secret) == ("Shared Velocity", "ok", True)
    assert vendor.velocity_password not in done.stdout + done.stderr


def test_the_doctor_says_once_that_there_is_no_schema(theatre, server, monkeypatch):
    name = "shipcrowd_bare_for_the_doctor"
    asyncio.run(postgres.create_database(server, name))
    try:
        monkeypatch.setenv("SHIPCROWD_APP_DATABASE_URL", postgres.database_url(server, name, role=tenancy.APP_ROLE))
        done = theatre.run("doctor")
    finally:
        asyncio.run(postgres.drop_database(server, name))
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line.startswith("✗")] == [
        "✗ database: no schema yet: run `shipcrowd migrate`"
    ]


async def _as_superuser(server, statement):
    connection = await db.open_connection(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def test_a_password_the_owner_may_not_set_is_one_line_that_does_not_show_it(theatre, server, monkeypatch):
    name = f"shipcrowd_plain_{new_id().hex[-12:]}"
    asyncio.run(_as_superuser(server, f"CREATE ROLE {name} LOGIN"))
    monkeypatch.setenv("SHIPCROWD_OWNER_DATABASE_URL", postgres.database_url(theatre.app_url, "postgres", role=name))
    monkeypatch.setenv("SHIPCROWD_APP_DATABASE_URL", theatre.app_url.replace(":@", ":sesame-opens@", 1))
    done = theatre.run("migrate")
    asyncio.run(_as_superuser(server, f"DROP ROLE {name}"))
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(said) == 1 and "leave the password out" in said[0], done.stderr
    assert "sesame" not in done.stdout + done.stderr
