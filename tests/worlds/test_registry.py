import gzip
import hashlib
import lzma
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from lifelong.errors import BadFile, UnknownName
from lifelong.worlds import _registry, dataset
from lifelong.worlds._data_sources import SOURCES, DataFile, DataSource
from lifelong.worlds._readers import read_bytes

CONTENT = {"a.txt": b"first file\n" * 500, "b.txt": bytes(range(256)) * 40}


class Server(BaseHTTPRequestHandler):
    """Serves the contents of `pages`, each with the length it claims and the bytes it sends."""

    pages: dict[str, tuple[int, bytes]]

    def do_GET(self):
        if self.path not in self.pages:
            return self.send_error(404)
        length, body = self.pages[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = type("Handler", (Server,), {"pages": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", handler.pages
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty data folder, and a registry of one data set, `toy`, that is nowhere yet."""
    monkeypatch.setenv("LIFELONG_DATA", str(tmp_path / "data"))
    register(monkeypatch, "http://127.0.0.1:9")
    return tmp_path / "data" / "toys"


def register(monkeypatch, address, **changes):
    files = tuple(
        DataFile(name, len(content), hashlib.sha256(content).hexdigest(), f"{address}/{name}.gz")
        for name, content in CONTENT.items()
    )
    toy = DataSource("toy", "two files", "MIT", address, files, "toys")
    monkeypatch.setattr(_registry, "SOURCES", {"toy": replace(toy, **changes)})


def put(folder, pack=bytes, suffix="", **changes):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (CONTENT | changes).items():
        (folder / f"{name}{suffix}").write_bytes(pack(content))


def test_the_data_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("LIFELONG_DATA", "~/data")
    assert _registry.data_folder() == Path.home() / "data"
    monkeypatch.delenv("LIFELONG_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert _registry.data_folder() == tmp_path / "lifelong"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert _registry.data_folder() == Path.home() / ".local" / "share" / "lifelong"


@pytest.mark.parametrize(("pack", "suffix"), [(bytes, ""), (gzip.compress, ".gz"), (lzma.compress, ".xz")])
def test_files_are_found_and_checked_in_every_packing(folder, pack, suffix):
    put(folder, pack, suffix)
    paths = {name: folder / f"{name}{suffix}" for name in CONTENT}
    assert _registry.locate("toy") == paths == _registry.check("toy") == _registry.get("toy")
    assert _registry.read("toy") == CONTENT


def test_the_users_folder_comes_before_the_systems(folder, tmp_path, monkeypatch):
    register(monkeypatch, "http://127.0.0.1:9", system=str(tmp_path / "system"))
    put(tmp_path / "system")
    put(folder)
    (folder / "b.txt").unlink()
    assert _registry.locate("toy") == {"a.txt": folder / "a.txt", "b.txt": tmp_path / "system" / "b.txt"}


def test_unknown_names_suggest_the_nearest():
    for verb in (_registry.locate, _registry.check, _registry.get, _registry.read):
        with pytest.raises(UnknownName, match="no data set named 'fashion-mist'; did you mean 'fashion-mnist'"):
            verb("fashion-mist")


def test_missing_files_are_named_with_the_ways_to_get_them(folder, monkeypatch):
    put(folder)
    (folder / "b.txt").unlink()
    with pytest.raises(
        BadFile, match=r"toy is not at hand: no b.txt in .*toys; `lifelong data get toy` downloads it"
    ) as e:
        _registry.locate("toy")
    assert f"or put it into {folder} yourself (from http://127.0.0.1:9)" in str(e.value)
    register(monkeypatch, "http://127.0.0.1:9", debian="toy-package")
    with pytest.raises(BadFile, match="or `apt-get install toy-package` brings it"):
        _registry.locate("toy")


def test_what_cannot_be_downloaded_says_so(folder, monkeypatch):
    files = tuple(replace(file, url="") for file in _registry.SOURCES["toy"].files)
    register(monkeypatch, "https://example.org/toy", files=files)
    with pytest.raises(BadFile, match=r"made from https://example.org/toy and cannot be downloaded as such") as error:
        _registry.get("toy")
    assert "or set LIFELONG_DATA to a folder that holds it in toys/" in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(CONTENT["b.txt"], mtime=0)[:60], "its compressed data break off at byte 60"),
        (CONTENT["b.txt"][:-1], "its content has 10239 bytes and SHA-256 .* where 10240 bytes"),
        (b"!" + CONTENT["b.txt"][1:], "its content has 10240 bytes and SHA-256"),
        (b"", "its content has 0 bytes"),
    ],
)
def test_corrupt_files_are_named_and_never_changed(folder, server, monkeypatch, content, message):
    register(monkeypatch, server[0])
    put(folder, **{"b.txt": content})
    for verb in (_registry.check, _registry.read, _registry.get):
        with pytest.raises(BadFile, match=f"b.txt is not b.txt of toy: {message}.*; move it away and get it again"):
            verb("toy")
    assert (folder / "b.txt").read_bytes() == content
    (line,) = _registry.status()
    assert line.state == "corrupt" and line.where == str(folder) and "b.txt is not b.txt of toy" in line.problem


def test_status_tells_what_is_present_and_what_is_missing(folder):
    (line,) = _registry.status()
    assert (line.name, line.state, line.where) == ("toy", "missing", "") and "no a.txt, b.txt in" in line.problem
    put(folder)
    (line,) = _registry.status()
    assert (line.state, line.where, line.problem) == ("present", str(folder), "")
    assert line.bytes == sum(map(len, CONTENT.values())) and line.licence == "MIT"


def serve(pages, **changes):
    for name, content in CONTENT.items():
        packed = gzip.compress(content)
        pages[f"/{name}.gz"] = changes.get(name[0], (len(packed), packed))


def test_get_downloads_what_is_missing(folder, server, monkeypatch):
    register(monkeypatch, server[0])
    serve(server[1])
    put(folder)
    (folder / "b.txt").unlink()
    seen = []
    paths = _registry.get("toy", progress=lambda *step: seen.append(step))
    assert paths == {"a.txt": folder / "a.txt", "b.txt": folder / "b.txt.gz"}
    assert read_bytes(paths["b.txt"]) == CONTENT["b.txt"]
    size = paths["b.txt"].stat().st_size
    assert seen[-1] == ("b.txt", size, size) and {name for name, _, _ in seen} == {"b.txt"}
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b.txt.gz"]


PACKED = gzip.compress(CONTENT["b.txt"])


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ((len(PACKED), PACKED[:50]), f"b.txt.gz broke off at byte 50 of {len(PACKED)}; nothing was kept"),
        ((50, PACKED[:50]), "did not give b.txt: its compressed data break off at byte 50; nothing was kept"),
        ((3, b"404"), "did not give b.txt: its content has 3 bytes and SHA-256 .*; nothing was kept"),
        ((len(PACKED), PACKED[:-8] + bytes(8)), "did not give b.txt: its compressed data are corrupt"),
    ],
)
def test_a_bad_download_leaves_nothing_behind(folder, server, monkeypatch, page, message):
    register(monkeypatch, server[0])
    serve(server[1], b=page)
    with pytest.raises(BadFile, match=message):
        _registry.get("toy")
    assert [path.name for path in folder.iterdir()] == ["a.txt.gz"]


def test_without_server_or_page_the_address_is_named(folder, server, monkeypatch):
    with pytest.raises(BadFile, match=r"http://127.0.0.1:9/a.txt.gz cannot be downloaded: .*; is there a network\?"):
        _registry.get("toy")
    register(monkeypatch, server[0])
    with pytest.raises(BadFile, match=r"/a.txt.gz cannot be downloaded: HTTP Error 404"):
        _registry.get("toy")
    assert not folder.exists()


def test_a_folder_that_cannot_be_written(folder, server, monkeypatch):
    register(monkeypatch, server[0])
    serve(server[1])
    folder.parent.write_text("a file where the data folder should be")
    with pytest.raises(BadFile, match=r"a.txt.gz cannot be written: Not a directory"):
        _registry.get("toy")


def test_an_interrupted_write_leaves_nothing_behind(folder, server, monkeypatch):
    register(monkeypatch, server[0])
    serve(server[1])

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _registry.get("toy")
    assert list(folder.iterdir()) == []


def test_records_are_complete():
    for name, source in SOURCES.items():
        assert name == source.name and source.description and source.licence and source.address.startswith("http")
        assert bool(source.files) == bool(source.folder) == (not source.package)
        assert bool(source.debian) == bool(source.system)
        for file in source.files:
            assert len(file.sha256) == 64 and file.bytes > 0 and not file.name.endswith((".gz", ".xz"))
    digests = [file.sha256 for source in SOURCES.values() for file in source.files]
    assert len(set(digests)) == len(digests)


def test_idx_sizes_are_those_of_the_format():
    for name in ("mnist", "fashion-mnist"):
        sizes = [file.bytes for file in SOURCES[name].files]
        assert sizes == [16 + 60000 * 784, 8 + 60000, 16 + 10000 * 784, 8 + 10000]
        assert SOURCES[name].downloadable


@pytest.mark.parametrize("name", SOURCES)
def test_real_files_are_the_registered_ones(name):
    try:
        paths = _registry.locate(name)
    except BadFile as error:
        pytest.skip(str(error))
    assert _registry.check(name) == paths


def test_one_data_set_is_not_taken_for_another(tmp_path, monkeypatch):
    monkeypatch.setenv("LIFELONG_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    for file in SOURCES["mnist"].files:
        shape = (2, 28, 28) if "images" in file.name else (2,)
        header = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
        (tmp_path / "mnist" / file.name).write_bytes(header + bytes(int(np.prod(shape))))
    with pytest.raises(BadFile, match="train-images-idx3-ubyte is not train-images-idx3-ubyte of mnist"):
        dataset("mnist")
