"""Recordings of trades as files: plain, gzip or zip, read line by line within bounds."""

from __future__ import annotations

import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sparekey.market.recordings import Recording, RecordingRefused, parse_name, parse_recording

#: What a file may unpack to, and how long a line may be; a dump's lines are shorter than a hundred bytes.
MAX_BYTES = 1_000_000_000
_MAX_LINE = 500


def load(path: Path) -> Recording:
    """Read a recording. Raises `RecordingRefused` with one sentence that names the file and what is wrong with it."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic == b"PK\x03\x04":
                return _load_zip(path, file)
            if magic[:2] == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=file) as unpacked:
                    return parse_recording(path.name, _lines(path.name, unpacked))
            return parse_recording(path.name, _lines(path.name, file))
    except FileNotFoundError:
        raise RecordingRefused(f"there is no recording {path}") from None
    except OSError as error:
        raise RecordingRefused(f"{path.name} cannot be read: {error.strerror or error}") from error
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise RecordingRefused(f"{path.name} is damaged or packed in a way that cannot be read: {error}") from error


def _load_zip(path: Path, file: IO[bytes]) -> Recording:
    with zipfile.ZipFile(file) as packed:
        inside = [name for name in packed.namelist() if name.lower().endswith(".csv")]
        if len(inside) != 1:
            raise RecordingRefused(f"{path.name} must hold exactly one .csv file; it holds {len(inside)}")
        # Either name may be Binance's; the archive's own is the one that people see.
        name = path.name
        try:
            parse_name(name)
        except RecordingRefused:
            name = Path(inside[0]).name
        with packed.open(inside[0]) as unpacked:
            return parse_recording(name, _lines(name, unpacked))


def _lines(name: str, file: IO[bytes] | gzip.GzipFile) -> Iterator[str]:
    read = number = 0
    while line := file.readline(_MAX_LINE):
        number += 1
        read += len(line)
        if len(line) == _MAX_LINE:
            raise RecordingRefused(f"{name}, line {number}: longer than {_MAX_LINE} bytes; no trade looks like that")
        if read > MAX_BYTES:
            raise RecordingRefused(f"{name} unpacks to more than {MAX_BYTES // 1_000_000} MB; replay a part of it")
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            raise RecordingRefused(f"{name}, line {number}: not a text") from None
