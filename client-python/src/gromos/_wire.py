"""The wire format without any input or output: requests to bytes, bytes to replies, Python values to arguments.

A request is a msgpack map and, behind it, the raw bytes of arrays; see proto/PROTOCOL.md. Nothing here knows sockets, so all of
it is tested without a daemon, and against the same golden vectors as the C codec.
"""

from __future__ import annotations

import functools
import operator
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, cast

import numpy as np
import numpy.typing as npt

from . import _ext
from ._errors import DTypeError, IndexRangeError, InvalidArgumentError, NotFiniteError, ShapeError

Array = npt.NDArray[Any]
VERSION: Final = 1
Request = _ext.Request

class WireBox(Protocol):
    """What is sent as a box: anything with a kind number and three edge vectors."""

    def _to_wire(self) -> tuple[int, Sequence[float]]: ...


# --- requests ------------------------------------------------------------------------------------------------------


def encode(command: str, args: dict[str, Any]) -> Request:
    """Encode a command; arrays among the arguments become parts of the message.

    Parameters
    ----------
    command : str
    args : dict
        Values as msgpack has them, or NumPy arrays of one of the dtypes on the wire.

    Raises
    ------
    InvalidArgumentError
        If a value cannot be encoded.
    """
    try:
        return _ext.encode(command, args)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidArgumentError(f"{command}: an argument cannot be sent: {error}", command=command) from None


# --- replies -------------------------------------------------------------------------------------------------------


decode = _ext.decode
"""The map of a message from the daemon; InvalidMessageError if it is no map, or no reply and no event of this protocol version."""

refers = _ext.refers
"""Whether a result may name arrays, in parts of the message or in shared memory: they are named by maps in it."""

names_parts = _ext.names_parts
"""Whether a result names arrays in parts of the message."""

attach_arrays = _ext.attach_arrays
"""Put NumPy arrays where a result names a part or a segment, in place; `fetch` is given a segment's number and how many of its
bytes are needed, and gives a buffer back."""

vector = _ext.vector
matrix = _ext.matrix


is_sent_as_is = _ext.is_sent_as_is
"""Whether a value is an array that an argument of a kind and shape takes as it is."""


# --- arguments -----------------------------------------------------------------------------------------------------


def state(name: str, value: Any) -> str | bytes:
    """A State's name, uuid or object as it is sent."""
    if isinstance(value, bytes):
        if len(value) != 16:
            raise InvalidArgumentError(f"'{name}' is {len(value)} bytes; a uuid has 16")
        return value
    if isinstance(value, str):
        if not value:
            raise InvalidArgumentError(f"'{name}' is empty; a State without a name has a uuid")
        if "\0" in value or (not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value)):
            raise InvalidArgumentError(f"'{name}' is {value!r}; a State's name has no NUL and no half of a surrogate pair in it")
        return value
    if isinstance(value, uuid.UUID):
        return value.bytes
    identity = getattr(value, "uuid", None)
    if isinstance(identity, uuid.UUID):
        return identity.bytes
    raise InvalidArgumentError(f"'{name}' must be a State, its name or its uuid, not {type(value).__name__}")


def integer(name: str, value: Any) -> int:
    """A whole number of 64 bits; NumPy's integers too, floats not."""
    try:
        result = operator.index(value)
    except TypeError:
        raise InvalidArgumentError(f"'{name}' must be a whole number, not {type(value).__name__}") from None
    if isinstance(value, bool):
        raise InvalidArgumentError(f"'{name}' must be a whole number, not {value}")
    if not -(2**63) <= result < 2**63:
        raise InvalidArgumentError(f"'{name}' is {result}; whole numbers go from -2**63 to 2**63 - 1")
    return result


def number(name: str, value: Any) -> float:
    """A finite number."""
    if isinstance(value, (bool, np.bool_, str, bytes)):
        raise InvalidArgumentError(f"'{name}' must be a number, not {value!r}")
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise InvalidArgumentError(f"'{name}' must be a number, not {type(value).__name__}") from None
    if result != result or result in (float("inf"), float("-inf")):
        raise NotFiniteError(f"'{name}' is {result}; it must be finite")
    return result


def flag(name: str, value: Any) -> bool:
    """True or False; NumPy's too, nothing that merely counts as one of them."""
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidArgumentError(f"'{name}' must be True or False, not {value!r}")
    return bool(value)


def count(name: str, value: Any, least: int = 0) -> int:
    """A whole number that is at least so much."""
    result = integer(name, value)
    if result < least:
        raise InvalidArgumentError(f"'{name}' is {result}; it must be at least {least}")
    return result


def seconds(name: str, value: Any) -> float | None:
    """A time limit: None waits for ever, as infinity does; 0 or more are seconds."""
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_, str, bytes)):
        raise InvalidArgumentError(f"'{name}' is {value!r}; a time limit is a number of seconds, 0 or more, or None")
    try:
        result = float(value)
    except OverflowError:  # a whole number beyond all floats
        result = float("inf") if value > 0 else float("-inf")
    except (TypeError, ValueError):
        raise InvalidArgumentError(f"'{name}' is {value!r}; a time limit is a number of seconds, 0 or more, or None") from None
    if not result >= 0.0:
        raise InvalidArgumentError(f"'{name}' is {result}; a time limit is a number of seconds, 0 or more, or None")
    return None if result == float("inf") else result


def vec3(name: str, value: Any) -> list[float]:
    """Three floats from a Vec3, a sequence or an array."""
    return list(reals(name, value, (3,)).tolist())


def mat3(name: str, value: Any) -> list[float]:
    """Nine floats, row by row, from a Mat3 or anything of shape (3, 3)."""
    return list(reals(name, value, (3, 3)).ravel().tolist())


def reals(name: str, value: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """A small array of finite doubles of exactly this shape."""
    to_numpy = getattr(value, "to_numpy", None)
    if to_numpy is not None:
        value = to_numpy()
    try:
        result = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DTypeError(f"'{name}' must be numbers of shape {shape}, not {type(value).__name__}") from None
    if result.shape != shape:
        raise ShapeError(f"'{name}' has shape {result.shape}; it must be {shape}")
    if not np.isfinite(result).all():
        raise NotFiniteError(f"'{name}' holds NaN or infinity; it must be finite")
    return result


def box(name: str, value: Any) -> dict[str, Any]:
    """A Box, or the map on the wire, as it is sent."""
    if isinstance(value, Mapping):
        return dict(value)
    to_wire = getattr(value, "_to_wire", None)
    if to_wire is None:
        raise InvalidArgumentError(f"'{name}' must be a gromos.Box, not {type(value).__name__}")
    kind, vectors = to_wire()
    return {"kind": int(kind), "vectors": [float(v) for v in vectors]}


def array(name: str, value: Any, kind: str, shape: str) -> Array:
    """An array argument: of floats or ints, with the dimensions that `shape` (as in the protocol, "(n, 3)") has.

    Parameters
    ----------
    value : array_like
        For one-dimensional int arguments also a boolean mask, a slice with a stop, or a range.

    Raises
    ------
    DTypeError, ShapeError, IndexRangeError
    """
    if is_sent_as_is(value, kind, shape):
        return cast(Array, value)
    if isinstance(value, slice):
        if value.stop is None or value.stop < 0 or (value.start or 0) < 0:
            raise InvalidArgumentError(f"'{name}': a slice needs a stop, and no negative limits, here")
        value = np.arange(value.start or 0, value.stop, value.step or 1)
    try:
        result = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"'{name}' makes no array of shape {shape}: {error}") from None
    if kind != "any" or result.dtype != np.uint8:
        result = _integers(name, result, shape) if kind == "int" else _floats(name, result)
    lengths = _lengths(shape)
    if result.ndim != len(lengths) or any(length not in (None, found) for length, found in zip(lengths, result.shape, strict=True)):
        if result.size == 0 and result.ndim <= len(lengths):
            return result.reshape([length or 0 for length in lengths])
        raise ShapeError(f"'{name}' has shape {result.shape}; it must be {shape}")
    return result


@functools.cache
def _lengths(shape: str) -> tuple[int | None, ...]:
    """The lengths of a shape as the protocol writes it; None for one that is free."""
    texts = [text.strip() for text in shape.strip("()").split(",")]
    return tuple(int(text) if text.isdigit() else None for text in texts if text)


def _integers(name: str, value: Array, shape: str) -> Array:
    if value.dtype == np.bool_ and value.ndim == 1 and shape.count(",") == 1 and shape.endswith(",)"):
        value = np.flatnonzero(value)
    if value.size == 0:
        return value.astype("<i4")
    if value.dtype.kind not in "iu":
        raise DTypeError(f"'{name}' has dtype {value.dtype}; it must be of whole numbers")
    if value.dtype.kind == "u" and value.dtype.itemsize == 8 and int(value.max()) > 2**63 - 1:
        raise IndexRangeError(f"'{name}' holds {int(value.max())}, beyond any atom index")
    wanted = "<i4" if value.dtype.itemsize <= 4 and value.dtype != np.uint32 else "<i8"
    return value.astype(wanted, copy=False)


def _floats(name: str, value: Array) -> Array:
    if value.dtype.kind not in "fiu":
        raise DTypeError(f"'{name}' has dtype {value.dtype}; it must be of real numbers")
    return value.astype("<f4" if value.dtype.itemsize <= 4 and value.dtype.kind == "f" else "<f8", copy=False)
