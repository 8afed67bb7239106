#!/usr/bin/env python3
"""The reading process of bench_sharing.py.

    sharing_reader.py MODE WHAT...

Prints "ready" when it waits and, when it is told by a line on its standard input, one line of JSON with what it saw. Times of waking are
differences of CLOCK_MONOTONIC between the moment the writer put into `stamps` (shared memory) and the return to Python.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

import gromos
from benchlib import load_extension


class Stamps:
    """Shared memory: a stop word, a futex word, the time of the latest post."""

    def __init__(self, descriptor: int) -> None:
        self.memory = mmap.mmap(descriptor, 4096)

    def stopped(self) -> bool:
        return self.memory[0] != 0

    def posted(self) -> int:
        return int(struct.unpack_from("<q", self.memory, 128)[0])

    def word(self) -> memoryview:
        return memoryview(self.memory)[64:68]


def ready() -> None:
    print("ready", flush=True)


def report(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def wake(mode: str, stamps: Stamps, arguments: list[str]) -> None:
    """Until stopped: wait, and note how long ago the post was."""
    now, posted, stopped, late = time.monotonic_ns, stamps.posted, stamps.stopped, []
    if mode in ("gromos", "spin", "frames"):
        session = gromos.connect(arguments[0], default=False)
        state = session.attach(arguments[1])
        if mode == "frames":
            frames = state.frames(timeout=30.0)
            ready()
            for frame in frames:
                late.append(now() - posted())
                del frame
                if stopped():
                    break
        else:
            spin = 0.02 if mode == "spin" else 0.0
            version = state.version
            ready()
            while not stopped():
                version = state.wait(version, 30.0, spin)
                late.append(now() - posted())
    elif mode in ("futex", "eventfd"):
        bare = load_extension("bare_wake", Path(arguments[0]))
        word, seen = stamps.word(), 0
        ready()
        while not stopped():
            if mode == "futex":
                seen = bare.futex_wait(word, seen)
            else:
                bare.eventfd_wait(int(arguments[1]))
            late.append(now() - posted())
    else:
        import zmq

        socket = zmq.Context().socket(zmq.SUB)
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.connect(arguments[0])
        time.sleep(0.3)
        ready()
        while not stopped():
            socket.recv()
            late.append(now() - posted())
    report(late=late)


def total(mode: str, arguments: list[str]) -> None:
    """Sum every frame that comes until a line tells to stop."""
    told = threading.Event()

    def listen() -> None:
        sys.stdin.readline()
        told.set()

    threading.Thread(target=listen, daemon=True).start()
    seen, missed, checksum, last = 0, 0, 0.0, 0
    gaps: list[tuple[int, int]] = []  # versions between which frames were missed
    if mode in ("every", "latest"):
        state = gromos.connect(arguments[0], default=False).attach("streamed")
        frames = state.frames(policy=mode, timeout=0.5)  # type: ignore[arg-type]
        last = state.version
        ready()
        while not told.is_set():
            for frame in frames:
                checksum += float(frame.positions().sum())
                seen += 1
                version = frame.version
                if version != last + 1:
                    gaps.append((last, version))
                last = version
                del frame
                if told.is_set():
                    break
            if frames.timed_out:
                before = frames.missed
                frames = state.frames(policy=mode, timeout=0.5)  # type: ignore[arg-type]
                missed += before
        missed += frames.missed
    elif mode == "zmq":
        import zmq

        socket = zmq.Context().socket(zmq.SUB)
        socket.setsockopt(zmq.RCVHWM, 16)
        socket.setsockopt(zmq.RCVTIMEO, 500)
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.connect(arguments[0])
        time.sleep(0.3)
        ready()
        while not told.is_set():
            try:
                message = socket.recv(copy=False)
            except zmq.Again:
                continue
            checksum += float(np.frombuffer(message.buffer, np.float32).sum())
            seen += 1
    else:
        from redis_wire import Redis

        client = Redis(arguments[0], timeout=0.5)
        client.send("SUBSCRIBE", "frames")
        client.reply()
        ready()
        while not told.is_set():
            try:
                reply = client.reply()
            except TimeoutError:
                continue
            except ConnectionError:  # Redis gives up readers that are too far behind
                told.wait()
                break
            checksum += float(np.frombuffer(reply[2], np.float32).sum())
            seen += 1
    report(seen=seen, missed=missed, gaps=gaps, finite=bool(np.isfinite(checksum)))


def main() -> None:
    gromos.progress(False)
    kind, mode, *arguments = sys.argv[1:]
    if kind == "wake":
        wake(mode, Stamps(int(arguments[0])), arguments[1:])
    else:
        total(mode, arguments)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
