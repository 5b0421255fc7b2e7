"""A full disk: the journal's stops the process and is named; the archive's and the call log's only degrade."""

from __future__ import annotations

import http.client
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparekey.storage.calls import CallLog
from tests.process import Server, sparekey
from tests.small_disk import SmallDisk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], SmallDisk]]:
    """`small_disk(megabytes)`."""
    disks: list[SmallDisk] = []

    def mount(megabytes: int) -> SmallDisk:
        disks.append(SmallDisk(tmp_path / f"disk{len(disks)}", megabytes))
        return disks[-1]

    yield mount
    for disk in disks:
        disk.unmount()


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for something that the server does by itself within some seconds."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, f"in vain waited until {what}"
        time.sleep(0.1)


def condition(server: Server, component: str) -> str:
    status, page = server.page("/readyz")
    assert status == 200, page
    assert page["ready"]
    return str(page["components"][component]["status"])


def orders(server: Server, route: str) -> set[int]:
    found = server.call()("GET", route, {"symbol": "BTCUSDT"}).body
    return {order["orderId"] for order in found}


def test_a_full_journal_disk_ends_the_process_and_loses_nothing_acknowledged(
    start: Any, small_disk: Callable[[int], SmallDisk]
) -> None:
    disk = small_disk(8)
    server = start("--profile", "off", data=disk.path / "data")
    acknowledged = {server.call().limit_order().body["orderId"]}
    disk.fill()
    call = server.call()
    with pytest.raises((OSError, http.client.HTTPException)):
        for _ in range(190):
            answer = call.limit_order()
            assert answer.status == 200
            acknowledged.add(answer.body["orderId"])
    assert server.ended() == os.EX_IOERR
    assert "journal" in server.said
    assert "full" in server.said
    disk.free()
    server = start("--profile", "off", data=disk.path / "data")
    assert acknowledged <= orders(server, "/api/v3/openOrders")
    assert sparekey("log", "verify", data=server.data).returncode == 0


@pytest.mark.long
def test_a_full_archive_disk_degrades_shows_everything_and_catches_up(
    start: Any, small_disk: Callable[[int], SmallDisk]
) -> None:
    disk = small_disk(2)
    server = start()
    server.stop()
    for name in ("archive.db", "archive.db-wal", "archive.db-shm"):
        if (server.data / name).exists():
            shutil.move(server.data / name, disk.path / name)
    (server.data / "archive.db").symlink_to(disk.path / "archive.db")
    server = start("--profile", "off")
    assert condition(server, "archive") == "ok"
    disk.fill()
    closed = {cancel_an_order(server) for _ in range(50)}
    until(lambda: condition(server, "archive") == "degraded", "/readyz shows the archive degraded")
    closed |= {cancel_an_order(server)}
    assert closed <= orders(server, "/api/v3/allOrders")
    disk.free()
    until(lambda: condition(server, "archive") == "ok", "/readyz shows the archive healed")
    assert closed <= orders(server, "/api/v3/allOrders")
    server.stop()
    with sqlite3.connect(disk.path / "archive.db") as database:
        assert {row[0] for row in database.execute("SELECT order_id FROM orders")} >= closed
    database.close()


def test_an_archive_that_was_not_written_before_the_end_catches_up_at_the_next_start(
    start: Any, small_disk: Callable[[int], SmallDisk]
) -> None:
    disk = small_disk(2)
    server = start()
    server.stop()
    shutil.move(server.data / "archive.db", disk.path / "archive.db")
    (server.data / "archive.db").symlink_to(disk.path / "archive.db")
    server = start("--profile", "off")
    disk.fill()
    closed = {cancel_an_order(server) for _ in range(20)}
    server.kill()
    disk.free()
    server = start("--profile", "off")
    assert orders(server, "/api/v3/allOrders") == closed


def test_a_full_call_log_disk_degrades_and_catches_up(start: Any, small_disk: Callable[[int], SmallDisk]) -> None:
    disk = small_disk(1)
    server = start()
    server.stop()
    shutil.rmtree(server.data / "calls")
    (server.data / "calls").symlink_to(disk.path)
    disk.fill()
    server = start("--profile", "off")
    assert server.call().limit_order().status == 200
    until(lambda: condition(server, "calls") == "degraded", "/readyz shows the call log degraded")
    assert server.call().limit_order().status == 200
    tail = sparekey("log", "tail", "--json", "--key", server.key().api_key, data=server.data)
    assert len(tail.stdout.splitlines()) == 2
    disk.free()
    until(lambda: condition(server, "calls") == "ok", "/readyz shows the call log healed")
    stored = CallLog(disk.path).tail(10, api_key=server.key().api_key)
    assert [entry.path for entry in stored] == ["/api/v3/order"] * 2


def test_an_unreadable_archive_is_rebuilt_from_the_journal(start: Any) -> None:
    server = start()
    closed = cancel_an_order(server)
    server.stop()
    (server.data / "archive.db").write_bytes(b"no database at all, " * 1000)
    server = start()
    assert "rebuilt from the journal" in server.said
    assert orders(server, "/api/v3/allOrders") == {closed}


def cancel_an_order(server: Server) -> int:
    call = server.call()
    order_id: int = call.limit_order().body["orderId"]
    assert call("DELETE", "/api/v3/order", {"symbol": "BTCUSDT", "orderId": order_id}).status == 200
    return order_id
