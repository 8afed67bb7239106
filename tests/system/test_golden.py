"""The golden messages: this client's encoder and decoder, and the daemon's, against the same file."""

import json
from pathlib import Path
from typing import NamedTuple

import gromos
import msgpack
import numpy as np
import pytest
import zmq
from gromos import _protocol, _session, _wire

FILE = Path(__file__).resolve().parents[2] / "proto" / "golden" / "messages.tsv"


class Message(NamedTuple):
    name: str
    kind: str
    parts: list[bytes]
    expected: str
    content: object


def undescribe(value):
    if isinstance(value, dict):
        if set(value) == {"bin"}:
            return bytes.fromhex(value["bin"])
        return {k: undescribe(v) for k, v in value.items()}
    return [undescribe(v) for v in value] if isinstance(value, list) else value


def read():
    for line in FILE.read_text().splitlines():
        if not line.startswith("#"):
            name, kind, text, expected, content = line.split("\t")
            parts = [bytes.fromhex(p) for p in text.split(":")]
            yield Message(name, kind, parts, expected, undescribe(json.loads(content)) if content else None)


MESSAGES = list(read())
DTYPES = {"f4": "<f4", "f8": "<f8", "i4": "<i4", "i8": "<i8", "u1": "u1"}


def named(kind, good):
    chosen = [m for m in MESSAGES if m.kind == kind and (m.expected == "ok") == good]
    assert chosen
    return pytest.mark.parametrize("message", chosen, ids=[m.name for m in chosen])


@named("request", True)
def test_good_requests_decode_and_are_what_the_client_would_send(message):
    decoded = msgpack.unpackb(message.parts[0])
    assert decoded == message.content
    args = dict(decoded.get("args", {}))
    assert set(args) <= set(_protocol.COMMANDS[decoded["cmd"]].args)
    for name, value in args.items():
        if isinstance(value, dict) and "part" in value:
            raw = np.frombuffer(message.parts[value["part"]], DTYPES[value["dtype"]])
            args[name] = raw.reshape(value["shape"])
    ours = _wire.encode(decoded["cmd"], args)
    assert msgpack.unpackb(ours.head(decoded["id"] % 2**32)) == {
        "v": 1,
        "id": decoded["id"] % 2**32,
        "cmd": decoded["cmd"],
        "args": decoded.get("args", {}),
    }
    assert [p.tobytes() for p in ours.parts] == message.parts[1:]


def fetch_nothing(number, nbytes):
    return bytes(nbytes)


@named("reply", True)
def test_good_replies_decode(message):
    decoded = _wire.decode(message.parts[0])
    assert decoded == message.content
    target = decoded.get("result", decoded)
    _wire.attach_arrays(target, message.parts[1:], fetch_nothing)


@named("reply", False)
def test_bad_replies_are_refused(message):
    with pytest.raises(gromos.GromosError) as caught:
        decoded = _wire.decode(message.parts[0])
        _wire.attach_arrays(decoded["result"], message.parts[1:])
    assert caught.value.code == message.expected


def ask(daemon, session, parts):
    """Send raw parts on a connection of the session; the reply."""
    link = session._link
    socket = zmq.Context.instance().socket(zmq.DEALER)
    with socket:
        socket.linger = 0
        socket.rcvtimeo = 60000
        socket.connect(daemon.endpoint)
        socket.send(_wire.encode("hello", _session._greeting(session._name, link.door.token)).head(1))
        assert msgpack.unpackb(socket.recv())["ok"]
        socket.send_multipart(parts)
        return msgpack.unpackb(socket.recv_multipart()[0])


@named("request", True)
def test_the_daemon_understands_good_requests(daemon, session, message):
    reply = ask(daemon, session, message.parts)
    assert reply["id"] == message.content["id"]
    if not reply["ok"]:
        # Understood, but about a State that is not there, or a token that is not known.
        assert reply["error"]["code"] in ("not_found", "not_authorized"), reply["error"]


@named("request", False)
def test_the_daemon_refuses_bad_requests_by_name(daemon, session, message):
    reply = ask(daemon, session, message.parts)
    assert not reply["ok"]
    assert reply["error"]["code"] == message.expected, reply["error"]
    assert reply["error"]["message"]
