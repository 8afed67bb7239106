"""Progress bars: where they show, where not, and how to silence them."""

import contextlib
import sys

import gromos
import pytest
from gromos import _progress


@pytest.fixture(autouse=True)
def default():
    gromos.progress(None)
    yield
    gromos.progress(False)


class Terminal:
    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


@contextlib.contextmanager
def terminal():
    """Standard error is a terminal meanwhile. Not a fixture: pytest puts its own in place between set-up and test."""
    t, before = Terminal(), sys.stderr
    sys.stderr = t
    try:
        yield t
    finally:
        sys.stderr = before


def test_not_where_nobody_looks():
    assert not _progress.enabled()


def test_in_a_terminal():
    with terminal() as t:
        assert _progress.enabled()
        assert list(_progress.track(range(3), 3, "counting", "sheep")) == [0, 1, 2]
    assert "counting" in t.text
    assert "sheep" in t.text


def test_silenced(monkeypatch):
    with terminal() as t:
        gromos.progress(False)
        assert not _progress.enabled()
        assert list(_progress.track(range(3), 3, "counting", "sheep")) == [0, 1, 2]
        gromos.progress(None)
        monkeypatch.setenv("GROMOS_PROGRESS", "0")
        assert not _progress.enabled()
        gromos.progress(True)
        assert _progress.enabled()
    assert t.text == ""


def test_a_wait_shows_itself_only_when_it_is_long(monkeypatch):
    with terminal() as t:
        short = _progress.Waiting("state.rdf")
        short.tick()
        short.close()
        assert t.text == ""
        monkeypatch.setattr(_progress, "SHOW_AFTER", -1.0)
        long = _progress.Waiting("state.rdf")
        long.tick()
        long.tick()
        long.close()
    assert "state.rdf" in t.text


def test_a_command_that_takes_long_shows_that_it_does(daemon, monkeypatch):
    monkeypatch.setattr(_progress, "SHOW_AFTER", -1.0)
    with daemon.connect(timeout=0.3) as s, daemon.connect() as other:
        state = gromos.State(3, session=s)
        with other.attach(state.uuid).edit(), terminal() as t, pytest.raises(gromos.TimeoutExpired):
            state.translate([1, 0, 0])
        state.close()
    assert "state.translate" in t.text
