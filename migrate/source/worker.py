"""The second process of an extract: performs tasks from standard input, answers on standard output.

It ends when its input does, so it never outlives the extract, however that ends. A message is its length in four bytes,
then MessagePack.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import IO

import msgspec

from migrate.source.work import Result, Task, perform

_LENGTH_BYTES = 4
_TASK = msgspec.msgpack.Decoder(Task)
_RESULT = msgspec.msgpack.Decoder(Result)
_ENCODER = msgspec.msgpack.Encoder()


def ask(task: Task, to: IO[bytes], answers: IO[bytes]) -> Result:
    """What the process at the other end makes of a task. Raises EOFError when it is gone."""
    _send(task, to)
    result: Result = _RESULT.decode(_receive(answers))
    return result


def serve(tasks: IO[bytes], to: IO[bytes]) -> None:
    """Performs tasks until there are no more."""
    while True:
        try:
            data = _receive(tasks)
        except EOFError:
            return
        _send(perform(_TASK.decode(data)), to)


def _send(message: Task | Result, to: IO[bytes]) -> None:
    data = _ENCODER.encode(message)
    to.write(len(data).to_bytes(_LENGTH_BYTES, "big"))
    to.write(data)
    to.flush()


def _receive(source: IO[bytes]) -> bytes:
    length = int.from_bytes(_exactly(source, _LENGTH_BYTES), "big")
    return _exactly(source, length)


def _exactly(source: IO[bytes], count: int) -> bytes:
    data = source.read(count)
    if len(data) < count:
        raise EOFError("the other process is gone")
    return data


if __name__ == "__main__":
    gc.disable()  # records make no cycles, and looking for some takes a fifth of the time
    serve(sys.stdin.buffer, sys.stdout.buffer)
    os._exit(
        0
    )  # every answer is flushed, and what else Python does at its end only keeps the extract waiting
