"""What a broker's directory tells of the broker that ran there last."""

from pathlib import Path

import pytest

from ensemble.embedded.errors import EmbeddedKafkaError
from ensemble.embedded.layout import Layout, Ports, broker_settings


@pytest.mark.parametrize(
    ("segments", "is_clean", "was_killed"),
    [
        ([], False, False),
        ([b""], False, False),
        ([b"x"], False, True),
        ([b"x"], True, False),
        ([b"x", b"yz"], False, True),
    ],
)
def test_a_broker_was_killed_if_it_has_written_and_did_not_stop(
    tmp_path: Path, segments: list[bytes], *, is_clean: bool, was_killed: bool
) -> None:
    # given
    layout = Layout(tmp_path)
    metadata = layout.data / "__cluster_metadata-0"
    metadata.mkdir(parents=True)
    for number, content in enumerate(segments):
        (metadata / f"{number}.log").write_bytes(content)
    (metadata / "0.index").write_bytes(b"more")
    if is_clean:
        (layout.data / ".kafka_cleanshutdown").touch()

    # then
    assert layout.metadata_size == sum(map(len, segments))
    assert layout.was_killed is was_killed


def test_each_run_has_a_log_of_its_own(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.keep_last_log()
    layout.log.write_text("the last run's")
    layout.keep_last_log()
    assert not layout.log.exists()
    assert (tmp_path / "server.previous.log").read_text() == "the last run's"


def test_a_directory_is_made_and_one_that_cannot_be_is_named(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "a" / "b")
    layout.make()
    layout.make()
    assert layout.output.read_text() == ""
    with pytest.raises(
        EmbeddedKafkaError, match=rf"^The data directory {layout.output}/c cannot be written \(Not a dir"
    ):
        Layout(layout.output / "c").make()


def test_the_settings_name_both_ports_and_the_data(tmp_path: Path) -> None:
    settings = broker_settings(Layout(tmp_path), Ports(clients=1111, controller=2222)).splitlines()
    assert "listeners=PLAINTEXT://127.0.0.1:1111,CONTROLLER://127.0.0.1:2222" in settings
    assert "controller.quorum.voters=1@127.0.0.1:2222" in settings
    assert "log.dirs=data" in settings
