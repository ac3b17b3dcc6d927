"""`python -m ensemble.kafka.embedded run|path`: the project's broker by hand."""

import signal
import sys

from ensemble.kafka.embedded import EmbeddedKafka, EmbeddedKafkaError, default_directory, find_running

USAGE = """\
usage: python -m ensemble.kafka.embedded run|path
  run   start the broker, print where it is, stop on Ctrl-C
  path  print its directory
"""


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["run"]:
                _run()
            case ["path"]:
                _say(str(default_directory()))
            case _:
                sys.stderr.write(USAGE)
                return 2
    except EmbeddedKafkaError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run() -> None:
    found = find_running(default_directory())
    if found:
        _say(found)
        return
    signals = {signal.SIGINT, signal.SIGTERM}
    with EmbeddedKafka(default_directory()) as running:
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        _say(running.bootstrap_servers)
        signal.sigwait(signals)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
