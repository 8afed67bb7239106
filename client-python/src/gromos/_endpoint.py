"""Where a daemon is and which keys let one in: endpoints and CURVE keys, as text, files and environment variables."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import zmq

from ._errors import FileAccessError, InvalidArgumentError, NotAuthorizedError
from ._transport import Security


def parse(endpoint: str) -> Path | None:
    """The directory of an ipc endpoint; None for a tcp one."""
    if not isinstance(endpoint, str):
        raise InvalidArgumentError(f"an endpoint is text, not {type(endpoint).__name__}")
    form = "an endpoint is ipc://<directory>/zmq or tcp://<host>:<port>"
    if endpoint.startswith("ipc://"):
        path = Path(endpoint[6:]).expanduser()
        if not path.is_absolute():
            raise InvalidArgumentError(f"{endpoint!r} names no absolute path; {form}")
        return path.parent if path.name == "zmq" else path
    if endpoint.startswith("tcp://"):
        try:
            parts = urlsplit(endpoint)
            valid = bool(parts.hostname) and parts.port is not None and parts.path in ("", "/")
        except ValueError:
            valid = False
        if valid:
            return None
    raise InvalidArgumentError(f"{endpoint!r} is not understood; {form}")


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def security(
    endpoint: str, server_key: str | os.PathLike[str] | None, client_key: str | os.PathLike[str] | None
) -> Security | None:
    """The keys for a tcp endpoint, from the arguments or the environment; None for plain tcp on this machine.

    Raises
    ------
    InvalidArgumentError, FileAccessError, NotAuthorizedError
    """
    if server_key is None:
        server_key = os.environ.get("GROMOSD_SERVER_KEY")
    if client_key is None:
        client_key = os.environ.get("GROMOSD_CLIENT_KEY")
    if server_key is None:
        host = urlsplit(endpoint).hostname or ""
        if not _is_loopback(host):
            raise InvalidArgumentError(
                f"{endpoint} is not on this machine, so the connection is encrypted: give server_key=, the public key of the daemon "
                "(it stands beside the daemon's secret key, in <file>.public)"
            )
        return None
    if not zmq.has("curve"):
        raise NotAuthorizedError("this libzmq was built without CURVE; install pyzmq with libsodium")
    server = read_key(server_key, "public-key")
    if client_key is None:
        public, secret = zmq.curve_keypair()
    else:
        secret = read_key(client_key, "secret-key")
        public = zmq.curve_public(secret)
    return Security(server, public, secret)


def read_key(key: str | os.PathLike[str], kind: str) -> bytes:
    """A Z85 key: the text itself, a file with the text, or a ZeroMQ certificate (public-key = "...")."""
    text = os.fspath(key)
    if len(text) == 40 and not os.path.exists(text):
        return text.encode()
    try:
        content = Path(text).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise FileAccessError(f"the key file {text} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidArgumentError(f"{text} is no text, so it holds no key") from None
    for line in content.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip() == kind:
            content = value
    words = [word.strip('"') for word in content.split() if not word.startswith("#")]
    if len(words) < 1 or len(words[0]) != 40:
        raise InvalidArgumentError(f"{text} holds no {kind}: a key is 40 characters (Z85)")
    return words[0].encode()
