"""Which client does what when its brokers are gone for a moment; and all that each client is told.

`python -m tests.unit.kafka.test_client_config` writes the file of all settings again, for an intended change.
"""

import json
import sys
from pathlib import Path
from typing import Any

from ensemble.kafka.client_config import (
    CLIENT_LOG,
    NARROW,
    WIDE,
    assigned_reader,
    common,
    group_consumer,
    plain_producer,
    transactional_producer,
)
from ensemble.settings import KafkaSettings, RuntimeSettings

SHARED, SETTINGS = common("127.0.0.1:1", KafkaSettings()), RuntimeSettings()
STRATEGY = "metadata.recovery.strategy"
READS_SAFELY = {
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "group.id": "shop",
}


def test_consumers_look_for_brokers_again_that_no_metadata_knew() -> None:
    """A broker that is fenced is in no metadata: with `none`, a consumer that lost its partitions never comes back."""
    for config in (group_consumer(SHARED, "shop", SETTINGS), assigned_reader(SHARED, "reader"), SHARED):
        assert config[STRATEGY] == "rebootstrap"
    assert plain_producer(SHARED, "outsider")[STRATEGY] == "rebootstrap"


def test_the_transactional_producer_ends_unclear_and_is_replaced() -> None:
    """With `rebootstrap` it forgets its coordinator, and a commit never returns."""
    assert transactional_producer(SHARED, "shop", SETTINGS)[STRATEGY] == "none"


def test_a_member_of_a_group_sees_committed_records_only_and_never_commits_by_itself() -> None:
    config = group_consumer(SHARED, "shop", SETTINGS)
    assert {name: config[name] for name in READS_SAFELY} == READS_SAFELY


def test_a_reader_of_topics_sees_committed_records_only() -> None:
    config = assigned_reader(SHARED, "reader")
    assert (config["isolation.level"], config["enable.auto.commit"]) == ("read_committed", False)


def test_transactions_belong_to_the_slot_and_its_records_lie_where_outsiders_put_them() -> None:
    config = transactional_producer(SHARED, "shop", SETTINGS)
    assert config["transactional.id"] == f"shop-{SETTINGS.instance_id}"
    assert config["partitioner"] == plain_producer(SHARED, "outsider")["partitioner"] == "murmur2_random"


def test_an_outsiders_record_is_acknowledged_by_all_and_written_once() -> None:
    config = plain_producer(SHARED, "outsider")
    assert (config["acks"], config["enable.idempotence"]) == ("all", True)


def test_no_client_creates_topics() -> None:
    assert SHARED["allow.auto.create.topics"] is False


def test_a_broker_that_comes_back_is_found_within_a_second_by_a_few_attempts() -> None:
    """A dead broker was asked twenty times a second, and each attempt was a line of the log."""
    assert 250 <= SHARED["reconnect.backoff.ms"] <= SHARED["reconnect.backoff.max.ms"] <= 1000


def test_a_short_lived_client_waits_for_its_first_connection_no_longer_than_it_must() -> None:
    """Half of the time between two attempts is waited before the first: a quarter of a second for each command."""
    kafka = KafkaSettings(bootstrap_servers="broker:9092")
    assert common("broker:9092", kafka, is_short_lived=True)["reconnect.backoff.ms"] <= 50


def test_what_a_client_does_again_it_does_at_once() -> None:
    """By the client's own values a transaction takes 100 ms, and a reader whose queue was full waits for a second."""
    assert transactional_producer(SHARED, "shop", SETTINGS)["retry.backoff.ms"] == 1
    for reader in (group_consumer(SHARED, "shop", SETTINGS), assigned_reader(SHARED, "reader")):
        assert reader["fetch.queue.backoff.ms"] == 10


ALL_SETTINGS = Path(__file__).with_name("client_settings.json")


def all_settings() -> str:
    shared = {"bootstrap.servers": "kafka:9092"}
    by_timers = RuntimeSettings(session_timeout_s=8, transaction_timeout_s=9, max_poll_interval_s=70)
    by_brokers = RuntimeSettings(group_protocol="consumer", instance_id="7")
    secure = KafkaSettings(security_protocol="SASL_SSL", sasl_mechanism="PLAIN", sasl_username="ann")
    common_ones = {
        "plain": common("kafka:9092", KafkaSettings()),
        "secure and short-lived": common("kafka:9092", secure, is_short_lived=True),
    }
    for each in common_ones.values():
        assert each.pop("logger") is CLIENT_LOG
    settings: dict[str, dict[str, Any]] = {
        **{f"common, {name}": each for name, each in common_ones.items()},
        "group_consumer, classic": group_consumer(shared, "shop", by_timers),
        "group_consumer, consumer": group_consumer(shared, "shop", by_brokers),
        "transactional_producer": transactional_producer(shared, "shop", by_timers),
        "plain_producer": plain_producer(shared, "web"),
        "assigned_reader": assigned_reader(shared, "web"),
        "assigned_reader, of a group": assigned_reader(shared, "web", "shop"),
        "narrow": dict(NARROW),
        "wide": dict(WIDE),
    }
    return json.dumps(settings, indent=2) + "\n"


def test_each_client_is_told_all_that_it_was_told_before() -> None:
    assert all_settings() == ALL_SETTINGS.read_text(encoding="utf-8")


if __name__ == "__main__":
    ALL_SETTINGS.write_text(all_settings(), encoding="utf-8")
    sys.stderr.write(f"{ALL_SETTINGS}\n")
