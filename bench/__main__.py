"""`python -m bench [row …]`: measures each row in turn and prints one table."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence

from bench import amazon, feeding, flipkart, intake, labels, memory, orders, queue
from bench.ground import Ground, ground
from bench.rows import Row, table

ROWS: Mapping[str, Callable[[Ground], Sequence[Row]]] = {
    "intake": intake.bench,
    "jobs": queue.bench,
    "import": orders.importing,
    "list": orders.listing,
    "labels": labels.bench,
    "memory": memory.bench,
    "amazon-notified": amazon.notified,
    "amazon-sweep": amazon.sweeping,
    "amazon-feed": feeding.bench,
    "flipkart": flipkart.bench,
}


def main(wanted: Sequence[str]) -> int:
    """0 when everything wanted was measured, whatever the figures; 2 for a row that is not there."""
    if unknown := set(wanted) - set(ROWS):
        print(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}", file=sys.stderr)
        return 2
    found: list[Row] = []
    started = time.monotonic()
    with ground() as stands:
        for name in wanted or ROWS:
            begun = time.monotonic()
            print(f"{name} …", end="", file=sys.stderr, flush=True)
            found += ROWS[name](stands)
            print(f" {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    print(table(found))
    print(f"\nMeasured in {time.monotonic() - started:.0f} s, baselines in the same run.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
