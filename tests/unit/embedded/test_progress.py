"""What is shown while a broker is fetched and started: a line that moves on a terminal, a few lines elsewhere."""

import io
import sys

import pytest

from ensemble.embedded.progress import Step, on_stderr


class Terminal(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.shown = list[str]()

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        self.shown.append(self.getvalue())


def test_a_step_says_how_far_it_is_where_it_can_be_counted() -> None:
    assert str(Step("fetching", 3, 8)) == "fetching 3/8"
    assert str(Step("starting")) == "starting"
    assert [Step("fetching", done, 8).is_complete for done in (7, 8)] == [False, True]


def test_on_a_terminal_a_count_is_rewritten_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    for step in (Step("fetching", 1, 2), Step("fetching", 2, 2), Step("starting")):
        on_stderr(step)
    lines = ["\x1b[2Kfetching 1/2\r", "\x1b[2Kfetching 2/2\n", "starting\n"]
    assert terminal.shown == ["".join(lines[: number + 1]) for number in range(3)], "each at once"


@pytest.mark.parametrize(
    ("total", "shown"), [(8, [0, 2, 4, 6, 8]), (10, [0, 2, 4, 6, 8, 10]), (9, [0, 2, 4, 6, 8, 9]), (3, [0, 1, 2, 3])]
)
def test_elsewhere_a_count_takes_a_few_lines(total: int, shown: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    for done in range(total + 1):
        on_stderr(Step("fetching", done, total))
    assert capsys.readouterr().err.splitlines() == [f"fetching {done}/{total}" for done in shown]
