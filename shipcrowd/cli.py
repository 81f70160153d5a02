"""`shipcrowd`: serve, work, migrate, look after an installation, try things."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from asyncpg import PostgresError
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from shipcrowd import migrations, process
from shipcrowd.connections import forms
from shipcrowd.couriers import vendors as couriers
from shipcrowd.kernel import clock, crypto, db, tenancy
from shipcrowd.kernel.errors import ShipcrowdError
from shipcrowd.kernel.outbound import OutsideFailure, Refused
from shipcrowd.settings import Settings, settings

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="ShipCrowd: shipping for Indian e-commerce sellers.")
keys = typer.Typer(no_args_is_help=True, help="Encryption keys.")
webhook = typer.Typer(no_args_is_help=True, help="Webhooks, for support.")
operator = typer.Typer(no_args_is_help=True, help="The platform's own people.")
cli.add_typer(keys, name="keys")
cli.add_typer(webhook, name="webhook")
cli.add_typer(operator, name="operator")
amazon = typer.Typer(no_args_is_help=True, help="The platform's own application at Amazon.")
cli.add_typer(amazon, name="amazon")


@cli.command()
def serve(
    host: str | None = None,
    port: int | None = None,
    reload: Annotated[bool, typer.Option("--reload", help="Start again when the code changes.")] = False,
) -> None:
    """Serve the API and the console."""
    import uvicorn

    config = settings()
    uvicorn.run(
        "shipcrowd.app:serving",
        factory=True,
        reload=reload,
        reload_dirs=[str(Path(__file__).parent)] if reload else None,
        host=host or config.host,
        port=port or config.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=20,
    )


@cli.command()
def worker() -> None:
    """Run jobs and schedules until stopped."""
    import uvloop

    from shipcrowd import worker as working

    config = settings()
    process.configure(config)
    uvloop.run(working.run(config, process.app_url(config)))


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema (as its owner) and load the reference data."""
    config = settings()
    process.configure(config)
    owner, app = process.database_urls(config)
    asyncio.run(migrations.upgrade(owner, app))
    typer.echo("The schema is up to date.")


@cli.command()
def demo(exit: Annotated[bool, typer.Option("--exit", help="End after the day of trade.")] = False) -> None:
    """A demo company, stand-ins for every vendor, a day of trade; then keeps serving."""
    from shipcrowd import demo as story

    sys.exit(story.main(keep_serving=not exit))


@cli.command()
def dev() -> None:
    """Everything running, with reload of the API, on a company whose store has no orders yet."""
    from shipcrowd import demo as story

    sys.exit(story.main(keep_serving=True, develop=True))


@cli.command()
def openapi() -> None:
    """Print the API's description."""
    from shipcrowd.app import create_app

    typer.echo(json.dumps(create_app().openapi(), indent=1, sort_keys=True))


@cli.command()
def doctor() -> None:
    """Check that this installation can serve: settings, database, roles, documents, books."""
    from shipcrowd import doctor as checking

    sys.exit(asyncio.run(checking.run(settings())))


@keys.command("new")
def new_key() -> None:
    """Print a fresh key for SHIPCROWD_ENCRYPTION_KEYS (and one for SHIPCROWD_SEARCH_KEY)."""
    typer.echo(f"SHIPCROWD_ENCRYPTION_KEYS={clock.today():%Y%m}:{crypto.new_key()}")
    typer.echo(f"SHIPCROWD_SEARCH_KEY={crypto.new_key()}")


@keys.command("rotate")
def rotate_keys() -> None:
    """Seal everything with the newest key: put the new key first in SHIPCROWD_ENCRYPTION_KEYS, then run this."""
    from shipcrowd import rotation

    config = settings()
    process.configure(config)

    async def work() -> dict[str, int]:
        db.connect(process.app_url(config), pool=4)
        try:
            return await rotation.rotate()
        finally:
            await db.disconnect()

    for what, count in asyncio.run(work()).items():
        typer.echo(f"{what}: {count} sealed again")


@webhook.command("send")
def send_webhook(
    vendor: Annotated[str, typer.Option(help="The channel: shopify")],
    topic: Annotated[str, typer.Option(help="As the vendor writes it: orders/create")],
    store: Annotated[str, typer.Option(help="The store as the vendor names it: demo.myshopify.com")],
    file: Annotated[Path, typer.Option("--file", "-f", exists=True, dir_okay=False, help="The payload")],
    url: Annotated[str | None, typer.Option(help="Default: SHIPCROWD_PUBLIC_URL")] = None,
) -> None:
    """Sign a payload file as the vendor would, and post it here."""
    from shipcrowd import support

    config = settings()
    process.configure(config)
    status, body = asyncio.run(
        support.send_webhook(config, vendor=vendor, topic=topic, store=store, body=file.read_bytes(), url=url)
    )
    typer.echo(f"{status} {body}".strip())
    sys.exit(0 if 200 <= status < 300 else 1)


@operator.command("connect-courier")
def connect_courier(
    courier: Annotated[str, typer.Argument(help="velocity")],
    name: Annotated[str, typer.Option(help="What to call the account")] = "Platform account",
) -> None:
    """Connect the platform's own account at a courier, which every seller without one of their own books with."""
    from shipcrowd import support

    config = settings()
    process.configure(config)
    asked = forms.fields(couriers.vendor(courier).credentials)
    given = {
        field.name: typer.prompt(
            f"{field.title} ({field.help})" if field.help else field.title,
            hide_input=field.secret,
            default=None if field.required else "",
            show_default=False,
        )
        for field in asked
    }

    async def work() -> tuple[str | None, str | None]:
        db.connect(process.app_url(config), pool=2)
        try:
            typed = {field: text for field, text in given.items() if text}
            return await support.connect_courier(courier, name=name, given=typed)
        finally:
            await db.disconnect()

    url, secret = asyncio.run(work())
    typer.echo(f"Connected: {name}.")
    if url is not None:
        typer.echo(f"Its webhooks go to {url}")
    if secret is not None:
        typer.echo(f"signed with {secret} (shown this one time; keep it at the courier's)")


@operator.command("add")
def add_operator(email: str, name: str) -> None:
    """Let a person act for the platform (owner of its own company). Asks for a password."""
    from shipcrowd import support

    config = settings()
    process.configure(config)
    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)

    async def work() -> None:
        db.connect(process.app_url(config), pool=2)
        try:
            await support.add_operator(tenancy.PLATFORM_COMPANY, email=email, name=name, password=password)
        finally:
            await db.disconnect()

    asyncio.run(work())
    typer.echo(f"{email} may act for the platform.")


@amazon.callback()
def of_amazon() -> None:
    """The platform's own application at Amazon."""


@amazon.command("rotate-secret")
def rotate_amazon_secret() -> None:
    """Ask Amazon for a new client secret. It comes to the queue, workers take it from there, and the present one works
    for seven more days."""
    from shipcrowd import support

    config = settings()
    process.configure(config)

    async def work() -> None:
        db.connect(process.app_url(config), pool=2)
        try:
            await support.rotate_secret("amazon")
        finally:
            await db.disconnect()

    asyncio.run(work())
    typer.echo("Amazon makes a new secret and writes it to the queue; `shipcrowd doctor` says when it is here.")


def main() -> None:
    """The console script. What someone did wrong, or what is missing, is one clear line: 1 for a mistake or for an
    outside that does not answer, 2 for settings. A traceback is a bug of ours."""
    try:
        cli()
    except (process.NotConfigured, tenancy.UnsafeDatabaseRole, migrations.MayNotMakeRoles) as error:
        _end(str(error), 2)
    except ValidationError as error:
        if error.title != Settings.__name__:
            raise
        wrong = "; ".join(f"SHIPCROWD_{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors())
        _end(wrong, 2)
    except ShipcrowdError as error:
        _end(f"{error.title().rstrip('.')}: {error.detail}" if error.detail else error.title(), 1)
    except Refused as refusal:
        _end(refusal.message, 1)
    except OutsideFailure as failure:
        _end(f"The other side: {failure}", 1)
    except (PostgresError, DBAPIError) as error:
        _end(f"The database: {db.words(error)}", 1)
    except OSError as error:
        _end(f"{type(error).__name__}: {error}", 1)


def _end(words: str, code: int) -> None:
    typer.echo(" ".join(words.split()), err=True)
    sys.exit(code)
