"""The storage of a new broker, and what a user is told when it cannot be formatted."""

from pathlib import Path

import pytest

from ensemble.embedded import EmbeddedKafkaError, Security
from ensemble.embedded.layout import Layout
from ensemble.embedded.storage import Jvm, format_storage

NO_JAVA = Jvm(Path("no-java"), "no.jar")


def test_a_storage_without_users_is_made_once_and_needs_no_java(tmp_path: Path) -> None:
    layout = Layout(tmp_path)

    first, again = format_storage(layout, NO_JAVA), format_storage(layout, NO_JAVA)

    assert first == again
    assert f"\ncluster.id={first}\n" in (layout.data / "meta.properties").read_text()


def test_a_storage_that_was_left_half_done_is_made_anew(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.data.mkdir()
    (layout.data / "meta.properties").write_text("cluster.id=half\n")

    cluster_id = format_storage(layout, NO_JAVA)

    assert cluster_id != "half"
    assert cluster_id in (layout.data / "meta.properties").read_text()


def test_a_machine_too_busy_to_format_in_time_is_told_in_a_few_words(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\nexec sleep 60\n")
    java.chmod(0o755)
    layout = Layout(tmp_path / "kafka")
    layout.make()

    with pytest.raises(EmbeddedKafkaError, match=r"not formatted .* within 0\.2 s.*less busy") as refused:
        format_storage(layout, Jvm(java, "a.jar:" * 1000), Security(tmp_path), limit_s=0.2)

    assert "a.jar" not in str(refused.value)
