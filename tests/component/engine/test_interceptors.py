"""Interceptors see each input, output and commit: what they may do, and what becomes of a record when they raise."""

import hmac
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import structlog

from ensemble import EventBus, RejectedInput, RetryableError, Service, handles
from ensemble.clock import ManualClock
from ensemble.engine.compiled import compile_service
from ensemble.engine.cycle import commit_batch
from ensemble.engine.interception import InterceptedLayer, Interception
from ensemble.errors import ConfigurationError, FatalError, OversizedOutput
from ensemble.interceptors import (
    InterceptedCommit,
    InterceptedInput,
    InterceptedOutput,
    Interceptor,
)
from ensemble.messages.records import Headers, StoredRecord, header_size
from ensemble.service.catalogue import MAX_RECORD_BYTES
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.controlled_service import Controls, controlled_service, limits, quick
from tests.support.scripted_service.controlled_service import slow as slow_call
from tests.support.scripted_service.drivers import script, slow
from tests.support.scripted_service.messages import Account, Refused, Script, Told
from tests.support.scripted_service.service import catalogue_of, scripted_service

KEY = b"a secret that senders share"
TENANT: ContextVar[bytes] = ContextVar("tenant")


class Witness(Interceptor):
    """Writes down what it is called for."""

    def __init__(self, name: str, diary: list[str]) -> None:
        self._name, self._diary = name, diary

    @contextmanager
    def intercept_handling(self, record: InterceptedInput) -> Iterator[None]:
        self._diary.append(f"{self._name} before {record.handler}")
        try:
            yield
        except Exception as error:
            self._diary.append(f"{self._name} met {type(error).__name__}")
            raise
        self._diary.append(f"{self._name} after")

    def intercept_sending(self, record: InterceptedOutput) -> None:
        self._diary.append(f"{self._name} sends {type(record.message).__name__} to {record.topic}")

    @contextmanager
    def intercept_commit(self, commit: InterceptedCommit) -> Iterator[None]:
        yield
        self._diary.append(f"{self._name} committed {sum(commit.offsets.values())} {[t for t, _ in commit.outputs]}")


class TenantContext(Interceptor):
    """Hands the tenant of an input on to what its handlers put out."""

    @contextmanager
    def intercept_handling(self, record: InterceptedInput) -> Iterator[None]:
        token = TENANT.set(record.headers.get("tenant") or b"nobody")
        try:
            yield
        finally:
            TENANT.reset(token)

    def intercept_sending(self, record: InterceptedOutput) -> None:
        record.add_header("tenant", TENANT.get(b"nobody"))


class SenderAuthentication(Interceptor):
    """Takes no record that its sender has not signed."""

    @contextmanager
    def intercept_handling(self, record: InterceptedInput) -> Iterator[None]:
        if not hmac.compare_digest(
            record.headers.get("signature") or b"", signature(record.key, record.published_value)
        ):
            raise RejectedInput(
                f"the signature of {record.message_id!r} is missing or wrong; sign it with the shared key"
            )
        yield


class Raising(Interceptor):
    """Raises the given errors in turn: in one of its hooks, before or after what it surrounds."""

    def __init__(self, hook: str, *errors: Exception, after: bool = False) -> None:
        self._hook, self._errors, self._after = hook, list(errors), after

    def intercept_handling(self, record: InterceptedInput) -> AbstractContextManager[object]:
        return self._around("handling")

    def intercept_commit(self, commit: InterceptedCommit) -> AbstractContextManager[object]:
        return self._around("commit")

    def intercept_sending(self, record: InterceptedOutput) -> None:
        self._raise("sending")

    @contextmanager
    def _around(self, hook: str) -> Iterator[None]:
        if not self._after:
            self._raise(hook)
        yield
        if self._after:
            self._raise(hook)

    def _raise(self, hook: str) -> None:
        if hook == self._hook and self._errors:
            raise self._errors.pop(0)


class Suppressing(Interceptor):
    """Tries to hide what goes wrong."""

    def intercept_handling(self, record: InterceptedInput) -> AbstractContextManager[object]:
        return suppress(Exception)


def signature(key: bytes, value: bytes) -> bytes:
    return hmac.digest(KEY, key + value, "sha256")


def signed(record: StoredRecord) -> StoredRecord:
    own: Headers = [("signature", signature(record.raw_key or b"", record.raw_value or b""))]
    return StoredRecord(
        *(record.at_topic, record.at_partition, record.at_offset, record.raw_key, record.raw_value),
        [*record.raw_headers, *own],
    )


def of_tenant(record: StoredRecord, tenant: bytes) -> StoredRecord:
    headers: Headers = [*record.raw_headers, ("tenant", tenant)]
    return StoredRecord(
        *(record.at_topic, record.at_partition, record.at_offset, record.raw_key, record.raw_value), headers
    )


def header(record: StoredRecord, name: str) -> bytes | None:
    return dict(record.headers()).get(name)


@pytest.fixture
def drive(tmp_path: Path) -> Callable[..., ServiceTestDriver]:
    def start(*interceptors: Interceptor) -> ServiceTestDriver:
        return ServiceTestDriver(scripted_service("shop", tmp_path), interceptors=interceptors)

    return start


def texts(driver: ServiceTestDriver) -> list[str]:
    return [event.text for event in driver.emitted if isinstance(event, Told)]


# -- what they see ----------------------------------------------------------------------------------------------------


def test_interceptors_nest_in_their_order_around_handling_and_commit(drive: Callable[..., ServiceTestDriver]) -> None:
    diary: list[str] = []
    drive(Witness("outer", diary), Witness("inner", diary)).receive(script("a", "tell x"))
    assert diary == [
        "outer before Clerk.on_script",
        "inner before Clerk.on_script",
        "outer sends Told to shop.events",
        "inner sends Told to shop.events",
        "inner after",
        "outer after",
        "inner committed 1 ['shop.events']",
        "outer committed 1 ['shop.events']",
    ]


def test_async_handlers_and_timers_are_intercepted_as_well(drive: Callable[..., ServiceTestDriver]) -> None:
    diary: list[str] = []
    driver = drive(Witness("it", diary))
    driver.receive(slow("a", "tell x", "remind alarm 5 tell y"))
    driver.advance(6)
    assert [line for line in diary if "before" in line] == [
        "it before Clerk.on_slow_script",
        "it before Clerk.on_alarm",
    ]
    assert diary.count("it sends Told to shop.events") == 2


def test_an_input_is_shown_with_its_headers_and_a_timer_without(drive: Callable[..., ServiceTestDriver]) -> None:
    class Look(Interceptor):
        @contextmanager
        def intercept_handling(self, record: InterceptedInput) -> Iterator[None]:
            seen.append(record)
            yield

    seen: list[InterceptedInput] = []
    driver = drive(Look())
    driver.receive_records([of_tenant(driver.record_of(script("a", "remind alarm 5 tell y"), "one"), b"north")])
    driver.advance(6)
    record, timer = seen
    assert (record.service, record.topic, record.key, record.message_id) == ("shop", "shop.commands", b"a", "one")
    assert (record.headers["tenant"], record.value) == (b"north", record.published_value)
    assert (timer.topic, timer.key, timer.headers, timer.value) == ("timer", b"a", {}, b"")


def test_facts_are_outputs_too(drive: Callable[..., ServiceTestDriver]) -> None:
    diary: list[str] = []
    drive(Witness("it", diary)).receive(script("a", "book tea 3", "jot note"))
    assert [line for line in diary if "sends" in line] == [
        "it sends Booked to shop.ledger",
        "it sends Jotted to shop.diary",
    ]


# -- what they are for ------------------------------------------------------------------------------------------------


def test_a_tenant_goes_from_input_to_output_through_calls_side_by_side(drive: Callable[..., ServiceTestDriver]) -> None:
    driver = drive(TenantContext())
    records = [driver.record_of(slow(key, "tell x", "tell y"), f"m-{key}") for key in ("a", "b")]
    driver.receive_records([of_tenant(records[0], b"north"), of_tenant(records[1], b"south")])
    tenants = {(record.raw_key, header(record, "tenant")) for record in driver.records("shop.events")}
    assert tenants == {(b"a", b"north"), (b"b", b"south")}


def test_what_a_sender_has_not_signed_is_dead_lettered_and_its_key_goes_on(
    drive: Callable[..., ServiceTestDriver],
) -> None:
    # given
    driver = drive(SenderAuthentication())
    forged = driver.record_of(script("a", "set 5", "tell forged"), "forged")
    genuine = signed(driver.record_of(script("a", "tell genuine"), "genuine"))

    # when
    driver.receive_records([forged, genuine])

    # then
    (letter,) = driver.dead_letters
    assert header(letter, "__streams.errors.exception") == b"RejectedInput"
    assert b"signature of 'forged'" in (header(letter, "__streams.errors.message") or b"")
    assert (texts(driver), driver.state(Account, "a"), driver.parked("a")) == (["genuine"], None, None)


def test_a_signed_record_that_an_operator_edits_is_still_its_senders(drive: Callable[..., ServiceTestDriver]) -> None:
    driver = drive(SenderAuthentication())
    driver.receive_records([signed(driver.record_of(script("a", "fail"), "one"))])
    driver.redrive(driver.dead_letters[0], edited=script("a", "tell mended"))
    assert texts(driver) == ["mended"]


def test_a_header_of_the_runtime_cannot_be_set(drive: Callable[..., ServiceTestDriver]) -> None:
    class Forger(Interceptor):
        def intercept_sending(self, record: InterceptedOutput) -> None:
            record.add_header("ce_id", b"mine")

    driver = drive(Forger())
    driver.receive(script("a", "tell x"))
    parked = driver.parked("a")
    assert parked is not None
    assert "ce_id cannot be set" in parked.words


# -- when one raises --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [script("a", "add 1"), slow("a", "add 1")])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("hook", ["handling", "sending"])
def test_a_record_whose_interceptor_raises_is_tried_again_and_takes_effect_once(
    drive: Callable[..., ServiceTestDriver], hook: str, after: bool, message: Any
) -> None:
    driver = drive(Raising(hook, ValueError("no"), RetryableError("not yet"), after=after))
    driver.receive(message)
    assert (driver.outputs, driver.state(Account, "a")) == ([], None)
    driver.advance(600)
    assert (texts(driver), driver.state(Account, "a")) == (["1"], Account(value=1, text=""))
    assert (driver.dead_letters, driver.parked("a")) == ([], None)


def test_a_timer_whose_interceptor_raises_fires_later_and_once(drive: Callable[..., ServiceTestDriver]) -> None:
    interceptor = Raising("handling")
    driver = drive(interceptor)
    driver.receive(script("a", "remind alarm 5 add 1"))
    interceptor._errors.append(ValueError("no"))
    driver.advance(600)
    assert (texts(driver), driver.timers) == (["1"], [])


def test_a_record_whose_interceptor_always_raises_is_dead_lettered_by_its_policy() -> None:
    always = Raising("handling", *(ValueError("never") for _ in range(9)))
    driver = ServiceTestDriver(controlled_service(Controls()), limits=limits(), interceptors=[always])
    driver.receive(quick("a", "x"))
    driver.advance(60)
    (letter,) = driver.dead_letters
    assert header(letter, "ensemble.attempts") == b"3"
    assert header(letter, "__streams.errors.message") == b"never"


def test_an_output_that_is_refused_does_not_leave_though_its_handler_goes_on() -> None:
    @dataclass(frozen=True)
    class Stubborn:
        events: EventBus[Told]

        @handles(Script)
        def on_script(self, command: Script) -> None:
            for text in command.steps:
                with suppress(ValueError):
                    self.events.emit(Told(account_id=command.account_id, text=text))

    service = Service("shop", catalogue_of("shop"), roles=[Stubborn])
    driver = ServiceTestDriver(service, interceptors=[Raising("sending", ValueError("no"))])
    driver.receive(script("a", "first", "second"))
    assert texts(driver) == ["second"]


def test_a_failure_cannot_be_suppressed(drive: Callable[..., ServiceTestDriver]) -> None:
    """It would keep the effects before it, and lose those behind."""
    driver = drive(Suppressing())
    driver.receive(script("a", "tell x", "fail", "tell y"), slow("b", "tell x", "fail", "tell y"))
    assert (texts(driver), len(driver.dead_letters)) == ([], 2)


def test_a_refusal_cannot_be_suppressed_by_another_interceptor(drive: Callable[..., ServiceTestDriver]) -> None:
    driver = drive(Suppressing(), SenderAuthentication())
    driver.receive(script("a", "tell x"))
    assert (texts(driver), len(driver.dead_letters)) == ([], 1)


def test_a_fatal_error_of_an_interceptor_ends_the_process(drive: Callable[..., ServiceTestDriver]) -> None:
    driver = drive(Raising("handling", FatalError("the key store is gone")))
    with pytest.raises(FatalError, match="key store"):
        driver.receive(script("a", "tell x"))
    driver.restart()
    driver.receive(script("a", "tell x"))
    assert texts(driver) == ["x"]


def test_a_commands_failure_is_reported_whatever_an_interceptor_says(drive: Callable[..., ServiceTestDriver]) -> None:
    driver = drive(Raising("sending", ValueError("no"), ValueError("no")))
    with structlog.testing.capture_logs() as lines:
        driver.receive(script("a", "fail"))
    assert [type(event) for event in driver.emitted] == [Refused]
    assert [line["interceptor"] for line in lines if line["event"] == "interceptor.failed"] == ["Raising"]


@pytest.mark.parametrize("after", [False, True])
def test_a_commit_takes_effect_once_whatever_an_interceptor_raises(
    drive: Callable[..., ServiceTestDriver], after: bool
) -> None:
    driver = drive(Raising("commit", ValueError("no"), FatalError("no"), after=after))
    with structlog.testing.capture_logs() as lines:
        driver.receive(script("a", "add 1"))
        driver.receive(script("a", "add 1"))
    driver.restart()
    driver.receive(script("a", "add 1"))
    assert texts(driver) == ["1", "2", "3"]
    failures = [line for line in lines if line["event"] == "interceptor.failed"]
    assert [line["hook"] for line in failures] == ["intercept_commit"] * 2


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_interceptors_are_told_what_has_kept_a_commit_from_taking_effect(error: BaseException) -> None:
    told: list[BaseException] = []

    class Listener(Interceptor):
        @contextmanager
        def intercept_commit(self, commit: InterceptedCommit) -> Iterator[None]:
            try:
                yield
            except BaseException as problem:
                told.append(problem)
                raise

    def write() -> bool:
        raise error

    commit: Any = None
    with pytest.raises(type(error)):
        Interception("shop", [Listener()]).commit(commit, write)
    assert told == [error]


def test_a_redriven_record_is_intercepted_with_the_headers_that_it_had(drive: Callable[..., ServiceTestDriver]) -> None:
    driver = drive(TenantContext())
    driver.receive_records([of_tenant(driver.record_of(script("a", "fail"), "one"), b"north")])
    driver.redrive(driver.dead_letters[0], edited=script("a", "tell x"))
    (told,) = [record for record in driver.records("shop.events") if header(record, "tenant") == b"north"]
    assert header(told, "ce_causationid") == b"one"


def test_calls_that_outlive_their_batch_keep_their_context() -> None:
    world = Controls()
    world.hang("x")
    service = controlled_service(world)
    driver = ServiceTestDriver(service, call_wait_s=0.01, limits=limits(), interceptors=[TenantContext()])
    driver.receive_records([of_tenant(driver.record_of(slow_call("a", "x"), "one"), b"north")])
    world.let_go("x")
    driver.land()
    assert [header(record, "tenant") for record in driver.records("shop.events")] == [b"north"]


# -- where they come from ---------------------------------------------------------------------------------------------


def test_the_interceptors_of_a_service_run_inside_those_of_its_process(tmp_path: Path) -> None:
    diary: list[str] = []
    service = scripted_service("shop", tmp_path, interceptors=[Witness("service", diary)])
    ServiceTestDriver(service, interceptors=[Witness("process", diary)]).receive(script("a", "get"))
    assert diary[:2] == ["process before Clerk.on_script", "service before Clerk.on_script"]


@pytest.mark.parametrize(("wrong", "reason"), [(TenantContext, "the class TenantContext"), (print, "builtin_function")])
def test_what_is_no_interceptor_is_named_at_start(tmp_path: Path, wrong: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"service shop: interceptors holds .*{reason}.*; give instances"):
        scripted_service("shop", tmp_path, interceptors=[wrong])


class AsyncSending(Interceptor):
    async def intercept_sending(self, record: InterceptedOutput) -> None:  # type: ignore[override]  # the mistake
        record.add_header("tenant", b"north")


class BareGenerator(Interceptor):
    def intercept_handling(self, record: InterceptedInput) -> Iterator[None]:  # type: ignore[override]  # the mistake
        yield


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (AsyncSending(), r"AsyncSending\.intercept_sending is async and would never run; write it with def"),
        (BareGenerator(), r"BareGenerator\.intercept_handling is a generator; put @contextmanager above it"),
    ],
)
def test_a_hook_that_would_do_nothing_is_named_at_start(tmp_path: Path, wrong: Interceptor, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"service shop: {reason}"):
        scripted_service("shop", tmp_path, interceptors=[wrong])
    with pytest.raises(ConfigurationError, match=f"shop: {reason}"):
        ServiceTestDriver(scripted_service("shop", tmp_path), interceptors=[wrong])


def test_an_input_without_headers_is_shown_with_none() -> None:
    shown: list[InterceptedInput] = []

    class Bare(StoredRecord):
        def headers(self) -> None:  # type: ignore[override]  # as the client returns them
            return None

    class Keeping(Interceptor):
        def intercept_handling(self, record: InterceptedInput) -> AbstractContextManager[object]:
            shown.append(record)
            return nullcontext()

    interception = Interception("shop", [Keeping()])
    layer = InterceptedLayer(interception)
    layer.record = Bare("shop.commands", 0, 7, b"a", b"value")
    [(_, handle)] = interception.wrap("Clerk.on_script", (("", lambda _: None),), layer)
    handle(script("a", "tell x"))
    assert (shown[0].headers, shown[0].value, shown[0].published_value) == ({}, b"value", b"value")


def test_interceptors_are_told_how_long_ago_a_batch_was_received(tmp_path: Path) -> None:
    batches: list[float] = []

    class Keeping(Interceptor):
        def intercept_commit(self, commit: InterceptedCommit) -> AbstractContextManager[object]:
            batches.append(commit.batch_s)
            return nullcontext()

    plan = compile_service(scripted_service("shop", tmp_path), ManualClock(), interceptors=[Keeping()])
    assert commit_batch(plan, [], time.perf_counter() - 1_000_000, lambda: True)
    assert 1_000_000 <= batches[0] < 1_001_000


@pytest.mark.parametrize(("spare", "is_refused"), [(0, False), (1, True)])
def test_an_output_may_be_as_large_as_the_limit_with_the_headers_that_were_added(spare: int, is_refused: bool) -> None:
    # given an interceptor that adds a header to an output that has one already
    class Adding(Interceptor):
        def intercept_sending(self, record: InterceptedOutput) -> None:
            record.add_header("tenant", b"a")

    own: Headers = [("ce_id", "m-1" * 1_000)]
    room = MAX_RECORD_BYTES - len("key") - header_size("tenant", b"a")
    output = InterceptedOutput(
        sender="/web", message=Told(account_id="a", text="x"), message_id="m-1", topic="t", key=b"key",
        value=b"x" * (room + spare), _headers=own,
    )  # fmt: skip

    # when it is sent, then value, key and the header that was added may have as many bytes as a record
    with (
        pytest.raises(OversizedOutput, match=f"Told takes {MAX_RECORD_BYTES + 1} bytes")
        if is_refused
        else nullcontext()
    ):
        Interception("shop", [Adding()]).send(output)


def test_headers_can_be_added_and_never_taken_away(drive: Callable[..., ServiceTestDriver]) -> None:
    class Eraser(Interceptor):
        def intercept_sending(self, record: InterceptedOutput) -> None:
            assert isinstance(record.headers, tuple)
            with suppress(AttributeError):
                record.headers.clear()  # type: ignore[attr-defined]  # the mistake

    driver = drive(Eraser())
    driver.receive(script("a", "tell x"))
    [record] = driver.records("shop.events")
    assert [name for name, _ in record.headers()].count("ce_id") == 1


def test_without_interceptors_nothing_asks_for_them(drive: Callable[..., ServiceTestDriver]) -> None:
    """Not one call for each record: none of this code runs."""
    driver = drive()
    files: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            files.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        driver.receive(script("a", "tell x"), slow("b", "tell x"), script("a", "remind alarm 5 tell y"))
        driver.advance(6)
    finally:
        sys.setprofile(None)
    assert len(texts(driver)) == 3
    assert [file for file in files if "intercept" in Path(file).name and "test_" not in file] == []
