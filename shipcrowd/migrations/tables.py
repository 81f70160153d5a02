"""Every table of the product, imported."""

import importlib
import importlib.util
import pkgutil

import shipcrowd

KERNEL = ("pace", "inbox", "idempotency", "audit", "counters")


def import_tables() -> None:
    """Import every module's tables, so that the metadata is whole."""
    for module in pkgutil.iter_modules(shipcrowd.__path__):
        if module.ispkg and importlib.util.find_spec(f"shipcrowd.{module.name}.models"):
            importlib.import_module(f"shipcrowd.{module.name}.models")
    for name in KERNEL:
        importlib.import_module(f"shipcrowd.kernel.{name}")
