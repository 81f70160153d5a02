"""Our own applications' keys at channels: news of them is kept, and new ones are asked for."""

from datetime import timedelta

import structlog

from shipcrowd.channels import vendors
from shipcrowd.channels.app_contract import OwnKeys
from shipcrowd.channels.contract import ChannelVendor
from shipcrowd.channels.open import app_settings
from shipcrowd.kernel import app_secrets, audit, clock, outbound, tenancy
from shipcrowd.kernel.errors import Conflict

log = structlog.get_logger(__name__)

TOLD = timedelta(days=30)
"""So long before a secret ends the operator is told."""


class NothingToRotate(Conflict):
    """The keys of this channel's application are not changed from here."""


async def take(vendor: ChannelVendor, body: bytes) -> bool:
    """Keep what a message about our own application says of its keys; False for one that says nothing of them. Told
    twice, it is kept once. Raises Malformed, and Conflict for another application's."""
    if vendor.own_keys is None:
        return False
    app = app_settings(vendor)
    news = vendor.own_keys.news(app, body)
    if news is None:
        return False
    async with tenancy.acting_for(tenancy.PLATFORM_COMPANY) as session:
        if news.secret is None:
            action, new = "app_secret.ends", news.expires_at is not None
            if news.expires_at is not None:
                await app_secrets.ends(session, vendor=vendor.slug, client_id=news.client_id, at=news.expires_at)
        else:
            action = "app_secret.received"
            new = await app_secrets.receive(
                session,
                vendor=vendor.slug,
                client_id=news.client_id,
                secret=news.secret,
                expires_at=news.expires_at,
                others_until=news.others_until,
            )
        if new:
            details = {"ends": news.expires_at.isoformat() if news.expires_at else ""}
            subject = f"application:{news.client_id}"
            await audit.record(session, actor=f"channel:{vendor.slug}", action=action, subject=subject, details=details)
    log.warning(action.replace(".", "_"), vendor=vendor.slug, known=not new)
    return True


async def rotate(platform: str, *, actor: str) -> None:
    """Ask the vendor for a new secret; it comes to the application's queue, where a worker takes it.

    Raises UnknownChannel, NothingToRotate (no queue is read here: the new secret would be lost), the outside failures.
    """
    vendor = vendors.vendor(platform)
    keys = _keys(vendor)
    app = app_settings(vendor)
    if vendor.mailbox(app) is None:
        raise NothingToRotate("No queue is set up that the new secret could come to.")
    await keys.rotate(app, outbound.http(platform))
    async with tenancy.acting_for(tenancy.PLATFORM_COMPANY) as session:
        subject = f"application:{keys.client_id(app)}"
        await audit.record(session, actor=actor, action="app_secret.rotate", subject=subject)


async def checked(vendor: ChannelVendor) -> str:
    """How the application's keys stand, in words; empty where there are none. Raises ValueError when they end soon."""
    if vendor.own_keys is None or not (client_id := vendor.own_keys.client_id(app_settings(vendor))):
        return ""
    found = await app_secrets.standing(vendor.slug, client_id)
    whose = "as the settings have it" if found.received_at is None else f"received {found.received_at:%d %b %Y}"
    if found.expires_at is None:
        return f"{vendor.slug}: the secret {whose}; when it ends is not known here"
    left = found.expires_at - clock.now()
    words = (
        f"{vendor.slug}: the secret, {whose}, {'ended' if left < timedelta(0) else 'ends'} {found.expires_at:%d %b %Y}"
    )
    if left < TOLD:
        raise ValueError(f"{words}; run `shipcrowd {vendor.slug} rotate-secret`")
    return words


def _keys(vendor: ChannelVendor) -> OwnKeys:
    if vendor.own_keys is None:
        raise NothingToRotate
    return vendor.own_keys
