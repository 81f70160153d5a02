"""Rupees as whole paise. Never a float: amounts enter as text, int paise or Decimal, and leave as int paise."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

LARGEST_POWER = 15
"""Of ten, in rupees: what is beyond does not fit a bigint of paise, and is no price."""


class Rounding(StrEnum):
    half_up = ROUND_HALF_UP  # tax
    up = ROUND_CEILING
    down = ROUND_FLOOR


@dataclass(frozen=True, order=True, slots=True)
class Money:
    """An amount in paise of one currency, which is INR unless the owner of the value says otherwise."""

    paise: int

    zero: ClassVar["Money"]

    def __post_init__(self) -> None:
        if type(self.paise) is not int:
            raise TypeError(f"money is whole paise, not {type(self.paise).__name__}")

    @classmethod
    def rupees(cls, text: "str | int | Decimal") -> "Money":
        """`"1078.00"` → 1,07,800 paise. More than two decimals are rounded half up.

        Raises ValueError for a float or for text that is not a number.
        """
        if isinstance(text, (float, bool)):
            raise ValueError("money comes from text, never from a float")  # noqa: TRY004 - one error for bad input
        try:
            amount = Decimal(text.replace(",", "").strip()) if isinstance(text, str) else Decimal(text)
            if not amount.is_finite() or amount.adjusted() > LARGEST_POWER:
                raise InvalidOperation
            return cls(int((amount * 100).to_integral_value(ROUND_HALF_UP)))
        except (ArithmeticError, ValueError) as error:
            raise ValueError(f"{str(text)[:40]!r} is not an amount of money") from error

    @classmethod
    def total(cls, amounts: Iterable["Money"]) -> "Money":
        return cls(sum(amount.paise for amount in amounts))

    def __add__(self, other: "Money") -> "Money":
        return Money(self.paise + other.paise)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.paise - other.paise)

    def __neg__(self) -> "Money":
        return Money(-self.paise)

    def __mul__(self, times: int) -> "Money":
        return Money(self.paise * times)

    def __bool__(self) -> bool:
        return self.paise != 0

    def share(self, basis_points: int, rounding: Rounding = Rounding.half_up) -> "Money":
        """`basis_points` hundredths of a percent of this amount: 1,800 is 18 %."""
        return Money(int((Decimal(self.paise) * basis_points / 10_000).to_integral_value(rounding.value)))

    def split(self, weights: Sequence[int]) -> list["Money"]:
        """Parts in proportion to `weights` that add up to exactly this amount (largest remainder first).

        Raises ValueError when there is no positive weight to split by.
        """
        whole = sum(weights)
        if whole <= 0 or min(weights) < 0:
            raise ValueError("splitting needs weights of zero or more, one of them positive")
        shares = [self.paise * weight // whole for weight in weights]
        by_remainder = sorted(range(len(weights)), key=lambda i: (-(self.paise * weights[i] % whole), i))
        for i in by_remainder[: self.paise - sum(shares)]:
            shares[i] += 1
        return [Money(share) for share in shares]

    def __str__(self) -> str:
        """`₹1,23,456.00`: grouped the Indian way."""
        rupees, paise = divmod(abs(self.paise), 100)
        digits = str(rupees)
        head, tail = digits[:-3], digits[-3:]
        groups = [tail]
        while head:
            groups.insert(0, head[-2:])
            head = head[:-2]
        return f"{'-' if self.paise < 0 else ''}₹{','.join(groups)}.{paise:02d}"

    def plain(self) -> str:
        """`123456.00`: for vendors' decimal strings and spreadsheets."""
        sign = "-" if self.paise < 0 else ""
        return f"{sign}{abs(self.paise) // 100}.{abs(self.paise) % 100:02d}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def build(paise: int) -> "Money":
            return cls(paise)

        def unwrap(value: Any) -> Any:
            return value.paise if isinstance(value, cls) else value

        # A chain and no union: the error stands at the field, not at `field.chain[…]`.
        from_paise: list[CoreSchema] = [
            core_schema.int_schema(strict=True),
            core_schema.no_info_plain_validator_function(build),
        ]
        return core_schema.json_or_python_schema(
            json_schema=core_schema.chain_schema(from_paise),
            python_schema=core_schema.chain_schema([core_schema.no_info_plain_validator_function(unwrap), *from_paise]),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda money: money.paise),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "integer", "description": "paise"}


Money.zero = Money(0)
