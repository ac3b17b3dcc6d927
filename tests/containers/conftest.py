"""These build images and run for minutes, so they are asked for: `--kafka=containers`. Then none may be skipped."""

from collections.abc import Iterator

import pytest

from ensemble.testing.clusters import image, pull
from tests.containers.stack import remove_image


@pytest.fixture(scope="session", autouse=True)
def _engine(pytestconfig: pytest.Config) -> Iterator[None]:
    if pytestconfig.getoption("--kafka") != "containers":
        pytest.skip("takes minutes and a container engine: `make test-containers`")
    if not pull():
        pytest.fail(f"no container engine answers that has {image()}, or can pull it")
    yield
    remove_image()
