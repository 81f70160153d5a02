"""Every table of the product, imported."""

import importlib
from pathlib import Path

import shipcrowd

KERNEL = ("pace", "inbox", "idempotency", "audit", "counters", "app_secrets")


def import_tables() -> None:
    """Import every module's tables, so that the metadata is whole."""
    for models in sorted(Path(shipcrowd.__path__[0]).glob("*/models.py")):
        importlib.import_module(f"shipcrowd.{models.parent.name}.models")
    for name in KERNEL:
        importlib.import_module(f"shipcrowd.kernel.{name}")
