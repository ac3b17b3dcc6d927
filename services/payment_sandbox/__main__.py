"""Runs the payment sandbox: `python -m services.payment_sandbox --port 8090 --ledger FILE`."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from aiohttp import web
from pydantic import ValidationError

from services.payment_sandbox.ledger import Ledger, LedgerError
from services.payment_sandbox.server import create_app
from services.payment_sandbox.settings import SandboxSettings

_SHUTDOWN_S = 3.0


class ListenError(Exception):
    """The address cannot be listened on; the message says what to do."""


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 after SIGTERM or Ctrl-C, 2 when a setting is wrong."""
    try:
        asyncio.run(_serve(_settings(arguments)))
    except (ValidationError, LedgerError, ListenError) as error:
        sys.stderr.write(f"payment sandbox: {_message(error)}\n")
        return 2
    return 0


def _settings(arguments: Sequence[str]) -> SandboxSettings:
    parser = argparse.ArgumentParser(prog="payment_sandbox", description="A stand-in payment provider.")
    for name, field in SandboxSettings.model_fields.items():
        text = f"{field.description} (default {field.default}, or SANDBOX_{name.upper()})"
        parser.add_argument(f"--{name.replace('_', '-')}", default=argparse.SUPPRESS, help=text)
    return SandboxSettings(**vars(parser.parse_args(arguments)))


async def _serve(settings: SandboxSettings) -> None:
    ledger = Ledger.open(settings.ledger)
    runner = web.AppRunner(create_app(settings, ledger), access_log=None, shutdown_timeout=_SHUTDOWN_S)
    try:
        await runner.setup()
        await _listen(runner, settings)
        await _stop_signal()
    finally:
        await runner.cleanup()
        ledger.close()


async def _listen(runner: web.AppRunner, settings: SandboxSettings) -> None:
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise ListenError(f"cannot listen on {where} ({error.strerror}): choose another --host or --port") from error
    port = runner.addresses[0][1]
    sys.stdout.write(f"payment sandbox listens on http://{settings.host}:{port}, ledger {settings.ledger}\n")
    sys.stdout.flush()


async def _stop_signal() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def _message(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    name = str(first["loc"][0])
    return f"{name}: {first['msg']} (flag --{name.replace('_', '-')} or SANDBOX_{name.upper()})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
