"""A two-step saga: beans, then a van. Without a van, the beans go back."""

from ensemble import IRREVERSIBLE, Saga, SagaPolicies, Service, Step, StepPolicy, Undo, state_store
from ensemble.saga import conductor
from ensemble.testing import ServiceTestDriver
from examples import cafe
from examples.cafe import BookVan, Catering, CateringCommand, ReleaseBeans, ReserveBeans


def reserve_beans(state: Catering) -> ReserveBeans:
    return ReserveBeans(party=state.party, attempt=state.attempt, expires_at=state.expires_at or 0)


def release_beans(state: Catering) -> ReleaseBeans:
    return ReleaseBeans(party=state.party)


def book_van(state: Catering) -> BookVan:
    return BookVan(party=state.party, attempt=state.attempt, expires_at=state.expires_at or 0)


CATERING: Saga[Catering, CateringCommand] = Saga(
    name="catering",
    version=1,
    starts_on=cafe.CateringOrdered,
    steps=(
        Step(
            "beans",
            status="reserving",
            send=reserve_beans,
            succeeds_on=cafe.BeansReserved,
            undo=Undo(release_beans, until=cafe.BeansReleased),
        ),
        Step("van", send=book_van, succeeds_on=cafe.VanBooked, fails_on=cafe.VanRefused, undo=IRREVERSIBLE),
    ),
)
POLICY = StepPolicy(deadline_s=30, resends=2)
POLICIES = SagaPolicies(steps={"beans": POLICY, "van": POLICY}, undos={"beans": POLICY})
CONDUCTOR = conductor(CATERING, Catering, "party", POLICIES)
SERVICE = Service("caterer", cafe.CATERING_CATALOGUE, roles=[CONDUCTOR], stores=[state_store(Catering)])
ORDERED, RESERVED = cafe.CateringOrdered(party="p-1"), cafe.BeansReserved(party="p-1")
REFUSED, RELEASED = cafe.VanRefused(party="p-1", reason="no van"), cafe.BeansReleased(party="p-1")
INPUTS = (ORDERED, RESERVED, REFUSED, RELEASED)

if __name__ == "__main__":
    driver = ServiceTestDriver(SERVICE)
    for event in INPUTS:
        driver.clear()
        driver.receive(event)
        state = driver.state(Catering, "p-1")
        print(f"{type(event).__name__:15} -> {state and state.status:12}", *map(repr, driver.sent))
