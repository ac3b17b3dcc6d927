"""`python -m ensemble.embedded run|secure|path`: the project's broker by hand."""

import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from ensemble.embedded import EmbeddedKafkaError, Running, Security, default_directory, find_running
from ensemble.errors import ConfigurationError

USAGE = """\
usage: python -m ensemble.embedded run|secure|path
  run     start the broker, print where it is, stop on Ctrl-C
  secure  start another one, where clients log in over TLS and ACLs hold; print the administrator's settings
  path    print the broker's directory
"""
MakeBroker = Callable[[Path, Security | None], AbstractContextManager[Running]]
AwaitSignal = Callable[[set[signal.Signals]], object]


def _make_broker(directory: Path, security: Security | None) -> AbstractContextManager[Running]:
    from ensemble.embedded import EmbeddedKafka  # MissingExtra is reported by `main`

    return EmbeddedKafka(directory, security=security)


def main(
    arguments: list[str], make_broker: MakeBroker = _make_broker, await_signal: AwaitSignal = signal.sigwait
) -> int:
    """Do what the arguments say, and return the exit code."""
    try:
        match arguments:
            case ["run"]:
                _run(make_broker, await_signal)
            case ["secure"]:
                _run_secure(make_broker, await_signal)
            case ["path"]:
                _print(str(default_directory()))
            case _:
                sys.stderr.write(USAGE)
                return 2
    except (EmbeddedKafkaError, ConfigurationError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(make_broker: MakeBroker, await_signal: AwaitSignal) -> None:
    bootstrap_servers = find_running(default_directory())
    if bootstrap_servers:
        _print(bootstrap_servers)
        return
    with make_broker(default_directory(), None) as running:
        _print_and_wait(running.bootstrap_servers, await_signal)


def _run_secure(make_broker: MakeBroker, await_signal: AwaitSignal) -> None:
    home = default_directory().parent / "secure"
    security = Security(home)
    with make_broker(home / "kafka", security) as running:
        variables = security.environment(running.bootstrap_servers)
        exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
        _print_and_wait(exports, await_signal)


def _print_and_wait(text: str, await_signal: AwaitSignal) -> None:
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    _print(text)
    await_signal(signals)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
