"""Compose tells the control room where the services say how they are."""

import re
from typing import Any

import pytest
import yaml

from ensemble.settings import CommandSettings, load
from services.app import SERVICES
from tests.unit.deploy.test_image import ROOT

SECURE = "docker-compose.secure.yml"


def environment_of(service: str, *overlays: str) -> dict[str, str]:
    """Return the environment of a service, as compose merges its files."""
    merged: dict[str, Any] = {}
    for name in ("docker-compose.yml", *overlays):
        merged |= yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["services"][service]["environment"]
    return merged


@pytest.mark.parametrize("overlays", [(), (SECURE,)])
def test_the_control_room_knows_where_each_service_answers(
    overlays: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    [port] = re.findall(r"ENSEMBLE_HTTP_PORT=(\d+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    monkeypatch.setenv("ENSEMBLE_HEALTH_URLS", environment_of("control-room", *overlays)["ENSEMBLE_HEALTH_URLS"])

    urls = load(CommandSettings).health_urls

    assert urls == {name: (f"http://{name}:{port}",) for name in SERVICES}
