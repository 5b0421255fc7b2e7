"""Checkpoints: what makes a cut-off tail of the journal visible.

A journal whose last rows are gone is a sound, shorter journal. So its end is also written down elsewhere, in one small
file of eight sectors:

- two **marks**, written in turn after each commit, without a sync: position, chain hash, and a keyed hash. They
  survive the end of the process (`kill -9`), and name the exact end.
- six **checkpoints**, written in turn, at most one a minute and at a clean end, with a sync: number, position, chain
  hash, time, Ed25519 signature. They survive a power cut; a copy kept elsewhere proves the history to others.

The order is what rules out false alarms: either is written only after the commit it names is durable, so after any
crash the journal reaches at least as far. Under `--durability normal` the journal is synced before a checkpoint is
signed, and no marks are written, because they could outlive the commit. A torn write spoils one sector, and the sector
written before it still stands; that is why one unreadable sector of each kind is a warning and two are damage.

What this cannot see: an older copy of the whole data directory put in its place, and a change by someone who holds the
signing key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path
from struct import Struct

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sparekey.sequencer.ports import Journal, JournalDamaged, Published
from sparekey.storage.private_files import replace_file
from sparekey.terms.clocktime import MINUTE_US

#: Disks write at least this much at once, so a record within one sector is either old or new.
_SECTOR = 512
_MARKS = 2
_SIGNED = 6
_FILE_BYTES = _SECTOR * (_MARKS + _SIGNED)

_MARK = Struct(">8sQ32s")
_MARK_MAGIC = b"SPKMARK1"
_MAC_BYTES = 32
_CHECKPOINT = Struct(">8sQQq32s")
_CHECKPOINT_MAGIC = b"SPKSIGN1"
_SIGNATURE_BYTES = 64


class Checkpoint(msgspec.Struct, frozen=True):
    """At `time_us` the journal was durable up to `position` with this chain hash; `number` counts checkpoints."""

    number: int
    position: int
    chain: bytes
    time_us: int
    signature: bytes


class Anchors(msgspec.Struct, frozen=True):
    """What the file says. `warnings` name an unreadable sector that a torn write explains."""

    mark: tuple[int, bytes] | None
    checkpoints: tuple[Checkpoint, ...]
    warnings: tuple[str, ...]

    @property
    def position(self) -> int:
        """The furthest position that was durable for sure."""
        return max([self.mark[0] if self.mark else 0, *(checkpoint.position for checkpoint in self.checkpoints)])


class CheckpointFile:
    """The file, open for writing. `mark` is made for the hot path: one write of one sector, no sync."""

    def __init__(self, path: Path, key: Ed25519PrivateKey) -> None:
        """Opens an existing file; see `create_checkpoint_file`. Raises `JournalDamaged` as `read_anchors` does."""
        self.anchors = read_anchors(path, key)
        self._key = key
        self._mac = _mac_of(key)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._number = max([0, *(checkpoint.number for checkpoint in self.anchors.checkpoints)])
        # The older of the two marks is overwritten first; an unreadable one is the oldest.
        self._next_mark = 1 - _newest_mark_sector(path, self._mac)

    def mark(self, position: int, chain: bytes) -> None:
        """The journal is durable up to `position`."""
        record = _MARK.pack(_MARK_MAGIC, position, chain)
        mac = self._mac.copy()
        mac.update(record)
        os.pwrite(self._descriptor, record + mac.digest(), self._next_mark * _SECTOR)
        self._next_mark = 1 - self._next_mark

    def sign(self, position: int, chain: bytes, time_us: int) -> None:
        """The journal is durable up to `position`, also in a power cut. Returns when that is so for this, too."""
        number = self._number + 1
        record = _CHECKPOINT.pack(_CHECKPOINT_MAGIC, number, position, time_us, chain)
        sector = _MARKS + number % _SIGNED
        os.pwrite(self._descriptor, record + self._key.sign(record), sector * _SECTOR)
        os.fdatasync(self._descriptor)
        self._number = number

    def close(self) -> None:
        os.close(self._descriptor)


class CheckpointSigner:
    """A consumer that signs the journal's end when a commit finds the last signature at least a minute old."""

    def __init__(
        self, file: CheckpointFile, journal: Journal, clock: Callable[[], int], interval_us: int = MINUTE_US
    ) -> None:
        self._file = file
        self._journal = journal
        self._clock = clock
        self._interval_us = interval_us
        self._signed_position = max([0, *(checkpoint.position for checkpoint in file.anchors.checkpoints)])
        self._signed_at_us = clock()
        #: For the readiness page; "" while all is well.
        self.problem = ""

    def receive(self, published: Sequence[Published]) -> None:
        now_us = self._clock()
        # A host clock that was set back must not stop signing for as long.
        if now_us - self._signed_at_us >= self._interval_us or now_us < self._signed_at_us:
            self.sign()

    def sign(self) -> None:
        """Sign now, if anything happened since. A disk that refuses is named in `problem` and tried again later."""
        journal = self._journal
        self._signed_at_us = self._clock()
        if journal.position == self._signed_position:
            return
        try:
            journal.sync()
            self._file.sign(journal.position, journal.chain, self._signed_at_us)
        except OSError as error:
            self.problem = f"the checkpoint at position {journal.position} could not be written: {error}"
        else:
            self._signed_position = journal.position
            self.problem = ""


def create_checkpoint_file(path: Path) -> None:
    """An empty file, durable on return. Created before the journal, so that its absence beside one is a finding."""
    replace_file(path, bytes(_FILE_BYTES))


def read_anchors(path: Path, key: Ed25519PrivateKey) -> Anchors:
    """Marks and checkpoints that verify; raises `JournalDamaged` where more is unreadable than a crash explains."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise JournalDamaged(f"the file {path} is missing, so the end of the journal cannot be vouched for") from None
    if len(data) != _FILE_BYTES:
        raise JournalDamaged(f"the file {path} has {len(data)} bytes instead of {_FILE_BYTES}")
    sectors = [data[start : start + _SECTOR] for start in range(0, _FILE_BYTES, _SECTOR)]
    used = [number for number, sector in enumerate(sectors) if any(sector)]
    mac, public_key = _mac_of(key), key.public_key()
    marks = {number: _read_mark(sectors[number], mac) for number in used if number < _MARKS}
    signed = {number: _read_checkpoint(sectors[number], public_key) for number in used if number >= _MARKS}
    warnings = []
    for kind, found in (("mark", marks), ("checkpoint", signed)):
        unreadable = [number for number, one in found.items() if one is None]
        if len(unreadable) > 1:
            raise JournalDamaged(f"the file {path} is damaged: {len(unreadable)} {kind}s are unreadable")
        if unreadable:
            warnings.append(f"one {kind} in {path} is unreadable (sector {unreadable[0]}), as a torn write leaves it")
    sound_marks = [mark for mark in marks.values() if mark is not None]
    checkpoints = [checkpoint for checkpoint in signed.values() if checkpoint is not None]
    checkpoints.sort(key=lambda checkpoint: checkpoint.number)
    return Anchors(max(sound_marks, default=None), tuple(checkpoints), tuple(warnings))


def check_anchors(journal: Journal, anchors: Anchors) -> None:
    """Raises `JournalDamaged` unless the journal reaches every anchor and has its chain hash there."""
    named = [(f"checkpoint {one.number}", one.position, one.chain) for one in anchors.checkpoints]
    if anchors.mark is not None:
        named.append(("the mark of its last commit", *anchors.mark))
    for name, position, chain in sorted(named, key=lambda one: -one[1]):
        if position > journal.position:
            raise JournalDamaged(
                f"the journal's tail is cut off: it ends at position {journal.position}, but according to {name} it "
                f"was durable up to position {position}"
            )
        if journal.chain_at(position) != chain:
            raise JournalDamaged(f"the journal's hash at position {position} is not the one that {name} vouches for")


def _mac_of(key: Ed25519PrivateKey) -> blake2b:
    """Keyed hash state for marks; a signature for each commit would cost more than the commit's own work."""
    return blake2b(digest_size=_MAC_BYTES, key=key.private_bytes_raw(), person=b"sparekey mark")


def _read_mark(sector: bytes, mac: blake2b) -> tuple[int, bytes] | None:
    keyed = mac.copy()
    keyed.update(sector[: _MARK.size])
    if not compare_digest(keyed.digest(), sector[_MARK.size : _MARK.size + _MAC_BYTES]):
        return None
    _, position, chain = _MARK.unpack_from(sector)
    return position, chain


def _newest_mark_sector(path: Path, mac: blake2b) -> int:
    data = path.read_bytes()
    positions = []
    for number in range(_MARKS):
        mark = _read_mark(data[number * _SECTOR : (number + 1) * _SECTOR], mac)
        positions.append(mark[0] if mark is not None else -1)
    return positions.index(max(positions))


def _read_checkpoint(sector: bytes, key: Ed25519PublicKey) -> Checkpoint | None:
    signature = sector[_CHECKPOINT.size : _CHECKPOINT.size + _SIGNATURE_BYTES]
    try:
        key.verify(signature, sector[: _CHECKPOINT.size])
    except InvalidSignature:
        return None
    _, number, position, time_us, chain = _CHECKPOINT.unpack_from(sector)
    return Checkpoint(number, position, chain, time_us, signature)
