"""What anybody on the network may send to the example: an answer in JSON, and the next one is served as before."""

import http.client
import json
import shutil
import socket
import subprocess
import sys
import threading

import pytest

from edgefair.resources import shipped_path
from edgefair.targets.transports.zipapp import build_runtime
from tests.bundle.small_bundle import RAW, write_bundle

WAIT_S = 30
GOOD = json.dumps(RAW).encode()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Host and port of the example."""
    device = tmp_path_factory.mktemp("device")
    (device / "edgefair_runtime.zip").write_bytes(build_runtime())
    shutil.copy(shipped_path("deploy/device", "serve.py"), device)
    write_bundle(device / "model")
    command = [sys.executable, "-I", device / "serve.py", device / "model", "--port", "0", "--project", "people"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as served:
        try:
            host, _, port = served.stdout.readline().split()[-1].partition(":")
            yield host, int(port)
            assert served.poll() is None, "it is still there"
        finally:
            served.kill()


def post(address, body, headers=None, method="POST"):
    connection = http.client.HTTPConnection(*address, timeout=WAIT_S)
    connection.request(method, "/", body, headers or {})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def row(**changes):
    return json.dumps({"a": [1.0], "b": [0.0], **changes}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
        b'{"a": [' + b"9" * 5000 + b'], "b": [0]}',
        b'{"a": [' + b"9" * 400 + b'], "b": [0]}',
        b'{"a": [NaN], "b": [0]}',
        b'{"a": [1e999], "b": [0]}',
        b'{"\\ud800": [1], "a": [1], "b": [0]}',
        row(a=["x"]),
        row(a=[None]),
        row(a=[[1]]),
        row(a=[[1], [1, 2]]),
        row(a=[{"x": 1}]),
        row(a={"x": 1}),
        row(a=1, b=0),
        row(a=[], b=[]),
        row(a=[1, 2]),
        row(a=[1, 2, 3]),
        row(a="1"),
        row(a=[1e308]),
        row(c=[1]),
    ],
)
def test_what_is_no_request_is_answered_400_in_json(address, body):
    status, answer = post(address, body)
    assert status == 400
    assert set(answer) == {"error"}
    assert post(address, GOOD)[1]["decision"] == ["no", "yes"]


@pytest.mark.parametrize("size", ["-1", "x", "0", "99999999999", "1e3", "٣", "9" * 5000, "+5", " "])
def test_a_size_that_is_none_is_answered_400_in_json(address, size):
    status, answer = post(address, b"x" * 1000, {"Content-Length": size.encode()})
    assert (status, set(answer)) == (400, {"error"})


def test_what_is_no_http_is_answered_in_json_too(address):
    assert post(address, None, method="GET")[0] == 501
    for sent in (b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00", b"POST\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"x" * 70_000):
        with socket.create_connection(address, timeout=WAIT_S) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            said = b"".join(iter(lambda connection=connection: connection.recv(4096), b""))
        assert b"error" in json.dumps(json.loads(said.rpartition(b"\r\n")[2] or b"{}")).encode() or not said
    assert post(address, GOOD)[0] == 200


def test_silent_clients_do_not_keep_others_from_their_answers(address):
    silent = [socket.create_connection(address, timeout=WAIT_S) for _ in range(20)]
    try:
        for number, connection in enumerate(silent):
            if number % 2:
                connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        for _ in range(3):
            assert post(address, GOOD)[0] == 200
    finally:
        for connection in silent:
            connection.close()
    assert post(address, GOOD)[0] == 200


def test_there_is_room_for_so_many_connections_and_again_when_they_are_gone(address):
    many = [socket.create_connection(address, timeout=WAIT_S) for _ in range(40)]
    refused = []
    for connection in many[32:]:
        connection.settimeout(WAIT_S)
        with connection:
            try:
                refused.append(connection.recv(1))
            except OSError:
                refused.append(b"")
    assert refused == [b""] * 8, "closed at once"
    for connection in many[:32]:
        connection.close()
    for _ in range(100):
        try:
            if post(address, GOOD)[0] == 200:
                break
        except (OSError, http.client.HTTPException):
            continue
    assert post(address, GOOD)[0] == 200


def test_clients_at_the_same_time_get_their_own_answers(address):
    answers = {}

    def ask(number):
        a = [1.0] * number + [-1.0]
        answers[number] = post(address, json.dumps({"a": a, "b": [0.0] * len(a)}).encode())[1]["decision"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert answers == {number: ["no"] * number + ["yes"] for number in range(1, 9)}


def test_a_connection_ends_however_slowly_it_speaks(monkeypatch):
    """One byte now and then keeps a read alive; the whole has a bound of its own."""
    import importlib.util

    path = shipped_path("deploy/device", "serve.py")
    monkeypatch.setitem(
        sys.modules, "edgefair_runtime", __import__("edgefair.probe.bundles.runtime", fromlist=["load"])
    )
    spec = importlib.util.spec_from_file_location("serve", path)
    serve = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(serve)
    monkeypatch.setattr(serve, "WHOLE_S", 0.5)
    server = serve.Server(("127.0.0.1", 0), serve.handler(None))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with socket.create_connection(server.server_address, timeout=WAIT_S) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
            assert connection.recv(1) == b""
    finally:
        server.shutdown()
        server.server_close()
