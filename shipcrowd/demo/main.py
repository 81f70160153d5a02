"""Sets the stage, tells the day, prints the table, and keeps serving."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from shipcrowd import process
from shipcrowd.demo import amazon, flipkart, story, summary
from shipcrowd.demo.lock import AlreadyRunning, only_one
from shipcrowd.demo.seller import NotAnswered, Seller, TookTooLong
from shipcrowd.demo.stage import Stage, WillNotStart
from shipcrowd.demo.story import Day
from shipcrowd.kernel import db
from shipcrowd.sandbox.client import DeskClient
from shipcrowd.settings import settings

OUT = Path("demo-out")


def say(words: str) -> None:
    print(words, flush=True)


def main(*, keep_serving: bool, develop: bool = False) -> int:
    """0 when every check passed; 1 when one did not, or the demo could not be told. `develop`: no day of trade, and
    an API that starts again when the code changes."""
    folder = settings().data_dir.resolve() / "demo"
    try:
        with only_one(folder):
            return tell(Stage(folder), keep_serving=keep_serving, develop=develop)
    except AlreadyRunning as error:
        say(str(error))
        return 1


def tell(stage: Stage, *, keep_serving: bool, develop: bool = False) -> int:
    """Set the stage, tell the day, and serve on where asked; everything started here has ended by then."""
    try:
        say("Setting up the database …")
        stage.set_up()
        settings.cache_clear()
        process.configure(settings().model_copy(update={"log_level": "WARNING", "log_format": "text"}))
        say("Starting the stand-ins, the API and a worker …")
        stage.start_sandbox(story.SHOP)
        stage.tell(asyncio.run(amazon.environment(stage.sandbox_url)))
        stage.start_api(reload=develop)
        stage.start_worker()
        if develop:
            asyncio.run(opened(stage))
            serve_on(stage)
            return 0
        started = time.monotonic()
        good = asyncio.run(day(stage))
        say(f"\nA day of trade in {time.monotonic() - started:.0f} s. Labels: {OUT}/labels.pdf")
        if not good:
            say(f"A check failed. The logs are in {stage.folder / 'logs'}.")
            return 1
        if keep_serving:
            serve_on(stage)
        return 0
    except (WillNotStart, TookTooLong, NotAnswered) as error:
        say(f"\nThe demo could not be told: {error}\nThe logs are in {stage.folder / 'logs'}.")
        if isinstance(error, TookTooLong):
            (stage.folder / "logs" / "story.log").write_text(
                f"{error}\n{json.dumps(error.seen, default=str, indent=1)}\n"
            )
        return 1
    finally:
        stage.stop()


@asynccontextmanager
async def begun(stage: Stage) -> AsyncGenerator[Day]:
    """A day about to begin: the database open, a seller at the API, the desk at hand."""
    db.connect(settings().app_database_url or "", pool=4)
    seller = Seller(stage.url)
    try:
        async with DeskClient(stage.sandbox_url) as desk:
            yield Day(seller, desk, OUT)
    finally:
        await seller.close()
        await db.disconnect()


async def opened(stage: Stage) -> None:
    """The company and its stores, before anybody bought anything."""
    async with begun(stage) as told:
        await story.open_shop(told, stage.url)
        await amazon.connect(told)


async def day(stage: Stage) -> bool:
    """Tell the story against the running processes; whether all checks passed."""
    async with begun(stage) as told:
        say("Buyers order, the seller ships, parcels travel …")
        await story.tell(told, stage.url)
        rows, checks = await summary.checked(told)
        say("The same company sells at Amazon …")
        at_amazon = await amazon.checked(told, await amazon.tell(told))
        say("… and at Flipkart …")
        at_flipkart = await flipkart.checked(await flipkart.tell(told.seller, told.desk, stage.url, OUT))
    for more_rows, more_checks in (at_amazon, at_flipkart):
        rows, checks = [*rows, *more_rows], [*checks, *more_checks]
    width = max(len(name) for name, _ in rows)
    say("")
    for name, value in rows:
        say(f"  {name.ljust(width)}  {value}")
    say("")
    for check in checks:
        say(f"  {'✓' if check.good else '✗'} {check.name}{'' if check.good else ': ' + check.detail}")
    return all(check.good for check in checks)


def serve_on(stage: Stage) -> None:
    say(
        f"\nShipCrowd is at {stage.url}   (sign in as {story.EMAIL} / {story.PASSWORD})"
        f"\nThe desk that plays the outside world is at {stage.sandbox_url}/desk"
        "\nCtrl-C ends it."
    )
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not stopped:
        for name, running in stage.processes.items():
            if running.poll() is not None:
                say(f"{name} ended by itself; its log is in {stage.folder / 'logs'}")
                sys.exit(1)
        time.sleep(0.5)
