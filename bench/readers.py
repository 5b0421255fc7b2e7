"""Readers of streams, in a process of their own: `python -m bench.readers PORT TARGET COUNT`.

They count bytes and little else, so that the server is what is measured. Every tenth keeps what came with the time at
which it came, and reads it when nothing is measured any more. Says "ready" once all are connected; every line that it
is sent ends a measurement, and gets a document back.
"""

from __future__ import annotations

import json
import re
import select
import sys
import time
from typing import Any

from bench.sockets import shake_hands, texts

_SAMPLED = 10
_TRADE = re.compile(rb'"s":"([A-Z]+)","t":(\d+)')


def main() -> None:
    port, target, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    sockets = [shake_hands(port, target) for _ in range(count)]
    by_fd = {one.fileno(): number for number, one in enumerate(sockets)}
    receive = {one.fileno(): one.recv_into for one in sockets}
    poll = select.epoll()
    for one in sockets:
        poll.register(one, select.EPOLLIN)
    poll.register(sys.stdin, select.EPOLLIN)
    print("ready", flush=True)
    clock = time.perf_counter_ns
    room = bytearray(1 << 18)
    got = [0] * count
    kept: dict[int, list[tuple[int, bytes]]] = {number: [] for number in range(0, count, _SAMPLED)}
    first = last = 0
    stdin = sys.stdin.fileno()
    while True:
        for fd, _ in poll.poll():
            if fd == stdin:
                if not sys.stdin.readline():
                    return
                print(json.dumps(_told(got, kept, first, last)), flush=True)
                got = [0] * count
                for chunks in kept.values():
                    chunks.clear()
                first = last = 0
                continue
            size = receive[fd](room)
            if not size:
                raise ConnectionError("the server closed a reader's connection")
            last = clock()
            first = first or last
            number = by_fd[fd]
            got[number] += size
            if number in kept:
                kept[number].append((last, bytes(room[:size])))


def _told(got: list[int], kept: dict[int, list[tuple[int, bytes]]], first: int, last: int) -> dict[str, Any]:
    """`messages` of one reader, `bytes` of each; `arrivals`: symbol and trade id → when, for each reader sampled."""
    messages = []
    arrivals: dict[str, list[int]] = {}
    for chunks in kept.values():
        held = bytearray()
        heard = 0
        for when, data in chunks:
            held += data
            for text in texts(held):
                heard += 1
                found = _TRADE.search(text)
                if found:
                    arrivals.setdefault(f"{found[1].decode()} {int(found[2])}", []).append(when)
        messages.append(heard)
    return {
        "messages": [min(messages), max(messages)],
        "bytes": [min(got), max(got)],
        "readers": len(got),
        "first_ns": first,
        "last_ns": last,
        "arrivals": arrivals,
    }


if __name__ == "__main__":
    main()
