"""Reads settings from the environment alone: `KAFKA_...` as Kafka clients spell them, `ENSEMBLE_...` for the runtime.

Each secret may lie in a file instead, which its variable with `_FILE` behind it names: KAFKA_SASL_PASSWORD_FILE.
Line breaks at the end of a value, as secrets and generated files have them, are not part of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from ensemble.errors import ConfigurationError, reason_in

T = TypeVar("T", bound=BaseSettings)

CRASH_POINTS: Final = (
    "after-poll",
    "in-batch",
    "after-produce",
    "after-flush",
    "after-offsets",
    "after-commit",
    "after-fold",
)
"""The moments of a batch that `crash_at` may name. `in-batch`: handlers have run, nothing was produced yet."""
_POINT_PATTERN: Final = f"^$|^({'|'.join(CRASH_POINTS)})(:[1-9][0-9]{{0,6}})?$"


_SERVER: Final = re.compile(
    r"(?:(?:plaintext|ssl|sasl_plaintext|sasl_ssl)://)?(?:[a-z0-9._-]+|\[[0-9a-f:.%]+\])(?::([0-9]{1,5}))?",
    re.IGNORECASE | re.ASCII,
)
"""A broker's address as the client takes it, with its port."""
_HIGHEST_PORT: Final = 65_535
_TOKEN: Final = re.compile("[!-~]([ -~]*[!-~])?")


def check_host(host: str) -> str:
    """Return the host. Raises ValueError for what no system looks up, such as `0.0.0..0`."""
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError(f"{host!r} is no name or address of a host") from None
    return host


def check_url(url: str) -> str:
    """Return the URL. Raises ValueError unless it is http(s) with a host, and with a port that there may be if any."""
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname and check_host(parts.hostname)) and parts.port != 0  # above 65,535 it raises
    except ValueError:
        has_place = False
    if not has_place or not re.fullmatch(r"https?://\S+", url):
        raise ValueError("must be http(s)://host:port/path")
    return url


def _check_token(token: SecretStr) -> SecretStr:
    """Refuse what no header carries as it is: nobody could show the token."""
    if not _TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError("must be visible ASCII characters, with spaces between them alone, as headers carry them")
    return token


Host = Annotated[str, AfterValidator(check_host)]
"""A host's name or address."""
Token = Annotated[SecretStr, AfterValidator(_check_token)]
"""A secret that requests over HTTP carry."""


class EnvironmentSettings(BaseSettings):
    """Settings whose values are read without the line breaks at their end: `TOKEN=$(cat file)` elsewhere keeps them."""

    @model_validator(mode="before")
    @classmethod
    def _drop_line_ends(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {name: value.rstrip("\r\n") if isinstance(value, str) else value for name, value in values.items()}


class KafkaSettings(EnvironmentSettings):
    """How to reach the cluster. `KAFKA_BOOTSTRAP_SERVERS` and the usual SASL and TLS settings."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_", extra="ignore")

    bootstrap_servers: str | None = None
    """host:port, several with commas. Without it: a running embedded cluster of this project, then what the application
    adds (`ensemble.local_clusters`)."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_location: str | None = None
    ssl_certificate_location: str | None = None
    ssl_key_location: str | None = None
    ssl_key_password: SecretStr | None = None

    @field_validator("bootstrap_servers")
    @classmethod
    def _check_bootstrap_servers(cls, servers: str | None) -> str | None:
        """Refuse what no broker can be reached at: the client would look for it for ever, or elsewhere."""
        for server in (servers or "").split(","):
            match = _SERVER.fullmatch(server.strip())
            if server.strip() and (match is None or not 1 <= int(match[1] or 9092) <= _HIGHEST_PORT):
                raise ValueError(f"must be host:port, several with commas; {server.strip()!r} is none")
        return servers

    def client_config(self) -> dict[str, Any]:
        """Return the settings as librdkafka spells them."""
        values = self.model_dump(exclude_none=True, exclude={"bootstrap_servers"})
        return {name.replace("_", "."): _revealed(value) for name, value in values.items()}


class CommandSettings(EnvironmentSettings):
    """How a command, or a job that runs one, deals with a cluster or a registry that is still coming up."""

    model_config = SettingsConfigDict(env_prefix="ENSEMBLE_", extra="ignore")

    startup_timeout_s: float = Field(default=60, ge=1, le=3600)
    """How long to wait for each answer, with words. A person waits; in the image, where nobody does, it is 600."""
    health_urls: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Where processes answer /readyz, by service, as JSON: `{"shop": ["http://10.0.0.7:8080"]}`. `status` asks them
    which record one is stuck at."""
    http_token: Token | None = None
    """The token that /readyz asks for."""

    @field_validator("http_token", mode="before")
    @classmethod
    def _check_empty(cls, token: Any) -> Any:
        """Treat an empty variable as one that is not set; a service that gets one does not start."""
        return token or None


class RegistrySettings(EnvironmentSettings):
    """A Confluent-compatible schema registry. Without `SCHEMA_REGISTRY_URL` ids come from the schema directories."""

    model_config = SettingsConfigDict(env_prefix="SCHEMA_REGISTRY_", extra="ignore")

    url: str | None = None
    """http(s)://host:port/path; Apicurio's path is /apis/ccompat/v7. Credentials have settings of their own.

    Without it: the registry of a local cluster that is found and has one, else none."""
    ids: Literal["registry", "files"] = "registry"
    """Which ids new records get. `files` as long as some service does not have the registry yet: all read both."""
    basic_auth_user_info: SecretStr | None = None
    """user:password"""
    ssl_ca_location: str | None = None
    ssl_certificate_location: str | None = None
    ssl_key_location: str | None = None
    ssl_key_password: SecretStr | None = None
    timeout_s: float = Field(default=3, gt=0, le=60)
    """How long one request may take."""
    settle_s: float = Field(default=10, ge=0, le=600)
    """A registry that has just come up may still be reading its own records. When it does not know an id, a record
    waits until it has answered for so long."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        """Treat an empty variable, as deployment files set it, as one that is not set."""
        if not url:
            return None
        if "@" in url:
            raise ValueError("must be http(s)://host:port/path; credentials go into ..._BASIC_AUTH_USER_INFO")
        check_url(re.sub("^mock:", "http:", url))  # the client's registry in memory has a name like any other
        return url

    def for_commands(self, **values: Any) -> Self:
        """Return the settings where no running service waits: a request may take 30 s, unless the time is set."""
        patient = {} if "timeout_s" in self.model_fields_set else {"timeout_s": 30.0}
        return self.model_copy(update={**patient, **values})

    def client_config(self) -> dict[str, Any]:
        """Return the settings as confluent-kafka spells them, without its retries: callers retry."""
        values = self.model_dump(exclude_none=True, exclude={"ids", "timeout_s", "settle_s"})
        config = {name.replace("_", "."): _revealed(value) for name, value in values.items()}
        return {**config, "timeout": self.timeout_s, "max.retries": 0}


STATE_DIR: Final = Path(".ensemble/state")


class RuntimeSettings(EnvironmentSettings):
    """How one service process runs. Every one has a default that is right for a laptop."""

    model_config = SettingsConfigDict(env_prefix="ENSEMBLE_", extra="ignore")

    instance_id: str = Field(default="0", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """The instance's slot: the transactional id is `<service>-<instance>`.

    Two processes with one slot fence each other. `auto`: a slot of this host that no other process holds, for replicas
    that are all configured alike.
    """
    group_protocol: Literal["classic", "consumer"] = "classic"
    """Kafka's classic consumer groups, or the protocol of KIP-848."""
    batch_records: int = Field(default=500, ge=1, le=10_000)
    """The most records of one batch."""
    batch_s: float = Field(default=10, gt=0, le=300)
    """After this long a batch takes no further record; the rest is read again for the next one."""
    poll_s: float = Field(default=0.25, gt=0, le=5)
    """The longest wait for a record while idle."""
    session_timeout_s: float = Field(default=10, ge=6, le=300)
    """After this long without a heartbeat the group gives the partitions to others."""
    transaction_timeout_s: float = Field(default=10, ge=1, le=300)
    """After this long the broker aborts a transaction of a process that is gone.

    Until then its records block readers.
    """
    max_poll_interval_s: float = Field(default=120, ge=10, le=3600)
    """A batch that takes longer loses its partitions. For async handlers it waits CALL_WAIT_S at most."""
    call_wait_s: float = Field(default=0.2, gt=0, le=60)
    """How long a batch waits for async handlers; what takes longer stays in flight, and delays its own key only."""
    attempt_timeout_s: float = Field(default=5, gt=0, le=300)
    """How long one attempt of an async handler may take. When set, it rules over every policy file."""
    commit_timeout_s: float = Field(default=15, ge=1, le=300)
    """How long one call of a commit may take before its outcome counts as unknown."""
    startup_timeout_s: float = Field(default=300, ge=1, le=3600)
    """How long to wait at start for brokers that are still coming up."""
    restore_timeout_s: float = Field(default=60, ge=5, le=3600)
    """A restore that makes no progress for this long while brokers answer stops the process: a transaction hangs, or a
    changelog is gone."""
    watchdog_s: float = Field(default=180, ge=10, le=3600)
    """A loop that does not turn for this long ends its process, so that its supervisor starts a new one."""
    crash_at: str = Field(default="", pattern=_POINT_PATTERN)
    """For fault tests: the process kills itself when it reaches this point of a batch, `after-flush:3` for the third
    time. Points: after-poll, in-batch, after-produce, after-flush, after-offsets, after-commit, after-fold."""
    freeze_at: str = Field(default="", pattern=_POINT_PATTERN)
    """For fault tests: at this point the process stands still, until it is resumed (SIGCONT)."""
    http_host: Host = "127.0.0.1"
    """Where /livez, /readyz and /metrics listen."""
    http_port: int | None = Field(default=None, ge=0, le=65_535)
    """Their port; each service has its own default, 0 turns them off."""
    http_token: Token | None = None
    """Requests for /readyz or /metrics must carry it (`Authorization: Bearer ...`); /livez stays open."""
    http_requests_per_s: float = Field(default=50, gt=0, le=10_000)
    """Requests beyond that are answered 429, twice as many in a burst; /livez does not count."""
    state_dir: Path = STATE_DIR
    """Where stores with engine="rocksdb" lie: copies of changelogs, on a disk of this machine, which need no backup."""
    policies_dir: Path | None = None
    """A directory with policy files, `<service>.toml`; a service without one has the defaults."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "pretty"] = "auto"
    """`auto`: pretty on a terminal, JSON lines elsewhere."""

    @field_validator("state_dir", mode="before")
    @classmethod
    def _check_state_dir(cls, directory: Any) -> Any:
        """Treat an empty variable as one that is not set."""
        return directory or STATE_DIR

    @field_validator("policies_dir", mode="before")
    @classmethod
    def _check_policies_dir(cls, directory: Any) -> Any:
        """Treat an empty variable, as deployment files set it, as one that is not set, not as the working directory."""
        return directory or None

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        """Refuse a poll interval shorter than the session or the batch: the client would refuse it later."""
        if self.max_poll_interval_s < max(self.session_timeout_s, self.batch_s):
            raise ValueError("MAX_POLL_INTERVAL_S must be at least SESSION_TIMEOUT_S and BATCH_S")
        return self


class TelemetrySettings(EnvironmentSettings):
    """The variables of OpenTelemetry that decide whether spans are exported; its SDK reads these and all others."""

    model_config = SettingsConfigDict(env_prefix="OTEL_", extra="ignore")

    exporter_otlp_endpoint: str = ""
    """Where spans go: a collector's base URL for OTLP over HTTP, such as http://collector:4318. Without it: nowhere."""
    exporter_otlp_traces_endpoint: str = ""
    """The whole URL for traces, which goes before the former."""
    exporter_otlp_protocol: str = ""
    """`http/protobuf`, or nothing."""
    exporter_otlp_traces_protocol: str = ""
    """The protocol for traces, which goes before the former."""
    traces_exporter: str = "otlp"
    """`otlp`, or `none` to export nothing."""
    sdk_disabled: str = ""
    """`true` exports nothing, whatever the others say."""

    @property
    def traces_url(self) -> str:
        """The URL that traces go to, or an empty text."""
        base = self.exporter_otlp_endpoint.rstrip("/")
        return self.exporter_otlp_traces_endpoint or (f"{base}/v1/traces" if base else "")

    @property
    def protocol(self) -> str:
        """How they go there."""
        return self.exporter_otlp_traces_protocol or self.exporter_otlp_protocol or "http/protobuf"


def _revealed(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def secret_file(settings: type[BaseSettings], name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the file that holds the setting `name`, if it is a secret and the environment names a file."""
    variable = f"{settings.model_config.get('env_prefix', '')}{name}".upper()
    is_secret = "SecretStr" in str(settings.model_fields[name].annotation)
    path = environment.get(f"{variable}_FILE") if is_secret else None
    if path and environment.get(variable):
        raise ConfigurationError(f"settings: {variable} and {variable}_FILE are both set; keep one")
    return path or None


def _from_files(settings: type[BaseSettings]) -> dict[str, str]:
    paths = {name: secret_file(settings, name) for name in settings.model_fields}
    return {name: _content(settings, name, path) for name, path in paths.items() if path}


def _content(settings: type[BaseSettings], name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        variable = f"{settings.model_config.get('env_prefix', '')}{name}_file".upper()
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"settings: {variable}: cannot read {path} ({reason})") from None


def load(settings: type[T], **values: Any) -> T:
    """Return the settings. Raises ConfigurationError, which names each wrong variable and what is wrong with it."""
    try:
        return settings(**{**_from_files(settings), **values})
    except ValidationError as error:
        prefix = settings.model_config.get("env_prefix", "")
        mistakes = "; ".join(
            f"{prefix}{'.'.join(map(str, e['loc'])).upper()}: {reason_in(e['msg'])}"
            for e in error.errors(include_url=False)
        )
        raise ConfigurationError(f"settings: {mistakes}") from None
    except SettingsError as error:  # what is to be JSON, and cannot be read as that
        field_name = re.search(r'field "(\w+)"', str(error))
        variable = f"{settings.model_config.get('env_prefix', '')}{field_name[1] if field_name else ''}".upper()
        raise ConfigurationError(f"settings: {variable}: must be JSON, and cannot be read as that") from None


@dataclass(frozen=True)
class Settings:
    """All settings of a process. Those that are not passed are read from the environment, as `load` does.

    `Settings(kafka=KafkaSettings(bootstrap_servers="kafka:9092"))` sets the cluster from code. Raises
    ConfigurationError like `load`.
    """

    kafka: KafkaSettings = field(default_factory=lambda: load(KafkaSettings))
    runtime: RuntimeSettings = field(default_factory=lambda: load(RuntimeSettings))
    registry: RegistrySettings = field(default_factory=lambda: load(RegistrySettings))
    telemetry: TelemetrySettings = field(default_factory=lambda: load(TelemetrySettings))
