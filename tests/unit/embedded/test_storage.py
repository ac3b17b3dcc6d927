"""What a user is told when the storage of a new broker cannot be formatted."""

from pathlib import Path

import pytest

from ensemble.embedded import EmbeddedKafkaError
from ensemble.embedded.layout import Layout
from ensemble.embedded.storage import Jvm, format_storage


def test_a_machine_too_busy_to_format_in_time_is_told_in_a_few_words(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\nexec sleep 60\n")
    java.chmod(0o755)
    layout = Layout(tmp_path / "kafka")
    layout.make()

    with pytest.raises(EmbeddedKafkaError, match=r"not formatted .* within 0\.2 s.*less busy") as refused:
        format_storage(layout, Jvm(java, "a.jar:" * 1000), limit_s=0.2)

    assert "a.jar" not in str(refused.value)
