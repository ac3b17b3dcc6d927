"""Which client does what when its brokers are gone for a moment."""

from ensemble.kafka.client_config import assigned_reader, common, group_consumer, plain_producer, transactional_producer
from ensemble.settings import KafkaSettings, RuntimeSettings

SHARED, SETTINGS = common("127.0.0.1:1", KafkaSettings()), RuntimeSettings()
STRATEGY = "metadata.recovery.strategy"


def test_consumers_look_for_brokers_again_that_no_metadata_knew() -> None:
    """A broker that is fenced is in no metadata: with `none`, a consumer that lost its partitions never comes back."""
    for config in (group_consumer(SHARED, "shop", SETTINGS), assigned_reader(SHARED, "reader"), SHARED):
        assert config[STRATEGY] == "rebootstrap"
    assert plain_producer(SHARED, "outsider")[STRATEGY] == "rebootstrap"


def test_the_transactional_producer_ends_unclear_and_is_replaced() -> None:
    """With `rebootstrap` it forgets its coordinator, and a commit never returns."""
    assert transactional_producer(SHARED, "shop", SETTINGS)[STRATEGY] == "none"
