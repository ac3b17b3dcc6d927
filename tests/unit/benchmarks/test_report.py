"""A benchmark fails if what it has loaded is not clean afterwards, and says what the check has found."""

from benchmarks.report import find_faults

CLEAN = {"verdict": "clean: 9 orders", "exit_code": 0, "found": []}
VIOLATED = {"verdict": "1 violation", "exit_code": 1, "found": ["stock: w-1: sold twice"]}


def test_a_load_that_is_not_clean_is_told_with_what_was_found() -> None:
    assert list(find_faults({"flow": {"check": CLEAN}, "plain": {"check": VIOLATED}})) == [
        "the check after plain: 1 violation",
        "stock: w-1: sold twice",
    ]


def test_what_was_not_checked_in_full_is_a_fault_too() -> None:
    unread = {"verdict": "not checked", "exit_code": 5, "found": ["the provider does not answer"]}
    assert list(find_faults({"flow": {"check": unread}})) == [
        "the check after flow: not checked",
        "the provider does not answer",
    ]


def test_what_needs_no_check_has_no_fault() -> None:
    assert list(find_faults({"hop": {"ratio": 1.3}, "flow": {"check": CLEAN}})) == []
