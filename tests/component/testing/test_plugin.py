"""The pytest plugin for tests of services of one's own, in a run of pytest of its own."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def run(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest('pytest_plugins = ["ensemble.testing.pytest"]')
    return pytester


def test_the_header_says_which_kafka_there_is_and_tests_get_it(
    run: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "there:9092")
    run.makepyfile(
        """
        def test_address(kafka, kafka_choice):
            assert (kafka.bootstrap_servers, kafka_choice.kafka) == ("there:9092", "env")
        def test_kill(kafka):
            kafka.broker.kill()
        def test_names(unique, topic_name):
            assert topic_name.startswith("topic-") and unique("orders").startswith("orders-")
            assert len({topic_name, unique("topic"), unique("topic")}) == 3
        """
    )

    # when
    result = run.runpytest_inprocess("-rs", "-p", "no:cacheprovider")

    # then
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["kafka: there:9092 (KAFKA_BOOTSTRAP_SERVERS)", "*needs a Kafka of its own*"])


def test_who_asks_for_containers_wants_no_test_skipped(run: pytest.Pytester) -> None:
    run.makepyfile(
        """
        import pytest
        def test_skipped():
            pytest.skip("no engine")
        def test_passed(): ...
        """
    )
    asked = run.runpytest_inprocess("--kafka=containers", "-p", "no:cacheprovider")
    asked.assert_outcomes(passed=1, failed=1)
    asked.stdout.fnmatch_lines(["*skipped, although --kafka=containers asks for it: *no engine*"])
    run.runpytest_inprocess("--kafka=embedded", "-p", "no:cacheprovider").assert_outcomes(passed=1, skipped=1)
