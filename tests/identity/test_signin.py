import asyncio
import secrets
from datetime import timedelta

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import select, update

from shipcrowd.identity import passwords, people, service, signin
from shipcrowd.identity.models import Membership, User
from shipcrowd.identity.permissions import Role
from shipcrowd.identity.service import CannotRegister
from shipcrowd.identity.signin import SignInRefused, TooManyAttempts
from shipcrowd.kernel import audit, clock
from shipcrowd.kernel.crypto import CannotDecrypt
from shipcrowd.kernel.ids import new_id
from shipcrowd.kernel.tenancy import acting_for, unowned

from .conftest import PASSWORD

WRONG = "not-the-right-one"


@pytest.fixture
def generous(monkeypatch):
    """No pace, so that the lock alone is looked at."""
    for name in ("PER_EMAIL", "PER_ADDRESS"):
        monkeypatch.setattr(signin, name, signin.Pace(10_000, 10_000))


@pytest.fixture
def later(monkeypatch):
    """Moves the clock of the product on."""

    def move(by: timedelta) -> None:
        true = clock.now
        monkeypatch.setattr(clock, "now", lambda: true() + by)

    return move


async def attempt(email, password=WRONG, address=None):
    """The person's id, or the refusal. Each attempt comes from an address of its own unless one is named."""
    try:
        return await signin.authenticate(email=email, password=password, address=address or secrets.token_hex(8))
    except (SignInRefused, TooManyAttempts) as refusal:
        return refusal


async def the_user(user_id):
    async with unowned() as session:
        return await session.get_one(User, user_id)


async def audited(company_id, user_id):
    async with acting_for(company_id) as session:
        return [entry.action for entry in await audit.of(session, f"user:{user_id}")]


async def test_the_right_password_is_this_person(seller):
    assert await attempt(seller.email, PASSWORD) == seller.user_id


async def test_who_is_disabled_does_not_sign_in_even_with_the_right_password(seller):
    async with unowned() as session:
        await session.execute(update(User).where(User.id == seller.user_id).values(disabled_at=clock.now()))
    assert isinstance(await attempt(seller.email, PASSWORD), SignInRefused)


async def test_an_email_is_the_same_in_any_case(seller):
    assert await attempt(f" {seller.email.upper()} ", PASSWORD) == seller.user_id


async def test_of_twenty_guesses_at_one_moment_five_are_checked_and_counted_and_the_lock_is_told_once(
    seller, generous, monkeypatch
):
    checked = []
    true = passwords.matches

    async def matches(password, stored):
        if stored != passwords.DECOY:
            checked.append(password)
        return await true(password, stored)

    monkeypatch.setattr(passwords, "matches", matches)
    answers = await asyncio.gather(*(attempt(seller.email) for _ in range(20)))
    assert all(isinstance(answer, SignInRefused) for answer in answers)
    user = await the_user(seller.user_id)
    assert len(checked) == user.failed_logins == 5
    assert timedelta(minutes=29) < user.locked_until - clock.now() <= timedelta(minutes=30)
    assert (await audited(seller.company_id, seller.user_id)).count("sign_in.locked") == 1


async def test_a_locked_account_refuses_the_right_password_too_and_opens_after_half_an_hour(seller, generous, later):
    for _ in range(5):
        await attempt(seller.email)
    assert isinstance(await attempt(seller.email, PASSWORD), SignInRefused)
    later(timedelta(minutes=31))
    assert await attempt(seller.email, PASSWORD) == seller.user_id
    user = await the_user(seller.user_id)
    assert (user.failed_logins, user.locked_until) == (0, None)


async def test_after_a_lock_is_over_the_count_begins_again(seller, generous, later):
    for _ in range(5):
        await attempt(seller.email)
    later(timedelta(minutes=31))
    await attempt(seller.email)
    user = await the_user(seller.user_id)
    assert (user.failed_logins, user.locked_until) == (1, None)


async def test_the_fifth_attempt_with_the_right_password_signs_in_and_clears_the_count(seller, generous):
    for _ in range(4):
        await attempt(seller.email)
    assert await attempt(seller.email, PASSWORD) == seller.user_id
    user = await the_user(seller.user_id)
    assert (user.failed_logins, user.locked_until) == (0, None)
    assert "sign_in.locked" not in await audited(seller.company_id, seller.user_id)


async def test_every_company_of_a_person_hears_of_the_lock(new_seller, new_colleague, generous):
    one, other = await new_seller(), await new_seller("Nilgiri Teas")
    await new_colleague(other, Role.viewer, email=one.email)
    for _ in range(5):
        await attempt(one.email)
    for company_id in (one.company_id, other.company_id):
        assert "sign_in.locked" in await audited(company_id, one.user_id)


@pytest.mark.parametrize("who", ["unknown", "wrong", "locked", "disabled"])
async def test_whoever_is_refused_gets_the_same_answer_after_the_same_work(seller, generous, monkeypatch, who):
    email = "nobody@kaveri.example" if who == "unknown" else seller.email
    change = {"locked": {"locked_until": clock.now() + timedelta(minutes=5)}, "disabled": {"disabled_at": clock.now()}}
    if who in change:
        async with unowned() as session:
            await session.execute(update(User).where(User.id == seller.user_id).values(**change[who]))
    done = []
    for module, name in ((signin, "_count"), (passwords, "matches"), (signin.pace, "take")):
        true = getattr(module, name)

        async def noted(*args, _true=true, _name=name, **named):
            done.append(_name)
            return await _true(*args, **named)

        monkeypatch.setattr(module, name, noted)
    answer = await attempt(email)
    assert isinstance(answer, SignInRefused)
    assert (answer.detail, answer.field, answer.extra) == ("", None, {})
    assert done == ["take", "take", "_count", "matches"]


async def test_an_old_hash_is_replaced_when_its_owner_signs_in(seller):
    weaker = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=32, parallelism=1),)).hash(PASSWORD)
    async with unowned() as session:
        await session.execute(update(User).where(User.id == seller.user_id).values(password_hash=weaker))
    await attempt(seller.email)
    assert (await the_user(seller.user_id)).password_hash == weaker
    assert await attempt(seller.email, PASSWORD) == seller.user_id
    stored = (await the_user(seller.user_id)).password_hash
    assert not passwords.HASHER.current_hasher.check_needs_rehash(stored)
    assert await attempt(seller.email, PASSWORD) == seller.user_id


async def test_one_email_may_be_tried_so_often_and_being_refused_does_not_make_the_wait_longer(email):
    answers = [await attempt(email) for _ in range(30)]
    refused = [answer for answer in answers if isinstance(answer, TooManyAttempts)]
    assert len(refused) == 20
    assert all(0 < refusal.extra["retry_after"] <= 60 for refusal in refused)


async def test_one_address_may_try_so_often_whatever_the_email(monkeypatch):
    monkeypatch.setattr(signin, "PER_ADDRESS", signin.Pace(3, 1))
    answers = [await attempt(f"someone{n}@kaveri.example", address="192.0.2.77") for n in range(5)]
    assert [type(answer) for answer in answers] == [SignInRefused] * 3 + [TooManyAttempts] * 2


async def test_the_buckets_and_the_people_are_kept_without_personal_data_in_clear(seller):
    async def buckets():
        async with unowned() as session:
            return set(await session.scalars(select(signin.pace.Bucket.key)))

    before = await buckets()
    await attempt(seller.email, address="192.0.2.44")
    made = await buckets() - before
    assert len(made) == 2
    user = await the_user(seller.user_id)
    stored = repr(vars(user)) + repr(made)
    for word in (seller.email, "Asha", "192.0.2.44", "kaveri"):
        assert word not in stored
    assert people.opened(user.id, user.pii).name == "Asha Iyer"
    with pytest.raises(CannotDecrypt):
        people.opened(new_id(), user.pii)


async def test_of_ten_registrations_with_one_email_at_one_moment_one_wins_and_the_others_leave_nothing(email):
    password_hash = await passwords.hashed(PASSWORD, email=email)
    ids = [new_id() for _ in range(10)]

    async def register(company_id, n):
        # Two spellings of one address.
        spelled = email if n % 2 else email.upper()
        async with acting_for(company_id) as session:
            return await service.register(
                session, company_name="Kaveri Handlooms", name="Asha Iyer", email=spelled, password_hash=password_hash
            )

    answers = await asyncio.gather(*(register(each, n) for n, each in enumerate(ids)), return_exceptions=True)
    won = [answer for answer in answers if isinstance(answer, service.Registered)]
    assert len(won) == 1
    assert all(isinstance(answer, CannotRegister) for answer in answers if answer not in won)
    async with unowned() as session:
        places = (await session.scalars(select(Membership).where(Membership.company_id.in_(ids)))).all()
    assert [(place.company_id, place.user_id, place.role) for place in places] == [
        (won[0].company_id, won[0].user_id, "owner")
    ]
    for company_id in set(ids) - {won[0].company_id}:
        async with acting_for(company_id) as session:
            with pytest.raises(service.NoSuchCompanyRow):
                await service.company(session)
            assert not await audit.of(session, f"company:{company_id}")


async def test_a_registration_that_fails_later_in_its_transaction_leaves_no_person_behind(email, monkeypatch):
    async def fails(*_):
        raise RuntimeError("on purpose")

    monkeypatch.setattr(service, "publish", fails)
    password_hash = await passwords.hashed(PASSWORD, email=email)
    company_id = new_id()
    with pytest.raises(RuntimeError, match="on purpose"):
        async with acting_for(company_id) as session:
            await service.register(
                session, company_name="Kaveri Handlooms", name="Asha Iyer", email=email, password_hash=password_hash
            )
    async with unowned() as session:
        assert await session.scalar(select(User.id).where(User.email_hash == people.email_hash(email))) is None
        assert await session.scalar(select(Membership).where(Membership.company_id == company_id)) is None


async def test_a_registration_is_news_and_is_audited(email, monkeypatch):
    heard = []

    async def publish(session, event):
        heard.append(event)

    monkeypatch.setattr(service, "publish", publish)
    async with acting_for(new_id()) as session:
        made = await service.register(
            session,
            company_name="Kaveri Handlooms",
            name="Asha Iyer",
            email=email,
            password_hash=await passwords.hashed(PASSWORD, email=email),
        )
    assert heard == [service.CompanyRegistered(made.company_id)]
    async with acting_for(made.company_id) as session:
        (entry,) = await audit.of(session, f"company:{made.company_id}")
    assert (entry.actor, entry.action) == (f"user:{made.user_id}", "company.registered")
