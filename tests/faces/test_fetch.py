"""The detector's file: a server on this machine plays the good and the bad address."""

from __future__ import annotations

import hashlib
import http.server
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge.errors import EdgeError
from edge.faces import fetch

PAYLOAD = bytes(range(256)) * 300  # more than one chunk
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves PAYLOAD and its damaged versions, and keeps the paths that were asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        bodies = {
            "/good": PAYLOAD,
            "/wrong": PAYLOAD[:-1] + b"?",
            "/short": PAYLOAD[:1000],
            "/broken": PAYLOAD[:1000],
            "/long": PAYLOAD + b"?",
        }
        if self.path not in bodies:
            self.send_error(404)
            return
        body = bodies[self.path]
        self.send_response(200)
        announced = len(PAYLOAD) if self.path == "/broken" else len(body)
        self.send_header("Content-Length", str(announced))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal of the tests."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def get(destination: Path, url: str) -> Path:
    return fetch.fetch_detector(destination, url, size=len(PAYLOAD), sha256=SHA256, timeout_s=5)


def test_a_good_file_is_put_in_place(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "yunet.onnx"
    assert get(target, server.url("good")) == target
    assert target.read_bytes() == PAYLOAD
    assert os.listdir(target.parent) == ["yunet.onnx"], "a temporary file stayed behind"
    assert target.stat().st_mode & 0o444 == 0o444, "a service of another user cannot read it"


def test_the_second_run_asks_nobody(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        get(tmp_path / "yunet.onnx", server.url("good"))
    assert server.asked == ["/good"]


def test_a_wrong_file_in_place_is_named_and_replaced(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "yunet.onnx"
    target.write_bytes(b"something else")
    get(target, server.url("good"))
    assert target.read_bytes() == PAYLOAD
    assert f"14 bytes, expected {len(PAYLOAD)}" in caplog.text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wrong", "SHA-256"),
        ("short", "1000 bytes, expected 76800"),
        ("broken", "1000 bytes, expected 76800"),
        ("long", "more than 76800 bytes"),
        ("missing", "Not Found"),
    ],
)
def test_a_bad_answer_is_one_line_and_leaves_no_trace(
    server: Server, tmp_path: Path, name: str, said: str
) -> None:
    target = tmp_path / "yunet.onnx"
    target.write_bytes(b"what was there")
    with pytest.raises(EdgeError) as caught:
        get(target, server.url(name))
    message = str(caught.value)
    assert said in message
    assert server.url(name) in message
    assert str(target) in message
    assert "detector.model" in message
    assert "\n" not in message
    assert os.listdir(tmp_path) == ["yunet.onnx"]
    assert target.read_bytes() == b"what was there"


def test_no_network_names_the_address_and_the_way_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as bound:  # bound and not listening: nobody else can answer at this port
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/good"
        with pytest.raises(EdgeError, match="refused") as caught:
            get(tmp_path / "yunet.onnx", url)
    assert url in str(caught.value)
    assert fetch.YUNET_URL in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_copy_serves_where_there_is_no_network(tmp_path: Path) -> None:
    copy = tmp_path / "copy of yunet.onnx"
    copy.write_bytes(PAYLOAD)
    assert get(tmp_path / "a.onnx", copy.as_uri()).read_bytes() == PAYLOAD
    assert get(tmp_path / "b.onnx", str(copy)).read_bytes() == PAYLOAD
    with pytest.raises(EdgeError, match="No such file"):
        get(tmp_path / "c.onnx", str(tmp_path / "absent.onnx"))


def test_a_file_where_the_folder_should_be_is_one_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(EdgeError, match=r"cannot be written .*XDG_CACHE_HOME"):
        get(tmp_path / "cache" / "yunet.onnx", server.url("good"))
    assert server.asked == [], "a download was begun that could not be kept"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes to read-only folders")
def test_a_read_only_folder_is_one_line(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o555)
    with pytest.raises(EdgeError, match="cannot be written"):
        get(folder / "yunet.onnx", server.url("good"))


def slow(listening: socket.socket, start: bytes, piece: bytes) -> None:
    """Send the head, ``start`` and then a ``piece`` every tenth of a second."""
    with suppress(OSError), listening.accept()[0] as connection:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + start)
        while True:
            connection.sendall(piece)
            time.sleep(0.1)


def test_ctrl_c_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stops in the middle; a real SIGINT comes after the first chunk."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "cache"
    folder.mkdir()

    def press() -> None:
        while not any(part.stat().st_size for part in folder.iterdir()):
            time.sleep(0.001)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    # A job in the background inherits an ignored SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=slow, args=(listening, PAYLOAD[:70_000], b""), daemon=True).start()
        thread = threading.Thread(target=press)
        thread.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                get(folder / "yunet.onnx", f"http://127.0.0.1:{listening.getsockname()[1]}/")
        finally:
            thread.join()
            signal.signal(signal.SIGINT, before)
    assert os.listdir(folder) == []


def test_a_server_that_drips_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetch, "_WHOLE", 0.2)  # of 5 s
    began_s = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=slow, args=(listening, b"", b"x"), daemon=True).start()
        with pytest.raises(EdgeError, match="it took more than 1 s"):
            get(tmp_path / "a.onnx", f"http://127.0.0.1:{listening.getsockname()[1]}/")
    assert time.monotonic() - began_s < 4
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path", ["pipe", "/dev/zero"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    for address in (str(tmp_path / path), (tmp_path / path).as_uri()):
        with pytest.raises(EdgeError, match=r"is a (named pipe|device), expected a regular file"):
            get(tmp_path / "a.onnx", address)


def test_the_cache_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fetch.cache_folder() == tmp_path / "emotion-edge"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetch.cache_folder() == tmp_path / ".cache" / "emotion-edge"


def test_only_the_pinned_file_counts_as_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fetch.cached_detector() is None
    (tmp_path / "emotion-edge").mkdir()
    (tmp_path / "emotion-edge" / fetch.YUNET_NAME).write_bytes(bytes(fetch.YUNET_BYTES))
    assert fetch.cached_detector() is None


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The right file in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fetch, "YUNET_BYTES", len(PAYLOAD))
    monkeypatch.setattr(fetch, "YUNET_SHA256", SHA256)
    path = tmp_path / "emotion-edge" / fetch.YUNET_NAME
    get_into_cache(tmp_path)
    assert fetch.cached_detector() == path
    return path


def get_into_cache(tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(PAYLOAD)
    fetch.fetch_detector(url=str(tmp_path / "copy"), size=len(PAYLOAD), sha256=SHA256)


@pytest.mark.parametrize("what", ["open file", "open folder", "pipe", "link", "folder", "10 GB", "foreign"])
def test_a_file_that_others_can_plant_is_not_taken(cached: Path, tmp_path: Path, what: str) -> None:
    if what.startswith("open"):
        (cached if what == "open file" else cached.parent).chmod(0o777)
    elif what in ("pipe", "folder"):
        cached.unlink()
        (os.mkfifo if what == "pipe" else os.mkdir)(cached)
    elif what == "link":
        cached.symlink_to(cached.rename(tmp_path / "good"))
    elif what == "10 GB":
        os.truncate(cached, 10 << 30)
    elif os.geteuid() != 0:
        pytest.skip("only root gives files away")
    else:
        os.chown(cached, 12345, -1)
    assert fetch.cached_detector() is None
    if what == "open folder":
        with pytest.raises(EdgeError, match=f"run: chmod 700 {cached.parent}"):
            get_into_cache(tmp_path)
    elif what != "folder":
        get_into_cache(tmp_path)
        assert fetch.cached_detector() == cached, "the fetched one replaces it"


def test_a_fetched_file_is_ours_whatever_the_umask_is_and_a_service_can_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = os.umask(0o002)
    try:
        get_into_cache(tmp_path)
    finally:
        os.umask(before)
    modes = [path.stat().st_mode & 0o777 for path in sorted((tmp_path / "cache").rglob("*"))]
    assert modes == [0o755, 0o644]
