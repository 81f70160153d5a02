"""Our own client secret at Amazon, changed while we run: taken from the queue, used by everybody, told of in time."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from pydantic import SecretStr
from sqlalchemy import select

from shipcrowd import doctor, support
from shipcrowd.channels import own_keys, taking
from shipcrowd.channels.open import app_settings
from shipcrowd.connections.models import Status
from shipcrowd.integrations import amazon
from shipcrowd.integrations.amazon import lwa, rotation
from shipcrowd.integrations.amazon.account import AmazonCredentials
from shipcrowd.kernel import app_secrets, audit, clock, crypto, outbound, tenancy
from shipcrowd.kernel.app_secrets import AppSecret
from shipcrowd.kernel.mailbox import Unusable
from shipcrowd.kernel.outbound import Refused, Unavailable
from shipcrowd.settings import settings
from tests.integrations.amazon.stand_in import connection_of, forget

CLIENT = "amzn1.application-oa2-client.sandbox"


async def kept():
    async with tenancy.acting_for(tenancy.PLATFORM_COMPANY) as session:
        rows = (await session.execute(select(AppSecret).order_by(AppSecret.received_at))).scalars().all()
    return [row for row in rows if row.secret is not None]


async def audited():
    async with tenancy.acting_for(tenancy.PLATFORM_COMPANY) as session:
        return [(entry.action, entry.actor) for entry in await audit.of(session, f"application:{CLIENT}")]


async def own_token() -> str:
    """A token of the application, asked for now."""
    forget()
    app = app_settings(amazon.vendor)
    keys = lwa.Keys(app.client_id, app.client_secret, private=False)
    return (await lwa.grantless(outbound.http("amazon"), keys)).get_secret_value()


async def test_an_operator_asks_for_a_secret_and_every_process_speaks_with_it(amazons):
    old = amazons.desk.world.app.secret
    await support.rotate_secret("amazon")
    new = amazons.desk.world.app.secret
    assert new != old
    assert await kept() == []  # it comes by the queue
    await amazons.settle()
    [row] = await kept()
    assert new.encode() not in row.secret
    assert row.expires_at - clock.now() > timedelta(days=179)
    assert await app_secrets.usable("amazon", CLIENT, app_settings(amazon.vendor).client_secret)

    # The old one stops working: only who uses the new one gets a token.
    amazons.desk.pass_time(8 * 86_400)
    assert [one.value for one in amazons.desk.world.app.secrets if one.expires_at > amazons.desk.world.now()] == [new]
    assert await own_token()
    seller = amazons.seller()
    assert await amazons.connect(tenancy.PLATFORM_COMPANY, seller)
    subject = [("app_secret.received", "channel:amazon"), ("app_secret.rotate", "operator")]
    assert sorted(set(await audited())) == subject


async def test_the_same_news_again_is_one_and_late_news_puts_nothing_back(amazons):
    amazons.desk.rotate_secret()
    await amazons.whole.postman.drain()
    [first] = amazons.post.letters
    amazons.desk.pass_time(3 * 86_400)
    newest = amazons.desk.rotate_secret()
    await amazons.whole.postman.drain()
    second = amazons.post.letters[-1]
    amazons.post.letters.clear()
    before = len(await audited())
    for letter in (second, first, second, first):
        await taking.take(amazon.vendor, letter)
    assert len(await kept()) == 2
    assert len(await audited()) == before + 2
    first_to_try, *_ = await app_secrets.usable("amazon", CLIENT, app_settings(amazon.vendor).client_secret)
    assert first_to_try.get_secret_value() == newest


async def test_an_old_secret_is_tried_while_it_still_works(amazons):
    """News that does not hold: the secret that speaks is refused, and the one before it gets the token."""
    body = news(newClientSecret="amzn1.oa2-cs.v1.nobody-knows-it", newClientSecretExpiryTime="2027-05-01T00:00:00Z")
    await taking.take(amazon.vendor, body)
    assert await own_token()
    [row] = await kept()
    assert crypto.keyring().open(row.secret, app_secrets.about(row.company_id, row.id)).startswith(b"amzn1.oa2-cs")


async def test_when_no_secret_works_the_operator_is_told_and_no_store_is_cut(amazons, company):
    store = await amazons.connect(company, amazons.seller())
    amazons.desk.world.app.secrets[:] = [type(amazons.desk.world.app.secrets[0])("another")]
    with pytest.raises(Refused) as raised:
        await own_token()
    assert raised.value.code == "bad_app_secret"
    amazons.desk.pass_time(3700)
    with time_machine.travel(clock.now() + timedelta(seconds=3700), tick=True):
        await amazons.sweep(company, store)
    assert (await connection_of(company, store)).status == Status.connected


async def test_the_secret_of_a_sellers_own_application_stays_theirs(amazons, company):
    seller = amazons.seller()
    theirs = amazons.desk.private_app(seller.id)
    await taking.take(amazon.vendor, news(newClientSecret="ours-now", newClientSecretExpiryTime="2027-05-01T00:00:00Z"))
    keys = lwa.keys(
        app_settings(amazon.vendor),
        AmazonCredentials.model_validate(
            {
                "refresh_token": theirs.refresh_token,
                "client_id": theirs.client_id,
                "client_secret": theirs.client_secret,
            }
        ),
    )
    assert (keys.client_id, keys.client_secret.get_secret_value()) == (theirs.client_id, theirs.client_secret)
    store = await amazons.connect(
        company, seller, refresh_token=theirs.refresh_token, client_id=theirs.client_id,
        client_secret=theirs.client_secret,
    )  # fmt: skip
    assert store is not None


@pytest.mark.parametrize(
    "changes", [{"clientId": "amzn1.application-oa2-client.another"}, {"clientId": None}, {"newClientSecret": None}]
)
async def test_news_of_another_application_and_news_without_a_secret_are_put_aside(amazons, changes):
    with pytest.raises(Unusable) as raised:
        await taking.take(amazon.vendor, news(**changes))
    assert "the-new-one" not in str(raised.value)
    assert await kept() == []


async def test_the_doctor_says_when_it_ends_and_that_it_must_be_changed(amazons):
    config = settings()
    assert "not known here" in await doctor.application_keys(config)
    await taking.take(amazon.vendor, expiry(datetime.now(UTC) + timedelta(days=29)))
    with pytest.raises(ValueError, match="rotate-secret"):
        await doctor.application_keys(config)
    amazons.desk.rotate_secret()
    await amazons.settle()
    said = await doctor.application_keys(config)
    assert "received" in said
    assert amazons.desk.world.app.secret not in said
    with time_machine.travel(clock.now() + timedelta(days=151)), pytest.raises(ValueError, match="ends"):
        await doctor.application_keys(config)


async def test_a_refused_token_is_asked_for_anew_and_the_operator_told_to_try_again(amazons):
    await own_token()
    old, held = amazons.desk.world.app.secret, dict(lwa._Own.tokens)
    lwa._Own.tokens[(CLIENT, rotation.SCOPE)] = (SecretStr("Atc|of-yesterday"), clock.now() + timedelta(hours=1))
    with pytest.raises(Unavailable) as raised:
        await rotation.rotate(app_settings(amazon.vendor), outbound.http("amazon"))
    assert raised.value.retry_after == 60
    assert amazons.desk.world.app.secret == old
    assert lwa._Own.tokens[(CLIENT, rotation.SCOPE)][0].get_secret_value() != "Atc|of-yesterday"
    assert held.keys() <= lwa._Own.tokens.keys()


async def test_without_a_queue_no_secret_is_asked_for_it_would_be_lost(amazons, monkeypatch):
    monkeypatch.setenv("SHIPCROWD_AMAZON_QUEUE_URL", "")
    settings.cache_clear()
    before = amazons.desk.world.app.secret
    with pytest.raises(own_keys.NothingToRotate):
        await own_keys.rotate("amazon", actor="operator")
    assert amazons.desk.world.app.secret == before


def news(**changes: object) -> bytes:
    about = {
        "clientId": CLIENT,
        "newClientSecret": "the-new-one",
        "newClientSecretExpiryTime": "2027-05-20T00:00:00Z",
        "oldClientSecretExpiryTime": "2099-01-01T00:00:00Z",
    } | changes
    return letter("APPLICATION_OAUTH_CLIENT_NEW_SECRET", {"applicationOAuthClientNewSecret": about})


def expiry(at: datetime) -> bytes:
    about = {
        "clientId": CLIENT,
        "clientSecretExpiryTime": at.isoformat(),
        "clientSecretExpiryReason": "PERIODIC_ROTATION",
    }
    return letter("APPLICATION_OAUTH_CLIENT_SECRET_EXPIRY", {"applicationOAuthClientSecretExpiry": about})


def letter(kind: str, payload: object) -> bytes:
    return json.dumps(
        {"notificationType": kind, "payload": payload, "notificationMetadata": {"notificationId": f"n-{kind}"}}
    ).encode()
