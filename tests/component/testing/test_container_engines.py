"""Which Kafka tests take where a container engine answers, has the image, or can pull it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("docker", reason="needs the extra `containers`")

from testcontainers.core.config import testcontainers_config

from ensemble.free_ports import HOST, free_ports
from ensemble.testing.clusters import (
    Engine,
    choose,
    cluster_for_tests,
    container,
    detect_engine,
    disable_unavailable_reaper,
    image,
    is_engine_listening,
    pull,
)
from ensemble.testing.containers import ContainerError


@contextmanager
def engine(*images: str) -> Iterator[str]:
    """Run what answers as an engine that has these images, and gets no others."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("/version"):
                self._answer(200, {"ApiVersion": "1.44"})
            elif self.path.partition("?")[0].endswith("/images/json"):
                self._answer(200, [])
            else:
                has_image = any(f"/images/{name}/json" in self.path for name in images)
                self._answer(200 if has_image else 404, {"Id": "sha256:1", "message": "no such image"})

        def do_POST(self) -> None:
            self._answer(500, {"message": "no way out"})

        def log_message(self, *_: object) -> None: ...

        def _answer(self, status: int, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer((HOST, 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"tcp://{HOST}:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("images", "found"), [([], Engine.ANSWERS), (["a/kafka:1"], Engine.HAS_IMAGE), (["b/kafka:1"], Engine.ANSWERS)]
)
def test_an_engine_is_asked_for_the_image(monkeypatch: pytest.MonkeyPatch, images: list[str], found: Engine) -> None:
    monkeypatch.setenv("KAFKA_IMAGE", "a/kafka:1")
    with engine(*images) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        assert detect_engine() is found
        assert str(choose(None, {}, detect_engine)).startswith("kafka: a/kafka:1 in a container")


def test_what_an_engine_does_not_make_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_IMAGE", "a/kafka:1")
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    with engine("a/kafka:1") as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        for runs in (container(), cluster_for_tests(choose("containers", {}, detect_engine), tmp_path)):
            with pytest.raises(ContainerError, match=r"^a/kafka:1 cannot be run: no way out$"), runs:
                pytest.fail("nothing runs")


@pytest.mark.parametrize(("images", "is_here"), [(["a/kafka:1"], True), ([], False)])
def test_an_image_that_is_here_is_not_pulled(
    monkeypatch: pytest.MonkeyPatch, *, images: list[str], is_here: bool
) -> None:
    monkeypatch.setenv("KAFKA_IMAGE", "a/kafka:1")
    with engine(*images) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        assert pull() is is_here


def test_where_nobody_listens_there_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{HOST}:{free_ports(1)[0]}")
    monkeypatch.delenv("KAFKA_IMAGE", raising=False)
    assert detect_engine() is Engine.NONE
    assert not pull()
    assert choose(None, {}, detect_engine).kafka == "embedded"
    assert image() == "apache/kafka:4.3.1"


def test_a_socket_says_whether_an_engine_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may have no more than some 100 characters
    path = Path("engine")
    with socket.socket(socket.AF_UNIX) as listener:
        assert not is_engine_listening(path)
        listener.bind(str(path))
        assert not is_engine_listening(path)
        listener.listen()
        assert is_engine_listening(path)


@pytest.mark.parametrize(("images", "is_disabled"), [([testcontainers_config.ryuk_image], False), ([], True)])
def test_the_reaper_is_done_without_where_its_image_is_not(
    monkeypatch: pytest.MonkeyPatch, images: list[str], *, is_disabled: bool
) -> None:
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", False)
    with engine(*images) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        disable_unavailable_reaper()
    assert testcontainers_config.ryuk_disabled is is_disabled
