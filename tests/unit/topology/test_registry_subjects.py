"""What a schema registry has to hold before a service runs."""

from pathlib import Path

from ensemble.system_messages.state import LedgerPosition, Timer
from ensemble.topology import Subject, registry_subjects
from tests.support.scripted_service.messages import Account, Line, Script, SlowScript
from tests.support.scripted_service.service import scripted_service


def test_it_holds_messages_the_runtimes_records_and_all_that_changelogs_hold() -> None:
    # given
    service = scripted_service("shop", Path())

    # when
    subjects = registry_subjects(service.catalogue, [service, service])

    # then
    kinds: dict[str, set[type]] = {}
    for topic, kind in subjects:
        kinds.setdefault(topic, set()).add(kind)
    assert kinds["shop.commands"] == {Script, SlowScript}
    assert kinds["shop.timers-changelog"] == {Timer}
    assert kinds["shop.account-changelog"] == {Account}
    assert kinds["shop.purse-changelog"] == {Line, LedgerPosition}
    assert len(subjects) == len(set(subjects))


def test_it_is_told_in_an_order() -> None:
    service = scripted_service("shop", Path())
    subjects = registry_subjects(service.catalogue, [service])
    assert subjects == sorted(subjects, key=lambda subject: (subject.topic, subject.message.__name__))
    assert subjects[0] == Subject("shop.account-changelog", Account)
