"""A figure beside its baseline, and the table they are printed in."""

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One figure beside its baseline, both in `unit`; None where there is no baseline.

    `target` is the least wanted, or the most where `smaller` is better; `share` is the least share of the baseline.
    """

    what: str
    found: float
    baseline: float | None
    unit: str
    target: float | None = None
    share: float | None = None
    smaller: bool = False

    @property
    def ratio(self) -> float | None:
        return self.found / self.baseline if self.baseline else None

    @property
    def met(self) -> bool | None:
        """None where nothing is wanted."""
        if self.target is None and self.share is None:
            return None
        enough = self.target is None or (self.found <= self.target if self.smaller else self.found >= self.target)
        return enough and (self.share is None or (self.ratio is not None and self.ratio >= self.share))

    @property
    def wanted(self) -> str:
        figure = "" if self.target is None else f"{'≤' if self.smaller else '≥'} {_number(self.target)}"
        share = "" if self.share is None else f"≥ {self.share:g} × baseline"
        return ", ".join(filter(None, (figure, share)))


HEAD = ("", "found", "unit", "baseline", "ratio", "wanted", "")


def cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        _number(row.found),
        row.unit,
        "" if row.baseline is None else _number(row.baseline),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        row.wanted,
        {True: "met", False: "MISSED", None: ""}[row.met],
    )


def table(rows: Sequence[Row]) -> str:
    """The rows in columns, figures to the right."""
    lines = [HEAD, *map(cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(_placed, range(len(HEAD)), line, widths)).rstrip() for line in lines)


def _placed(column: int, cell: str, width: int) -> str:
    return cell.rjust(width) if HEAD[column] in ("found", "baseline", "ratio") else cell.ljust(width)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` % of `values` do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"
