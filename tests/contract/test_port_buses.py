"""What `EventBus` and `CommandBus` promise, in memory and on Kafka."""

import pytest

from tests.support.scripted_service.drivers import Play, script, slow
from tests.support.scripted_service.messages import Announced, Forwarded, Refused


def test_events_and_commands_go_to_their_owners_topics_in_order(play: Play, key: str) -> None:
    play.receive(script(key, "tell a", "forward b", "tell c", "forward d"))
    play.until_told(key, "a", "c")
    assert [sent.text for sent in play.messages("outbox", Forwarded) if sent.account_id == key] == ["b", "d"]


def test_a_reaction_to_an_event_emits_as_a_handler_does(play: Play, key: str) -> None:
    play.receive(Announced(account_id=key, text="news"))
    play.until_told(key, "heard news")


@pytest.mark.parametrize("end", ["fail", "retry", "stumble", "stray", "shout", "get-of another"])
def test_nothing_that_a_failed_record_staged_is_ever_visible(play: Play, key: str, end: str) -> None:
    play.receive(script(key, "tell before"), script(key, "tell no", "forward no", end), script(key, "tell after"))
    play.until_told(key, "before")
    play.until_given_up(key)
    play.discard(key)
    play.until_told(key, "before", "after")
    assert [sent for sent in play.messages("outbox", Forwarded) if sent.account_id == key] == []
    assert len(play.given_up(key)) == 1


def test_an_undeclared_message_is_refused_by_name(play: Play, key: str) -> None:
    play.receive(script(key, "stray"))
    assert "Refused is not declared" in play.given_up(key)[0]


def test_a_retryable_error_is_tried_again(play: Play, key: str) -> None:
    play.receive(script(key, "tell once", "flaky 1"))
    play.advance(60)
    play.until_told(key, "once")
    assert play.given_up(key) == []


def test_a_commands_sender_is_told_that_it_was_given_up(play: Play, key: str) -> None:
    play.receive(script(key, "fail no money"), message_id=f"command-{key}")
    refused = [event for event in play.messages("events", Refused) if event.account_id == key]
    assert [(event.command_id, event.reason) for event in refused] == [(f"command-{key}", "no money")]


def test_words_that_utf_8_cannot_hold_are_told_all_the_same(play: Play, key: str) -> None:
    play.receive(script(key, "fail half <half> a character"))
    (refused,) = [event for event in play.messages("events", Refused) if event.account_id == key]
    assert refused.reason == play.given_up(key)[0] == "half \\ud800 a character"


def test_async_handlers_stage_as_plain_ones_do_and_keep_a_keys_order(play: Play, key: str) -> None:
    play.receive(slow(key, "tell a"), script(key, "tell b"), slow(key, "tell no", "fail"), script(key, "tell c"))
    play.until_told(key, "a", "b")
    play.discard(key)
    play.until_told(key, "a", "b", "c")
