"""A service that cannot be declared says why in a line, and never starts."""

from collections.abc import Callable

import pytest

from ensemble import Service
from services.orchestrator.__main__ import main as run_orchestrator
from services.payment.__main__ import main as run_payment

Main = Callable[[Callable[[Service], int]], int]


@pytest.mark.parametrize(
    ("main", "variable", "fault"),
    [
        (
            run_payment,
            "PAYMENT_PROVIDER_URL",
            "payment: settings: PAYMENT_PROVIDER_URL: must be http(s)://host:port/path",
        ),
        (
            run_orchestrator,
            "ENSEMBLE_FULFILMENT_STUB_S",
            (
                "orchestrator: settings: ENSEMBLE_FULFILMENT_STUB_S: Input should be a valid number, unable to parse "
                "string as a number"
            ),
        ),
    ],
)
def test_a_wrong_setting_is_said_in_a_line(  # noqa: PLR0917  fixtures
    main: Main, variable: str, fault: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "wrong")
    assert main(lambda _: pytest.fail("it must not start")) == 2
    assert capsys.readouterr().err == f"{fault}\n"


@pytest.mark.parametrize(("main", "name"), [(run_payment, "payment"), (run_orchestrator, "orchestrator")])
def test_the_exit_code_is_that_of_the_service(main: Main, name: str) -> None:
    started = list[str]()

    def start(service: Service) -> int:
        started.append(service.name)
        return 7

    assert (main(start), started) == (7, [name])
