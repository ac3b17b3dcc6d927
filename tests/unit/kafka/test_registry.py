"""When the registry is asked, and what is made of its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from json import JSONDecodeError
from typing import Any

import httpx2
import pytest
from confluent_kafka.schema_registry import Schema
from confluent_kafka.schema_registry.error import SchemaRegistryError

from ensemble.errors import ConfigurationError, RegistryRefusal, SchemasUnavailable, UndecodableRecord
from ensemble.kafka.registry.availability import Patience
from ensemble.kafka.registry.client import Registry, wire_schema
from ensemble.kafka.registry.sources import schema_sources
from ensemble.messages import schema_of
from ensemble.messages.schema_set import DRAFT_IDS, DirectorySourceSelector
from ensemble.settings import RegistrySettings, load
from tests.support.steady_clock import SteadyClock
from tests.support.two_releases import v1

URL = "http://registry:8080/apis/ccompat/v7"
SCHEMA = wire_schema(schema_of(v1.Sold))


class Answers:
    """A client that answers as the test says; `asked` counts the requests."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer, self.asked = answer, 0

    def get_schema(self, _: int) -> Any:
        self.asked += 1
        return self.answer()

    def clear_caches(self) -> None:
        """Keep nothing anyway."""


def registry(answer: Callable[[], Any], clock: SteadyClock | None = None, **settings: Any) -> tuple[Registry, Answers]:
    client: Any = Answers(answer)
    return Registry(client, RegistrySettings(url=URL, **settings), clock or SteadyClock()), client


def failing(error: Exception) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


def refusal(status: int, code: Any, message: str = "no") -> SchemaRegistryError:
    return SchemaRegistryError(status, code, message)


MISSING = refusal(404, 40403)


def test_a_schema_is_asked_for_once() -> None:
    sources, client = registry(lambda: SCHEMA)
    versions = [sources.find(7) for _ in range(3)]
    assert {version.name for version in versions if version} == {"till.events.Sold"}
    assert client.asked == 1


def test_an_id_of_a_file_is_never_asked_for() -> None:
    sources, client = registry(failing(MISSING))
    assert sources.find(DRAFT_IDS) is None
    assert client.asked == 0


def test_an_id_that_a_settled_registry_does_not_know_is_unknown() -> None:
    sources, client = registry(failing(MISSING), settle_s=0)
    assert sources.find(7) is None
    assert sources.find(7) is None
    assert client.asked == 1


def test_a_registry_that_has_just_begun_to_answer_is_asked_again() -> None:
    clock = SteadyClock()
    sources, client = registry(failing(MISSING), clock, settle_s=10)
    for _ in range(9):
        with pytest.raises(SchemasUnavailable, match="id 7 is unknown"):
            sources.find(7)
        clock.now += 1.1
    clock.now += 1.1
    assert sources.find(7) is None
    assert client.asked == 10


def test_after_an_outage_it_has_to_settle_again() -> None:
    clock = SteadyClock()
    sources, client = registry(lambda: SCHEMA, clock, settle_s=10)
    sources.find(1)
    clock.now += 20
    client.answer = failing(httpx2.ConnectError("refused"))
    with pytest.raises(SchemasUnavailable, match="refused"):
        sources.find(7)
    clock.now += 2
    client.answer = failing(MISSING)
    with pytest.raises(SchemasUnavailable, match="id 7 is unknown"):
        sources.find(7)


def test_after_a_failure_nothing_is_asked_for_a_while() -> None:
    clock = SteadyClock()
    sources, client = registry(failing(httpx2.ConnectError("refused")), clock)
    for _ in range(5):
        with pytest.raises(SchemasUnavailable, match=f"{URL}: refused"):
            sources.find(7)
    assert client.asked == 1
    clock.now += 1.1
    client.answer = lambda: SCHEMA
    assert sources.find(7) is not None


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (refusal(404, None), "is the path of the URL right"),
        (refusal(404, -1), "is the path of the URL right"),
        (refusal(401, 40101), "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO"),
        (refusal(503, 50301, "starting"), "503: starting"),
        (refusal(429, 42901, "slowly"), "429: slowly"),
        (JSONDecodeError("Expecting value", "<html>", 0), "not JSON"),
        (httpx2.ReadTimeout("timed out"), "timed out"),
    ],
)
def test_what_is_no_clear_answer_is_waited_for_by_a_service(error: Exception, message: str) -> None:
    sources, _ = registry(failing(error))
    with pytest.raises(SchemasUnavailable, match=message):
        sources.find(7)


@pytest.mark.parametrize("status", [409, 422])
def test_a_refused_schema_is_the_users_mistake(status: int) -> None:
    sources, _ = registry(failing(refusal(status, status, "incompatible: must")))
    with pytest.raises(ConfigurationError, match="incompatible: must"):
        sources.ask(lambda: sources.client.get_schema(7))


@pytest.mark.parametrize("text", ['"string"', "[]", "{", '{"type": "record"}'])
def test_what_is_no_record_is_no_schema_of_ours(text: str) -> None:
    sources, _ = registry(lambda: Schema(text, "AVRO"))
    with pytest.raises(UndecodableRecord, match=r"schema id 7 of the registry .* cannot be read here"):
        sources.find(7)


def test_without_a_url_the_files_give_the_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", "")
    assert schema_sources() == DirectorySourceSelector()


@pytest.mark.parametrize("limit_s", [None, 0.0, 7.5])
def test_a_registry_is_opened_by_the_settings_and_waited_for_as_long_as_the_caller_says(limit_s: float | None) -> None:
    opened = schema_sources(RegistrySettings(url=URL, ids="registry"), limit_s=limit_s)
    assert isinstance(opened, Registry)
    assert (opened.ids, opened._url, opened._limit_s) == ("registry", URL, limit_s)
    opened.close()


@pytest.mark.parametrize("url", ["registry:8080", "http://user:secret@registry", "http://a b", "mock://", "mock://a b"])
def test_a_wrong_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SCHEMA_REGISTRY_URL") as refused:
        load(RegistrySettings, url=url)
    assert "secret" not in str(refused.value)


def test_settings_reach_the_client_as_it_spells_them() -> None:
    settings = RegistrySettings.model_validate(
        {"url": URL, "basic_auth_user_info": "me:secret", "ssl_ca_location": "ca"}
    )
    assert settings.client_config() == {
        "url": URL,
        "basic.auth.user.info": "me:secret",
        "ssl.ca.location": "ca",
        "timeout": 3,
        "max.retries": 0,
    }
    assert "secret" not in repr(settings)


def patient(answers: Iterator[Any], limit_s: float = 30) -> tuple[Registry, Answers]:
    """Return a registry that a command asks; an answer that is an error is raised."""

    def answer() -> Any:
        match next(answers):
            case Exception() as error:
                raise error
            case value:
                return value

    client: Any = Answers(answer)
    return Registry(client, RegistrySettings(url=URL, settle_s=0), patience=Patience(limit_s)), client


@pytest.mark.parametrize(
    "error",
    [httpx2.ConnectError("refused"), httpx2.ReadTimeout("timed out"), refusal(404, -1), refusal(503, 50301)],
    ids=["refused", "timed out", "404", "503"],
)
def test_a_command_asks_a_registry_that_is_coming_up_again(error: Exception) -> None:
    sources, client = patient(iter([error, SCHEMA]))
    assert sources.find(7) is not None
    assert client.asked == 2


def test_a_command_gives_up_at_its_limit_with_the_last_reason() -> None:
    sources, _ = patient(repeat(httpx2.ConnectError("refused")), limit_s=0.1)
    with pytest.raises(SchemasUnavailable, match=f"{URL}: refused"):
        sources.find(7)


@pytest.mark.parametrize(
    "error",
    [refusal(401, 40101), refusal(403, 40301), httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")],
    ids=["401", "403", "certificate"],
)
def test_a_refusal_is_told_at_once(error: Exception) -> None:
    sources, client = patient(repeat(error))
    with pytest.raises(RegistryRefusal, match=URL):
        sources.find(7)
    assert client.asked == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (refusal(404, None), "404: no registry's answer, is the path of the URL right?"),
        (refusal(404, -1), "404: no registry's answer, is the path of the URL right?"),
        (refusal(401, 40101), "401: see SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO"),
        (refusal(403, 40301), "403: see SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO"),
        (refusal(503, 50301, "starting"), "503: starting"),
        (JSONDecodeError("Expecting value", "<html>", 0), "the answer is not JSON, so it is no registry's"),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no text"),
            "the answer is not JSON, so it is no registry's",
        ),
        (KeyError("schema"), "the answer is none that a registry gives, so it is no registry's"),
        (httpx2.ReadTimeout("timed out"), "timed out"),
        (httpx2.ReadTimeout(""), "ReadTimeout"),
    ],
)
def test_why_there_is_no_answer_is_said_in_words(error: Exception, reason: str) -> None:
    sources, _ = registry(failing(error))
    for _ in range(2):  # the second time it is not asked, and says the same
        with pytest.raises(SchemasUnavailable) as unavailable:
            sources.find(7)
        assert str(unavailable.value) == f"schema registry {URL}: {reason}"
        is_refusal = isinstance(error, SchemaRegistryError) and error.http_status_code in {401, 403}
        assert isinstance(unavailable.value, RegistryRefusal) is is_refusal


@pytest.mark.parametrize(
    ("text", "words"), [("incompatible: must", "incompatible: must"), ("", "it answers 409 and no reason")]
)
def test_a_refused_schema_is_told_with_its_reason(text: str, words: str) -> None:
    sources, _ = registry(failing(refusal(409, 409, text)))
    with pytest.raises(ConfigurationError) as refused:
        sources.ask(lambda: sources.client.get_schema(7))
    assert str(refused.value) == words


def test_what_cannot_be_read_is_asked_for_once_and_told_each_time() -> None:
    sources, client = registry(lambda: Schema("[]", "AVRO"))
    reasons = set[str]()
    for _ in range(2):
        with pytest.raises(UndecodableRecord) as unreadable:
            sources.find(7)
        reasons.add(str(unreadable.value))
    assert (len(reasons), client.asked) == (1, 1)
    assert min(reasons).startswith(f"schema id 7 of the registry {URL} cannot be read here: ")


def test_a_schema_that_is_found_by_its_id_alone_has_no_number() -> None:
    sources, _ = registry(lambda: SCHEMA)
    found = sources.find(7)
    assert found is not None
    assert (found.id, found.version, found.is_released) == (7, 0, True)
