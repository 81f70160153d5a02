import argon2
import pytest
from argon2.exceptions import VerifyMismatchError
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from shipcrowd.identity import passwords
from shipcrowd.identity.passwords import WeakPassword

REAL_HASHER, REAL_DECOY = passwords.HASHER, passwords.DECOY  # as imported, before the tests' quick ones
EMAIL = "meenakshi@kaveri.example"


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("nine-char", "at least 10"),
        ("x" * 150 + "y" * 51, "at most 200"),
        ("meenakshi@kaveri.example", "e-mail"),
        ("Meenakshi@Kaveri.Example", "e-mail"),
        ("qwertyuiop", "tried first"),
        ("Password@123", "tried first"),
        ("1234567890", "tried first"),
        ("abababababab", "tried first"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused_and_says_why(password: str, why: str) -> None:
    with pytest.raises(WeakPassword, match=why):
        passwords.check(password, email=EMAIL)


def test_the_part_before_the_at_sign_is_no_password_either() -> None:
    with pytest.raises(WeakPassword, match="e-mail"):
        passwords.check("lakshmi.priya", email="lakshmi.priya@kaveri.example")


@pytest.mark.parametrize("password", ["ten-chars!", "a phrase of plain words", "नमस्ते-दुनिया-१२", "x7$" * 66])
def test_long_enough_and_uncommon_is_enough(password: str) -> None:
    passwords.check(password, email=EMAIL)


async def test_a_password_is_the_same_however_its_characters_are_composed() -> None:
    stored = await passwords.hashed("cafe\u0301-on-the-corner", email=EMAIL)
    assert await passwords.matches("café-on-the-corner", stored) == (True, None)


async def test_a_hash_with_other_parameters_is_replaced_when_it_matches_and_only_then() -> None:
    weaker = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=32, parallelism=1),)).hash("a-long-enough-one")
    assert await passwords.matches("not-this-one", weaker) == (False, None)
    right, newer = await passwords.matches("a-long-enough-one", weaker)
    assert right
    assert newer is not None
    assert await passwords.matches("a-long-enough-one", newer) == (True, None)


def test_the_decoy_costs_what_a_real_hash_costs_and_matches_nothing() -> None:
    real = REAL_HASHER.hash("a-long-enough-one")
    assert real.split("$")[:4] == REAL_DECOY.split("$")[:4] == ["", "argon2id", "v=19", "m=65536,t=3,p=4"]
    assert [len(part) for part in real.split("$")] == [len(part) for part in REAL_DECOY.split("$")]
    # A mismatch is found after the work; a hash that cannot be read would be refused without any.
    with pytest.raises(VerifyMismatchError):
        argon2.PasswordHasher().verify(REAL_DECOY, "a-long-enough-one")
