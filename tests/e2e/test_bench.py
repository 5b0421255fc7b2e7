"""The bench measures what it says it does; run tiny here, so that it does not rot. No number decides anything."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from bench import age, console_pages, engine, gate, idle, keys, orders, ours, peer_servers, sign_ins, streams
from bench.load import ask, fine
from bench.processes import Cores, Server, cores
from bench.report import Section, table
from bench.signed_requests import Credentials, mixed, with_wrong_signature, write_keys
from bench.spread import ratios, spread
from tests.conftest import demand

KEY = Credentials("sparekey" + "K" * 56, "sparesec" + "S" * 56)


@pytest.fixture
def where() -> Cores:
    demand(sys.platform == "linux" and shutil.which("taskset") is not None, "Linux with taskset")
    return cores()


def shown(section: Section) -> str:
    assert section.lines
    return table(section)


def nginx(program: str, folder: Path, where: Cores) -> Server:
    keys = folder / "keys.tsv"
    keys.touch(mode=0o600)
    write_keys([KEY], str(keys))
    try:
        return peer_servers.nginx(program, keys, folder / program, where.server)
    except peer_servers.PeerMissing as lack:
        demand(False, str(lack))
        raise


@pytest.mark.parametrize("program", ["plain", "tuned"])
def test_the_nginx_peers_make_the_checks_that_they_are_measured_with(
    program: str, tmp_path: Path, where: Cores
) -> None:
    server = nginx(program, tmp_path, where)
    try:
        for right in mixed([KEY], 2):
            assert fine(ask(server.port, right))
            assert b"-1022" in ask(server.port, with_wrong_signature(right))
            assert b"-2015" in ask(server.port, right.replace(b"sparekeyK", b"sparekeyX"))
            assert b"-2014" in ask(server.port, right.replace(b"sparekeyK", b"sparekey"))
        old = mixed([KEY], 1)[0].replace(b"timestamp=17", b"timestamp=16").replace(b"timestamp=18", b"timestamp=16")
        assert b"-1021" in ask(server.port, old)
        used = [ask(server.port, mixed([KEY], 1)[0]) for _ in range(2)]
        weights = [int(reply.partition(b"X-MBX-USED-WEIGHT-1M: ")[2].split(b"\r")[0]) for reply in used]
        assert weights[1] - weights[0] == 20 or weights[1] == 20  # the minute may have ended between them
    finally:
        server.stop()


@pytest.mark.long
def test_the_gate_is_measured_beside_its_peers(tmp_path: Path, where: Cores) -> None:
    demand(shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin") is not None, "nginx")
    section = gate.measure(tmp_path, where, gate.TINY, ours.gate_server, ".venv-bench/bin/python")
    text = shown(section)
    assert "Sparekey against nginx + Lua, plain" in text
    assert len(section.raw["slices"]["Sparekey"]) == gate.TINY.rounds


def test_durable_orders_are_measured(tmp_path: Path, where: Cores) -> None:
    text = shown(orders.measure(tmp_path, where, orders.TINY))
    assert "/s offered, p99" in text


@pytest.mark.long
def test_a_crowd_that_signs_in_is_measured(tmp_path: Path, where: Cores) -> None:
    section = sign_ins.measure(tmp_path, where, sign_ins.TINY)
    assert "offered, raised by" in shown(section)
    assert len(section.raw["crowded"]) == sign_ins.TINY.rounds


@pytest.mark.long
def test_streams_and_the_websocket_api_are_measured(tmp_path: Path, where: Cores) -> None:
    section = streams.measure(tmp_path, where, streams.TINY)
    assert "order to executionReport" in shown(section)
    assert len(section.raw[f"ours_{streams.TOGETHER}"]) == streams.TINY.rounds


@pytest.mark.long
def test_the_engine_is_measured(tmp_path: Path, where: Cores) -> None:
    assert "durable, 100 commands a commit" in shown(engine.measure(tmp_path / "engine", where, engine.TINY))


@pytest.mark.long
def test_memory_and_start_are_measured(tmp_path: Path, where: Cores) -> None:
    text = shown(age.measure(tmp_path, where, age.TINY))
    assert "a resting order" in text


def test_an_idle_day_is_measured_to_its_end(tmp_path: Path, where: Cores) -> None:
    section = idle.measure(tmp_path / "idle", where, idle.TINY)
    assert section.raw["ticks"] > 300, "an idle hour has about 360 ticks"
    assert section.raw["written"] > 0


@pytest.mark.long
def test_a_directory_of_keys_and_their_revocation_are_measured(tmp_path: Path, where: Cores) -> None:
    section = keys.measure(tmp_path / "keys", where, keys.TINY)
    assert "Ed25519 verifications" in shown(section)
    assert len(section.raw["revocation_ms"]) == keys.TINY.revocations


@pytest.mark.long
def test_the_pages_of_the_console_are_measured(tmp_path: Path, where: Cores) -> None:
    assert "/my/settings/api-management/create" in shown(
        console_pages.measure(tmp_path / "console", where, console_pages.TINY)
    )


def test_a_wide_spread_is_called_too_noisy_and_no_number_stands_for_it() -> None:
    assert spread([100.0, 101.0, 99.0, 100.0]).text("/s", 0) == "100/s (100 to 100)"
    assert spread([50.0, 100.0, 150.0, 300.0]).text("/s", 0).startswith("too noisy")
    assert spread([100.0, 100.0]).noisy, "two values say nothing of their spread"


def test_ratios_are_taken_between_neighbours_in_time() -> None:
    assert ratios([10.0, 20.0, 40.0], [5.0, 10.0, 20.0]).median == 2.0
