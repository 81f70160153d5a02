"""Sign-ins by redirect: the nonce that binds what comes back to who set out, used once, for ten minutes."""

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from shipcrowd.connections.models import SignInState
from shipcrowd.kernel import clock, tenancy
from shipcrowd.kernel.errors import BadRequest

VALID = timedelta(minutes=10)


class SignInStale(BadRequest):
    """This sign-in was not started here, was finished before, or took too long; start it again."""


async def start_sign_in(session: AsyncSession, *, vendor: str, external_id: str, actor: str) -> str:
    """A fresh nonce for `state`, bound to the acting company, the actor and the account to be connected."""
    state = secrets.token_urlsafe(32)
    session.add(
        SignInState(
            company_id=tenancy.company_of(session),
            state_hash=_hash(state),
            vendor=vendor,
            external_id=external_id,
            actor=actor,
            expires_at=clock.now() + VALID,
        )
    )
    await session.flush()
    return state


async def finish_sign_in(session: AsyncSession, *, vendor: str, state: str, actor: str) -> str:
    """The account the sign-in was started for. The nonce is spent once this commits, so commit before calling the
    vendor. Raises SignInStale."""
    spent = (
        await session.execute(
            delete(SignInState)
            .where(
                SignInState.state_hash == _hash(state),
                SignInState.vendor == vendor,
                SignInState.actor == actor,
                SignInState.expires_at > clock.now(),
            )
            .returning(SignInState.external_id)
        )
    ).scalar_one_or_none()
    if spent is None:
        raise SignInStale()
    return spent


async def forget_stale_sign_ins(session: AsyncSession) -> None:
    """Delete the nonces nobody came back with."""
    await session.execute(delete(SignInState).where(SignInState.expires_at < clock.now()))


def _hash(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()
