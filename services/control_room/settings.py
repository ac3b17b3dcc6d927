"""What can be configured about the control room, by CONTROL_ROOM_ environment variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ControlRoomSettings(BaseSettings):
    """How the control room listens, and what it keeps."""

    model_config = SettingsConfigDict(env_prefix="CONTROL_ROOM_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(default=8100, ge=0, le=65_535)
    """The port to listen on, 0 for any free one."""
    data_dir: Path | None = None
    """Where its files lie; by default `control-room` beside the data of the embedded Kafka."""
    refresh_s: float = Field(default=0.25, ge=0.05, le=60)
    """How often the view is brought up to date."""
    heartbeat_s: float = Field(default=15, ge=0.01, le=300)
    """How often a live stream on which nothing happens says that it is still there."""
