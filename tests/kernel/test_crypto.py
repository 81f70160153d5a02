"""What is sealed opens for its owner with its key, and for nobody and nothing else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipcrowd.kernel import crypto
from shipcrowd.kernel.crypto import CannotDecrypt, Keyring


def ring(*names: str) -> Keyring:
    return Keyring.parse(",".join(f"{name}:{crypto.new_key()}" for name in names))


A = ring("2026a")


@given(st.binary(max_size=300), st.text(max_size=40))
def test_what_is_sealed_opens_again(plain, about):
    sealed = A.seal(plain, about)
    assert A.open(sealed, about) == plain
    assert len(sealed) == 2 + len("2026a") + 12 + len(plain) + 16


def test_sealing_twice_gives_two_values():
    assert A.seal(b"x", "order:1") != A.seal(b"x", "order:1")


def test_a_value_moved_to_another_row_does_not_open():
    sealed = A.seal(b"Asha", "order:1")
    with pytest.raises(CannotDecrypt):
        A.open(sealed, "order:2")


def test_any_flipped_bit_is_noticed():
    sealed = A.seal(b"Asha", "order:1")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(CannotDecrypt):
            A.open(bytes(changed), "order:1")


@given(st.binary(max_size=80))
def test_garbage_does_not_open(garbage):
    with pytest.raises(CannotDecrypt):
        A.open(garbage, "order:1")


def test_a_shortened_value_does_not_open():
    sealed = A.seal(b"Asha", "order:1")
    for length in range(len(sealed)):
        with pytest.raises(CannotDecrypt):
            A.open(sealed[:length], "order:1")


def test_after_a_rotation_old_values_open_and_new_ones_use_the_new_key():
    new_key = crypto.new_key()
    old = ring("2026a")
    both = Keyring((("2026b", base64.b64decode(new_key)), *old.keys))
    sealed = old.seal(b"Asha", "order:1")
    assert both.open(sealed, "order:1") == b"Asha"
    assert not both.is_current(sealed)
    again = both.seal(b"Asha", "order:1")
    assert both.is_current(again)
    with pytest.raises(CannotDecrypt, match="2026b"):
        old.open(again, "order:1")


def test_an_id_used_again_for_another_key_does_not_open_the_old_values():
    with pytest.raises(CannotDecrypt):
        ring("2026a").open(A.seal(b"Asha", "order:1"), "order:1")


def test_json_keeps_indian_scripts():
    about = "order:1"
    assert A.open_json(A.seal_json({"name": "आशा राव", "pin": 560038}, about), about) == {
        "name": "आशा राव",
        "pin": 560038,
    }


KEY = crypto.new_key()
SHORT = base64.b64encode(b"sixteen byte key").decode()


WRONG = {
    "a key without an id": KEY,
    "a shorter key without an id": SHORT,
    "a part of a key": SHORT[:20],
    "an empty id": f":{KEY}",
    "a short key": f"a:{SHORT}",
    "a cut key": f"a:{KEY[:-2]}",
    "a foreign character": f"a:{KEY}!",
    "a long id": f"{'a' * 33}:{KEY}",
    "a second key without an id": f"a:{KEY},{KEY}",
    "two keys of one id": f"a:{KEY},a:{crypto.new_key()}",
    "an id beyond ASCII": f"schlüssel:{KEY}",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_wrong_key_setting_is_refused_without_showing_the_key(text):
    with pytest.raises(ValueError) as refused:
        Keyring.parse(text)
    for secret in (KEY, KEY[:12], SHORT, SHORT[:12]):
        assert secret not in str(refused.value)


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_no_key_at_all_says_how_to_make_one(text):
    with pytest.raises(ValueError, match="shipcrowd keys new"):
        Keyring.parse(text)


def test_a_wrong_search_key_is_refused_without_showing_it():
    before = (crypto._Keys.ring, crypto._Keys.search)
    try:
        for text in ("short", SHORT, KEY + "!"):
            with pytest.raises(ValueError) as refused:
                crypto.use_keys(f"a:{KEY}", text)
            assert text not in str(refused.value)
    finally:
        crypto._Keys.ring, crypto._Keys.search = before


def test_equal_values_have_equal_hashes_within_their_kind_only():
    one = crypto.search_hash("+919000000001", "phone:company-a")
    assert one == crypto.search_hash("+919000000001", "phone:company-a")
    assert len(one) == 16
    assert one != crypto.search_hash("+919000000001", "phone:company-b")
    assert one != crypto.search_hash("+919000000002", "phone:company-a")
