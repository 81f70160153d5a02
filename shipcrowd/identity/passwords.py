"""Which passwords are good enough, and how they are kept (argon2id). No database here.

Hashing takes tens of milliseconds and 64 MiB on purpose, so it runs in a few threads of its own: a flood of sign-ins
waits in line rather than filling the memory or stopping the event loop.
"""

import asyncio
import base64
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from shipcrowd.kernel.errors import Invalid

SHORTEST = 10
LONGEST = 200
"""Characters."""

TIME_COST, MEMORY_KIB, LANES = 3, 64 * 1024, 4
"""RFC 9106 §4, second recommended option. Raising one rehashes each password at its owner's next sign-in."""

HASHER = PasswordHash((Argon2Hasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=LANES),))

THREADS = 4

# The most used passwords of ten characters or more in public breach lists, and those people here would reach for.
_COMMON = """
    1234567890 0123456789 12345678910 123456789a 1234567891 0987654321 1111111111 0000000000 1122334455 9876543210
    123456789q 1234554321 12345qwert 123123123123 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx3edc 1qazxsw23edc q1w2e3r4t5
    q1w2e3r4t5y6 qwertyuiop qwerty1234 qwerty12345 qwerty123456 qwertyuiop123 asdfghjkl1 asdfghjkl; zxcvbnm123
    password12 password123 password1234 password@123 passw0rd123 p@ssw0rd123 p@ssword123 mypassword passwordpassword
    administrator admin12345 admin@12345 admin@1234 welcome123 welcome@123 welcome1234 changeme123 letmein123
    letmein1234 iloveyou12 iloveyou123 sunshine12 princess12 football12 superman12 abcdefghij abcd123456 abc1234567
    aaaaaaaaaa india12345 india@1234 india@12345 indian1234 bharat1234 jaimatadi1 krishna123 ganesha123 sairam1234
    shipcrowd1 shipcrowd123 shipcrowd@123 test123456 testtest12 qazwsxedcr trustno1234
"""
COMMON = frozenset(_COMMON.split())

T = TypeVar("T")


class WeakPassword(Invalid):
    """This password is too easy to guess."""


def _decoy() -> str:
    """A hash that no password has, of the same cost as a real one."""
    salt, digest = (base64.b64encode(os.urandom(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p={LANES}${salt}${digest}"


DECOY = _decoy()
"""What an attempt is checked against when there is nobody to check it against, so that it takes as long."""

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")


async def hashed(password: str, *, email: str) -> str:
    """The hash to store for a new password. Raises WeakPassword when the rules refuse it."""
    check(password, email=email)
    return await _in_thread(lambda: HASHER.hash(_typed(password)))


async def matches(password: str, stored: str) -> tuple[bool, str | None]:
    """Whether `password` is the one, and a new hash to store where the old one's parameters are out of date."""
    return await _in_thread(lambda: HASHER.verify_and_update(_typed(password), stored))


def check(password: str, *, email: str) -> None:
    """Raises WeakPassword, saying which rule the password breaks."""
    plain, address = _typed(password).casefold().strip(), email.casefold().strip()
    if len(password) < SHORTEST:
        raise WeakPassword(f"Use at least {SHORTEST} characters.", field="password")
    if len(password) > LONGEST:
        raise WeakPassword(f"Use at most {LONGEST} characters.", field="password")
    if plain in {address, address.partition("@")[0]}:
        raise WeakPassword("Use something else than the e-mail address.", field="password")
    if plain in COMMON or len(set(plain)) < 3:
        raise WeakPassword("This is one of the passwords tried first; use a less common one.", field="password")


def _typed(password: str) -> str:
    # The same characters typed on a phone and on a laptop may arrive in different compositions.
    return unicodedata.normalize("NFKC", password)


async def _in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, work)
