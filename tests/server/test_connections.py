"""Clients that are slow, or never ask anything, do not keep others out."""

import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import uvicorn

from glocal.server import connections, places
from glocal.server.connections import StoppableServer
from glocal.server.places import GRACE_SECONDS, MIN_SPEED, UploadPlace, upload_to_stop
from glocal.utils.interrupts import HungUp, stopping_by_signals
from helpers.serving import ask, serving


@contextmanager
def half_open(port: int, count: int, start: bytes) -> Iterator[list[socket.socket]]:
    """Connections that have sent the start of a request."""
    sockets = []
    try:
        for _ in range(count):
            sockets.append(socket.create_connection(("127.0.0.1", port), timeout=10))
            sockets[-1].sendall(start)
            if start.startswith(b"GET") and start.endswith(b"\r\n\r\n"):
                sockets[-1].recv(1)
        yield sockets
    finally:
        for connection in sockets:
            connection.close()


def status(port: int) -> int:
    """Status of a request on a new connection."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/api/limits")
        return connection.getresponse().status


START = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-a: "


@pytest.mark.parametrize("start", [b"", START, b"GET /api/limits HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"])
def test_half_open_connections_make_room(tmp_path: Path, start: bytes) -> None:
    with serving(tmp_path, connections=20) as client, half_open(client.base_url.port, 60, start):
        assert [status(client.base_url.port) for _ in range(30)] == [200] * 30


def test_a_request_that_does_not_come_ends_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.5)
    with serving(tmp_path) as client:
        for start in (b"", START, b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):
            with half_open(client.base_url.port, 1, start) as (connection,):
                begin = time.monotonic()
                stop = threading.Event()

                def trickle(connection: socket.socket = connection, stop: threading.Event = stop) -> None:
                    while not stop.wait(0.1):
                        try:
                            connection.sendall(b"a")
                        except OSError:
                            return

                if start == START:
                    threading.Thread(target=trickle, daemon=True).start()
                try:
                    while connection.recv(4096):
                        pass
                except ConnectionError:
                    pass
                stop.set()
                assert 0.3 < time.monotonic() - begin < 8


def test_a_client_that_does_not_take_its_response_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "STALL_SECONDS", 0.3)
    with serving(tmp_path) as client:
        (tmp_path / "samples" / "walk.mp4").write_bytes(bytes(30_000_000))
        request = b"GET /samples/walk.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        with half_open(client.base_url.port, 1, request) as (connection,):
            time.sleep(1.5)
            received = 0
            try:
                while part := connection.recv(1 << 20):
                    received += len(part)
            except ConnectionError:
                pass
            assert received < 30_000_000


def test_slow_uploads_give_way_and_are_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "GRACE_SECONDS", 0.2)
    head = (
        b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        b'Content-Length: 100000\r\n\r\n--x\r\nContent-Disposition: form-data; name="video"; filename="a"\r\n\r\n'
    )
    with serving(tmp_path, waiting=3) as client, half_open(client.base_url.port, 3, head) as slow:
        time.sleep(0.5)
        answer = ask(client, sample="walk", layers="layer4")
        assert answer.status_code == 202, answer.text
        stopped = []
        for connection in slow:
            connection.settimeout(0.5)
            try:
                stopped.append(connection.recv(65536))
            except TimeoutError:
                continue
        (response,) = stopped
        assert response.startswith(b"HTTP/1.1 503")
        assert "others wait" in json.loads(response.partition(b"\r\n\r\n")[2])["error"]


def test_the_upload_that_gives_way_is_slow_or_of_an_address_with_many() -> None:
    now = [0.0]

    def place(address: str, speed: float) -> UploadPlace:
        made = UploadPlace(address, lambda: now[0])
        made.count(int(speed * GRACE_SECONDS))
        return made

    fast = [place("a", 10 * MIN_SPEED) for _ in range(3)]
    slow, fair = place("b", MIN_SPEED / 2), place("c", 2 * MIN_SPEED)
    assert upload_to_stop([], "d") is None
    assert upload_to_stop([slow, fair], "d") is None  # both have just begun
    now[0] = GRACE_SECONDS
    assert upload_to_stop([*fast, slow, fair], "a") is slow
    assert upload_to_stop([*fast, fair], "d") in fast
    assert upload_to_stop([*fast, fair], "a") is None
    assert upload_to_stop([fair, fast[0]], "d") is None
    now[0] = 10 * GRACE_SECONDS
    assert upload_to_stop([fair, fast[0]], "d") in (fair, fast[0])  # nothing has come for a while


def test_hanging_up_stops_the_server_unless_it_is_ignored() -> None:
    server = StoppableServer(uvicorn.Config("none:app"))
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
    try:
        with pytest.raises(HungUp), stopping_by_signals(), server.capture_signals():
            signal.raise_signal(signal.SIGHUP)
        assert server.should_exit
        server = StoppableServer(uvicorn.Config("none:app"))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with stopping_by_signals(), server.capture_signals():
            signal.raise_signal(signal.SIGHUP)
            assert not server.should_exit
    finally:
        signal.signal(signal.SIGHUP, before)
