"""What can be configured about the control room, by CONTROL_ROOM_ environment variables."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from ensemble.settings import EnvironmentSettings, Host, Token


class ControlRoomSettings(EnvironmentSettings):
    """How the control room listens, and what it keeps."""

    model_config = SettingsConfigDict(env_prefix="CONTROL_ROOM_", frozen=True, extra="ignore")

    host: Host = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(default=8100, ge=0, le=65_535)
    """The port to listen on, 0 for any free one."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Further host names under which browsers reach it, with commas; it is behind a proxy, say."""
    login: Literal["required", "none"] = "required"
    """`none`: whoever reaches the port may act. For a port that only this machine reaches, such as that of a container.

    On loopback nobody has to log in unless a token is set.
    """
    token: Token | None = None
    """Who has it may act. CONTROL_ROOM_TOKEN_FILE names a file that holds it."""
    see_token: Token | None = None
    """Who has it may see, and not act."""
    proxy_user_header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,64}$")
    """The header in which a proxy that logs people in, by OpenID Connect say, names them: X-Forwarded-Email."""
    proxy_addresses: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    """Where that proxy comes from, with commas: from elsewhere the header counts for nothing."""
    actors: Annotated[tuple[str, ...], NoDecode] = ()
    """Those whom the proxy names that may act, with commas; `*`: all. The others may see."""
    requests_per_s: float = Field(default=100, gt=0, le=100_000)
    """What one address may ask for, ten times as much in a burst; beyond that it is answered 429."""
    max_body_bytes: int = Field(default=1_000_000, ge=1_000, le=100_000_000)
    """The largest body of a request that is read."""
    launcher_url: str | None = None
    """Where the launcher of a demonstration kills and restarts processes. It sets this itself."""
    launcher_token: SecretStr | None = None
    """What the launcher wants to see."""
    data_dir: Path | None = None
    """Where its files lie; by default `control-room` beside the data of the embedded Kafka."""
    refresh_s: float = Field(default=0.25, ge=0.05, le=60)
    """How often the view is brought up to date; once a second at most while no live stream is open."""
    broker_facts_s: float = Field(default=1.5, ge=0, le=60)
    """How long all pages share one answer of the brokers: how far services are behind, and which do not run."""
    heartbeat_s: float = Field(default=15, ge=0.01, le=300)
    """How often a live stream on which nothing happens says that it is still there."""
    trace_url: str = Field(default="", pattern=r"^(https?://\S*\{trace_id\}\S*)?$", max_length=2_000)
    """Where the tracing UI shows a trace, with `{trace_id}` in it: Jaeger's is http://127.0.0.1:16686/trace/{trace_id}."""

    @field_validator("allowed_hosts", "proxy_addresses", "actors", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Take several values with commas between them, as variables have them."""
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("token", "see_token", "proxy_user_header", "launcher_url", "launcher_token", mode="before")
    @classmethod
    def _check_empty(cls, value: Any) -> Any:
        """Treat an empty variable, as deployment files set it, as one that is not set."""
        return value or None
