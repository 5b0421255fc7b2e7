"""The `websockets` library's broadcast behind a line protocol: `python websockets_broadcast.py PORT TRIGGER_PORT`.

Each line on the trigger port is a number of messages to send to everybody; "ok" comes back when they were handed over.
uvloop, no compression: what it can at best.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

MESSAGE = (
    '{"e":"trade","E":1795585344123,"s":"BTCUSDT","t":%d,"p":"60000.01000000","q":"0.00100000","T":1795585344123,'
    '"m":true,"M":true}'
)


async def main() -> None:
    connections: set[ServerConnection] = set()
    number = 0

    async def keep(connection: ServerConnection) -> None:
        connections.add(connection)
        try:
            await connection.wait_closed()
        finally:
            connections.discard(connection)

    async def trigger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal number
        while line := await reader.readline():
            for _ in range(int(line)):
                number += 1
                broadcast(connections, MESSAGE % number)
            writer.write(b"ok %d\n" % number)

    async with serve(keep, "127.0.0.1", int(sys.argv[1]), compression=None, ping_interval=None):
        await asyncio.start_server(trigger, "127.0.0.1", int(sys.argv[2]))
        await asyncio.get_running_loop().create_future()


uvloop.run(main())
