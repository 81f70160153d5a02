"""One demo at a time in a folder: a second would wipe the database under the first.

The operating system holds the lock and lets go of it with the process, however that ends; so one left behind by a
killed demo never stands in the way, and the number written into the file is for people only.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class AlreadyRunning(RuntimeError):
    """A demo is already running here."""


@contextmanager
def only_one(folder: Path) -> Generator[None, None, None]:
    """Hold the demo of `folder`; the lock lies beside it, for the folder itself is made anew.

    Raises AlreadyRunning, naming the process, before anything is touched.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Never deleted: somebody waiting for a file that is unlinked would lock another than the next comer.
    with (folder.parent / f"{folder.name}.lock").open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            held.seek(0)
            raise AlreadyRunning(
                f"A demo is already running here (pid {held.read().strip() or 'not known yet'}). "
                "End it with Ctrl-C, or run this one in another clone."
            ) from error
        held.truncate(0)
        held.write(f"{os.getpid()}\n")
        held.flush()
        yield
