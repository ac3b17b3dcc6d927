from app import SERVICE, CoffeeOrdered, CoffeeServed, FreeCoffeeEarned
from ensemble.testing import ServiceTestDriver


def test_the_tenth_coffee_is_free() -> None:
    driver = ServiceTestDriver(SERVICE)
    driver.receive(*(CoffeeOrdered(guest="ada", drink="espresso") for _ in range(10)))
    assert driver.emitted.count(CoffeeServed(guest="ada", drink="espresso")) == 10
    assert driver.emitted.count(FreeCoffeeEarned(guest="ada")) == 1
