"""A TCP proxy on loopback that passes on what a server answers with a delay, as a busy machine would."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Final, Self

from ensemble.free_ports import HOST

_LIMIT_S: Final = 90.0
Read = Callable[[asyncio.StreamReader], Awaitable[bytes]]


class SlowBroker:
    """Stands before the broker on `port` while a `with` lasts; each of its answers is `delay_s` late while it is slow.

    Where the broker names its address, clients are given the proxy's, so that they stay behind it.
    """

    def __init__(self, port: int, delay_s: float) -> None:
        self.port, self._target, self._delay_s = 0, port, delay_s
        self._slow_s, self._slow_until = 0.0, 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(_LIMIT_S)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(_LIMIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LIMIT_S)
        self._loop.close()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def be_slow(self, seconds: float) -> None:
        """Delay the next answer that the broker gives, and those of so many seconds from then on."""
        self._slow_s = seconds

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, HOST, 0)

    async def _close(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.1)  # closed transports take another turn of the loop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, requests = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(
                self._pass_on(reader, requests, _chunk, is_slow=False),
                self._pass_on(answers, writer, self._frame, is_slow=True),
            )
        except asyncio.CancelledError:
            pass  # the proxy closes; Python 3.11 would log it
        finally:
            requests.close()
            writer.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, read: Read, *, is_slow: bool
    ) -> None:
        """Pass everything on, in order. One delay does not wait for the other."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivery = asyncio.ensure_future(_deliver(queue, writer))
        try:
            while part := await read(reader):
                queue.put_nowait((self._loop.time() + (self._delay_now_s() if is_slow else 0), part))
        except (OSError, asyncio.IncompleteReadError):
            pass
        queue.put_nowait((0, b""))
        await delivery

    def _delay_now_s(self) -> float:
        if self._slow_s:
            self._slow_s, self._slow_until = 0.0, self._loop.time() + self._slow_s
        return self._delay_s if self._loop.time() < self._slow_until else 0.0

    async def _frame(self, reader: asyncio.StreamReader) -> bytes:
        """Read one answer. A broker's host is always followed by its port, in every version of the protocol."""
        size = await reader.readexactly(4)
        answer = await reader.readexactly(struct.unpack(">i", size)[0])
        host = HOST.encode()
        return size + answer.replace(host + struct.pack(">i", self._target), host + struct.pack(">i", self.port))


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    return await reader.read(65_536)


async def _deliver(queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    while (item := await queue.get())[1]:
        await asyncio.sleep(max(item[0] - asyncio.get_running_loop().time(), 0))
        writer.write(item[1])
    writer.close()
