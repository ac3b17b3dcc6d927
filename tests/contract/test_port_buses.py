"""What `EventBus` and `CommandBus` promise, in memory and on Kafka."""

import pytest

from tests.support.scripted_service.drivers import RunningService, script, slow
from tests.support.scripted_service.messages import Announced, Forwarded, Refused


def test_events_and_commands_go_to_their_owners_topics_in_order(running: RunningService, key: str) -> None:
    running.receive(script(key, "tell a", "forward b", "tell c", "forward d"))
    running.await_texts(key, "a", "c")
    assert [sent.text for sent in running.messages("outbox", Forwarded) if sent.account_id == key] == ["b", "d"]


def test_a_reaction_to_an_event_emits_as_a_handler_does(running: RunningService, key: str) -> None:
    running.receive(Announced(account_id=key, text="news"))
    running.await_texts(key, "heard news")


@pytest.mark.parametrize("end", ["fail", "retry", "stumble", "stray", "shout", "get-of another"])
def test_nothing_that_a_failed_record_staged_is_ever_visible(running: RunningService, key: str, end: str) -> None:
    running.receive(script(key, "tell before"), script(key, "tell no", "forward no", end), script(key, "tell after"))
    running.await_texts(key, "before")
    running.await_dead_letter(key)
    running.discard(key)
    running.await_texts(key, "before", "after")
    assert [sent for sent in running.messages("outbox", Forwarded) if sent.account_id == key] == []
    assert len(running.errors_of(key)) == 1


def test_an_undeclared_message_is_refused_by_name(running: RunningService, key: str) -> None:
    running.receive(script(key, "stray"))
    running.await_dead_letter(key)
    assert "Refused is not declared" in running.errors_of(key)[0]


def test_a_retryable_error_is_tried_again(running: RunningService, key: str) -> None:
    running.receive(script(key, "tell once", "flaky 1"))
    running.advance(60)
    running.await_texts(key, "once")
    assert running.errors_of(key) == []


def test_a_commands_sender_is_told_that_it_was_given_up(running: RunningService, key: str) -> None:
    running.receive(script(key, "fail no money"), message_id=f"command-{key}")
    refused = [event for event in running.messages("events", Refused) if event.account_id == key]
    assert [(event.command_id, event.reason) for event in refused] == [(f"command-{key}", "no money")]


def test_words_that_utf_8_cannot_hold_are_told_all_the_same(running: RunningService, key: str) -> None:
    running.receive(script(key, "fail half <half> a character"))
    (refused,) = [event for event in running.messages("events", Refused) if event.account_id == key]
    assert refused.reason == running.errors_of(key)[0] == "half \\ud800 a character"


def test_async_handlers_stage_as_plain_ones_do_and_keep_a_keys_order(running: RunningService, key: str) -> None:
    running.receive(slow(key, "tell a"), script(key, "tell b"), slow(key, "tell no", "fail"), script(key, "tell c"))
    running.await_texts(key, "a", "b")
    running.discard(key)
    running.await_texts(key, "a", "b", "c")
