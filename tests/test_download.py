"""Weights from an address: fetched once, resumed, checked against their checksum, and used without a network."""

import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

import landscape as ls
from landscape.errors import InputError, TransientError
from landscape.experiment import reading
from landscape.running import check
from landscape.store import download

from test_checkpoint import network, state

CONTENT = bytes(range(256)) * 4000
SHA = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Served:
    """Files by path, and how they are served.

    Attributes:
        asked: path and Range of every request.
        cut: bytes after which a connection ends, while there are entries.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    ranges: bool = True
    redirect: str = ""
    url: str = ""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Served]:
    """A server on this machine, and an empty cache."""
    of = Served()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            of.asked.append((self.path, wanted))
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", of.redirect)
                self.end_headers()
                return
            if self.path not in of.files:
                self.send_error(404)
                return
            content, start = of.files[self.path], 0
            if wanted and of.ranges:
                start = int(re.findall(r"\d+", wanted)[0])
                if start >= len(content):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            content = content[start:]
            self.wfile.write(content[: of.cut.pop()] if of.cut else content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        of.url = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv(download.CACHE, str(tmp_path / "cache"))
        yield of
        server.shutdown()
        thread.join()


def test_a_file_is_fetched_once_and_then_needs_no_network(served: Served) -> None:
    served.files["/w.pt"] = CONTENT
    place = download.fetched(f"{served.url}/w.pt", SHA)
    assert place.read_bytes() == CONTENT and place.name == "w.pt"
    served.files.clear()
    assert download.fetched(f"{served.url}/w.pt", SHA) == place
    assert served.asked == [("/w.pt", None)]
    assert [path.name for path in place.parent.iterdir() if not path.name.startswith(".")] == ["w.pt"]


def test_an_interrupted_download_goes_on(served: Served) -> None:
    served.files["/w.pt"] = CONTENT
    served.cut = [70_000, 500_000]
    assert download.fetched(f"{served.url}/w.pt", SHA).read_bytes() == CONTENT
    assert [asked for _, asked in served.asked] == [None, "bytes=500000-", "bytes=570000-"]


def test_what_an_ended_process_left_is_gone_on_from(served: Served) -> None:
    place = download.cached(f"{served.url}/w.pt", SHA)
    place.parent.mkdir(parents=True)
    (place.parent / ".w.pt.part").write_bytes(CONTENT[:1000])
    served.files["/w.pt"] = CONTENT
    assert download.fetched(f"{served.url}/w.pt", SHA).read_bytes() == CONTENT
    assert served.asked == [("/w.pt", "bytes=1000-")]


@pytest.mark.parametrize("left", [b"of another file", CONTENT + b"more", CONTENT])
def test_what_is_left_of_another_file_does_no_harm(served: Served, left: bytes) -> None:
    place = download.cached(f"{served.url}/w.pt", SHA)
    place.parent.mkdir(parents=True)
    (place.parent / ".w.pt.part").write_bytes(left)
    served.files["/w.pt"] = CONTENT
    assert download.fetched(f"{served.url}/w.pt", SHA).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_the_whole_again(served: Served) -> None:
    served.files["/w.pt"] = CONTENT
    served.ranges, served.cut = False, [1000]
    assert download.fetched(f"{served.url}/w.pt", SHA).read_bytes() == CONTENT


def test_another_checksum_is_refused_and_the_file_removed(served: Served) -> None:
    served.files["/w.pt"] = CONTENT[:-1]
    with pytest.raises(InputError) as told:
        download.fetched(f"{served.url}/w.pt", SHA)
    assert SHA in str(told.value) and hashlib.sha256(CONTENT[:-1]).hexdigest() in str(told.value)
    folder = download.cached(f"{served.url}/w.pt", SHA).parent
    assert [path.name for path in folder.iterdir()] in ([], [".lock"])


def test_a_damaged_file_of_the_cache_is_fetched_again(served: Served) -> None:
    served.files["/w.pt"] = CONTENT
    place = download.fetched(f"{served.url}/w.pt", SHA)
    place.write_bytes(b"damaged")
    assert download.fetched(f"{served.url}/w.pt", SHA).read_bytes() == CONTENT


def test_a_missing_file_and_a_dead_server_are_named(served: Served) -> None:
    with pytest.raises(InputError, match="w.pt cannot be fetched: the server says 404"):
        download.fetched(f"{served.url}/w.pt", SHA)
    with pytest.raises(TransientError, match="w.pt cannot be fetched: .* without a network, put it into"):
        download.fetched("http://127.0.0.1:9/w.pt", SHA)


@pytest.mark.parametrize(
    "url",
    ["http://example.org/w.pt", "ftp://example.org/w.pt", "w.pt", "https:///w.pt", "http://127.0.0.1.example.org/w"],
)
def test_only_https_and_this_machine_are_asked(served: Served, url: str) -> None:
    with pytest.raises(InputError, match="is no address that is fetched from; allowed are https"):
        download.fetched(url, SHA)
    served.redirect = url
    if "://" in url:
        with pytest.raises(InputError, match="leads elsewhere"):
            download.fetched(f"{served.url}/moved", SHA)


def test_python_takes_an_address_with_an_entry(served: Served, tmp_path: Path) -> None:
    torch.save({"model": state(), "ema": state(1)}, tmp_path / "w.pt")
    content = (tmp_path / "w.pt").read_bytes()
    served.files["/w.pt"] = content
    given = {"url": f"{served.url}/w.pt#ema", "sha256": hashlib.sha256(content).hexdigest()}
    data = (torch.randn(8, 1, 3, 3), torch.arange(8) % 2)
    adopted = ls.adopt(network(), given, data)
    assert all(torch.equal(tensor, state(1)[name]) for name, tensor in adopted.weights.items())
    line = ls.line(network(), data, around=given, alpha=(0, 1, 2))
    assert float(line.train_loss[0, 0]) == float(adopted.history.train_loss[0])
    assert len(served.asked) == 1


@pytest.mark.parametrize("form", ["file:", "path"])
def test_a_file_here_is_held_against_its_checksum(tmp_path: Path, form: str) -> None:
    torch.save(state(), tmp_path / "w.pt")
    sha = hashlib.sha256((tmp_path / "w.pt").read_bytes()).hexdigest()
    key, value = ("url", (tmp_path / "w.pt").as_uri()) if form == "file:" else ("path", str(tmp_path / "w.pt"))
    data = (torch.randn(8, 1, 3, 3), torch.arange(8) % 2)
    assert ls.adopt(network(1), {key: value, "sha256": sha}, data).weights.keys() == state().keys()
    with pytest.raises(InputError, match=f"w.pt has the SHA-256 {sha}, and {SHA} is stated"):
        ls.adopt(network(1), {key: value, "sha256": SHA}, data)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"url": "https://example.org/w.pt"}, "a url needs the sha256 of its file"),
        ({"url": "https://example.org/w.pt", "path": "w.pt"}, "either a path or a url"),
        ({"sha256": SHA}, "either a path or a url"),
        ({"url": "http://example.org/w.pt", "sha256": SHA}, "is no address that is fetched from"),
        ({"url": "https://example.org/w.pt", "sha256": "ab"}, "String should match pattern"),
    ],
)
def test_what_is_wrong_in_the_mapping_is_said_of_python(given: dict[str, str], line: str) -> None:
    with pytest.raises(InputError, match=line):
        ls.adopt(network(), given, None)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            "https://example.org/w.pt",
            "runs.a.weights: path is 'https://example.org/w.pt'; an address is stated as {url: ",
        ),
        ({"url": "https://example.org/w.pt"}, "runs.a.weights: a url needs the sha256 of its file"),
        ({"path": "w.pt", "sha": "3"}, "runs.a.weights.sha is no key; allowed are path, url, sha256"),
        (3, "runs.a.weights is 3: must be a file, or a mapping with path or url, and sha256"),
        ({"path": "absent.pt"}, "runs.a.weights: absent.pt: there is no such file"),
    ],
)
def test_what_is_wrong_in_a_configuration_is_said(given: Any, line: str) -> None:
    run = {"network": "resnet20", "data": "digits", "weights": given}
    with pytest.raises(InputError) as told:
        reading.resolve({"data": {"digits": {"source": "digits"}}, "runs": {"a": run}})
    assert told.value.problems[0].startswith(line)


def test_the_check_of_a_configuration_compares_checksums_and_fetches_nothing(served: Served, tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "w.pt")
    run = {"network": "resnet", "args": {"depth": 8, "width": 2}, "data": "digits"}
    runs = {
        "here": {**run, "weights": {"path": str(tmp_path / "w.pt"), "sha256": SHA}},
        "far": {**run, "weights": {"url": f"{served.url}/w.pt", "sha256": SHA}},
    }
    (problem,) = check.problems(reading.resolve({"data": {"digits": {"source": "digits"}}, "runs": runs}))
    assert problem.startswith("runs.here.weights: ") and f"and {SHA} is stated" in problem
    assert not served.asked
