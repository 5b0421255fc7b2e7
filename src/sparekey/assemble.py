"""The wiring: the only file that names concrete adapters. `start` brings the platform up, `run` is `sparekey up`.

Everything runs on one event loop, apart from what writes the archive and the call log (a thread each) and snapshots
(a process each).
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import importlib.resources
import logging
import os
import signal
import sqlite3
import ssl
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import structlog
from fastapi import APIRouter
from starlette.routing import Route

from sparekey.access.gate import Gate
from sparekey.access.limits import IpLedger, LimitPolicy, parse_profile
from sparekey.access.shard import AccessShard
from sparekey.access.state import Key
from sparekey.console.activity import Activity
from sparekey.console.api import make_console
from sparekey.console.api_me import Steps, me_routes
from sparekey.console.api_my_keys import own_key_routes
from sparekey.console.api_my_wallet import wallet_routes
from sparekey.console.api_operator import operator_routes
from sparekey.console.api_oversight import oversight_routes
from sparekey.console.api_session import session_routes
from sparekey.console.api_verification import own_verification_routes
from sparekey.console.bans import Bans
from sparekey.console.codes import Codes
from sparekey.console.demo import DemoFiles, prepare_demo, read_operator_token, write_operator
from sparekey.console.env_files import EnvFileRefused, check_ignored, read_env
from sparekey.console.explained import Explanations
from sparekey.console.factors import Factors
from sparekey.console.greeting import greeting, tls_lines
from sparekey.console.identity import Identity
from sparekey.console.letters import Letters
from sparekey.console.management import Management
from sparekey.console.operator_door import OperatorDoor
from sparekey.console.oversight import Oversight
from sparekey.console.own_factors import OwnFactors
from sparekey.console.own_keys import OwnKeys
from sparekey.console.pages import account, key_pages, markets, reasons, verification
from sparekey.console.pages.key_desk import KeyDesk
from sparekey.console.pages.operator import OperatorPages
from sparekey.console.pages.security import SecurityPages
from sparekey.console.pages.sessions import SessionPages
from sparekey.console.pages.shell import Shell
from sparekey.console.pages.signing_in import SigningIn
from sparekey.console.pages.verifying import Verifying
from sparekey.console.passkeys import Passkeys
from sparekey.console.passwords import Passwords
from sparekey.console.receipts import Receipts
from sparekey.console.refused import ManagementRefused
from sparekey.console.sessions import OPERATOR, Sessions
from sparekey.console.shown_once import ShownOnce
from sparekey.console.statements import Statements
from sparekey.console.step_up import StepUps
from sparekey.console.verification import Verification
from sparekey.console.writing import AccessWriter
from sparekey.delivery.outbox import Outbox, WayOut
from sparekey.delivery.sms import Sms
from sparekey.delivery.smtp import Smtp
from sparekey.market.opening import histories_of
from sparekey.market.participants import SeededParticipants
from sparekey.market.recordings import Pacing, RecordingRefused
from sparekey.market.views import Views
from sparekey.sequencer.clocks import Clocks
from sparekey.sequencer.first_commands import (
    MarketRefused,
    check_market,
    list_what_is_new,
    open_market,
    set_order_limits,
    was_taken_over,
)
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
from sparekey.sequencer.recovery import recover
from sparekey.sequencer.sequencer import Sequencer
from sparekey.server.addresses import TrustedProxies
from sparekey.server.asgi import Mounted
from sparekey.server.audience import Audience
from sparekey.server.handover import ForeignHttp, StartFailed
from sparekey.server.health import Health
from sparekey.server.http import HttpServer
from sparekey.server.listeners import CannotListen, Opened, listen, open_port, raise_file_limit, stop_listening
from sparekey.server.market_pulse import MarketPulse
from sparekey.server.sockets import Sockets
from sparekey.server.streams import Streams
from sparekey.server.tally import Tally
from sparekey.server.tls import make_context
from sparekey.server.vitals import Vitals
from sparekey.server.websocket_api import ApiService
from sparekey.settings import Settings
from sparekey.storage.address_counts import AddressCounts
from sparekey.storage.archive_opening import ArchiveFeed, open_archive
from sparekey.storage.calls import CallLog
from sparekey.storage.certificates import Certificates, CertificatesUnusable
from sparekey.storage.checkpoints import CheckpointSigner
from sparekey.storage.datadir import DataDirectory, DataDirectoryError
from sparekey.storage.documents import DocumentVault
from sparekey.storage.journal import Durability, SqliteJournal
from sparekey.storage.journal_opening import OpenJournal, open_journal
from sparekey.storage.key_maker import KeyMaker
from sparekey.storage.recordings import load as load_recording
from sparekey.storage.sessions import SessionFile, open_sessions
from sparekey.storage.snapshots import SnapshotFolder, SnapshotSchedule, snapshot_process
from sparekey.storage.vault import SecretUnavailable, Vault, open_vault
from sparekey.storage.verify import verify
from sparekey.terms.letters import EMAIL, SMS
from sparekey.terms.refusals import Refusal
from sparekey.venue.catalogue import Catalogue, parse_catalogue
from sparekey.venue.commands import Fence
from sparekey.venue.listing import SymbolRules
from sparekey.venue.spot_shard import SpotShard
from sparekey.wire.application import Application
from sparekey.wire.desk import Desk
from sparekey.wire.market_feed import MarketFeed
from sparekey.wire.routes import load_methods, load_routes
from sparekey.wire.sites import HOST_NAMES
from sparekey.wire.stream_door import StreamDoor
from sparekey.wire.table import cancels_of
from sparekey.wire.user_data import UserDataFeed
from sparekey.wire.websocket_api import WebsocketApi

_log = logging.getLogger(__name__)

ACCESS, SPOT = "access", "spot"
_MACHINES_FACTORY = "sparekey.assemble:make_machines"
#: Collections of the young generation are for garbage of requests, which reference counting frees; rare ones suffice.
_GC_THRESHOLDS = (50_000, 20, 50)
_SAVE_SECONDS = 1.0
_SIGN_SECONDS = 60.0
_TIDY_SECONDS = 60.0
_RENEW_SECONDS = 3_600.0


class StartRefused(Exception):
    """The platform does not start. The text is one line for people."""


#: What may be wrong with the world at a start; each says so in one line.
_EXPECTED = (
    CannotListen,
    CertificatesUnusable,
    DataDirectoryError,
    EnvFileRefused,
    JournalDamaged,
    JournalFailed,
    JournalTooNew,
    ManagementRefused,
    MarketRefused,
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


async def start(settings: Settings, *, demo: bool = True) -> Running:
    """Bring the platform up; it serves when this returns. Raises `StartRefused`."""
    running = Running(settings)
    try:
        await running.begin(demo)
    except BaseException as error:
        running.abandon()
        if isinstance(error, _EXPECTED):
            raise StartRefused(str(error)) from error
        if isinstance(error, OSError | sqlite3.Error):
            raise StartRefused(f"the platform cannot start: {error}") from error
        raise
    return running


class Running:
    """A platform, made by `start`. `notes` are lines for the operator, `asgi` is what answers but for a socket.

    The steps of a start stand below in their order; each uses what those before it made. What is opened is closed
    again by `_closing`, in reverse.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.notes: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._closing = ExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._opened_tls: list[Opened] = []
        self._clocks = Clocks(_wall_us)
        self._in_memory = settings.durability == "memory"
        self._stopped = False

    async def begin(self, demo: bool) -> None:
        settings = self.settings
        self._has_demo = demo and settings.mode == "sandbox"
        self._policy = load_policy(settings.profile)
        self._catalogue = load_catalogue()
        self._routes = load_routes(self._policy.weights, api_date=settings.api_date, strict=settings.wire_strict)
        file = settings.replay_file
        self._recording = None if file is None else load_recording(file.expanduser())
        self._take_directory()
        self._take_port()
        if settings.tls:
            self._take_tls_ports()
        self._open_storage()
        self._recover()
        self._make_sequencer()
        self._make_delivery()
        self._make_factors()
        self._make_identity()
        self._make_wire()
        self._management.finish_deletions()
        await self._verification.begin()
        self._identity.begin()
        self._own_factors.begin()
        self._submit_first_commands()
        self._make_server()
        await self._write_files()
        await self._serve()

    async def stop(self) -> None:
        """Answer what was accepted, make it durable, close everything."""
        if self._stopped:
            return
        self._stopped = True
        self._pace.stop()
        if self._replay is not None:
            self._replay.stop()
        self._timers.stop()
        for task in self._tasks:
            task.cancel()
        await stop_listening(self._listeners)
        await self._server.stop()
        await self._foreign.stop()
        await self._outbox.stop()
        self._sequencer.commit()
        if self._signer is not None:
            self._signer.sign()
        if self._schedule is not None:
            self._schedule.wait()
        if not self._in_memory:
            self._ledger.note_time(self._clocks.policy_us())
            self._counts.save(self._counts.dump())
            self._counts.save_bans()
        self._closing.close()

    def abandon(self) -> None:
        """Close what a start that failed has opened."""
        self._stopped = True
        self._closing.close()

    # --- directory, port, storage ------------------------------------------------------------------------------------

    def _take_directory(self) -> None:
        settings = self.settings
        inside = settings.data.expanduser().absolute()
        bot_copy = settings.bot_env_file.expanduser().absolute()
        if not bot_copy.is_relative_to(inside):
            check_ignored(bot_copy)
            read_env(bot_copy)
        self._data = DataDirectory.open(settings.data)
        self._closing.callback(self._data.close)
        self.data = self._data.path
        ignore = self.data / ".gitignore"
        if not ignore.exists():
            # Whoever starts Sparekey inside a project must not commit keys by accident.
            ignore.write_text("*\n")
        self._files = DemoFiles(
            bot=self.data / "bot.env",
            bot_copy=bot_copy,
            operator=self.data / "operator.env",
            pems={key_type: self.data / f"bot-{key_type}.pem" for key_type in ("ed25519", "rsa")},
        )
        if "*" not in ignore.read_text().split():
            check_ignored(self._files.bot)
        self.operator_token = read_operator_token(self._files)

    def _take_port(self) -> None:
        settings = self.settings
        self._opened = open_port(settings.host, settings.port)
        self._closing.callback(self._opened.close)
        self.notes += self._opened.notes
        self.url = _url_of(self._opened)
        if any(not ip_address(one.getsockname()[0]).is_loopback for one in self._opened.sockets):
            self.notes.append(
                f"Other machines can reach this server, unencrypted (--host {settings.host}); keys' whitelists apply."
            )

    def _take_tls_ports(self) -> None:
        settings = self.settings
        self._certificates = Certificates(self.data / "tls", HOST_NAMES, self._clocks.wall_us)
        self.notes += self._certificates.prepare()
        self._tls = make_context(self._certificates.server_path)
        for port in dict.fromkeys(settings.tls_ports):
            opened = open_port(settings.host, port, "--tls-port")
            self._closing.callback(opened.close)
            self._opened_tls.append(opened)

    @property
    def public_url(self) -> str:
        """How people reach the console. On this machine by its name: passkeys belong to names, never to addresses."""
        if self.settings.public_url:
            return self.settings.public_url
        port = self._opened.port
        addresses = [ip_address(one.getsockname()[0]) for one in self._opened.sockets]
        reached_here = any(one.is_loopback or one.is_unspecified for one in addresses)
        return f"http://localhost:{port}" if reached_here else self.url

    @property
    def tls_ports(self) -> list[int]:
        return [opened.port for opened in self._opened_tls]

    @property
    def authority(self) -> Path:
        return self._certificates.authority_path

    def _open_storage(self) -> None:
        """Journal, vault, archive, call log, counts. In memory mode, what must be a file is one in passing."""
        data = self._data
        self._journal = open_journal(data, Durability(self.settings.durability))
        self._closing.callback(_close_journal, self._journal)
        position = self._journal.journal.position
        archive_path, calls_path = data.archive_path, data.calls_path
        if self._in_memory:
            passing = tempfile.TemporaryDirectory(prefix="sparekey-", ignore_cleanup_errors=True)
            self._closing.callback(passing.cleanup)
            archive_path, calls_path = Path(passing.name, "archive.db"), Path(passing.name, "calls")
            self._vault = Vault(":memory:", data.key_encryption_key)
            self._session_file = SessionFile(":memory:")
        else:
            self._vault = open_vault(data, position)
            self._session_file = open_sessions(data.sessions_path)
        self._closing.callback(self._vault.close)
        documents_path = ":memory:" if self._in_memory else data.documents_path
        self._documents = DocumentVault(documents_path, data.key_encryption_key)
        self._closing.callback(self._documents.close)
        self._closing.callback(self._session_file.close)
        self._archive = open_archive(archive_path, self._assets_of, position, self._pending)
        self._closing.callback(self._archive.stop)
        self._ledger = IpLedger(self._policy, frozenset() if self.settings.wire_strict else cancels_of(self._routes))
        self._counts = AddressCounts(self.data / "addresses", self._ledger)
        if not self._in_memory:
            self._counts.load()
            self._ledger.on_change = self._counts.save_bans
        self._calls = CallLog(calls_path)
        self._calls.start()
        self._closing.callback(self._calls.stop)

    # --- state and the writer ----------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """The newest snapshot, the journal's tail, and what the archive has missed of it."""
        self._access_shard, self._spot_shard = AccessShard(), _make_spot_shard()
        self._machines: dict[str, Machine] = {ACCESS: self._access_shard, SPOT: self._spot_shard}
        self._access, self._spot = self._access_shard.state, self._spot_shard.state
        participants = self._spot_shard.participants
        assert isinstance(participants, SeededParticipants)
        self._participants = participants
        self._archive_feed = ArchiveFeed(self._archive, self._first_ids)
        self._snapshots = SnapshotFolder(self._data.snapshots_path)
        behind = [] if self._in_memory else [(self._archive_feed, self._archive.position)]
        self._recovered = recover(self._machines, self._journal.journal, self._snapshots, behind=behind)
        self._archive_feed.caught_up()
        self._follow_clocks()
        self._views = Views(self._archive, {})
        if participants.opened is not None:
            self._views.add_histories(histories_of(participants.opened, self._spot.rules))

    def _make_sequencer(self) -> None:
        journal, clocks = self._journal, self._clocks
        self._sequencer = Sequencer(
            journal.journal,
            self._machines,
            {ACCESS: clocks.policy_us, SPOT: clocks.wire_us},
            self._loop.call_soon,
            recovered=self._recovered,
            follow={ACCESS: self._follow_access},
        )
        self._timers = DueTimers(
            self._sequencer.submit, self._access.next_due_us, clocks.policy_us, self._loop.call_later
        )
        self._closing.callback(self._timers.stop)
        self._signer: CheckpointSigner | None = None
        self._schedule: SnapshotSchedule | None = None
        if journal.checkpoints is not None:
            self._signer = CheckpointSigner(journal.checkpoints, journal.journal, clocks.wall_us)
        if isinstance(journal.journal, SqliteJournal):
            process = snapshot_process(journal.journal, self._snapshots, _MACHINES_FACTORY)
            self._schedule = SnapshotSchedule(self._machines, self._recovered, process)
        consumers: list[Consumer | None] = [self._archive_feed, self._views, self._signer, self._schedule]
        for consumer in consumers:
            if consumer is not None:
                self._sequencer.add_consumer(consumer)
        self._receipts = Receipts(self._access, self._calls, clocks.wall_us)
        self._views.warm_up([rules.symbol for rules in self._spot.symbols()])

    def _follow_access(self, record: Record) -> Iterable[tuple[str, Any]]:
        """What follows from a record of the access shard, in the same pass: clocks, timers, listen keys, and the
        fences that make other shards refuse what a narrowed key was admitted for before."""
        state = self._access
        self._follow_clocks()
        self._timers.arm()
        narrowed = self._access_shard.narrowed_keys(record.events)
        self._receipts.note(record, narrowed)
        for key_id in narrowed:
            if state.keys[key_id].standing is not None:
                self._desk.listen_keys.revoke(key_id)
            yield SPOT, Fence(key_id, state.seq)
            self._receipts.fenced(key_id, SPOT, self._sequencer.seq_of(SPOT))

    def _follow_clocks(self) -> None:
        self._clocks.policy_offset_us, self._clocks.skew_us = self._access.policy_offset_us, self._access.skew_us

    def _assets_of(self, symbol: str) -> tuple[str, str]:
        rules = self._spot.rules(symbol)
        assert rules is not None
        return rules.base_asset, rules.quote_asset

    def _first_ids(self) -> Mapping[str, int]:
        opened = self._participants.opened
        return {} if opened is None else {symbol.symbol: symbol.first_trade_id for symbol in opened.symbols}

    def _pending(self) -> Sequence[Published]:
        return self._sequencer.pending

    # --- letters -----------------------------------------------------------------------------------------------------

    def _make_delivery(self) -> None:
        """Ways out for what the settings name; what else is posted waits in the outbox for the operator. With a way
        out, in guarded mode, the operator does not read holders' letters."""
        settings = self.settings
        ways_out: dict[str, WayOut] = {}
        if settings.smtp is not None:
            assert settings.mail_from is not None
            ways_out[EMAIL] = Smtp(settings.smtp, settings.mail_from)
        if settings.sms is not None:
            sms = Sms(settings.sms)
            self._closing.callback(sms.close)
            ways_out[SMS] = sms
        self._outbox = Outbox(ways_out, self._clocks.wall_us, readable=settings.mode == "sandbox")
        self._letters = Letters(self.public_url)

    # --- who signs in, and how they prove it -------------------------------------------------------------------------

    def _make_factors(self) -> None:
        clocks, access, vault = self._clocks, self._access, self._vault
        now_us = clocks.policy_us
        writer = AccessWriter(self._sequencer)
        passwords = Passwords()
        self._closing.callback(passwords.stop)
        codes = Codes(now_us)
        origins = [self.public_url, f"http://localhost:{self._opened.port}"]
        origins += [f"https://localhost:{port}" for port in self.tls_ports]
        passkeys = Passkeys(
            origins, lambda account_id: bytes.fromhex(vault.digest(f"passkeys of {account_id}")), now_us
        )
        factors = Factors(
            writer,
            access,
            vault,
            passwords,
            codes,
            passkeys,
            self._letters,
            self._outbox,
            wall_us=clocks.wall_us,
            now_us=now_us,
        )
        step_ups = StepUps(factors, codes, now_us, needs_email=self.settings.step_up == "factor+email")
        own_factors = OwnFactors(
            factors, step_ups, writer, access, vault, passwords, codes, passkeys, self._letters, now_us
        )
        self._passwords, self._codes, self._passkeys = passwords, codes, passkeys
        self._factors, self._step_ups, self._own_factors = factors, step_ups, own_factors

    def _make_identity(self) -> None:
        now_us = self._clocks.policy_us
        self._sessions = Sessions(self._session_file, self._epoch_of, now_us)
        self._identity = Identity(
            AccessWriter(self._sequencer),
            self._access,
            self._vault,
            self._sessions,
            self._passwords,
            self._factors,
            self._letters,
            self._outbox,
            now_us,
        )

    def _epoch_of(self, account_id: int) -> int | None:
        """What a session must be of to count. The operator's change with the operator's token."""
        if account_id == OPERATOR:
            return int.from_bytes(hashlib.sha256(self.operator_token.encode()).digest()[:6])
        account = self._access.account(account_id)
        return None if account is None else account.epoch

    # --- who is served, and with what --------------------------------------------------------------------------------

    def _make_wire(self) -> None:
        sequencer, clocks = self._sequencer, self._clocks
        self._desk = Desk(
            submit=sequencer.submit,
            spot=self._spot,
            access=self._access,
            archive=self._archive,
            views=self._views,
            clocks=clocks,
            policy=self._policy,
            key_maker=KeyMaker(self._vault, sequencer.when_durable),
            loopback_allowed=self.settings.mode == "sandbox",
            position=lambda: sequencer.position,
        )
        self._gate = Gate(self._access, self._ledger, self._open_secret)
        self._application = Application(
            self._routes,
            self._gate,
            self._desk,
            clocks,
            when_durable=sequencer.when_durable,
            log_call=self._calls.add,
            strict=self.settings.wire_strict,
        )
        methods = load_methods(self._policy.weights, api_date=self.settings.api_date, strict=self.settings.wire_strict)
        self._websocket_api = WebsocketApi(methods, self._application, self._gate, self._desk)
        self._management = Management(
            sequencer,
            self._access,
            self._spot,
            self._vault,
            clocks,
            self._calls,
            sandbox=self.settings.mode == "sandbox",
            passwords=self._passwords,
        )
        self._management.on_erase = self._forget_account
        self._verification = Verification(
            AccessWriter(sequencer),
            self._access,
            self._documents,
            clocks,
            self._outbox,
            self._letters,
            self._management.email_of,
            sandbox=self.settings.mode == "sandbox",
        )
        self._oversight = Oversight(self._access, self._spot, self._ledger, self._vault, clocks)
        self._statements = Statements(self._spot, self._access, self._archive)
        self._own_keys = OwnKeys(
            self._management.acts,
            self._access,
            self._step_ups,
            self._letters,
            self._factors.tell,
            clocks.policy_us,
            proof_wanted=self.settings.mode == "guarded",
        )

    async def _forget_account(self, account_id: int, reached_at: Sequence[str]) -> None:
        """The account was erased: what is held of it apart from the vault goes, too."""
        for to in reached_at:
            self._outbox.forget(to)
        self._sessions.forget_account(account_id)
        self._own_factors.forget_account(account_id)
        await self._verification.forget_account(account_id)

    def _open_secret(self, key: Key) -> bytes | None:
        try:
            return self._vault.open(key.vault_id)
        except SecretUnavailable as error:
            _log.warning("the secret of the key %s… cannot be opened: %s", key.api_key[:8], error)
            return None

    def _submit_first_commands(self) -> None:
        settings, participants = self.settings, self._participants
        check_market(self._spot, participants, self._recording, market=settings.market, at_end=settings.replay_end)
        list_what_is_new(self._submit_spot, self._spot, self._catalogue)
        set_order_limits(self._submit_spot, self._policy)
        if settings.market == "none":
            return
        if participants.opened is None:
            now_us = self._clocks.wire_us()
            anchors = self._catalogue.anchors
            open_market(self._submit_spot, self._spot, anchors, settings.seed, now_us, self._recording)
            assert participants.opened is not None
            self._views.add_histories(histories_of(participants.opened, self._spot.rules))
        elif participants.opened.seed != settings.seed:
            self.notes.append(f"The market keeps the seed {participants.opened.seed}, with which it was opened.")
        if was_taken_over(participants):
            self.notes.append("The recording is over: participants trade on from where it ended.")

    def _submit_spot(self, command: Any) -> Sequence[Any] | Refusal:
        return self._sequencer.submit(SPOT, command)

    def _make_server(self) -> None:
        settings, sequencer = self.settings, self._sequencer
        feed = UserDataFeed(self._spot.watched, lambda: sequencer.position)
        door = StreamDoor(self._gate, self._ledger, self._access, self._clocks, self._desk.listen_keys)
        door.on_end = self._receipts.stream_closed
        self._ledger.on_ban = self._part_with
        sockets = Sockets(feed, door)
        market = MarketFeed(
            self._spot,
            self._views,
            lambda: sequencer.position,
            lambda: sequencer.durable_position,
            settings.api_date,
        )
        pulse = MarketPulse(market, sockets, self._clocks.wire_us, self._loop.call_later, sequencer.hurry)
        self._closing.callback(pulse.stop)
        sequencer.add_consumer(pulse)
        sequencer.add_consumer(sockets)
        tally = Tally()
        self._audience = Audience(tally, lambda: self._server.connections, _monotonic_us)
        self._pace = MarketPace(sequencer.submit, self._is_busy, _monotonic_us, self._loop.call_later)
        self._replay: ReplayPace | None = None
        if self._recording is not None and self._recording.symbol in self._participants.recorded_symbols:
            self._replay = ReplayPace(
                sequencer.submit,
                Pacing(self._recording),
                at_end=settings.replay_end,
                busy=self._is_busy,
                monotonic_us=_monotonic_us,
                call_later=self._loop.call_later,
            )
        vitals = Vitals(
            sequencer,
            self._archive,
            self._calls,
            self._counts,
            self._ledger,
            self._clocks,
            self._pace,
            self._replay,
            self._signer,
            self._schedule,
            self._outbox,
        )
        health = Health(vitals.probes(), vitals.readings(), tally=tally, server=lambda: self._server)
        facts = {"Profile": settings.profile, "Market": settings.market, "Mode": settings.mode}
        shared: dict[str, Any] = {
            "pages": health.pages,
            "trusted_proxies": TrustedProxies(settings.trusted_proxies),
            "tally": tally,
        }
        bans = Bans(self._ledger, self._clocks)
        self.shell = shell = Shell(
            self._sessions,
            self._management.email_of,
            self._clocks.policy_us,
            facts=facts,
            secure=self.public_url.startswith("https:"),
        )
        console = make_console(self._api(bans), shell, self._pages(shell, bans))
        self.asgi = Mounted(self._application, console, **shared)
        self._foreign = ForeignHttp(self.asgi)
        self._server = HttpServer(
            self._application,
            foreign=self._foreign,
            upgrades=(ApiService(sockets, self._websocket_api), Streams(sockets, market)),
            **shared,
        )

    def _api(self, bans: Bans) -> list[APIRouter]:
        """The operator's part of the management API, and the account holders'."""
        steps = Steps(self._step_ups, self._factors)
        return [
            *operator_routes(self._management, bans, self._receipts, self._verification, self.operator_token),
            *oversight_routes(self._oversight, self._outbox, self.operator_token),
            *session_routes(self._identity, self._sessions, self._factors),
            *me_routes(
                self._access,
                self._identity,
                self._sessions,
                self._factors,
                self._own_factors,
                self._step_ups,
                steps,
            ),
            *own_key_routes(self._access, self._sessions, self._own_keys, steps),
            *own_verification_routes(self._access, self._sessions, self._verification),
            *wallet_routes(self._sessions, self._statements),
        ]

    def _pages(self, shell: Shell, bans: Bans) -> list[Route]:
        """Of every topic."""
        factors, codes, step_ups = self._factors, self._codes, self._step_ups
        letters_stay = self.settings.smtp is None
        verifying = Verifying(shell, step_ups, factors, codes, self._sessions)
        wire_us, policy_us = self._clocks.wire_us, self._clocks.policy_us
        statements = self._statements
        activity = Activity(self._calls, self._clocks.wall_us)
        security = SecurityPages(shell, verifying, self._own_factors, factors, self._passkeys, self._access, policy_us)
        operators = OperatorPages(
            shell,
            OperatorDoor(self.operator_token, self._sessions, self._clocks.wall_us),
            self._oversight,
            self._management,
            self._verification,
            bans,
            self._outbox,
            public_url=self.public_url,
            sandbox=self.settings.mode == "sandbox",
        )
        desk = KeyDesk(shell, self._own_keys, verifying, ShownOnce(policy_us), self._calls, self._clocks)
        return [
            *reasons.routes(shell, Explanations()),
            *SigningIn(shell, self._identity, factors, codes, letters_stay=letters_stay, demo=self._has_demo).routes(),
            *SessionPages(shell, self._identity, factors, step_ups, verifying).routes(),
            *security.routes(),
            *verifying.routes(),
            *key_pages.routes(desk),
            *account.routes(shell, self._access, statements, activity, policy_us),
            *markets.routes(shell, self._spot, self._views, statements, wire_us),
            *verification.routes(shell, self._verification, self._access),
            *operators.routes(),
        ]

    def _part_with(self, ip: str) -> None:
        """The address was just banned, in the middle of a call. Its streams end with their next look at the clock."""
        self._receipts.banned(ip)
        self._loop.call_soon(self._server.part_with, ip)

    def _is_busy(self) -> bool:
        return self._audience.is_there() or self._spot.has_resting_orders

    async def _write_files(self) -> None:
        url, token = self.url, self.operator_token
        if self._has_demo:
            assets = list(self._spot.assets)
            self.notes += await prepare_demo(self._management, self._access, assets, self._files, url, token)
        else:
            write_operator(self._files, url, token)

    async def _serve(self) -> None:
        await self._foreign.start()
        hurry = self._sequencer.hurry
        self._listeners = await listen(self._server, self._opened, on_connect=hurry)
        for opened in self._opened_tls:
            self._listeners += await listen(self._server, opened, self._tls, on_connect=hurry)
        if self._opened_tls:
            self._tasks.append(self._loop.create_task(_renew(self._certificates, self._tls)))
        self._timers.arm()
        if self.settings.market != "none":
            self._pace.start()
        if self._replay is not None:
            self._replay.start()
        self._tasks.append(self._loop.create_task(self._keep_counts()))
        self._tasks.append(self._loop.create_task(self._tidy()))
        if self._signer is not None:
            self._tasks.append(self._loop.create_task(_sign_when_idle(self._signer)))

    async def _tidy(self) -> None:
        """Once a minute: forget sign-ups, sessions and links that have run out."""
        while True:
            await asyncio.sleep(_TIDY_SECONDS)
            try:
                self._identity.tidy()
            except Exception:
                _log.exception("what has run out was not forgotten")

    async def _keep_counts(self) -> None:
        """Once a second: let the ledger see the clock, and save what changed."""
        counts = self._counts
        saved = b""
        while True:
            await asyncio.sleep(_SAVE_SECONDS)
            self._ledger.note_time(self._clocks.policy_us())
            if self._in_memory:
                continue
            content = counts.dump()
            if content != saved:  # else no thread need be woken
                await asyncio.to_thread(counts.save, content)
                saved = b"" if counts.problem else content


def _close_journal(journal: OpenJournal) -> None:
    journal.journal.close()
    if journal.checkpoints is not None:
        journal.checkpoints.close()


def _url_of(opened: Opened) -> str:
    """How this machine reaches itself there."""
    addresses = [one.getsockname()[0] for one in opened.sockets]
    for address, reached in (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]")):  # noqa: S104
        if address in addresses:
            return f"http://{reached}:{opened.port}"
    address = addresses[0]
    return f"http://[{address}]:{opened.port}" if ":" in address else f"http://{address}:{opened.port}"


async def _renew(certificates: Certificates, tls: ssl.SSLContext) -> None:
    """A server that runs for months shows its certificate anew when it must."""
    while True:
        await asyncio.sleep(_RENEW_SECONDS)
        try:
            if await asyncio.to_thread(certificates.renew):
                tls.load_cert_chain(certificates.server_path)
        except (CertificatesUnusable, OSError) as error:
            _log.warning("the certificate for TLS was not renewed: %s", error)


async def _sign_when_idle(signer: CheckpointSigner) -> None:
    while True:
        await asyncio.sleep(_SIGN_SECONDS)
        signer.receive(())


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
    for line in _greeting_of(running):
        print(line)
    sys.stdout.flush()
    preparing = loop.run_in_executor(None, running.shell.prepare)
    await stopping.wait()
    await preparing
    await running.stop()


def _greeting_of(running: Running) -> list[str]:
    settings = running.settings
    facts = {
        "profile": f"{settings.profile}, market {settings.market}, mode {settings.mode}",
        "data": f"{running.data}, durability {settings.durability}",
    }
    bot_env = settings.bot_env_file.expanduser().absolute() if settings.mode == "sandbox" else None
    tls = None
    if running.tls_ports:
        facts["tls"] = f"port {' and '.join(map(str, running.tls_ports))}, by the authority {running.authority}"
        tls = tls_lines(HOST_NAMES, running.tls_ports, running.authority)
    return greeting(running.url, running.data / "operator.env", bot_env, facts, running.notes, tls)


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
