"""A record that no batch comes to its end with is given up; the others are served, and the process goes on."""

from ensemble.testing.on_kafka import ServiceThread, wait_for
from tests.integration.conftest import Shop
from tests.integration.test_transactions import limit_record_size
from tests.support.scripted_service.drivers import script

KEYS = [f"k-{number}" for number in range(8)]


def stuck_s(thread: ServiceThread, shop: Shop) -> float:
    return thread.loop.metrics.registry.get_sample_value("ensemble_stuck_seconds", {"service": shop.name}) or 0.0


def test_an_output_that_its_topic_never_takes_costs_its_own_record_alone(shop: Shop) -> None:
    outsider = shop.outsider
    limit_record_size(outsider.admin, outsider.topic("events"), 20_000)
    outsider.send(*(script(key, "tell hello") for key in KEYS), script("a", "tell " + "x" * 50_000))
    outsider.send(*(script(key, "tell again") for key in KEYS))
    with shop.thread() as thread:
        outsider.until_done()
        for key in KEYS:
            outsider.await_texts(key, "hello", "again")
        assert "Message size too large" in outsider.errors_of("a")[0]
        wait_for(lambda: thread.loop.is_ready and not stuck_s(thread, shop), "the service to be ready again")


def test_a_handler_that_takes_longer_than_its_group_waits_is_run_twice_and_then_given_up(shop: Shop) -> None:
    """Its partitions are lost each time. It was run without end, and no other record of the process was handled."""
    outsider = shop.outsider
    outsider.send(script("slow", "call slow", "idle 13"))
    with shop.thread(max_poll_interval_s=10, session_timeout_s=6, batch_s=5):
        wait_for(lambda: shop.read_count("slow") == 1, "the slow handler to start")
        outsider.send(*(script(key, "tell hello") for key in KEYS))
        for key in KEYS:
            outsider.await_texts(key, "hello", limit_s=60)
        outsider.until_done(90)
    assert shop.read_count("slow") == 2
    assert "not with it alone" in outsider.errors_of("slow")[0]
