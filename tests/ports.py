"""Ports for daemons of tests."""

import random
import socket
from pathlib import Path


def free_port() -> int:
    """A port where nobody listens, of those that the kernel does not give to connections: no client's own end comes to lie there before
    the daemon does, or while it is away."""
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(10_000, first_given) if first_given > 12_000 else 0
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(s.getsockname()[1])
