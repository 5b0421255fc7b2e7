"""A frame: the records of one batch as one msgpack array, read back without knowing what the shards' commands are."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sparekey.sequencer.ports import ENGINE_VERSION, Batch, JournalDamaged, JournalTooNew, Record


class RawRecord(msgspec.Struct, frozen=True, array_like=True):
    """A record whose command and events are still bytes; only its shard's machine can decode them."""

    shard: str
    seq: int
    time_us: int
    engine: int
    command: msgspec.Raw
    events: msgspec.Raw


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[RawRecord])

encode = _encoder.encode


def encode_frame(records: Sequence[Record]) -> bytes:
    return _encoder.encode(records)


def decode_batch(batch: Batch) -> list[RawRecord]:
    """The batch's records; raises `JournalDamaged` or `JournalTooNew`, naming the position."""
    try:
        records = _decoder.decode(batch.frame)
    except msgspec.MsgspecError as error:
        raise JournalDamaged(f"the frame of positions {batch.first} to {batch.last} is unreadable: {error}") from error
    if len(records) != batch.last - batch.first + 1:
        raise JournalDamaged(
            f"the frame of positions {batch.first} to {batch.last} holds {len(records)} records instead of "
            f"{batch.last - batch.first + 1}"
        )
    for offset, record in enumerate(records):
        if record.engine > ENGINE_VERSION:
            raise JournalTooNew(
                f"the record at position {batch.first + offset} was decided by engine version {record.engine}; "
                f"this Sparekey has engine version {ENGINE_VERSION}. Start it with the newer Sparekey"
            )
    return records
