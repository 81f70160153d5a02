"""What support and operators do by hand: post a signed webhook, connect the platform's courier account, let a
colleague act for the platform."""

from collections.abc import Mapping
from uuid import UUID

from shipcrowd import process
from shipcrowd.channels import own_keys, vendors
from shipcrowd.channels.open import app_settings
from shipcrowd.connections import routes
from shipcrowd.connections import service as connections
from shipcrowd.identity import passwords, people
from shipcrowd.identity.models import Membership
from shipcrowd.identity.permissions import Role
from shipcrowd.kernel import clock, db, outbound, tenancy
from shipcrowd.kernel.errors import Conflict, NotFound
from shipcrowd.settings import Settings
from shipcrowd.shipping import connecting


class StoreNotConnected(NotFound):
    """No company has connected this store."""


async def send_webhook(
    config: Settings, *, vendor: str, topic: str, store: str, body: bytes, url: str | None
) -> tuple[int, str]:
    """Sign `body` with the secret of the connected store, as the vendor would, and post it to our own webhook door.

    The status and body of the answer. Raises UnknownChannel, StoreNotConnected and the outside failures.
    """
    channel = vendors.vendor(vendor)
    db.connect(process.app_url(config), pool=2)
    try:
        external_id = channel.store_id(store)
        route = await routes.route(channel.slug, external_id)
        if route is None:
            raise StoreNotConnected(f"{external_id} is not connected")
        async with tenancy.acting_for(route.company_id) as session:
            connection = await connections.get(session, route.connection_id)
            credentials = connections.credentials(connection, channel.credentials)
    finally:
        await db.disconnect()
    secret = channel.webhook_secrets(app_settings(channel), credentials)[0]
    headers = channel.webhooks.sign(secret, topic, external_id, body, clock.now())
    # Straight to ourselves, past the sandbox's routing: this stands in for the vendor.
    door = outbound.Http("ourselves")
    try:
        target = f"{(url or config.public_url).rstrip('/')}/api/v1/webhooks/{channel.slug}"
        reply = await door.request("POST", target, what="webhook", repeatable=False, headers=headers, content=body)
        return reply.status, reply.text()
    finally:
        await door.close()


async def connect_courier(courier: str, *, name: str, given: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Connect the platform's own account; where its webhooks go, and the secret we made for them, where we made one.

    Raises what `connecting.connect` raises; nothing is kept then.
    """
    try:
        made = await connecting.connect(
            tenancy.PLATFORM_COMPANY, courier=courier, given=given, name=name, actor="operator"
        )
    finally:
        await outbound.close_all()
    async with tenancy.acting_for(tenancy.PLATFORM_COMPANY) as session:
        standing = await connecting.standing(session, made.id, courier=courier)
    return connecting.webhook_url(standing.connection), made.webhook_secret


class AlreadyThere(Conflict):
    """This person may act for the platform already, or has an account elsewhere."""


async def add_operator(company_id: UUID, *, email: str, name: str, password: str) -> UUID:
    """A new account that owns the platform's own company. Raises AlreadyThere, passwords.WeakPassword."""
    hashed = await passwords.hashed(password, email=email)
    async with tenancy.acting_for(company_id) as session:
        user_id = await people.new_person(session, email=email, name=name, password_hash=hashed)
        if user_id is None:
            raise AlreadyThere(f"{email} has an account")
        session.add(Membership(user_id=user_id, company_id=company_id, role=Role.owner.value))
    return user_id


async def rotate_secret(platform: str) -> None:
    """Ask a channel for a new secret of our own application. Raises what `own_keys.rotate` raises."""
    try:
        await own_keys.rotate(platform, actor="operator")
    finally:
        await outbound.close_all()
