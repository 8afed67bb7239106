"""The blocks of a GROMOS input file as Python objects: fields with units, ranges and words, checked when they are assigned.

A block is a class with one attribute per field, named as GROMOS names it, in lower case. Meaning and layout: GROMOS manual, volume 4,
input file. What the daemon does not do is no value here either.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, NamedTuple, Self, TypeVar, get_type_hints, overload

from ._errors import InvalidArgumentError

__all__ = ["Bath", "Block", "DofSet", "Field"]

T = TypeVar("T")
MISSING: Final = object()


class Field(Generic[T]):
    """A field of a block; on the class it describes itself, on a block it is the value.

    Attributes
    ----------
    keyword : str
        Its name in GROMOS.
    unit : str
        Empty for pure numbers.
    default : object
    """

    name: str
    block: str

    def __init__(self, keyword: str, default: T, text: str, unit: str = "") -> None:
        self.keyword = keyword
        self.default = default
        self.unit = unit
        self.text = text
        self.__doc__ = f"{keyword}: {text}" + (f" ({unit})" if unit else "")

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.block = getattr(owner, "keyword", owner.__name__)

    @overload
    def __get__(self, block: None, owner: type) -> Self: ...
    @overload
    def __get__(self, block: Block, owner: type) -> T: ...
    def __get__(self, block: Block | None, owner: type) -> Self | T:
        if block is None:
            return self
        value: T = block._values[self.name]
        return value

    def __set__(self, block: Block, value: Any) -> None:
        block._values[self.name] = self.check(value)

    def wrong(self, value: Any, expected: str) -> InvalidArgumentError:
        unit = f" {self.unit}" if self.unit and expected[-1].isdigit() else f" ({self.unit})" if self.unit else ""
        return InvalidArgumentError(f"block {self.block}, field {self.keyword}: {value!r}; it must be {expected}{unit}")

    def check(self, value: Any) -> T:
        """The value as it is kept; InvalidArgumentError names block, field and value."""
        raise NotImplementedError

    def render(self, value: T) -> str:
        return str(value)

    def __repr__(self) -> str:
        return f"<field {self.block}.{self.__doc__}>"


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"from {low:g} to {high:g}"
    return f"at least {low:g}" if low is not None else f"at most {high:g}"


class Whole(Field[int]):
    """A whole number."""

    def __init__(
        self, keyword: str, default: int, text: str, *, low: int | None = 0, high: int | None = None, unit: str = "", only: str = ""
    ) -> None:
        super().__init__(keyword, default, text, unit)
        self.low, self.high, self.only = low, high, only

    def check(self, value: Any) -> int:
        try:
            number = operator.index(value)
        except TypeError:
            if not isinstance(value, float) or not value.is_integer():
                raise self.wrong(value, "a whole number") from None
            number = int(value)
        if isinstance(value, bool):
            raise self.wrong(value, "a whole number")
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            raise self.wrong(value, _range(self.low, self.high) + (f" ({self.only})" if self.only else ""))
        return number


class OpenWhole(Field["int | None"]):
    """A whole number, or None: taken from the System a run is made for."""

    def __init__(self, keyword: str, text: str, *, low: int = 0, high: int | None = None) -> None:
        super().__init__(keyword, None, text)
        self.low, self.high = low, high

    def check(self, value: Any) -> int | None:
        if value is None:
            return None
        try:
            number = operator.index(value)
        except TypeError:
            if not isinstance(value, float) or not value.is_integer():
                raise self.wrong(value, "a whole number or None") from None
            number = int(value)
        if isinstance(value, bool):
            raise self.wrong(value, "a whole number or None")
        if number < self.low or (self.high is not None and number > self.high):
            raise self.wrong(value, _range(self.low, self.high))
        return number

    def render(self, value: int | None) -> str:
        if value is None:
            raise InvalidArgumentError(
                f"block {self.block}, field {self.keyword}: left open (None), to be taken from a System; give to_text the System, or set it"
            )
        return str(value)


class Real(Field[float]):
    """A finite number."""

    def __init__(
        self, keyword: str, default: float, text: str, *, low: float | None = 0.0, high: float | None = None, unit: str = "", above: bool = False
    ) -> None:
        super().__init__(keyword, default, text, unit)
        self.low, self.high, self.above = low, high, above

    def check(self, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise self.wrong(value, "a number") from None
        if isinstance(value, bool):
            raise self.wrong(value, "a number")
        if not math.isfinite(number):
            raise self.wrong(value, "finite")
        if self.above and self.low is not None and number <= self.low:
            raise self.wrong(value, f"above {self.low:g}")
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            raise self.wrong(value, _range(self.low, self.high))
        return number

    def render(self, value: float) -> str:
        return repr(value)


class Word(Field[str]):
    """One of some words; their numbers are taken too. `numbers` says that the file gets the number."""

    def __init__(self, keyword: str, default: str, words: Mapping[str, int], text: str, *, numbers: bool = False) -> None:
        super().__init__(keyword, default, text)
        self.words, self.numbers = words, numbers
        self.__doc__ = f"{self.__doc__}: {', '.join(words)}"

    def check(self, value: Any) -> str:
        if isinstance(value, str) and value.lower() in self.words:
            return value.lower()
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = None
        for word, code in self.words.items():
            if code == number and not isinstance(value, bool):
                return word
        raise self.wrong(value, "one of " + ", ".join(f"{w} ({n})" for w, n in self.words.items()))

    def number(self, value: str) -> int:
        return self.words[value]

    def render(self, value: str) -> str:
        return str(self.words[value]) if self.numbers else value


class OpenWord(Field["str | None"]):
    """As Word, or None: taken from the System a run is made for."""

    def __init__(self, keyword: str, words: Mapping[str, int], text: str) -> None:
        super().__init__(keyword, None, text)
        self.words = words
        self.__doc__ = f"{self.__doc__}: {', '.join(words)}; None: from the System"

    check_word = Word.check

    def check(self, value: Any) -> str | None:
        return None if value is None else Word.check(self, value)  # type: ignore[arg-type]

    def render(self, value: str | None) -> str:
        return str(self.words[value]) if value is not None else OpenWhole.render(self, None)  # type: ignore[arg-type]


class Switch(Field[bool]):
    """On or off."""

    def check(self, value: Any) -> bool:
        if isinstance(value, str) and value.lower() in ("on", "off"):
            return value.lower() == "on"
        if value in (0, 1):
            return bool(value)
        raise self.wrong(value, "True or False")

    def render(self, value: bool) -> str:
        return str(int(value))


class Bath(NamedTuple):
    """A temperature bath: temperature in K, coupling time in ps; -1 leaves it uncoupled."""

    temp0: float
    tau: float


class DofSet(NamedTuple):
    """Atoms up to `last` (counted from 1): which bath, from 1, has their molecules' motion, and which the motion inside them."""

    last: int
    com_bath: int
    ir_bath: int


class Rows(Field["list[Any]"]):
    """A list of rows of numbers."""

    def __init__(self, keyword: str, row: Any, limits: Sequence[tuple[float, float]], text: str) -> None:
        super().__init__(keyword, [], text)
        self.row, self.limits = row, limits

    def check(self, value: Any) -> list[Any]:
        try:
            given = [tuple(item) for item in value]
        except TypeError:
            raise self.wrong(value, f"a list of ({', '.join(self.row._fields)})") from None
        return [self._row(item) for item in given]

    def _row(self, item: tuple[Any, ...]) -> Any:
        names = self.row._fields
        if len(item) != len(names):
            raise self.wrong(item, f"({', '.join(names)})")
        kept = []
        for name, (low, high), number in zip(names, self.limits, item, strict=True):
            kind = get_type_hints(self.row)[name]
            try:
                converted = kind(number)
            except (TypeError, ValueError):
                raise self.wrong(item, f"numbers ({', '.join(names)})") from None
            if converted != number or not math.isfinite(converted) or not low <= converted <= high:
                raise InvalidArgumentError(f"block {self.block}, field {name.upper().replace('_', '-')}: {number!r}; it must be {_range(low, high)}")
            kept.append(converted)
        if names == Bath._fields and kept[1] <= 0 and kept[1] != -1:
            raise InvalidArgumentError(f"block {self.block}, field TAU: {kept[1]!r}; it must be above 0 ps, or -1 for no coupling")
        return self.row(*kept)

    def render(self, value: list[Any]) -> str:
        return "\n".join([str(len(value)), *(" ".join(repr(v) for v in row) for row in value)])


class Numbers(Field["tuple[float, ...]"]):
    """A fixed number of numbers."""

    def __init__(self, keyword: str, default: tuple[float, ...], text: str, unit: str = "", whole: bool = False) -> None:
        super().__init__(keyword, default, text, unit)
        self.whole = whole

    def check(self, value: Any) -> tuple[float, ...]:
        try:
            flat = [v for item in value for v in (item if isinstance(item, Iterable) else (item,))]
            numbers = tuple(int(v) if self.whole else float(v) for v in flat)
        except (TypeError, ValueError):
            raise self.wrong(value, f"{len(self.default)} numbers") from None
        if len(numbers) != len(self.default) or not all(math.isfinite(v) for v in numbers):
            raise self.wrong(value, f"{len(self.default)} finite numbers")
        return numbers

    def render(self, value: tuple[float, ...]) -> str:
        return " ".join(repr(v) for v in value)


class Lasts(Field["list[int] | None"]):
    """Ascending last atoms, or None: everything is one group."""

    def check(self, value: Any) -> list[int] | None:
        if value is None:
            return None
        try:
            numbers = [operator.index(v) for v in value]
        except TypeError:
            raise self.wrong(value, "a list of whole numbers") from None
        if not numbers or numbers[0] < 1 or any(b <= a for a, b in zip(numbers, numbers[1:], strict=False)):
            raise self.wrong(value, "last atoms that ascend, counted from 1")
        return numbers

    def render(self, value: list[int] | None) -> str:
        if value is None:
            return OpenWhole.render(self, None)  # type: ignore[arg-type]
        return " ".join(str(v) for v in (len(value), *value))


class Block:
    """A block of the input file.

    Parameters
    ----------
    **values
        Fields by name; defaults for the others.

    Raises
    ------
    InvalidArgumentError
        Names block, field and value.
    """

    __slots__ = ("_values",)
    keyword: ClassVar[str] = ""
    _values: dict[str, Any]

    def __init__(self, **values: Any) -> None:
        self._values = {name: field.check(field.default) for name, field in self.fields().items()}
        for name, value in values.items():
            setattr(self, name, value)

    @classmethod
    def fields(cls) -> dict[str, Field[Any]]:
        """Every field by name, in the order of the file."""
        return {name: item for name, item in vars(cls).items() if isinstance(item, Field)}

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "_values" and not hasattr(type(self), name):
            raise InvalidArgumentError(f"block {self.keyword} has no field {name!r}; there are {', '.join(self.fields())}")
        super().__setattr__(name, value)

    def lines(self) -> Iterator[str]:
        """The block's contents as lines of the file."""
        names, values = [], []
        for name, field in self.fields().items():
            names.append(field.keyword)
            values.append(field.render(self._values[name]))
        yield "# " + " ".join(names)
        yield "  " + " ".join(values)

    def render(self) -> str:
        """The block as it stands in a file."""
        return "".join(f"{line}\n" for line in (self.keyword, *self.lines(), "END"))

    def copy(self) -> Self:
        other = self.__class__.__new__(self.__class__)
        other._values = {name: list(value) if isinstance(value, list) else value for name, value in self._values.items()}
        return other

    def __eq__(self, other: object) -> bool:
        return self._values == other._values if isinstance(other, Block) and type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        return dict(self._values)

    def __setstate__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._values.items())})"
