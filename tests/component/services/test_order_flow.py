"""What `make demo` plays, in memory: each scenario ends as it has to, and the independent check finds it right."""

from __future__ import annotations

from backoffice.order_story import ENDS
from cli.examples import STOCK, WAREHOUSE
from cli.scenarios import SCENARIOS, Scenario
from contracts import AttemptCharge, RequestCancellation
from services.payment.ports import ChargeRequest
from tests.support.order_flow import OrderFlow


def play(flow: OrderFlow, scenario: Scenario, order_id: str) -> None:
    """Publish the order, cancel it where the scenario says so, and run until it has ended."""
    flow.publish(scenario.order(order_id))
    if scenario.cancel_after:
        while not any(type(m).__name__ == scenario.cancel_after for m in flow.messages()):
            assert flow.step() is not None, f"no {scenario.cancel_after} comes"
        flow.publish(RequestCancellation(order_id=order_id, reason="changed my mind"))
    flow.run_until(lambda: flow.status(order_id) in {"completed", "cancelled"}, within_s=60)


def ends_of(flow: OrderFlow, order_id: str) -> list[str]:
    """Return the ends of an order that its story tells."""
    return [ENDS[name] for line in flow.story(order_id) if (name := type(line.message).__name__) in ENDS]


def test_every_scenario_of_the_demo_ends_as_it_has_to_and_the_check_is_clean() -> None:
    # given
    flow = OrderFlow(stock=STOCK, warehouse=WAREHOUSE)

    # when
    for scenario in SCENARIOS:
        play(flow, scenario, scenario.name)

    # then
    assert {each.name: ends_of(flow, each.name) for each in SCENARIOS} == {each.name: [each.ends] for each in SCENARIOS}
    report = flow.verify(expect_orders=len(SCENARIOS))
    assert (report.violations, report.problems, report.exit_code) == ((), (), 0)


def test_a_cancellation_meets_a_charge_under_way() -> None:
    flow = OrderFlow(stock=STOCK, warehouse=WAREHOUSE)
    play(flow, next(each for each in SCENARIOS if each.cancel_after), "o-1")
    assert len(flow.messages(AttemptCharge)) == 1
    assert flow.gateway.captured == {}


def test_the_check_finds_money_that_was_taken_twice() -> None:
    flow = OrderFlow(stock=STOCK, warehouse=WAREHOUSE)
    play(flow, SCENARIOS[0], "o-1")
    flow.gateway._results["o-1:again"] = flow.gateway._results["o-1:charge"]
    flow.gateway.calls.append(ChargeRequest("o-1:again", "o-1", 1, "EUR", "tok_approve"))
    report = flow.verify(expect_orders=1)
    assert {violation.check for violation in report.violations} == {"money"}
