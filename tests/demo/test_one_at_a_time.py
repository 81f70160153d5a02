import os
import subprocess
import sys

import httpx2
import pytest

from shipcrowd import demo
from shipcrowd.demo.lock import AlreadyRunning, only_one
from shipcrowd.demo.seller import TookTooLong, refusal, until
from shipcrowd.settings import settings

HOLDER = """
import sys, time
from pathlib import Path
from shipcrowd.demo.lock import only_one
with only_one(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a demo's data stands, in a clone of its own."""
    monkeypatch.setenv("SHIPCROWD_DATA_DIR", str(tmp_path / "var"))
    settings.cache_clear()
    made = tmp_path / "var" / "demo"
    made.mkdir(parents=True)
    (made / "PG_VERSION").write_text("18")
    yield made
    settings.cache_clear()


def test_a_second_demo_says_so_and_touches_nothing(folder, capsys):
    with only_one(folder):
        assert demo.main(keep_serving=True) == 1
    assert f"A demo is already running here (pid {os.getpid()})." in capsys.readouterr().out
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("PG_VERSION", "18")]


def test_a_demo_that_was_killed_stands_in_nobodys_way(folder):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning, match=f"pid {holder.pid}"), only_one(folder):
            pass
    finally:
        holder.kill()
        holder.wait(10)
        holder.stdout.close()
    with only_one(folder):
        assert (folder.parent / "demo.lock").read_text() == f"{os.getpid()}\n"


async def test_what_did_not_happen_is_a_sentence_and_what_was_seen_is_kept_apart():
    async def look():
        return [{"state": "unconfirmed"}]

    with pytest.raises(TookTooLong) as late:
        await until("shipping in bulk", look, lambda seen: not seen, seconds=0.01, every=0.01)
    assert str(late.value) == "shipping in bulk took longer than 0 s."
    assert late.value.seen == [{"state": "unconfirmed"}]


@pytest.mark.parametrize(("body", "said"), [
    ('{"code": "invalid", "title": "Something is wrong.", "detail": "the pincode is missing"}',
     "POST /places was answered with 422, Something is wrong: the pincode is missing."),
    ("<html>", "POST /places was answered with 422, nothing that could be read."),
    ("[1]", "POST /places was answered with 422, nothing that could be read."),
])  # fmt: skip
def test_an_answer_not_hoped_for_is_a_sentence(body, said):
    assert refusal(httpx2.Response(422, text=body), "POST", "/places") == said
