"""The loop of a process in memory ends with it, whatever is in flight, and whichever other loop runs then."""

from __future__ import annotations

import asyncio

from ensemble.testing.process import _close


class Call:
    """An async call that is in flight until it is cancelled."""

    def __init__(self) -> None:
        self.loop, self.ended = asyncio.new_event_loop(), list[str]()
        self.task = self.loop.create_task(self.hang())
        self.loop.run_until_complete(asyncio.sleep(0))

    async def hang(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.append("ended")


def test_what_is_in_flight_ends_before_its_loop() -> None:
    call = Call()
    _close(call.loop)
    assert (call.task.cancelled(), call.ended, call.loop.is_closed()) == (True, ["ended"], True)


def test_a_loop_ends_while_another_one_runs() -> None:
    loop = asyncio.new_event_loop()

    async def end() -> None:
        _close(loop)

    asyncio.run(end())
    assert loop.is_closed()
