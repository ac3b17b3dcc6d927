"""These tests need an engine that has the broker's image. `--kafka=containers` makes its absence a failure."""

import pytest

from tests.cluster import image, pull


@pytest.fixture(scope="session", autouse=True)
def _engine(pytestconfig: pytest.Config) -> None:
    if pull():
        return
    reason = f"no container engine answers that has {image()}, or can pull it"
    if pytestconfig.getoption("--kafka") == "containers":
        pytest.fail(reason)
    pytest.skip(reason)
