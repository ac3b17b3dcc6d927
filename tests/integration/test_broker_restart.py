"""A broker that was killed and is back: the same processes go on, nothing is lost or done twice."""

from ensemble.testing.clusters import Cluster
from ensemble.testing.on_kafka import wait_for
from tests.integration.conftest import Shop
from tests.support.scripted_service.messages import Announced

LONG_S = 120.0
"""A broker takes its time to come back, on a busy machine more."""
ADD = "add 1; jot x"


def test_a_service_goes_on_after_an_outage_longer_than_its_session(shop: Shop, kafka: Cluster) -> None:
    """Rule 7: what was lost is begun anew, with a producer that has met the broker that is there now."""
    broker = kafka.broker
    with shop.thread(session_timeout_s=6) as thread:
        shop.outsider.send(Announced(account_id="a", text=ADD))
        shop.outsider.await_texts("a", "1")

        broker.kill()
        wait_for(lambda: thread.partitions == [], "the session to end", LONG_S)
        broker.restart()

        shop.outsider.send(Announced(account_id="a", text=ADD))
        shop.outsider.await_texts("a", "1", "2", limit_s=LONG_S)


def test_a_service_goes_on_after_an_outage_that_its_group_did_not_notice(shop: Shop, kafka: Cluster) -> None:
    """Rule 7: a client call that would wait for ever for the broker of before is left behind."""
    broker = kafka.broker
    with shop.thread(session_timeout_s=120, commit_timeout_s=2):
        shop.outsider.send(Announced(account_id="a", text=ADD))
        shop.outsider.await_texts("a", "1")

        broker.kill()
        broker.restart()

        shop.outsider.send(Announced(account_id="a", text=ADD))
        shop.outsider.await_texts("a", "1", "2", limit_s=LONG_S)
