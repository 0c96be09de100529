"""Downloads from a local server that breaks connections, changes files and sends errors."""

import hashlib
import http.server
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from glocal.errors import InputError
from glocal.models import download
from glocal.models.download import CheckpointFile, cache_folder, digest, fetch

CONTENT = os.urandom(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    server: "Server"

    def do_GET(self) -> None:
        server = self.server
        server.requests.append((self.headers.get("Range", ""), self.headers.get("If-Range", "")))
        if server.status != 200:
            self.send_error(server.status)
            return
        start = 0
        asked = self.headers.get("Range", "")
        if asked and server.ranges and self.headers.get("If-Range") == server.etag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(server.content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(server.content) - start))
        if start:
            first = start - server.shift
            self.send_header(
                "Content-Range", f"bytes {first}-{len(server.content) - 1}/{len(server.content)}"
            )
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        time.sleep(server.pause_s)
        body = server.content[start:]
        if server.drops:
            server.drops -= 1
            body = body[:1_000_000]
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    content = CONTENT
    etag = '"first"'
    ranges = True
    status = 200
    drops = 0
    shift = 0
    pause_s = 0.0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/weights.pth"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("GLOCAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def item(url: str, checksum: str = f"sha256:{SHA256}") -> CheckpointFile:
    return CheckpointFile("weights.pth", url, checksum=checksum)


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_a_file_is_fetched_once_and_kept(server: Server, cache: Path) -> None:
    path = fetch(item(server.url))
    assert path == cache / "weights.pth"
    assert path.read_bytes() == CONTENT
    assert fetch(item(server.url)) == path
    assert len(server.requests) == 1
    assert left_in(cache) == {"weights.pth"}


def test_a_broken_download_resumes(server: Server) -> None:
    server.drops = 2
    assert fetch(item(server.url)).read_bytes() == CONTENT
    assert server.requests == [("", ""), ("bytes=1000000-", '"first"'), ("bytes=2000000-", '"first"')]


def test_the_next_call_resumes_a_partial_download(server: Server, cache: Path) -> None:
    server.drops = download.ATTEMPTS
    server.ranges = False
    with pytest.raises(InputError, match="could not be downloaded") as error:
        fetch(item(server.url))
    assert "closed early" in str(error.value)
    assert (cache / "weights.pth.part").stat().st_size == 1_000_000
    assert not (cache / "weights.pth").exists()
    server.ranges = True
    assert fetch(item(server.url)).read_bytes() == CONTENT
    assert server.requests[-1] == ("bytes=1000000-", '"first"')
    assert left_in(cache) == {"weights.pth"}


def test_a_file_that_changed_on_the_server_is_downloaded_from_the_start(server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / "weights.pth.part").write_bytes(b"old" * 1000)
    (cache / "weights.pth.part.version").write_text('"older"')
    assert fetch(item(server.url)).read_bytes() == CONTENT
    assert server.requests == [("bytes=3000-", '"older"')]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_an_etag_or_date_nothing_is_resumed(server: Server, etag: str) -> None:
    server.etag = etag
    server.drops = 1
    assert fetch(item(server.url)).read_bytes() == CONTENT
    assert server.requests == [("", ""), ("", "")]


def test_a_server_without_ranges_starts_over(server: Server) -> None:
    server.ranges = False
    server.drops = 1
    assert fetch(item(server.url)).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_partial_file_that_is_too_long_is_deleted(server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / "weights.pth.part").write_bytes(CONTENT + b"more")
    (cache / "weights.pth.part.version").write_text('"first"')
    assert fetch(item(server.url)).read_bytes() == CONTENT


def test_another_range_than_requested_is_rejected(server: Server) -> None:
    server.drops = 1
    server.shift = 5
    assert fetch(item(server.url)).read_bytes() == CONTENT
    assert [request[0] for request in server.requests] == ["", "bytes=1000000-", ""]


def test_a_damaged_partial_file_is_downloaded_again(server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / "weights.pth.part").write_bytes(bytes(1_000_000))
    (cache / "weights.pth.part.version").write_text('"first"')
    assert fetch(item(server.url)).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_wrong_checksum_is_refused_and_nothing_stays(server: Server, cache: Path) -> None:
    with pytest.raises(InputError, match="does not have the checksum sha256:0123"):
        fetch(item(server.url, "sha256:0123"))
    assert len(server.requests) == 1
    assert left_in(cache) <= {"weights.pth.part.version"}


def test_checksums_may_be_a_prefix_or_of_a_git_blob(server: Server) -> None:
    blob = hashlib.sha1(b"blob 3000000\0" + CONTENT).hexdigest()
    for checksum in (f"sha256:{SHA256[:8]}", f"git:{blob}", ""):
        path = fetch(item(server.url, checksum))
        path.unlink()


def test_git_blobs_hash_as_git_does(tmp_path: Path) -> None:
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert digest(tmp_path / "hello", "git") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_a_damaged_file_in_the_cache_is_named(server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / "weights.pth").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"cache/weights\.pth is damaged.*delete it"):
        fetch(item(server.url))
    assert not server.requests


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (503, download.ATTEMPTS)])
def test_an_http_error_names_the_file_its_address_and_the_path_to_save_it(
    server: Server, cache: Path, status: int, tries: int
) -> None:
    server.status = status
    with pytest.raises(InputError) as error:
        fetch(item(server.url))
    message = str(error.value)
    assert "\n" not in message
    for part in ("weights.pth", server.url, f"HTTP {status}", str(cache / "weights.pth")):
        assert part in message
    assert len(server.requests) == tries


def test_without_a_connection_the_error_names_the_file_its_address_and_the_path(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    url = "http://127.0.0.1:9/weights.pth"
    with pytest.raises(InputError, match="refused") as error:
        fetch(item(url))
    assert url in str(error.value)
    assert str(cache / "weights.pth") in str(error.value)


def test_files_without_an_address_are_to_be_downloaded_by_hand(cache: Path) -> None:
    by_hand = CheckpointFile("weights.pth", page="https://example.org/folder")
    with pytest.raises(InputError, match=r"by hand; get it from https://example\.org/folder") as error:
        fetch(by_hand)
    assert str(cache / "weights.pth") in str(error.value)
    cache.mkdir()
    (cache / "weights.pth").write_bytes(b"anything")
    assert fetch(by_hand) == cache / "weights.pth"


def test_two_processes_share_one_download(server: Server) -> None:
    server.pause_s = 0.2
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(fetch(item(server.url)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 1
    assert len(paths) == 3
    assert paths[0].read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_is_named(server: Server, cache: Path) -> None:
    cache.write_text("a file in the way")
    with pytest.raises(InputError, match="set GLOCAL_CACHE"):
        fetch(item(server.url))


def test_the_cache_is_in_the_home_folder_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLOCAL_CACHE")
    monkeypatch.setenv("HOME", "/home/user")
    assert cache_folder() == Path("/home/user/.cache/glocal")
    monkeypatch.setenv("GLOCAL_CACHE", "~/elsewhere")
    assert cache_folder() == Path("/home/user/elsewhere")
