import io
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ensemble.embedded import Running, cluster_at, default_directory, find_running
from ensemble.embedded.layout import Layout
from ensemble.embedded.os_processes import started_at
from ensemble.embedded.probe import _exactly
from ensemble.embedded.running import read, write


def text(value: bytes) -> bytes:
    return struct.pack(">h", len(value)) + value


def answer(brokers: int, cluster: bytes) -> bytes:
    broker = struct.pack(">i", 1) + text(b"127.0.0.1") + struct.pack(">ih", 9092, -1)
    body = struct.pack(">iii", 1, 0, brokers) + broker * brokers + text(cluster) + struct.pack(">i", 1)
    return struct.pack(">i", len(body)) + body


@contextmanager
def server(reply: bytes) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(30)


@pytest.mark.parametrize(
    "reply",
    [
        answer(1, b"the-cluster")[:-8],  # it ends in the middle
        struct.pack(">i", 2_000_000) + bytes(1_000_000),  # longer than an answer is
        answer(1, b"\xff"),
    ],
    ids=["torn", "endless", "no text"],
)
def test_an_answer_that_is_none_is_no_broker(reply: bytes) -> None:
    with server(reply) as port:
        assert not cluster_at("127.0.0.1", port, answer_s=30.0)


def test_an_answer_is_read_up_to_a_limit() -> None:
    reply = struct.pack(">i", 2_000_000) + answer(1, b"the-cluster")[4:].ljust(1_000_000, b"\0")
    with server(reply) as port:
        assert cluster_at("127.0.0.1", port, answer_s=30.0) == "the-cluster"


def test_of_an_answer_in_pieces_no_more_is_taken_than_is_asked_for() -> None:
    class Pieces(io.BytesIO):
        def recv(self, count: int) -> bytes:
            return self.read(min(count, 3))

    connection: Any = Pieces(b"abcdefgh")
    assert (_exactly(4, connection), _exactly(4, connection)) == (b"abcd", b"efgh")


def test_several_brokers_answer_like_one() -> None:
    with server(answer(3, b"the-cluster")) as port:
        assert cluster_at("127.0.0.1", port) == "the-cluster"


def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_that() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert cluster_at("127.0.0.1", silent.getsockname()[1], answer_s=0.01) is None


def this_process(port: int, cluster: str) -> Running:
    return Running(f"127.0.0.1:{port}", os.getpid(), started_at(os.getpid()), cluster)


def test_a_broker_is_ready_when_it_answers_with_a_live_broker() -> None:
    with server(answer(1, b"the-cluster")) as port:
        assert cluster_at("127.0.0.1", port) == "the-cluster"


def test_no_live_broker_yet_is_not_ready() -> None:
    with server(answer(0, b"the-cluster")) as port:
        assert cluster_at("127.0.0.1", port) is None


def test_something_else_on_the_port_is_no_broker() -> None:
    with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert cluster_at("127.0.0.1", port) is None


def test_finds_the_broker_that_left_its_note(tmp_path: Path) -> None:
    with server(answer(1, b"mine")) as port:
        write(this_process(port, "mine"), Layout(tmp_path))

        assert find_running(tmp_path) == f"127.0.0.1:{port}"


def test_another_cluster_on_the_port_is_not_ours(tmp_path: Path) -> None:
    with server(answer(1, b"other")) as port:
        write(this_process(port, "mine"), Layout(tmp_path))

        assert find_running(tmp_path) is None


def test_a_process_that_got_the_same_number_later_is_not_ours() -> None:
    note = this_process(1, "mine")

    assert note.is_process_alive
    assert not replace(note, pid_started=note.pid_started - 60).is_process_alive


def test_a_broker_that_is_gone_is_not_found(tmp_path: Path) -> None:
    write(this_process(1, "mine"), Layout(tmp_path))

    assert find_running(tmp_path) is None


def test_without_a_note_or_with_a_torn_one_nothing_runs(tmp_path: Path) -> None:
    assert find_running(tmp_path / "nothing") is None

    Layout(tmp_path).state.write_text('{"pid": 1')

    assert read(Layout(tmp_path)) is None


def test_the_data_directory_can_be_named(tmp_path: Path) -> None:
    assert default_directory({"ENSEMBLE_DATA_DIR": str(tmp_path)}) == tmp_path / "kafka"


def test_the_data_directory_is_that_of_the_project_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project" / "app").mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").touch()

    monkeypatch.chdir(tmp_path / "project" / "app")
    assert default_directory({}) == tmp_path / "project" / ".ensemble" / "kafka"

    monkeypatch.chdir(tmp_path)
    assert default_directory({}) == tmp_path / ".ensemble" / "kafka"


def test_a_note_is_written_whole_for_people_as_well(tmp_path: Path) -> None:
    note = Running("127.0.0.1:9092", 12, 3.5, "mine")
    layout = Layout(tmp_path)
    write(note, layout)
    assert layout.state.read_text() == (
        '{\n  "bootstrap_servers": "127.0.0.1:9092",\n  "pid": 12,\n  "pid_started": 3.5,\n  "cluster_id": "mine"\n}\n'
    )
    assert [path.name for path in tmp_path.iterdir()] == ["running.json"]
    assert read(layout) == note


@pytest.mark.parametrize("text", ["[]", '{"pid": 1, "of": "another release"}', "3"])
def test_a_note_of_another_kind_is_none(tmp_path: Path, text: str) -> None:
    Layout(tmp_path).state.write_text(text)
    assert read(Layout(tmp_path)) is None
