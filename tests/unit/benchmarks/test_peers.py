"""What the peers print is read, and told in a table beside the hop written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peers.environments import UnavailablePeer, prepare_streams
from benchmarks.peers.table import Figures, figures_in, table_of


def test_what_a_peer_has_measured_is_its_last_line_of_json() -> None:
    output = (
        'a warning\n{"cpu_us": 1, "per_s": 2, "messages": 3}\n{"cpu_us": 18.5, "per_s": 51000, "messages": 9}\nbye\n'
    )
    assert figures_in(output) == Figures(cpu_us=18.5, per_s=51_000)


def test_a_peer_that_measured_nothing_is_no_figure() -> None:
    with pytest.raises(ValueError, match="no line of JSON with what was measured in 'out of memory'"):
        figures_in("out of memory")


def test_ratios_are_of_the_same_round_and_medians_of_all() -> None:
    # given: the second round was on a busy machine
    measured = {
        "by hand": [Figures(10, 900), Figures(20, 500), Figures(10, 1000)],
        "other": [Figures(12, 800), Figures(26, 400), Figures(14, 700)],
    }

    # when
    lines = table_of(measured, {"by hand": "little", "other": "much"}, beside="by hand")

    # then
    assert lines[2:] == [
        "| by hand | 10.0 | 10.0, 20.0, 10.0 | 1.00 | 900 | little |",
        "| other | 14.0 | 12.0, 26.0, 14.0 | 1.30 | 700 | much |",
    ]


def test_without_the_hand_written_hop_there_is_no_ratio() -> None:
    lines = table_of({"other": [Figures(12, 800)]}, {"other": "much"}, beside="by hand")
    assert lines[2:] == ["| other | 12.0 | 12.0 |  | 800 | much |"]


def test_a_machine_without_a_jdk_is_told_so_by_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailablePeer, match="Kafka Streams is left out: it needs a JDK and Maven on the PATH"):
        prepare_streams(tmp_path)
