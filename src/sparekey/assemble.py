"""The wiring: the only file that names concrete adapters. `start` brings the platform up, `run` is `sparekey up`.

Everything runs on one event loop, apart from what writes the archive and the call log (a thread each) and snapshots
(a process each).
"""

from __future__ import annotations

import asyncio
import gc
import importlib.resources
import logging
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import apsw
import structlog

from sparekey.access.gate import Gate
from sparekey.access.limits import IpLedger, LimitPolicy, parse_profile
from sparekey.access.shard import AccessShard
from sparekey.access.state import AccessState, Key
from sparekey.console.api import make_console
from sparekey.console.demo import DemoFiles, prepare_demo, read_operator_token, write_operator
from sparekey.console.env_files import EnvFileRefused, check_ignored, read_env
from sparekey.console.management import Management, ManagementRefused
from sparekey.market.opening import compose_opening, histories_of
from sparekey.market.participants import SeededParticipants
from sparekey.market.recordings import Pacing, Recording, RecordingRefused
from sparekey.market.views import Views
from sparekey.sequencer.clocks import Clocks
from sparekey.sequencer.pace import DueTimers, MarketPace, ReplayPace
from sparekey.sequencer.ports import (
    Consumer,
    JournalDamaged,
    JournalFailed,
    JournalTooNew,
    Machine,
    Published,
    Record,
    StateBroken,
)
from sparekey.sequencer.recovery import Recovered, recover
from sparekey.sequencer.sequencer import Sequencer
from sparekey.server.addresses import TrustedProxies
from sparekey.server.asgi import Mounted
from sparekey.server.audience import Audience
from sparekey.server.handover import ForeignHttp, StartFailed
from sparekey.server.health import Condition, Finding, Health, Probe, Reading
from sparekey.server.http import HttpServer
from sparekey.server.listeners import CannotListen, Opened, listen, open_port, raise_file_limit, stop_listening
from sparekey.server.streams import Streams
from sparekey.server.tally import Tally
from sparekey.settings import Settings
from sparekey.storage.address_counts import AddressCounts
from sparekey.storage.archive import Archive
from sparekey.storage.calls import CallLog
from sparekey.storage.checkpoints import CheckpointSigner
from sparekey.storage.datadir import DataDirectory, DataDirectoryError
from sparekey.storage.journal import Durability, SqliteJournal
from sparekey.storage.journal_opening import OpenJournal, open_journal
from sparekey.storage.recordings import load as load_recording
from sparekey.storage.snapshots import SnapshotFolder, SnapshotSchedule, snapshot_process
from sparekey.storage.vault import SecretUnavailable, Vault, open_vault
from sparekey.storage.verify import verify
from sparekey.terms.refusals import Refusal
from sparekey.venue.catalogue import Catalogue, parse_catalogue
from sparekey.venue.commands import Fence, ListAsset, ListSymbol, SetOrderLimits
from sparekey.venue.listing import OrderLimit, SymbolRules
from sparekey.venue.spot_shard import SpotShard
from sparekey.venue.spot_state import SpotState
from sparekey.wire.application import Application
from sparekey.wire.desk import Desk
from sparekey.wire.listen_keys import ListenKeys
from sparekey.wire.routes import load_routes
from sparekey.wire.stream_door import StreamDoor
from sparekey.wire.user_data import UserDataFeed

_log = logging.getLogger(__name__)

ACCESS, SPOT = "access", "spot"
_MACHINES_FACTORY = "sparekey.assemble:make_machines"
#: Records between two writes of the archive while a start catches up.
_CATCH_UP_RECORDS = 5_000
#: Collections of the young generation are for garbage of requests, which reference counting frees; rare ones suffice.
_GC_THRESHOLDS = (50_000, 20, 50)
_SAVE_SECONDS = 1.0
_SIGN_SECONDS = 60.0


class StartRefused(Exception):
    """The platform does not start. The text is one line for people."""


_EXPECTED = (
    CannotListen,
    DataDirectoryError,
    EnvFileRefused,
    JournalDamaged,
    JournalFailed,
    JournalTooNew,
    ManagementRefused,
    RecordingRefused,
    SecretUnavailable,
    StartFailed,
    StateBroken,
)


def make_machines() -> dict[str, Machine]:
    """Fresh machines by shard; also what the snapshot process starts from, so that they depend on no settings."""
    return {ACCESS: AccessShard(), SPOT: _make_spot_shard()}


def _make_spot_shard() -> SpotShard:
    def rules_of(symbol: str) -> SymbolRules | None:
        return shard.state.rules(symbol)

    shard = SpotShard(SeededParticipants(rules_of))
    return shard


def load_policy(profile: str) -> LimitPolicy:
    return parse_profile(_resource("sparekey.access", f"profiles/{profile}.toml"))


def load_catalogue() -> Catalogue:
    return parse_catalogue(_resource("sparekey.venue", "catalogue.toml"))


def _resource(package: str, name: str) -> str:
    return importlib.resources.files(package).joinpath(name).read_text("utf-8")


def verify_journal(data: Path) -> dict[str, Any]:
    """What `sparekey log verify` prints. Raises `StartRefused` where there is no data directory to look at."""
    try:
        report = verify(data)
    except DataDirectoryError as error:
        raise StartRefused(str(error)) from error
    return {
        "directory": report.directory,
        "batches": report.batches,
        "records": report.records,
        "position": report.position,
        "shards": report.shards,
        "checkpoints": report.checkpoints,
        "vouchedPosition": report.vouched_position,
        "snapshots": report.snapshots,
        "problems": report.findings,
        "warnings": report.warnings,
    }


def _wall_us() -> int:
    return time.time_ns() // 1000


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000


# --- a running platform ----------------------------------------------------------------------------------------------


class Running:
    """A started platform. `notes` are lines for the operator."""

    def __init__(self, url: str, operator_token: str, data: Path, notes: list[str], stop: Callable[[], Any]) -> None:
        self.url = url
        self.operator_token = operator_token
        self.data = data
        self.notes = notes
        self._stop = stop
        self._stopped = False

    async def stop(self) -> None:
        """Answer what was accepted, make it durable, close everything."""
        if not self._stopped:
            self._stopped = True
            await self._stop()


async def start(settings: Settings, *, demo: bool = True) -> Running:
    """Bring the platform up; it serves when this returns. Raises `StartRefused`."""
    closing = ExitStack()
    try:
        return await _Start(settings, closing).up(demo)
    except BaseException as error:
        closing.close()
        if isinstance(error, _EXPECTED):
            raise StartRefused(str(error)) from error
        if isinstance(error, OSError | sqlite3.Error | apsw.Error):
            raise StartRefused(f"the platform cannot start: {error}") from error
        raise


class _Start:
    """The steps of a start, in order. What is opened is closed again by `closing`, in reverse."""

    def __init__(self, settings: Settings, closing: ExitStack) -> None:
        self._settings = settings
        self._closing = closing
        self._loop = asyncio.get_running_loop()
        self._notes: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def up(self, demo: bool) -> Running:
        settings = self._settings
        policy = load_policy(settings.profile)
        routes = load_routes(policy.weights, api_date=settings.api_date, strict=settings.wire_strict)
        replay_file = settings.replay_file
        recording = None if replay_file is None else load_recording(replay_file.expanduser())
        data, files = self._open_directory()
        opened = open_port(settings.host, settings.port)
        self._closing.callback(opened.close)
        self._notes += opened.notes
        url = _url_of(opened)
        if any(not ip_address(one.getsockname()[0]).is_loopback for one in opened.sockets):
            self._notes.append(
                f"Other machines can reach this server, unencrypted (--host {settings.host}); keys' whitelists apply."
            )
        token = read_operator_token(files)

        # What is durable.
        clocks = Clocks(_wall_us)
        journal = open_journal(data, Durability(settings.durability))
        self._closing.callback(_close_journal, journal)
        in_memory = settings.durability == "memory"
        vault = self._open_vault(data, None if in_memory else journal.journal.position)
        passing = self._passing_folder() if in_memory else None
        archive_path = passing / "archive.db" if passing else data.archive_path
        calls_path = passing / "calls" if passing else data.calls_path

        # State: the newest snapshot, the journal's tail, and what the archive has missed.
        machines = make_machines()
        access_shard, spot_shard = machines[ACCESS], machines[SPOT]
        assert isinstance(access_shard, AccessShard)
        assert isinstance(spot_shard, SpotShard)
        access, spot = access_shard.state, spot_shard.state
        participants = spot_shard.participants
        assert isinstance(participants, SeededParticipants)
        sequencer: Sequencer
        archive = _open_archive(archive_path, spot, journal.journal.position, lambda: sequencer.pending)
        self._closing.callback(_close_archive, archive)
        archiving = _Archiving(archive, participants)
        snapshots = SnapshotFolder(data.snapshots_path)
        recovered = recover(
            machines, journal.journal, snapshots, behind=[(archiving, archive.position)] if not in_memory else ()
        )
        archiving.caught_up()
        clocks.policy_offset_us, clocks.skew_us = access.policy_offset_us, access.skew_us
        views = Views(archive, histories_of(participants.opened, spot.rules) if participants.opened else {})

        # The writer and its consumers.
        listen_keys: ListenKeys
        timers: DueTimers
        follow_access = _FollowAccess(access_shard, clocks, lambda: listen_keys, lambda: timers)
        sequencer = Sequencer(
            journal.journal,
            machines,
            {ACCESS: clocks.policy_us, SPOT: clocks.wire_us},
            self._loop.call_soon,
            recovered=recovered,
            follow={ACCESS: follow_access},
        )
        timers = DueTimers(sequencer.submit, access.next_due_us, clocks.policy_us, self._loop.call_later)
        self._closing.callback(timers.stop)
        signer = self._sign(journal, clocks)
        schedule = _snapshot_schedule(machines, recovered, journal, snapshots)
        consumers: list[Consumer | None] = [archiving, views, signer, schedule]
        for consumer in consumers:
            if consumer is not None:
                sequencer.add_consumer(consumer)
        views.warm_up([rules.symbol for rules in spot.symbols()])

        # The gate, the wire, the log.
        ledger = IpLedger(policy)
        counts = AddressCounts(data.path / "addresses", ledger)
        if not in_memory:
            counts.load()
        calls = CallLog(calls_path)
        calls.start()
        self._closing.callback(calls.stop)
        desk = Desk(
            submit=sequencer.submit,
            spot=spot,
            access=access,
            archive=archive,
            views=views,
            clocks=clocks,
            policy=policy,
        )
        listen_keys = desk.listen_keys
        gate = Gate(access, ledger, lambda key: _open_secret(vault, key))
        application = Application(
            routes,
            gate,
            desk,
            clocks,
            when_durable=sequencer.when_durable,
            log_call=calls.add,
        )
        management = Management(sequencer, access, spot, vault, clocks, calls, sandbox=settings.mode == "sandbox")

        # What is listed, and who trades.
        catalogue = load_catalogue()
        _list_what_is_new(sequencer, spot, catalogue, policy)
        self._open_market(sequencer, spot, participants, views, catalogue, clocks, recording)

        # Sockets.
        feed = UserDataFeed(spot.watched, lambda: sequencer.position)
        streams = Streams(feed, StreamDoor(gate, ledger, access, clocks, listen_keys))
        sequencer.add_consumer(streams)
        tally = Tally()
        server: HttpServer

        audience = Audience(tally, lambda: server.connections, _monotonic_us)

        def busy() -> bool:
            return audience.is_there() or spot.has_resting_orders

        pace = MarketPace(sequencer.submit, busy, _monotonic_us, self._loop.call_later)
        replay: ReplayPace | None = None
        if recording is not None and recording.symbol in participants.recorded_symbols:
            replay = ReplayPace(
                sequencer.submit,
                Pacing(recording),
                at_end=settings.replay_end,
                busy=busy,
                monotonic_us=_monotonic_us,
                call_later=self._loop.call_later,
            )
        health = Health(
            _probes(sequencer, archive, calls, counts, pace, replay, signer, schedule),
            _readings(sequencer, archive, calls, ledger, clocks, schedule),
            tally=tally,
            server=lambda: server,
        )
        proxies = TrustedProxies(settings.trusted_proxies)
        console = make_console(
            management, token, {"Profile": settings.profile, "Market": settings.market, "Mode": settings.mode}
        )
        foreign = ForeignHttp(Mounted(application, console, pages=health.pages, trusted_proxies=proxies, tally=tally))
        server = HttpServer(
            application, foreign=foreign, upgrades=streams, pages=health.pages, trusted_proxies=proxies, tally=tally
        )
        await self._write_files(management, access, spot, files, url, token, demo)
        await foreign.start()
        listeners = await listen(server, opened)
        timers.arm()
        if settings.market != "none":
            pace.start()
        if replay is not None:
            replay.start()
        if not in_memory:
            self._tasks.append(self._loop.create_task(_save_counts(counts)))
        if signer is not None:
            self._tasks.append(self._loop.create_task(_sign_when_idle(signer)))

        async def stop() -> None:
            pace.stop()
            if replay is not None:
                replay.stop()
            timers.stop()
            for task in self._tasks:
                task.cancel()
            await stop_listening(listeners)
            await server.stop()
            await foreign.stop()
            sequencer.commit()
            if signer is not None:
                signer.sign()
            if schedule is not None:
                schedule.wait()
            if not in_memory:
                counts.save(counts.dump())
            self._closing.close()

        return Running(url, token, data.path, self._notes, stop)

    # --- files -------------------------------------------------------------------------------------------------------

    def _open_directory(self) -> tuple[DataDirectory, DemoFiles]:
        settings = self._settings
        inside = settings.data.expanduser().absolute()
        bot_copy = settings.bot_env_file.expanduser().absolute()
        if not bot_copy.is_relative_to(inside):
            check_ignored(bot_copy)
            read_env(bot_copy)
        data = DataDirectory.open(settings.data)
        self._closing.callback(data.close)
        ignore = data.path / ".gitignore"
        if not ignore.exists():
            # Whoever starts Sparekey inside a project must not commit keys by accident.
            ignore.write_text("*\n")
        files = DemoFiles(
            bot=data.path / "bot.env",
            bot_copy=bot_copy,
            operator=data.path / "operator.env",
            pems={key_type: data.path / f"bot-{key_type}.pem" for key_type in ("ed25519", "rsa")},
        )
        check_ignored(files.bot)
        return data, files

    def _open_vault(self, data: DataDirectory, journal_position: int | None) -> Vault:
        """Without a position: a vault in memory."""
        if journal_position is None:
            vault = Vault(":memory:", data.key_encryption_key)
        else:
            vault = open_vault(data, journal_position)
        self._closing.callback(vault.close)
        return vault

    def _passing_folder(self) -> Path:
        """Where `--durability memory` keeps what must be a file; gone afterwards."""
        folder = tempfile.TemporaryDirectory(prefix="sparekey-", ignore_cleanup_errors=True)
        self._closing.callback(folder.cleanup)
        return Path(folder.name)

    async def _write_files(
        self,
        management: Management,
        access: AccessState,
        spot: SpotState,
        files: DemoFiles,
        url: str,
        token: str,
        demo: bool,
    ) -> None:
        if demo and self._settings.mode == "sandbox":
            self._notes += await prepare_demo(management, access, list(spot.assets), files, url, token)
        else:
            write_operator(files, url, token)

    # --- consumers ---------------------------------------------------------------------------------------------------

    def _sign(self, journal: OpenJournal, clocks: Clocks) -> CheckpointSigner | None:
        if journal.checkpoints is None:
            return None
        return CheckpointSigner(journal.checkpoints, journal.journal, clocks.wall_us)

    # --- the market --------------------------------------------------------------------------------------------------

    def _open_market(
        self,
        sequencer: Sequencer,
        spot: SpotState,
        participants: SeededParticipants,
        views: Views,
        catalogue: Catalogue,
        clocks: Clocks,
        recording: Recording | None,
    ) -> None:
        settings = self._settings
        opened = participants.opened
        if settings.market == "none":
            if opened is not None:
                raise StartRefused(
                    f"{settings.data} has a market already, which --market none would leave standing still; start it "
                    "with --market simulated, or choose another --data"
                )
            return
        if opened is not None:
            recorded = participants.recorded_symbols
            taken_over = not recorded and any(symbol.recorded for symbol in opened.symbols)
            if taken_over and recording is not None and settings.replay_end == "simulated":
                self._notes.append("The recording is over: participants trade on from where it ended.")
            elif recorded != ([] if recording is None else [recording.symbol]):
                kind = f"replays {recorded[0]}" if recorded else "is simulated"
                raise StartRefused(
                    f"the market of {settings.data} {kind}, which cannot change; start it with --market "
                    f"{'replay:FILE' if recorded else 'simulated'}, or choose another --data"
                )
            if opened.seed != settings.seed:
                self._notes.append(f"The market keeps the seed {opened.seed}, with which it was opened.")
            return
        if any(spot.last_trade_us(rules.symbol) for rules in spot.symbols()):
            raise StartRefused(
                f"accounts have traded in {settings.data} without a market, and a market opens only where nothing "
                "was traded; start it with --market none, or choose another --data"
            )
        first_prices = {} if recording is None else {recording.symbol: recording.first_price}
        try:
            opening = compose_opening(settings.seed, catalogue.anchors, spot.rules, clocks.wire_us(), first_prices)
        except ValueError as error:
            raise StartRefused(f"the market cannot open: {error}") from error
        _must(sequencer.submit(SPOT, opening))
        assert participants.opened is not None
        views.add_histories(histories_of(participants.opened, spot.rules))


class _Archiving:
    """The archive as a consumer: it learns where the symbols' ids begin before it sees their first prints."""

    def __init__(self, archive: Archive, participants: SeededParticipants) -> None:
        self._archive = archive
        self._participants = participants
        self._ids_known = False
        self._catching_up = True
        self._unwritten = 0

    def receive(self, published: Sequence[Published]) -> None:
        opened = self._participants.opened
        if not self._ids_known and opened is not None:
            self._ids_known = True
            for symbol in opened.symbols:
                self._archive.set_first_aggregate(symbol.symbol, symbol.first_trade_id)
        self._archive.receive(published)
        if self._catching_up:
            self._unwritten += len(published)
            if self._unwritten >= _CATCH_UP_RECORDS:
                self._unwritten = 0
                self._archive.flush()

    def caught_up(self) -> None:
        """From now on the archive's own thread writes."""
        self._catching_up = False
        self._archive.start()


class _FollowAccess:
    """What follows from a record of the access shard, in the same pass: clocks, timers, streams, and the fences that
    make other shards refuse what a narrowed key was admitted for before."""

    def __init__(
        self,
        shard: AccessShard,
        clocks: Clocks,
        listen_keys: Callable[[], ListenKeys],
        timers: Callable[[], DueTimers],
    ) -> None:
        self._shard = shard
        self._clocks = clocks
        self._listen_keys = listen_keys
        self._timers = timers

    def __call__(self, record: Record) -> Iterable[tuple[str, Any]]:
        state = self._shard.state
        self._clocks.policy_offset_us, self._clocks.skew_us = state.policy_offset_us, state.skew_us
        self._timers().arm()
        narrowed = self._shard.narrowed_keys(record.events)
        for key_id in narrowed:
            if state.keys[key_id].standing is not None:
                self._listen_keys().revoke(key_id)
        return [(SPOT, Fence(key_id, state.seq)) for key_id in narrowed]


# --- the parts of a start that need no state of their own ------------------------------------------------------------


def _open_archive(
    path: Path, spot: SpotState, journal_position: int, pending: Callable[[], Sequence[Published]]
) -> Archive:
    """The archive, or an empty one in place of one that is unreadable or ahead of the journal: it can be rebuilt."""

    def assets_of(symbol: str) -> tuple[str, str]:
        rules = spot.rules(symbol)
        assert rules is not None
        return rules.base_asset, rules.quote_asset

    try:
        archive = Archive(path, assets_of, pending)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise  # not damaged: a full disk, or no right to write
        _log.warning("%s is unreadable (%s); it is rebuilt from the journal", path, error)
    else:
        if archive.position <= journal_position:
            return archive
        archive.stop()
        _log.warning("%s is ahead of the journal, as a power cut leaves it; it is rebuilt from the journal", path)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return Archive(path, assets_of, pending)


def _close_archive(archive: Archive) -> None:
    archive.stop()


def _close_journal(journal: OpenJournal) -> None:
    journal.journal.close()
    if journal.checkpoints is not None:
        journal.checkpoints.close()


def _snapshot_schedule(
    machines: Mapping[str, Machine], recovered: Recovered, journal: OpenJournal, snapshots: SnapshotFolder
) -> SnapshotSchedule | None:
    if not isinstance(journal.journal, SqliteJournal):
        return None
    return SnapshotSchedule(machines, recovered, snapshot_process(journal.journal, snapshots, _MACHINES_FACTORY))


def _open_secret(vault: Vault, key: Key) -> bytes | None:
    try:
        return vault.open(key.vault_id)
    except SecretUnavailable as error:
        _log.warning("the secret of the key %s… cannot be opened: %s", key.api_key[:8], error)
        return None


def _list_what_is_new(sequencer: Sequencer, spot: SpotState, catalogue: Catalogue, policy: LimitPolicy) -> None:
    """Listed symbols keep their rules, whatever a newer catalogue says: a market has been trading by them."""
    for asset in catalogue.assets:
        if asset.asset not in spot.assets:
            _must(sequencer.submit(SPOT, ListAsset(asset)))
    for symbol in catalogue.symbols:
        if spot.rules(symbol.symbol) is None:
            _must(sequencer.submit(SPOT, ListSymbol(symbol)))
    limits = tuple(
        OrderLimit(
            limit.interval, limit.interval_count, limit.window_us, limit.limit, policy.gives_back, policy.enforced
        )
        for limit in policy.families["spot"].orders
    )
    if limits != spot.order_limits:
        _must(sequencer.submit(SPOT, SetOrderLimits(limits)))


def _must(outcome: Sequence[Any] | Refusal) -> None:
    if isinstance(outcome, Refusal):
        raise StartRefused(f"the platform cannot start: {outcome.explanation}")


def _url_of(opened: Opened) -> str:
    """How this machine reaches itself there."""
    addresses = [one.getsockname()[0] for one in opened.sockets]
    for address, reached in (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")):  # noqa: S104
        if address in addresses:
            return f"http://{reached}:{opened.port}"
    address = addresses[0]
    return f"http://[{address}]:{opened.port}" if ":" in address else f"http://{address}:{opened.port}"


async def _save_counts(counts: AddressCounts) -> None:
    while True:
        await asyncio.sleep(_SAVE_SECONDS)
        await asyncio.to_thread(counts.save, counts.dump())


async def _sign_when_idle(signer: CheckpointSigner) -> None:
    while True:
        await asyncio.sleep(_SIGN_SECONDS)
        signer.receive(())


def _probes(
    sequencer: Sequencer,
    archive: Archive,
    calls: CallLog,
    counts: AddressCounts,
    pace: MarketPace,
    replay: ReplayPace | None,
    signer: CheckpointSigner | None,
    schedule: SnapshotSchedule | None,
) -> list[Probe]:
    def degraded(problem: Callable[[], str]) -> Callable[[], Finding]:
        def look() -> Finding:
            said = problem()
            return Finding(Condition.DEGRADED, said) if said else Finding(Condition.OK)

        return look

    def call_log() -> str:
        return calls.problem or (f"{calls.dropped} entries were dropped" if calls.dropped else "")

    probes = [
        Probe(
            # A failed commit ends the process, so that an answer means that the journal works.
            "journal",
            lambda: Finding(Condition.OK, f"durable up to position {sequencer.durable_position}"),
            critical=True,
        ),
        Probe("archive", degraded(lambda: archive.problem)),
        Probe("calls", degraded(call_log)),
        Probe("addresses", degraded(lambda: counts.problem)),
        Probe("market", degraded(lambda: pace.problem or (replay.problem if replay is not None else ""))),
    ]
    if signer is not None:
        probes.append(Probe("checkpoints", degraded(lambda: signer.problem)))
    if schedule is not None:
        probes.append(Probe("snapshots", degraded(lambda: schedule.problem)))
    return probes


def _readings(
    sequencer: Sequencer,
    archive: Archive,
    calls: CallLog,
    ledger: IpLedger,
    clocks: Clocks,
    schedule: SnapshotSchedule | None,
) -> list[Reading]:
    return [
        Reading("sparekey_journal_position", "Last durable journal position.", lambda: sequencer.durable_position),
        Reading("sparekey_archive_position", "Journal position that the archive holds.", lambda: archive.position),
        Reading("sparekey_calls_dropped", "Call log entries dropped.", lambda: calls.dropped, counts=True),
        Reading(
            "sparekey_banned_addresses",
            "Addresses that are banned now.",
            lambda: len(ledger.current_bans(clocks.policy_us())),
        ),
        Reading(
            "sparekey_replay_tail_seconds",
            "About how long a start would take now to apply the journal's tail.",
            lambda: 0.0 if schedule is None else schedule.tail_cost_us / 1e6,
        ),
    ]


# --- the command -----------------------------------------------------------------------------------------------------


def run(settings: Settings) -> None:
    """`sparekey up`: serve until SIGINT or SIGTERM, then end cleanly; a second signal ends at once."""
    _log_to_stderr()
    raise_file_limit()
    try:
        import uvloop
    except ImportError:  # Windows has none
        asyncio.run(_serve(settings))
    else:
        uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()

    def on_signal(number: int) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    running = await start(settings)
    # What is loaded lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    for line in _greeting(settings, running):
        print(line)
    sys.stdout.flush()
    await stopping.wait()
    await running.stop()


def _greeting(settings: Settings, running: Running) -> list[str]:
    url = running.url
    bot = settings.bot_env_file.expanduser().absolute()
    lines = [
        "Sparekey is up. Compatible with the Binance API; not affiliated with Binance.",
        f"  console   {url}   (the operator's token is in {running.data / 'operator.env'})",
        f"  keys      {bot}" if settings.mode == "sandbox" else "  keys      none: no demo account in guarded mode",
        f"  profile   {settings.profile}, market {settings.market}, mode {settings.mode}",
        f"  data      {running.data}, durability {settings.durability}",
        "",
        f"  curl '{url}/api/v3/ticker/price?symbol=BTCUSDT'",
        "",
    ]
    if settings.mode == "sandbox":
        lines += [
            "  import ccxt",
            f"  env = dict(line.strip().split('=', 1) for line in open({str(bot)!r}) if '=' in line)",
            "  exchange = ccxt.binance({'apiKey': env['API_KEY'], 'secret': env['API_SECRET'], 'urls': {'api': {"
            f"'public': '{url}/api/v3', 'private': '{url}/api/v3', 'sapi': '{url}/sapi/v1', "
            f"'fapiPublic': '{url}/fapi/v1', 'dapiPublic': '{url}/dapi/v1'}}}}}})",
            "",
        ]
    lines += [f"  {note}" for note in running.notes]
    return [*lines, "Stop it with Ctrl-C."]


def _log_to_stderr() -> None:
    """Warnings and errors, one line each, apart from what the command prints."""
    logging.basicConfig(level=logging.WARNING, format="sparekey: %(message)s", stream=sys.stderr, force=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
