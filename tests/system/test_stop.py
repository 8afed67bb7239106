"""A stop comes to an end whatever is at work: what takes too long is named in the log and left."""

import os
import signal
import threading
import time
from pathlib import Path

import gromos
import numpy as np
import pytest
from conftest import bring_to_a_stop, wait_until
from gromos import cli
from md_water import parameters, water

QUICK = ("--drain-timeout", "0.2", "--stop-timeout", "0.5")
LONG = 300_000  # atoms: all pairs of them take some minutes


def ended_anyway(daemon, what):
    try:
        assert daemon.process.wait(200) == 0
    finally:
        daemon.process.kill()
    log = daemon.log()
    assert "ending without it" in log and what in log, log[-1000:]
    assert not (daemon.directory / "zmq").exists() and not (daemon.directory / "door").exists()


def asks(call):
    """The call on a thread, whose end nobody waits for; what it raised."""
    raised = []

    def ask():
        try:
            call()
        except gromos.GromosError as error:
            raised.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread, raised


def long_command(session):
    s = session.create(LONG)
    s.set_positions(np.random.default_rng(1).random((LONG, 3)) * 1000, publish=False)
    return asks(lambda: s.rdf(r_max=900.0))


def begun(daemon):
    """Whether its threads have been at work for a while; that of a kept daemon is the keeper's child."""
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    fields = Path(f"/proc/{children[0] if children else daemon.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12]) > 30  # hundredths of a second, of which it has spent a few before


def pending(pid, number):
    """Whether a signal has come that the process has not taken yet."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["ShdPnd"], 16) >> (number - 1) & 1 == 1


def test_a_command_that_takes_for_ever(make_daemon):
    daemon = make_daemon(*QUICK)
    with daemon.connect() as session:
        thread, raised = long_command(session)
        wait_until(lambda: begun(daemon), what="the command")
        daemon.process.send_signal(signal.SIGTERM)
        ended_anyway(daemon, "state.rdf of session")
        thread.join(200)
        assert not thread.is_alive() and len(raised) == 1


def test_a_stop_by_command_is_bounded_too(make_daemon):
    daemon = make_daemon(*QUICK)
    with daemon.connect() as session, daemon.connect() as other:
        long_command(session)
        wait_until(lambda: begun(daemon), what="the command")
        other.shutdown(force=True)
        ended_anyway(daemon, f"state.rdf of session {session.number} (for ")


@pytest.mark.parametrize("keep", [False, True], ids=["alone", "kept"])
def test_the_command_comes_back_when_it_is_gone(make_daemon, keep):
    """What is started next finds the instance free."""
    daemon = make_daemon(*QUICK, *(["--keep"] if keep else []))
    with daemon.connect() as session:
        long_command(session)
        wait_until(lambda: begun(daemon), what="the command")
        assert cli.main(["--endpoint", daemon.endpoint, "shutdown", "--force"]) == 0
        make_daemon(directory=daemon.directory)


@pytest.mark.parametrize("keep", [False, True], ids=["alone", "kept"])
def test_a_second_signal_shortens_it(make_daemon, keep):
    daemon = make_daemon("--drain-timeout", "3600", *(["--keep"] if keep else []))
    with daemon.connect() as session:
        long_command(session)
        wait_until(lambda: begun(daemon), what="the command")
        worker = session.info().pid
        # Both have come when it looks: one Ctrl-C, from the terminal and by way of a keeper. They differ, as two of a kind would be one.
        bring_to_a_stop(worker)
        daemon.process.send_signal(signal.SIGINT)
        wait_until(lambda: pending(worker, signal.SIGINT), what="the first")
        os.kill(worker, signal.SIGTERM)
        os.kill(worker, signal.SIGCONT)
        wait_until(lambda: "stopping (SIGINT)" in daemon.log(), what="the stop")
        time.sleep(3.0)  # a second one would have ended it by now
        assert daemon.process.poll() is None
        daemon.process.send_signal(signal.SIGTERM)
        ended_anyway(daemon, "state.rdf of session")


def test_what_ends_in_time_is_waited_for(make_daemon):
    daemon = make_daemon("--stop-timeout", "60")
    with daemon.connect() as session:
        job = gromos.Simulation(water(session), parameters(1_000_000)).run()
        wait_until(lambda: job.describe().step > 5, what="some steps")
        assert daemon.stop() == 0
    assert daemon.log().rstrip().endswith("stopped") and "ending without it" not in daemon.log()
