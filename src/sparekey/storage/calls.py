"""The call log on disk: one SQLite file a day, written by a thread, with an hourly rollup.

A file a day makes retention a file deletion. What gathered in a second is one row, a segment: columns of numbers and
the texts that they stand for; and beside it the keys that occur in it. A row per call with an index by key would cost
half of what the call itself does, and ten times the space. Segments are not synced one by one: losing the last second
of a log in a power cut is acceptable, stalling calls for it is not. A full disk never stops the server: entries wait in
bounded memory, the oldest are dropped and counted, and `problem` says so until writing works again.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence, Set
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain, count
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sparekey.storage.private_files import make_private
from sparekey.terms.clocktime import DAY_US, HOUR_US
from sparekey.watch.calls import CallEntry

_log = logging.getLogger(__name__)

#: How many entries wait in memory when the disk refuses them; older ones are dropped and counted.
MAX_WAITING = 200_000

#: Keys whose last call before today is remembered.
_MOST_LAST_BEFORE = 10_000
#: Entries of one segment at most, so that reading the newest few of a busy second unpacks little.
_SEGMENT = 10_000
#: Of a day, when its newest refusals are looked for: segments, and entries in them.
_MOST_SEGMENTS = 2_000
_MOST_UNPACKED = 20_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS segments (segment INTEGER PRIMARY KEY, first_us INTEGER NOT NULL, entries BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS keys_of_segments (
    api_key TEXT, segment INTEGER, PRIMARY KEY (api_key, segment)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hours (
    hour_us INTEGER, api_key TEXT, ip TEXT, method TEXT, path TEXT,
    calls INTEGER NOT NULL, refused INTEGER NOT NULL, weight INTEGER NOT NULL,
    PRIMARY KEY (hour_us, api_key, ip, method, path)
) WITHOUT ROWID;
"""
_ROLL_UP = """
INSERT INTO hours VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, refused = refused + excluded.refused,
                          weight = weight + excluded.weight
"""
_NUMBERS = ("time_us", "weight", "http", "code", "latency_us")
_TEXTS = tuple(at for at, name in enumerate(CallEntry._fields) if name not in _NUMBERS)
_TIME = CallEntry._fields.index("time_us")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[list[str], list[list[int]]]).decode
_alike = attrgetter("api_key", "ip", "method", "path", "weight", "reason")
_key_of = attrgetter("api_key")
_time_of = attrgetter("time_us")


class Caller(NamedTuple):
    """One address's calls with a key, refused ones included, over the days that are kept."""

    ip: str
    calls: int
    refused: int
    #: start of the hour of the last call
    last_hour_us: int


class HourOfKey(NamedTuple):
    """Calls with one key within an hour, of all addresses and endpoints together."""

    hour_us: int
    calls: int
    refused: int


class RouteCalls(NamedTuple):
    """A key's calls of one endpoint, refused ones included, over the days that are kept."""

    method: str
    path: str
    calls: int
    refused: int
    last_hour_us: int


class CallLog:
    """`add` is called on the loop for every call; a thread writes what is waiting every `interval_s` seconds."""

    def __init__(self, folder: Path, interval_s: float = 1.0, keep_days: int = 30) -> None:
        self._folder = folder
        self._interval_s = interval_s
        self._keep_days = keep_days
        self._waiting: deque[CallEntry] = deque()
        self._writing: list[CallEntry] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        #: API key → (newest day but one that was looked at, its last call in the days up to that); see `last_calls`
        self._last_before: dict[str, tuple[str, CallEntry | None]] = {}
        self.dropped = 0
        self.problem = ""
        #: The hot path: one append, safe across threads.
        self.add = self._waiting.append

    def start(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._run, name="call-log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self.problem:
            _log.warning("%s; they are lost", self.problem)

    def flush(self) -> None:
        """Write everything that waits now; a failure is remembered in `problem` and the entries keep waiting."""
        with self._lock:
            entries = self._writing
            while self._waiting:
                entries.append(self._waiting.popleft())
            if len(entries) > MAX_WAITING:
                self.dropped += len(entries) - MAX_WAITING
                del entries[: len(entries) - MAX_WAITING]
            if not entries:
                return
            try:
                for day, rows in list(_by_day(entries)):
                    self._write(day, rows)
                    del entries[: len(rows)]
                self._delete_old(day)
                self.problem = ""
            except (sqlite3.Error, OSError) as error:
                dropped = f", {self.dropped} were dropped" if self.dropped else ""
                self.problem = f"the call log cannot be written ({error}); {len(entries)} entries wait{dropped}"

    def tail(self, limit: int, api_key: str = "", until_us: int = 0) -> list[CallEntry]:
        """The newest `limit` entries, oldest first, of one key if given, before `until_us` if given."""
        # Locked to the end: else what is written meanwhile would be shown from memory and again from the file.
        with self._lock:
            waiting = self._writing + list(self._waiting)
            chosen = [
                entry
                for entry in reversed(waiting)
                if (not api_key or entry.api_key == api_key) and (not until_us or entry.time_us < until_us)
            ][:limit]
            for path in sorted(self._folder.glob("*.db"), reverse=True):
                if len(chosen) >= limit:
                    break
                chosen.extend(_read_newest(path, limit - len(chosen), api_key, until_us))
        chosen.reverse()
        return chosen

    def last_calls(self, api_keys: Sequence[str]) -> dict[str, CallEntry]:
        """The last call of each of these keys that has one. Reads files, so it is for a thread.

        What the days before the newest one say cannot change, so it is read once for each key.
        """
        found: dict[str, CallEntry] = {}
        wanted = set(api_keys)
        with self._lock:
            for entry in chain(reversed(list(self._waiting)), reversed(self._writing)):
                if entry.api_key in wanted and entry.api_key not in found:
                    found[entry.api_key] = entry
            days = sorted(self._folder.glob("*.db"), reverse=True)
            if days:
                found = _read_last(days[0], wanted - found.keys()) | found
            older = days[1].stem if len(days) > 1 else ""
            unread = {key for key in wanted - found.keys() if self._last_before.get(key, ("", None))[0] != older}
            read: dict[str, CallEntry] = {}
            for path in days[1:]:
                if not unread - read.keys():
                    break
                read |= _read_last(path, unread - read.keys())
            if len(self._last_before) + len(unread) > _MOST_LAST_BEFORE:
                self._last_before.clear()
            self._last_before.update({key: (older, read.get(key)) for key in unread})
            for key in wanted - found.keys():
                entry_before = self._last_before.get(key, ("", None))[1]
                if entry_before is not None:
                    found[key] = entry_before
        return found

    def routes_called(self, api_key: str) -> list[RouteCalls]:
        """What the key was used for, the most called first. Reads every day's rollup, so it is for a thread."""
        with self._lock:
            waiting = [entry for entry in self._writing + list(self._waiting) if entry.api_key == api_key]
            rows = [(row[3], row[4], *row[5:7], row[0]) for row in _rolled_up(waiting)] if waiting else []
            for path in self._folder.glob("*.db"):
                rows += _read_rollup(path, api_key, "method, path")
        found: dict[tuple[str, str], RouteCalls] = {}
        for method, path_called, calls, refused, hour_us in rows:
            held = found.get((method, path_called), RouteCalls(method, path_called, 0, 0, 0))
            found[method, path_called] = RouteCalls(
                method, path_called, held.calls + calls, held.refused + refused, max(held.last_hour_us, hour_us)
            )
        return sorted(found.values(), key=lambda one: (-one.calls, one.path, one.method))

    def callers(self, api_key: str) -> list[Caller]:
        """Who called with the key, the latest first. Reads every day's rollup, so it is for a thread."""
        with self._lock:
            waiting = [entry for entry in self._writing + list(self._waiting) if entry.api_key == api_key]
            rows = [(row[2], *row[5:7], row[0]) for row in _rolled_up(waiting)] if waiting else []
            for path in self._folder.glob("*.db"):
                rows += _read_rollup(path, api_key, "ip")
        found: dict[str, Caller] = {}
        for ip, calls, refused, hour_us in rows:
            held = found.get(ip, Caller(ip, 0, 0, 0))
            found[ip] = Caller(ip, held.calls + calls, held.refused + refused, max(held.last_hour_us, hour_us))
        return sorted(found.values(), key=lambda caller: (-caller.last_hour_us, -caller.calls, caller.ip))

    def hours_of(self, api_key: str, since_us: int) -> list[HourOfKey]:
        """The key's hours with calls from a day's start on, ascending. For a thread, like `callers`."""
        with self._lock:
            waiting = [entry for entry in self._writing + list(self._waiting) if entry.api_key == api_key]
            rows = [(row[0], *row[5:7]) for row in _rolled_up(waiting)] if waiting else []
            for path in self._since(since_us):
                rows += _read_hours(path, api_key)
        found: dict[int, HourOfKey] = {}
        for hour_us, calls, refused in rows:
            if hour_us >= since_us:
                held = found.get(hour_us, HourOfKey(hour_us, 0, 0))
                found[hour_us] = HourOfKey(hour_us, held.calls + calls, held.refused + refused)
        return [found[hour_us] for hour_us in sorted(found)]

    def refusals(self, api_keys: Set[str], limit: int, days: int = 2) -> list[CallEntry]:
        """The newest refused calls with any of these keys, newest first, as far as they are in the newest `days` files
        and in what was written lately of them. For a thread."""
        with self._lock:
            waiting = self._writing + list(self._waiting)
            found = [entry for entry in reversed(waiting) if entry.reason and entry.api_key in api_keys][:limit]
            for path in sorted(self._folder.glob("*.db"), reverse=True)[:days] if api_keys else ():
                if len(found) < limit:
                    found += _read_refusals(path, api_keys, limit - len(found))
        return found

    def _since(self, since_us: int) -> list[Path]:
        """Files of the days from then on."""
        first = _day_of(since_us // DAY_US)
        return [path for path in self._folder.glob("*.db") if path.stem >= first]

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._flush_whatever_comes()
        self._flush_whatever_comes()

    def _flush_whatever_comes(self) -> None:
        try:
            self.flush()
        except Exception as error:  # without this thread entries would fill the memory, and nobody would know why
            self.problem = f"the call log failed ({error!r})"
            _log.exception("the call log failed")

    def _write(self, day: str, rows: list[CallEntry]) -> None:
        path = self._folder / f"{day}.db"
        make_private(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=OFF")
            database.executescript(_SCHEMA)
            try:
                _insert(database, rows)
            except (UnicodeError, OverflowError):
                # One entry that cannot be written down must not keep the others out.
                if database.in_transaction:
                    database.execute("ROLLBACK")
                _insert(database, [_storable(entry) for entry in rows])

    def _delete_old(self, newest_day: str) -> None:
        days = sorted(path.stem for path in self._folder.glob("*.db"))
        for day in days[: -self._keep_days] if newest_day in days else ():
            for suffix in ("", "-wal", "-shm"):
                (self._folder / f"{day}.db{suffix}").unlink(missing_ok=True)


def _by_day(entries: list[CallEntry]) -> Iterator[tuple[str, list[CallEntry]]]:
    """Runs of entries of one UTC day, in the order in which they wait."""
    for day, rows in _runs(entries, DAY_US):
        yield _day_of(day), rows


def _day_of(number: int) -> str:
    return datetime.fromtimestamp(number * 86_400, UTC).strftime("%Y-%m-%d")


def _runs(entries: list[CallEntry], length_us: int) -> Iterator[tuple[int, list[CallEntry]]]:
    """Runs of entries of one period (day, hour), each with the period's number."""
    numbers = [time_us // length_us for time_us in map(_time_of, entries)]
    if len(set(numbers)) == 1:
        yield numbers[0], entries
        return
    start = 0
    while start < len(entries):
        number = numbers[start]
        end = start + 1
        while end < len(entries) and numbers[end] == number:
            end += 1
        yield number, entries[start:end]
        start = end


def _insert(database: sqlite3.Connection, rows: list[CallEntry]) -> None:
    database.execute("BEGIN")
    for start in range(0, len(rows), _SEGMENT):
        entries = rows[start : start + _SEGMENT]
        first_us = min(map(_time_of, entries))
        segment = database.execute(
            "INSERT INTO segments (first_us, entries) VALUES (?, ?)", (first_us, _pack(entries, first_us))
        ).lastrowid
        keys = dict.fromkeys(map(_key_of, entries))
        database.executemany("INSERT INTO keys_of_segments VALUES (?, ?)", [(key, segment) for key in keys])
    database.executemany(_ROLL_UP, _rolled_up(rows))
    database.execute("COMMIT")


def _pack(entries: list[CallEntry], first_us: int) -> bytes:
    """Columns: texts as numbers into a list of all that occur, times from the first one on."""
    columns: list[Sequence[Any]] = list(zip(*entries, strict=True))
    columns[_TIME] = [time_us - first_us for time_us in columns[_TIME]]
    texts = dict(zip(dict.fromkeys(chain.from_iterable(columns[at] for at in _TEXTS)), count()))
    for at in _TEXTS:
        columns[at] = list(map(texts.__getitem__, columns[at]))
    return _encode((list(texts), columns))


def _unpack(packed: bytes, first_us: int) -> list[CallEntry]:
    texts, numbers = _decode(packed)
    columns: list[Sequence[Any]] = [*numbers]
    columns[_TIME] = [since_us + first_us for since_us in numbers[_TIME]]
    for at in _TEXTS:
        columns[at] = list(map(texts.__getitem__, numbers[at]))
    return list(map(CallEntry, *columns))


def _storable(entry: CallEntry) -> CallEntry:
    """With lone surrogates spelled out and numbers cut to 64 bits."""
    return CallEntry._make(
        value.encode("utf-8", "backslashreplace").decode()
        if isinstance(value, str)
        else max(-(2**63), min(value, 2**63 - 1))
        for value in entry
    )


def _rolled_up(rows: list[CallEntry]) -> Iterator[tuple[int, str, str, str, str, int, int, int]]:
    for hour, entries in _runs(rows, HOUR_US):
        for (api_key, ip, method, path, weight, reason), calls in Counter(map(_alike, entries)).items():
            yield hour * HOUR_US, api_key, ip, method, path, calls, calls if reason else 0, weight * calls


def _read_rollup(path: Path, api_key: str, by: str) -> list[Any]:
    """(…, calls, refused, last hour) of a day's file, for each of what the columns `by` tell apart."""
    query = f"SELECT {by}, sum(calls), sum(refused), max(hour_us) FROM hours WHERE api_key = ? GROUP BY {by}"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return database.execute(query, (api_key,)).fetchall()
    except sqlite3.DatabaseError:
        return []  # as for `_read_newest`


def _read_hours(path: Path, api_key: str) -> list[tuple[int, int, int]]:
    """(hour, calls, refused) of a day's file."""
    query = "SELECT hour_us, sum(calls), sum(refused) FROM hours WHERE api_key = ? GROUP BY hour_us"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return database.execute(query, (api_key,)).fetchall()
    except sqlite3.DatabaseError:
        return []  # as for `_read_newest`


def _read_refusals(path: Path, api_keys: Set[str], limit: int) -> list[CallEntry]:
    """The newest refused calls of a day's file, newest first. The rollup tells which hours to unpack."""
    keys = sorted(api_keys)
    marks = ", ".join("?" * len(keys))
    found: list[CallEntry] = []
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            newest = database.execute(
                f"SELECT max(hour_us) FROM hours WHERE refused > 0 AND api_key IN ({marks})", keys
            ).fetchone()
            if newest[0] is None:
                return found
            segments = database.execute(
                "SELECT first_us, entries FROM segments WHERE segment IN"
                f" (SELECT segment FROM keys_of_segments WHERE api_key IN ({marks})) AND first_us < ?"
                " ORDER BY segment DESC LIMIT ?",
                (*keys, newest[0] + HOUR_US, _MOST_SEGMENTS),
            )
            unpacked = 0
            for first_us, packed in segments:
                if unpacked > _MOST_UNPACKED:
                    break
                entries = _unpack(packed, first_us)
                unpacked += len(entries)
                for entry in reversed(entries):
                    if entry.reason and entry.api_key in api_keys:
                        found.append(entry)
                        if len(found) == limit:
                            return found
    except (sqlite3.DatabaseError, msgspec.MsgspecError, LookupError):
        pass  # as for `_read_newest`
    return found


def _read_last(path: Path, api_keys: set[str]) -> dict[str, CallEntry]:
    """The last call of each key in a day's file."""
    found: dict[str, CallEntry] = {}
    query = "SELECT max(segment) FROM keys_of_segments WHERE api_key = ?"
    unpacked: dict[int, list[CallEntry]] = {}
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            for api_key in sorted(api_keys):
                [(segment,)] = database.execute(query, (api_key,)).fetchall()
                if segment is None:
                    continue
                if segment not in unpacked:
                    [(first_us, packed)] = database.execute(
                        "SELECT first_us, entries FROM segments WHERE segment = ?", (segment,)
                    ).fetchall()
                    unpacked[segment] = _unpack(packed, first_us)
                found[api_key] = next(one for one in reversed(unpacked[segment]) if one.api_key == api_key)
    except (sqlite3.DatabaseError, msgspec.MsgspecError, LookupError, ValueError):
        pass  # as for `_read_newest`
    return found


def _read_newest(path: Path, limit: int, api_key: str, until_us: int) -> list[CallEntry]:
    """The newest entries of a day's file, newest first."""
    query = "SELECT first_us, entries FROM segments"
    conditions, values = list[str](), list[str | int]()
    if api_key:
        query += " JOIN keys_of_segments USING (segment)"
        conditions.append("api_key = ?")
        values.append(api_key)
    if until_us:
        conditions.append("first_us < ?")
        values.append(until_us)
    if conditions:
        query += f" WHERE {' AND '.join(conditions)}"
    found: list[CallEntry] = []
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            for first_us, packed in database.execute(f"{query} ORDER BY segment DESC", values):
                for entry in reversed(_unpack(packed, first_us)):
                    if (not api_key or entry.api_key == api_key) and (not until_us or entry.time_us < until_us):
                        found.append(entry)
                        if len(found) == limit:
                            return found
    except (sqlite3.DatabaseError, msgspec.MsgspecError, LookupError):
        pass  # a file that is being made, is damaged, or whose disk is gone: what can be shown is shown
    return found
