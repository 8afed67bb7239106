"""Sessions: endpoints, reconnecting, what happens to commands when the daemon dies, and a transport that is none."""

import os
import pickle
import signal
import threading
import time
from importlib.resources import files
from pathlib import Path

import gromos
import numpy as np
import pytest
import zmq
from conftest import free_port, wait_until
from gromos import _session, _wire
from gromos._transport import Channel, ConnectionLost, ZmqTransport

# --- what a session says -------------------------------------------------------------------------------------------


def test_ping_info_stats_sessions_states(any_session):
    assert any_session.ping() > 0
    info = any_session.info()
    assert (info.version, info.protocol) == (any_session.server_version, 1)
    assert info.kernels
    before = any_session.stats().requests
    any_session.ping()
    assert any_session.stats().requests > before
    mine = [s for s in any_session.sessions() if s["session"] == any_session.number]
    assert len(mine) == 1
    assert mine[0]["local"] == any_session.local
    with gromos.State(3, session=any_session) as s:
        assert s.uuid in [about.uuid for about in any_session.states()]


@pytest.mark.parametrize("connect", ["connect", "connect_tcp"])
def test_any_name_can_be_told_to_others(daemon, connect):
    """In whole characters, and without those that make lines of a log."""
    with getattr(daemon, connect)(name="ü" * 100) as a, getattr(daemon, connect)(name="two\nlines\x1b[31m") as b:
        names = {s["session"]: s["client"] for s in a.sessions()}
        assert names[a.number] == "ü" * 31
        assert names[b.number] == "twolines[31m"


def test_texts_of_files_can_be_told_whatever_their_encoding(any_session):
    """Titles in Latin-1 are found in old files."""
    text = (files("gromos") / "data" / "alanine.imd").read_bytes().replace(b"Alanine", b"Gr\xfcn")
    blocks = any_session.commands.input_parse(data=np.frombuffer(text, np.uint8), name="x").blocks
    assert blocks["TITLE"].startswith("Gr?n dipeptide")
    with pytest.raises(gromos.FileFormatError, match=r"ALGORITHM is 'gr\?d'") as caught:
        any_session.commands.input_parse(data=np.frombuffer(text.replace(b"grid_cell", b"gr\xfcd"), np.uint8), name="x")
    assert len(caught.value.detail["faults"]) == 1


def test_roles(session, remote):
    assert session.role == "admin"
    assert remote.role == "writer"
    with pytest.raises(gromos.NotAuthorizedError, match="admin"):
        remote.shutdown()
    with pytest.raises(gromos.NotAuthorizedError, match="admin"):
        remote.evict(session.number)


def test_how_a_session_shows_itself(session, remote):
    assert "local" in repr(session)
    assert "remote" in repr(remote)


def test_a_closed_session_says_so(daemon):
    s = daemon.connect()
    state = gromos.State(3, session=s)
    state.set_positions(np.ones((3, 3)))
    array = state.positions()
    s.close()
    s.close()
    assert s.closed
    with pytest.raises(gromos.NoDaemonError, match="closed"):
        s.ping()
    with pytest.raises(gromos.NoDaemonError, match="closed"):
        state.center_of_mass()
    assert (array == 1).all()


def test_with_closes(daemon):
    with daemon.connect() as s:
        s.ping()
    assert s.closed


def test_sessions_pickle_as_their_endpoint(session):
    assert pickle.loads(pickle.dumps(session)).endpoint == session.endpoint


def test_the_default_session(daemon, monkeypatch):
    monkeypatch.setattr(_session, "_default", None)
    monkeypatch.setattr(_session, "_default_explicit", False)
    monkeypatch.setenv("GROMOSD_ENDPOINT", daemon.endpoint)
    first = gromos.connect()
    assert gromos.connect() is first is gromos.default_session()
    assert first.endpoint == daemon.endpoint
    second = gromos.connect(daemon.endpoint)  # the first one by hand takes the place of the one made on demand
    assert gromos.default_session() is second
    third = gromos.connect(daemon.endpoint)
    assert gromos.default_session() is second
    fourth = gromos.connect(daemon.endpoint, default=True)
    assert gromos.default_session() is fourth
    with gromos.State(3) as s:
        assert s.session is fourth
    for s in (first, second, third, fourth):
        s.close()


# --- endpoints -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "endpoint", ["", "nonsense", "http://localhost:80", "tcp://", "tcp://localhost", "tcp://localhost:port", "ipc://relative/zmq", "tcp://h:99999"]
)
def test_endpoints_that_are_none(endpoint):
    with pytest.raises(gromos.InvalidArgumentError, match="endpoint"):
        gromos.connect(endpoint, default=False)


def test_the_directory_is_enough(daemon):
    with gromos.connect(f"ipc://{daemon.directory}", default=False) as s:
        s.ping()


def test_nobody_there(tmp_path):
    with pytest.raises(gromos.NoDaemonError, match="does not exist"):
        gromos.connect(f"ipc://{tmp_path}/nobody/zmq", default=False)
    (tmp_path / "empty").mkdir(mode=0o700)
    with pytest.raises(gromos.NoDaemonError, match="empty"):
        gromos.connect(f"ipc://{tmp_path}/empty/zmq", default=False)
    with pytest.raises(gromos.NoDaemonError, match="no daemon answers"):
        gromos.connect(f"tcp://127.0.0.1:{free_port()}", default=False)


def test_plain_tcp_leaves_this_machine_only_with_a_key():
    with pytest.raises(gromos.InvalidArgumentError, match="server_key"):
        gromos.connect("tcp://node.example:5870", default=False)


def test_keys(make_daemon, tmp_path):
    port = free_port()
    public, secret = (k.decode() for k in zmq.curve_keypair())
    authorized = tmp_path / "authorized"
    authorized.write_text(f"{public} writer ada\n")
    make_daemon("--listen", f"tcp://127.0.0.1:{port}", "--authorized-keys", str(authorized), "--server-key", str(tmp_path / "server"))
    server = tmp_path / "server.public"
    key = tmp_path / "client.key"
    key.write_text(f'public-key = "{public}"\nsecret-key = "{secret}"\n')
    endpoint = f"tcp://127.0.0.1:{port}"
    with gromos.connect(endpoint, server_key=server, client_key=key, default=False) as s:
        assert s.role == "writer"
        with gromos.State(10, session=s) as state:
            state.set_positions(np.ones((10, 3)))
            assert (state.positions() == 1).all()
    with pytest.raises(gromos.NotAuthorizedError, match="key"):
        gromos.connect(endpoint, server_key=server, default=False)  # a key nobody authorized
    with pytest.raises((gromos.NoDaemonError, gromos.NotAuthorizedError)):
        gromos.connect(endpoint, default=False)  # no key at all
    with pytest.raises(gromos.FileAccessError):
        gromos.connect(endpoint, server_key=tmp_path / "missing", default=False)
    key.write_text("not a key\n")
    with pytest.raises(gromos.InvalidArgumentError, match="40 characters"):
        gromos.connect(endpoint, server_key=server, client_key=key, default=False)


# --- the daemon dies -----------------------------------------------------------------------------------------------


@pytest.fixture(params=["local", "remote"])
def kind(request):
    return request.param


def connect(d, kind):
    return d.connect() if kind == "local" else d.connect_tcp()


def test_a_session_reconnects_by_itself(own_daemon, kind):
    with connect(own_daemon, kind) as s:
        first = s.info().pid
        own_daemon.kill()
        own_daemon.start()
        assert s.info().pid == own_daemon.pid != first
        with gromos.State(5, session=s) as state:
            state.set_positions(np.ones((5, 3)))


def test_a_call_waits_for_the_daemon_to_come_back(own_daemon, kind):
    with connect(own_daemon, kind) as s:
        own_daemon.kill()
        timer = threading.Timer(0.5, own_daemon.start)
        timer.start()
        assert s.ping() > 0
        timer.join()


def test_states_of_a_dead_daemon_are_not_found_and_arrays_stay(own_daemon, kind):
    with connect(own_daemon, kind) as s:
        state = gromos.State(5, session=s)
        state.set_positions(np.ones((5, 3)))
        array = state.positions()
        own_daemon.kill()
        own_daemon.start()
        with pytest.raises((gromos.NotFoundError, gromos.StateDeletedError)):
            state.center_of_mass()
        with pytest.raises((gromos.NotFoundError, gromos.StateDeletedError)):
            state.set_positions(np.zeros((5, 3)))
        assert (array == 1).all()
        state.close()


def test_a_reading_command_in_flight_is_sent_again(own_daemon):
    with own_daemon.connect_tcp() as s:
        state = gromos.State(5, session=s)
        answers = []

        def wait():
            try:
                answers.append(state.wait(timeout=100))
            except gromos.GromosError as error:
                answers.append(error)

        t = threading.Thread(target=wait)
        t.start()
        wait_until(lambda: s.stats().commands.get("state.describe"), what="the wait")
        time.sleep(0.2)
        own_daemon.kill()
        own_daemon.start()
        t.join(100)
        # Sent again to the new daemon, which does not know the State.
        assert isinstance(answers[0], (gromos.NotFoundError, gromos.StateDeletedError))


def test_a_writing_command_in_flight_is_not(own_daemon):
    with own_daemon.connect_tcp() as s, own_daemon.connect() as other:
        state = gromos.State(5, name="held", session=s)
        here = other.attach("held")
        answers = []

        def write():
            try:
                state.translate([1, 0, 0])
            except gromos.GromosError as error:
                answers.append(error)

        with pytest.raises(gromos.GromosError), here.edit():
            t = threading.Thread(target=write)
            t.start()
            wait_until(lambda: other.commands.state_describe("held").waiters == 1, what="the waiter")
            own_daemon.kill()
            own_daemon.start()
            t.join(100)
        assert isinstance(answers[0], gromos.OutcomeUnknownError)
        assert answers[0].command == "state.translate"


def test_a_daemon_that_does_not_come_back(own_daemon, monkeypatch):
    with own_daemon.connect() as s:
        own_daemon.kill()
        with monkeypatch.context() as patched, pytest.raises(gromos.NoDaemonError):
            patched.setattr(_session, "RECONNECT_TIMEOUT", 0.3)
            s.ping()
        own_daemon.start()
        s.ping()


def test_an_evicted_session_connects_anew(own_daemon):
    with own_daemon.connect_tcp() as s, own_daemon.connect() as admin:
        first = s.number
        admin.evict(first)
        assert s.ping() > 0
        s.stats()
        assert s.number != first


def test_a_silent_remote_session_is_kept_alive(make_daemon):
    d = make_daemon("--session-ttl", "3", tcp=True)
    with d.connect_tcp() as s, d.connect() as other:
        number = s.number
        state = gromos.State(3, session=s)
        wait_until(lambda: beats(other) > 3, what="heartbeats for longer than that")  # a second lies between two
        assert state.describe().num_atoms == 3
        assert s.number == number
        state.close()


def beats(session):
    """How many heartbeats the daemon has had."""
    return session.stats().commands.get("heartbeat", [0])[0]


def test_command_timeout(daemon):
    with daemon.connect(timeout=0.2) as s, daemon.connect() as other:
        state = gromos.State(3, session=s)
        here = other.attach(state.uuid)
        with here.edit(), pytest.raises(gromos.TimeoutExpired, match="state.translate"):
            state.translate([1, 0, 0])
        s.timeout = None  # of later commands
        s.ping()


# --- a transport without a network ---------------------------------------------------------------------------------


class Mock:
    """Answers from a table: command to result, GromosError map, or exception."""

    def __init__(self, **answers):
        self.answers = {"ping": {}, **{k.replace("__", "."): v for k, v in answers.items()}}
        self.seen = []

    def roundtrip(self, request, timeout, tick=None):
        self.seen.append(request.command)
        answer = self.answers[request.command]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if "code" in answer:
            return {"v": 1, "id": 1, "ok": False, "error": answer}, ()
        return {"v": 1, "id": 1, "ok": True, "result": dict(answer)}, ()

    def dedicated(self):
        raise NotImplementedError

    def close(self):
        pass


def mocked(**answers):
    mock = Mock(**answers)
    return gromos.Session("tcp://mock:1", transport=mock), mock


def test_errors_become_exceptions():
    s, _ = mocked(stats={"code": "quota_exceeded", "message": "too much", "detail": {}})
    with pytest.raises(gromos.QuotaExceededError, match="too much") as caught:
        s.stats()
    assert (caught.value.command, caught.value.request_id) == ("stats", 1)


def test_an_answer_that_cannot_be_read_is_no_reason_to_ask_again():
    lost = ConnectionLost(True)
    lost.__cause__ = gromos.InvalidMessageError("not msgpack")
    s, mock = mocked(stats=[lost, lost])
    with pytest.raises(gromos.InvalidMessageError):
        s.stats()
    assert mock.seen.count("stats") == 1


def test_what_was_not_sent_is_sent_again():
    s, mock = mocked(state__delete=[ConnectionLost(False), {}])
    s.commands.state_delete("w")
    assert mock.seen.count("state.delete") == 2


def test_what_may_have_been_executed_is_not_sent_again():
    s, mock = mocked(state__delete=[ConnectionLost(True), {}])
    with pytest.raises(gromos.OutcomeUnknownError):
        s.commands.state_delete("w")
    assert mock.seen.count("state.delete") == 1


def test_what_only_reads_is_sent_again():
    s, mock = mocked(state__credit=[ConnectionLost(True), {}])
    s.commands.state_credit(subscription=1, credit=1)
    assert mock.seen.count("state.credit") == 2


# --- channels against a ROUTER that is no daemon -------------------------------------------------------------------


@pytest.fixture
def router():
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.linger = 0
    socket.rcvtimeo = 60_000
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    yield socket, f"tcp://127.0.0.1:{port}"
    socket.close()
    context.term()


def reply(number, **result):
    import msgpack

    return msgpack.packb({"v": 1, "id": number, "ok": True, "result": result})


def test_late_answers_and_events_are_passed_over(router):
    import msgpack

    socket, endpoint = router
    transport = ZmqTransport(endpoint, lambda: {"protocol": 1, "version": "x"}, lambda hello: None)

    def serve():
        who, head = socket.recv_multipart()
        socket.send_multipart([who, reply(msgpack.unpackb(head)["id"])])
        who, head = socket.recv_multipart()
        number = msgpack.unpackb(head)["id"]
        socket.send_multipart([who, msgpack.packb({"v": 1, "event": "state", "what": "renamed"}), b"part", b"part"])
        socket.send_multipart([who, reply(number - 1, stale=True), b"part"])
        socket.send_multipart([who, reply(number, value=5)])

    server = threading.Thread(target=serve)
    server.start()
    message, parts = transport.roundtrip(_wire.encode("ping", {}), 60.0)
    server.join()
    assert message["result"] == {"value": 5}
    assert len(parts) == 0
    transport.close()


def test_no_answer_is_a_timeout_and_the_channel_is_dropped(router):
    import msgpack

    socket, endpoint = router
    transport = ZmqTransport(endpoint, lambda: {}, lambda hello: None)

    def serve():
        who, head = socket.recv_multipart()
        socket.send_multipart([who, reply(msgpack.unpackb(head)["id"])])
        socket.recv_multipart()

    server = threading.Thread(target=serve)
    server.start()
    with pytest.raises(gromos.TimeoutExpired, match="ping"):
        transport.roundtrip(_wire.encode("ping", {}), 0.2)
    server.join()
    assert transport._free == []
    transport.close()


def test_a_lost_connection_is_noticed_before_and_after_sending(router):
    socket, endpoint = router
    channel = Channel(endpoint)
    channel.send(1, _wire.encode("ping", {}))
    assert len(socket.recv_multipart()) == 2
    socket.close()
    with pytest.raises(ConnectionLost) as caught:
        channel.receive(60.0)
    assert caught.value.sent
    with pytest.raises(ConnectionLost) as caught:
        channel.send(2, _wire.encode("ping", {}))
    assert not caught.value.sent
    channel.close()
    channel.close()


def connections_to(endpoint: str) -> int:
    """Established connections of this machine's clients to a tcp endpoint."""
    port = f"{int(endpoint.rsplit(':', 1)[1]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(":" + port) and row[3] == "01" for row in rows)


def test_a_remote_session_is_one_connection(make_daemon):
    """Commands of several threads, events and two frame streams at once, over one connection; a large upload takes a second one."""
    d = make_daemon(tcp=True)
    writer = gromos.State(num_atoms=1000, name="shared", session=d.connect())
    with d.connect_tcp() as session:
        state = session.attach("shared")
        with session.events(timeout=60) as events, state.frames(timeout=60) as all_, state.frames(timeout=60, atoms=[3, 1]) as some:
            done = []
            threads = [threading.Thread(target=lambda: done.append(max(session.ping() for _ in range(50)))) for _ in range(4)]
            for thread in threads:
                thread.start()
            for value in range(1, 6):
                writer.set_positions(np.full((1000, 3), value))
                assert (next(all_).positions() == value).all()
                frame = next(some)
                assert frame.num_atoms() == 2 and (frame.positions() == value).all()
            for thread in threads:
                thread.join()
            assert len(done) == 4
            state.set_velocities(np.ones((1000, 3)))
            session.commands.state_rename(writer.uuid, name="renamed")
            assert next(events).what == "renamed"
            assert connections_to(d.tcp) == 1
            large = session.create(200_000, name="large")
            large.set_positions(np.ones((200_000, 3), np.float32))
            assert connections_to(d.tcp) == 2 and (large.positions() == 1).all()
    assert session.closed


def test_remote_calls_of_many_threads_get_their_own_answers(make_daemon):
    d = make_daemon(tcp=True)
    local = d.connect()
    for number in range(8):
        gromos.State(num_atoms=10 + number, name=f"n{number}", session=local)
    failures = []

    def ask(number):
        for _ in range(100):
            about = session.commands.state_describe(f"n{number}")
            if about.num_atoms != 10 + number:
                failures.append((number, about.num_atoms))

    with d.connect_tcp() as session:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures


def test_a_remote_connection_that_breaks_is_made_anew_once(make_daemon):
    d = make_daemon("--keep", tcp=True)
    session = d.connect_tcp()
    state = session.create(10, name="kept")
    with session.events(timeout=60) as events, state.frames(timeout=60) as frames:
        wait_until(lambda: session.info().protected, what="everything to be handed over")
        worker = int(Path(f"/proc/{d.pid}/task/{d.pid}/children").read_text().split()[0])
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: session.ping() > 0)
        got = []
        reader = threading.Thread(target=lambda: got.append(next(frames)))
        reader.start()
        while not got and reader.is_alive():  # until the stream has found the new daemon
            state.set_positions(np.ones((10, 3)))
            time.sleep(0.1)
        reader.join()
        assert (got[0].positions() == 1).all()
        assert connections_to(d.tcp) == 1
        del events
    session.close()
