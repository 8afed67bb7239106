"""Remote sessions with keys: who comes in, as what, and that every key works whatever characters it has."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

import gromos
from conftest import Daemon, free_port


def keypair(wanted: Callable[[str], bool]) -> tuple[str, str]:
    """Public and secret key; the public one as wanted. One in 85 has a given character in a given place."""
    for _ in range(10_000):
        public, secret = (key.decode() for key in zmq.curve_keypair())
        if wanted(public):
            return public, secret
    raise AssertionError("no such key in 10,000")


class KeyedDaemon(Daemon):
    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.tcp_address = f"tcp://127.0.0.1:{free_port()}"
        self.keys = folder / "authorized_keys"
        super().__init__("--listen", self.tcp_address, "--server-key", str(folder / "key"), "--authorized-keys", str(self.keys), *options)

    @property
    def public_key(self) -> str:
        return (self.folder / "key.public").read_text().strip()

    def enter(self, secret: str | None) -> gromos.Session:
        client_key = None
        if secret is not None:
            client_key = self.folder / "client"
            client_key.write_text(secret + "\n")
        return gromos.connect(self.tcp_address, server_key=self.public_key, client_key=client_key, default=False)


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[KeyedDaemon]:
    daemon = KeyedDaemon(tmp_path)
    yield daemon
    daemon.remove()


def test_each_role(keyed: KeyedDaemon) -> None:
    pairs = {role: keypair(lambda _: True) for role in ("reader", "writer", "admin")}
    keyed.keys.write_text("".join(f"{public} {role} anna\n" for role, (public, _) in pairs.items()))
    for role, (_, secret) in pairs.items():
        with keyed.enter(secret) as session:
            assert session.role == role
            if role == "reader":
                with pytest.raises(gromos.NotAuthorizedError):
                    session.create(10)
            else:
                assert session.create(10).num_atoms() == 10


@pytest.mark.parametrize("wanted", [lambda k: "#" in k[1:39], lambda k: k[-1] == "#"], ids=["inside", "last"])
def test_a_key_with_a_number_sign(keyed: KeyedDaemon, wanted: Callable[[str], bool]) -> None:
    public, secret = keypair(wanted)
    keyed.keys.write_text(f"# comment\n\n{public} writer anna # a remark\n")
    with keyed.enter(secret) as session:
        assert session.role == "writer"


def test_who_is_not_let_in(keyed: KeyedDaemon) -> None:
    public, secret = keypair(lambda _: True)
    refused = (gromos.NoDaemonError, gromos.NotAuthorizedError)
    with pytest.raises(refused):  # no file at all
        keyed.enter(secret)
    for line in (f"#{public} writer anna", f"{public} owner anna", f"{public[:-1]} writer anna", f"{public} writer", ""):
        keyed.keys.write_text(line + "\n")
        with pytest.raises(refused):
            keyed.enter(secret)
    keyed.keys.write_text(f"{public} writer anna\n")
    with pytest.raises(refused):  # a key of one's own making
        keyed.enter(None)
    keyed.enter(secret).close()
    os.chmod(keyed.keys, 0o666)
    os.utime(keyed.keys)
    with pytest.raises(refused):  # others could have written it
        keyed.enter(secret)


def test_keys_take_effect_at_once_in_both_directions(keyed: KeyedDaemon) -> None:
    public, secret = keypair(lambda _: True)
    for entry, allowed in itertools.islice(itertools.cycle(((f"{public} reader anna\n", True), ("", False))), 4):
        keyed.keys.write_text(entry)
        os.utime(keyed.keys)
        if allowed:
            keyed.enter(secret).close()
        else:
            with pytest.raises((gromos.NoDaemonError, gromos.NotAuthorizedError)):
                keyed.enter(secret)


def test_the_wrong_server_key_is_refused_by_the_client(keyed: KeyedDaemon) -> None:
    public, secret = keypair(lambda _: True)
    keyed.keys.write_text(f"{public} reader anna\n")
    (keyed.folder / "client").write_text(secret)
    other, _ = keypair(lambda _: True)
    with pytest.raises(gromos.GromosError):
        gromos.connect(keyed.tcp_address, server_key=other, client_key=str(keyed.folder / "client"), default=False)


def test_a_secret_key_that_others_can_read_stops_the_daemon(tmp_path: Path) -> None:
    KeyedDaemon(tmp_path).remove()
    os.chmod(tmp_path / "key", 0o644)
    with pytest.raises(RuntimeError, match="closed to others"):
        KeyedDaemon(tmp_path)
