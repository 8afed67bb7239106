"""Every exception of the package.

    GromosError
     +-- InternalError                                 internal
     +-- OutOfMemoryError        (MemoryError)         out_of_memory
     +-- QuotaExceededError                            quota_exceeded
     +-- InvalidArgumentError    (ValueError)          invalid_argument
     +-- InvalidMessageError                           invalid_message
     +-- UnknownCommandError                           unknown_command
     +-- ProtocolMismatchError                         protocol_mismatch
     +-- NotAuthorizedError      (PermissionError)     not_authorized
     +-- NotFoundError           (LookupError)         not_found
     +-- NameTakenError          (ValueError)          name_taken
     +-- StateDeletedError                             state_deleted
     +-- ShapeError              (ValueError)          invalid_shape
     +-- DTypeError              (TypeError)           invalid_dtype
     +-- NotFiniteError          (ValueError)          not_finite
     +-- IndexRangeError         (IndexError)          index_out_of_range
     +-- LeaseTimeoutError       (TimeoutError)        lease_timeout
     +-- LeaseLostError                                lease_lost
     +-- TooManyPinsError                              too_many_pins
     +-- FileFormatError         (ValueError)          file_format
     +-- FileAccessError         (OSError)             file_access
     +-- TimeoutExpired          (TimeoutError)        timeout
     +-- CancelledError                                cancelled
     +-- ShuttingDownError       (ConnectionError)     shutting_down
     +-- UnsupportedError        (NotImplementedError) unsupported
     +-- ConflictError                                 conflict
     +-- SimulationFailedError                         simulation_failed
     +-- OutcomeUnknownError     (ConnectionError)     outcome_unknown
     +-- NoDaemonError           (ConnectionError)     no_daemon
     +-- AlreadyRunningError                           already_running
     +-- TooManyRequestsError                          too_many_requests
     +-- StaleGenerationError                          stale_generation
     +-- CorruptDataError                              corrupt_data
     +-- NoTopologyError                               no_topology

The name on the right is the code in a reply; in brackets stands the built-in exception a class also is, so that a generic
handler (`except TimeoutError`) works. The table itself is proto/errors.toml; a test holds this module against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

__all__ = [
    "GromosError",
    "AlreadyRunningError",
    "CancelledError",
    "ConflictError",
    "CorruptDataError",
    "DTypeError",
    "FileAccessError",
    "FileFormatError",
    "IndexRangeError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidMessageError",
    "LeaseLostError",
    "LeaseTimeoutError",
    "NameTakenError",
    "NoDaemonError",
    "NoTopologyError",
    "NotAuthorizedError",
    "NotFiniteError",
    "NotFoundError",
    "OutOfMemoryError",
    "OutcomeUnknownError",
    "ProtocolMismatchError",
    "QuotaExceededError",
    "ShapeError",
    "ShuttingDownError",
    "SimulationFailedError",
    "StaleGenerationError",
    "StateDeletedError",
    "TimeoutExpired",
    "TooManyPinsError",
    "TooManyRequestsError",
    "UnknownCommandError",
    "UnsupportedError",
]


class GromosError(Exception):
    """Base of every error of the package.

    Attributes
    ----------
    code : str
        The error's name in the protocol.
    command : str or None
        The command that was refused; None where no command was involved.
    request_id : int or None
        The number of the request, as in the daemon's log.
    detail : mapping
        What the daemon added in machine-readable form.
    """

    code: ClassVar[str] = "internal"

    def __init__(
        self,
        message: str = "",
        *,
        command: str | None = None,
        request_id: int | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.command = command
        self.request_id = request_id
        self.detail: Mapping[str, Any] = detail or {}

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.command, self.request_id, dict(self.detail))


def _rebuild(
    cls: type[GromosError], message: str, command: str | None, request_id: int | None, detail: dict[str, Any]
) -> GromosError:
    return cls(message, command=command, request_id=request_id, detail=detail)


class InternalError(GromosError):
    """The daemon met a condition it should have excluded; the log has the details."""

    code = "internal"


class OutOfMemoryError(GromosError, MemoryError):
    """The machine, the memory cgroup or the process has no room for this request. Nothing was made."""

    code = "out_of_memory"


class QuotaExceededError(GromosError):
    """A per-session or per-State limit would be exceeded. Nothing was made."""

    code = "quota_exceeded"


class InvalidArgumentError(GromosError, ValueError):
    """An argument is missing, unknown, of the wrong type or outside its range."""

    code = "invalid_argument"


class InvalidMessageError(GromosError):
    """The bytes are not a well-formed request: bad msgpack, wrong parts, limits exceeded."""

    code = "invalid_message"


class UnknownCommandError(GromosError):
    """No command of this name exists in this protocol version."""

    code = "unknown_command"


class ProtocolMismatchError(GromosError):
    """Client and daemon speak different protocol versions."""

    code = "protocol_mismatch"


class NotAuthorizedError(GromosError, PermissionError):
    """The session has no right to do this."""

    code = "not_authorized"


class NotFoundError(GromosError, LookupError):
    """No State, job, topology or file of this name exists."""

    code = "not_found"


class NameTakenError(GromosError, ValueError):
    """A State of this name exists already."""

    code = "name_taken"


class StateDeletedError(GromosError):
    """The State was deleted; arrays already mapped stay valid."""

    code = "state_deleted"


class ShapeError(GromosError, ValueError):
    """An array has the wrong number of dimensions or the wrong lengths."""

    code = "invalid_shape"


class DTypeError(GromosError, TypeError):
    """An array has an element type this argument does not take."""

    code = "invalid_dtype"


class NotFiniteError(GromosError, ValueError):
    """An array holds NaN or infinity where finite numbers are required."""

    code = "not_finite"


class IndexRangeError(GromosError, IndexError):
    """An atom index is outside the State."""

    code = "index_out_of_range"


class LeaseTimeoutError(GromosError, TimeoutError):
    """Somebody else held the State's write lease for the whole waiting time."""

    code = "lease_timeout"


class LeaseLostError(GromosError):
    """The write lease ended before the edit did: evicted, expired, or the daemon restarted. The edit was rolled back."""

    code = "lease_lost"


class TooManyPinsError(GromosError):
    """The session holds as many frames as it may; drop arrays over older frames."""

    code = "too_many_pins"


class FileFormatError(GromosError, ValueError):
    """A file is not what its format demands; the message names the line and block."""

    code = "file_format"


class FileAccessError(GromosError, OSError):
    """A file cannot be opened, read or written."""

    code = "file_access"


class TimeoutExpired(GromosError, TimeoutError):
    """The waiting time ran out."""

    code = "timeout"


class CancelledError(GromosError):
    """The work was cancelled on request."""

    code = "cancelled"


class ShuttingDownError(GromosError, ConnectionError):
    """The daemon is stopping and takes no new work."""

    code = "shutting_down"


class UnsupportedError(GromosError, NotImplementedError):
    """The request is understood but this version does not do it."""

    code = "unsupported"


class ConflictError(GromosError):
    """The request does not fit the present condition of its object."""

    code = "conflict"


class SimulationFailedError(GromosError):
    """A run stopped by itself: not-a-number, constraint failure, or an atom outside reach."""

    code = "simulation_failed"


class OutcomeUnknownError(GromosError, ConnectionError):
    """The daemon died while the command was in flight; whether it was executed cannot be told."""

    code = "outcome_unknown"


class NoDaemonError(GromosError, ConnectionError):
    """No daemon answers at the endpoint, or a private one could not be started."""

    code = "no_daemon"


class AlreadyRunningError(GromosError):
    """Another daemon owns this instance."""

    code = "already_running"


class TooManyRequestsError(GromosError):
    """The session has more requests in flight than it may."""

    code = "too_many_requests"


class StaleGenerationError(GromosError):
    """The State moved to a new generation of memory; fetch its arrays again."""

    code = "stale_generation"


class CorruptDataError(GromosError):
    """Stored data fails its checksum or its structure is inconsistent."""

    code = "corrupt_data"


class NoTopologyError(GromosError):
    """The request needs a topology and the State has none."""

    code = "no_topology"


CLASSES: Final[Mapping[str, type[GromosError]]] = {
    cls.code: cls
    for cls in (
        InternalError,
        OutOfMemoryError,
        QuotaExceededError,
        InvalidArgumentError,
        InvalidMessageError,
        UnknownCommandError,
        ProtocolMismatchError,
        NotAuthorizedError,
        NotFoundError,
        NameTakenError,
        StateDeletedError,
        ShapeError,
        DTypeError,
        NotFiniteError,
        IndexRangeError,
        LeaseTimeoutError,
        LeaseLostError,
        TooManyPinsError,
        FileFormatError,
        FileAccessError,
        TimeoutExpired,
        CancelledError,
        ShuttingDownError,
        UnsupportedError,
        ConflictError,
        SimulationFailedError,
        OutcomeUnknownError,
        NoDaemonError,
        AlreadyRunningError,
        TooManyRequestsError,
        StaleGenerationError,
        CorruptDataError,
        NoTopologyError,
    )
}


def from_reply(error: Mapping[str, Any], command: str | None, request_id: int | None) -> GromosError:
    """The exception for the `error` map of a reply; a code this version does not know becomes a plain GromosError."""
    code = str(error.get("code", "internal"))
    message = str(error.get("message", code))
    cls = CLASSES.get(code)
    if cls is None:
        return GromosError(f"{code}: {message}", command=command, request_id=request_id, detail=error.get("detail"))
    return cls(message, command=command, request_id=request_id, detail=error.get("detail"))


def from_number(number: int, text: str) -> GromosError:
    """The exception for a C error code (as the door gives it)."""
    from ._protocol import ERRORS

    for name, info in ERRORS.items():
        if info.code == number:
            return CLASSES[name](text)
    return InternalError(f"unknown error {number}: {text}")
