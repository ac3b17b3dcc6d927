"""What a broker in a container is told, and how its start is awaited, without an engine."""

from types import SimpleNamespace
from typing import Any, Self

import pytest

from ensemble.testing.containers import DEFAULT_IMAGE, STARTED, ApacheKafkaContainer, ContainerError, broker_settings

USERS = {"alice": 'not "so" simple\\', "bob": "b"}


class EngineDouble:
    """The engine's own container: what it has logged, and what was done to it."""

    def __init__(self, *log: bytes, status: str = "running") -> None:
        self.log, self.status, self.done = list(log), status, list[str]()
        self.settings: dict[str, str] = {}
        self.ports: dict[str, Any] = {}
        self.image, self.questions = "an/image", 0

    host = "localhost"
    refusal: Exception | None = None

    def get_docker_client(self) -> Any:
        return SimpleNamespace(host=lambda: self.host)

    def with_envs(self, **settings: str) -> None:
        self.settings = settings

    def with_env(self, name: str, value: str) -> None:
        self.settings[name] = value

    def with_bind_ports(self, inside: int, outside: int) -> None:
        self.ports = {str(inside): outside}

    def start(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.done.append("start")
        self.log.append(STARTED)

    def get_wrapped_container(self) -> Self:
        return self

    def logs(self) -> bytes:
        self.questions += 1
        assert self.questions < 10, "it is asked without end"
        return b"\n".join(self.log)

    def reload(self) -> None:
        """Nobody looks at it for ever."""
        self.done.append("reload")
        if self.done.count("reload") > 2:
            self.status = "exited"

    def restart(self, timeout: int) -> None:
        self.done.append("restart")
        self.log += [STARTED] if self.status == "running" else []

    def kill(self) -> None:
        self.done.append("kill")

    def pause(self) -> None:
        self.done.append("pause")

    def unpause(self) -> None:
        self.done.append("unpause")

    def stop(self) -> None:
        self.done.append("stop")


def started(engine: EngineDouble, **more: Any) -> ApacheKafkaContainer:
    """What `start` leaves, once the engine has given it a container."""
    broker = ApacheKafkaContainer("an/image", **more)
    broker._container, broker._address = engine, "127.0.0.1:4711"  # type: ignore[assignment]  # a double
    broker._await_started()
    return broker


def broker_on(engine: EngineDouble, **more: Any) -> ApacheKafkaContainer:
    return ApacheKafkaContainer("an/image", make=lambda _: engine, **more)  # type: ignore[arg-type,return-value]  # a double


def test_it_runs_while_its_block_lasts_on_a_port_of_loopback() -> None:
    engine = EngineDouble()
    with broker_on(engine, heap="1g") as broker:
        port = engine.ports["9092"][1]
        assert engine.ports == {"9092": ("127.0.0.1", port)}
        assert broker.bootstrap_servers == f"127.0.0.1:{port}"
        assert engine.settings == broker_settings(broker.bootstrap_servers, {}) | {"KAFKA_HEAP_OPTS": "-Xms128m -Xmx1g"}
    assert engine.done == ["start", "stop"]


def test_on_another_host_s_engine_its_port_is_that_hosts() -> None:
    engine = EngineDouble()
    engine.host = "far"
    with broker_on(engine, users=USERS) as broker:
        assert broker.bootstrap_servers == f"far:{engine.ports['9092']}"
        assert engine.settings.items() > broker_settings(broker.bootstrap_servers, USERS).items()
        assert broker.image == "an/image"


def test_what_the_engine_does_not_run_is_removed_and_told() -> None:
    errors = pytest.importorskip("docker.errors", reason="needs the extra `containers`")
    engine = EngineDouble()
    engine.refusal = errors.APIError("500", explanation="no room")
    with pytest.raises(ContainerError, match=r"^an/image cannot be run: no room$"):
        broker_on(engine).start()
    assert engine.done == ["stop"]


def test_a_broker_that_ends_at_its_start_is_removed() -> None:
    engine = EngineDouble(status="exited")
    engine.start = lambda: None  # type: ignore[method-assign]  # it says nothing
    with pytest.raises(ContainerError, match=r"^an/image did not start: it said nothing$"):
        broker_on(engine).start()
    assert engine.done[-1] == "stop"


def test_a_broker_that_ends_on_its_way_is_not_waited_for() -> None:
    engine = EngineDouble(b"one", b"java.io.IOException: no space")
    with pytest.raises(ContainerError, match=r"^an/image did not start: java\.io\.IOException: no space$"):
        started(engine)
    assert engine.done == ["reload"] * 3


def test_its_image_is_its_own_or_the_environments_or_the_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_IMAGE", "environments")
    assert [ApacheKafkaContainer(name).image for name in ("own", None)] == ["own", "environments"]
    monkeypatch.delenv("KAFKA_IMAGE")
    assert ApacheKafkaContainer().image == DEFAULT_IMAGE


@pytest.mark.parametrize("use", ["kill", "restart", "pause", "resume", "environment"])
def test_a_broker_that_was_not_started_says_so(use: str) -> None:
    with pytest.raises(ContainerError, match="was not started"):
        getattr(ApacheKafkaContainer("an/image"), use)()


def test_a_crash_a_pause_and_the_end_are_the_engines() -> None:
    # given
    engine = EngineDouble(STARTED)
    broker = started(engine)

    # when
    broker.pause()
    broker.resume()
    broker.kill()
    assert broker.restart() is broker
    broker.stop()
    broker.stop()

    # then
    assert engine.done == ["pause", "unpause", "kill", "restart", "stop"]
    with pytest.raises(ContainerError, match="was not started"):
        _ = broker.bootstrap_servers


def test_a_restart_is_not_taken_for_done_by_the_line_of_an_earlier_start() -> None:
    # given
    engine = EngineDouble(STARTED)
    broker = started(engine)

    # when
    engine.status = "exited"
    engine.log += [b"  Caused by: java.io.IOException: no space", b"at kafka.Kafka.main"]

    # then
    with pytest.raises(ContainerError, match=r"^an/image did not start: Caused by: [\w.]+: no space$"):
        broker.restart()


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ((b"one", b"[2026] ERROR first", b"[2026] ERROR last", b"bye"), r"\[2026\] ERROR last$"),
        ((b"one", b"bye", b""), "bye$"),
        ((), "it said nothing$"),
    ],
)
def test_what_did_not_start_is_quoted(log: tuple[bytes, ...], words: str) -> None:
    with pytest.raises(ContainerError, match=f"^an/image did not start: {words}"):
        started(EngineDouble(*log, status="exited"))


def test_the_environment_is_that_of_the_first_user_unless_another_is_named() -> None:
    broker = started(EngineDouble(STARTED), users=USERS)
    login = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "PLAIN"}
    address = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:4711"}
    alice = {"KAFKA_SASL_USERNAME": "alice", "KAFKA_SASL_PASSWORD": USERS["alice"]}
    assert broker.environment() == {**address, **login, **alice}
    assert broker.environment("bob")["KAFKA_SASL_PASSWORD"] == "b"
    assert started(EngineDouble(STARTED)).environment() == address


def test_clients_are_told_the_address_that_they_can_reach() -> None:
    settings = broker_settings("127.0.0.1:4711", {})
    assert settings["KAFKA_ADVERTISED_LISTENERS"].startswith("CLIENTS://127.0.0.1:4711,")
    assert "CLIENTS:PLAINTEXT" in settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"]
    assert not [name for name in settings if "SASL" in name]


def test_a_password_is_escaped_for_both_files_that_it_goes_through() -> None:
    settings = broker_settings("127.0.0.1:4711", USERS)
    login = settings["KAFKA_LISTENER_NAME_CLIENTS_PLAIN_SASL_JAAS_CONFIG"]
    assert r'user_alice="not \\"so\\" simple\\\\" user_bob="b";' in login
    assert "CLIENTS:SASL_PLAINTEXT" in settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"]
    assert settings["KAFKA_LISTENER_NAME_CLIENTS_SASL_ENABLED_MECHANISMS"] == "PLAIN"


def test_a_broker_that_never_starts_is_waited_for_no_longer_than_its_limit() -> None:
    engine = EngineDouble(b"java.io.IOException: slow")
    engine.start = lambda: None  # type: ignore[method-assign]  # it never says that it has
    with pytest.raises(ContainerError, match=r"^an/image did not start within 0 s: java\.io\.IOException: slow$"):
        broker_on(engine, start_limit_s=0).start()
    assert engine.done == ["reload", "stop"]
