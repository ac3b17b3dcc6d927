"""`python -m ensemble.embedded run|secure|path`: the project's broker by hand."""

import shlex
import signal
import sys

from ensemble.embedded import EmbeddedKafkaError, Security, default_directory, find_running
from ensemble.errors import ConfigurationError

USAGE = """\
usage: python -m ensemble.embedded run|secure|path
  run     start the broker, print where it is, stop on Ctrl-C
  secure  start another one, where clients log in over TLS and ACLs hold; print the administrator's settings
  path    print the broker's directory
"""


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["run"]:
                _run()
            case ["secure"]:
                _run_secure()
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


def _run() -> None:
    bootstrap_servers = find_running(default_directory())
    if bootstrap_servers:
        _print(bootstrap_servers)
        return
    from ensemble.embedded import EmbeddedKafka  # MissingExtra is reported by `main`

    with EmbeddedKafka(default_directory()) as running:
        _print_and_wait(running.bootstrap_servers)


def _run_secure() -> None:
    from ensemble.embedded import EmbeddedKafka  # as in `_run`

    home = default_directory().parent / "secure"
    security = Security(home)
    with EmbeddedKafka(home / "kafka", security=security) as running:
        variables = security.environment(running.bootstrap_servers)
        _print_and_wait("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))


def _print_and_wait(text: str) -> None:
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    _print(text)
    signal.sigwait(signals)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
