"""The storage of a new broker, and what a user is told when it cannot be formatted."""

from pathlib import Path

import pytest

from ensemble.embedded import EmbeddedKafkaError, Security
from ensemble.embedded.layout import Layout
from ensemble.embedded.storage import CHECKPOINT, Jvm, format_storage, new_cluster_id

NO_JAVA = Jvm(Path("no-java"), "no.jar")


def test_a_java_is_given_a_small_heap_the_names_of_files_and_where_it_logs(tmp_path: Path) -> None:
    layout, jvm = Layout(tmp_path), Jvm(Path("/bin/java"), "a.jar:b.jar", "256m")
    fixed = ["-Xms128m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"]
    options = [*fixed, "-Dlog4j2.configurationFile=log4j2.yaml"]
    for log, name in ((None, "server.log"), (layout.controller_log, "controller.log")):
        command = ["/bin/java", *options, f"-Densemble.log={name}", "-cp", "a.jar:b.jar", "kafka.Kafka", "x"]
        assert jvm.command(layout, "kafka.Kafka", "x", log=log) == command


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


JAVA_FAILS = """#!/bin/sh
echo {words}
exit 3
"""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("on stdout", "on stdout"),
        ("on stdout; echo on stderr >&2", "on stderr"),
        ("x" * 500, "x" * 400),
    ],
)
def test_what_kafka_says_when_it_cannot_format_its_storage_is_told(tmp_path: Path, words: str, told: str) -> None:
    # given
    java, layout = tmp_path / "java", Layout(tmp_path / "kafka")
    java.write_text(JAVA_FAILS.format(words=words))
    java.chmod(0o755)
    layout.make()

    # when
    with pytest.raises(EmbeddedKafkaError) as refused:
        format_storage(layout, Jvm(java, "a.jar"), Security(tmp_path))

    # then nothing of it is left
    assert str(refused.value) == f"Kafka could not format its storage in {layout.data}: {told}"
    assert [path.name for path in layout.directory.iterdir()] == ["output.log"]


def test_a_java_that_is_none_cannot_format(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "kafka")
    layout.make()
    with pytest.raises(EmbeddedKafkaError) as refused:
        format_storage(layout, Jvm(tmp_path / "no-java", ""), Security(tmp_path))
    assert str(refused.value) == (
        f"The Java at {tmp_path}/no-java does not work ([Errno 2] No such file or directory: '{tmp_path}/no-java'). "
        "Try ENSEMBLE_JAVA=bundled."
    )


def test_the_storage_holds_what_kafka_needs_to_know_of_itself(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    cluster_id = format_storage(layout, NO_JAVA)
    names = ["version", "node.id", "cluster.id", "directory.id"]
    lines = [line.split("=") for line in (layout.data / "meta.properties").read_text().splitlines()]
    assert [name for name, _ in lines] == names
    assert [value for _, value in lines[:3]] == ["1", "1", cluster_id]
    assert lines[3][1] != cluster_id
    assert (layout.data / CHECKPOINT.name).read_bytes() == CHECKPOINT.read_bytes()


def test_ids_of_clusters_are_short_and_none_is_taken_for_an_option() -> None:
    ids = [new_cluster_id() for _ in range(2_000)]
    assert {len(each) for each in ids} == {22}
    assert [each for each in ids if "-" in each] == []
    assert len(set(ids)) == 2_000
