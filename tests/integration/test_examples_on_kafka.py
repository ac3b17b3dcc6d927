import os
import subprocess
import sys
from pathlib import Path

import pytest

from ensemble.testing.clusters import Cluster

CHECKOUT = Path(__file__).parents[2]
OUTPUTS = {
    "event": ["CoffeeServed(cup='cup-1', drink='espresso')", "CoffeeServed(cup='cup-2', drink='flat white')"],
    "command_with_state": ["FreeCoffeeEarned(card='ada', cards_filled=1)"],
    "event_sourced": ["BeansGround(hopper='dark', grams=18)", "HopperTooLow(hopper='dark', missing=14)"],
    "saga": ["ReleaseBeans(party='p-1')"],
}


@pytest.mark.parametrize("example", OUTPUTS)
def test_an_example_does_on_kafka_what_it_does_in_memory(kafka: Cluster, example: str) -> None:
    # when
    done = subprocess.run(
        [sys.executable, "examples/on_kafka.py", example],
        cwd=CHECKOUT,
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    # then
    assert done.returncode == 0, done.stderr
    assert all(output in done.stdout for output in OUTPUTS[example])
