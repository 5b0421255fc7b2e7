"""Recordings are read as Binance writes them, in any shape that its dumps have had, and refused by file and line."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sparekey.market import recordings
from sparekey.market.recordings import Pacing, Recording, RecordingRefused, parse_name, parse_recording
from sparekey.storage import recordings as files
from sparekey.venue.events import MarketPrint

#: Rows of BTCUSDT's trades of 2021-01-08 as Binance published them.
ROWS = [
    "553287559,39432.48,0.000263,10.37074224,1610064000278,True,True",
    "553287560,39439.44,0.004376,172.58698944,1610064000310,False,True",
    "553287561,39439.22,0.000311,12.26559742,1610064000368,False,True",
    "553287562,39439.06,0.004376,172.58532656,1610064000385,False,True",
    "553287563,39432.48,0.006329,249.56816592,1610064000471,True,True",
]
HEADER = "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match"
NAME = "BTCUSDT-trades-2021-01-08.csv"


def content(recording: Recording) -> list[tuple[int, MarketPrint]]:
    prints = recording.prints(0, len(recording))
    return [(recording.offset_us(index), one) for index, one in enumerate(prints)]


EXPECTED = [
    (0, MarketPrint(3_943_248_000_000, 26_300, True)),
    (32_000, MarketPrint(3_943_944_000_000, 437_600, False)),
    (90_000, MarketPrint(3_943_922_000_000, 31_100, False)),
    (107_000, MarketPrint(3_943_906_000_000, 437_600, False)),
    (193_000, MarketPrint(3_943_248_000_000, 632_900, True)),
]


def test_trades_are_read_with_a_header_or_without() -> None:
    for lines in (ROWS, [HEADER, *ROWS], ["\ufeff" + ROWS[0], *ROWS[1:]], [row + "\r\n" for row in ["", *ROWS, ""]]):
        recording = parse_recording(NAME, lines)
        assert content(recording) == EXPECTED
        assert (recording.symbol, recording.first_price, recording.length_us) == ("BTCUSDT", 3_943_248_000_000, 193_000)


def test_times_are_milliseconds_or_microseconds() -> None:
    rows = [
        row.replace(f"1610064000{ms}", f"1735689600{ms}421")
        for row, ms in zip(ROWS, ("278", "310", "368", "385", "471"), strict=True)
    ]
    assert content(parse_recording("BTCUSDT-trades-2025-01-01.csv", rows)) == EXPECTED


def test_aggregates_are_read_and_those_that_binance_voided_are_left_out() -> None:
    rows = [
        "26129,0.01633102,4.70443515,27781,27781,1498793709153,true,true",
        "26130,0,0,-1,-1,1498793709153,true,true",
        "26131,0.01633103,1,27782,27784,1498793709160,false,true",
    ]
    assert content(parse_recording("ETHBTC-aggTrades-2017-06-30.csv", rows)) == [
        (0, MarketPrint(1_633_102, 470_443_515, True)),
        (7_000, MarketPrint(1_633_103, 100_000_000, False)),
    ]


def test_lines_in_another_order_are_sorted_and_repeated_ones_dropped() -> None:
    recording = parse_recording(NAME, [ROWS[3], ROWS[0], ROWS[4], ROWS[0], ROWS[2], ROWS[1], ROWS[3]])
    assert content(recording) == EXPECTED
    assert recording.duplicates == 2


def test_two_lines_that_contradict_each_other_are_both_named() -> None:
    with pytest.raises(RecordingRefused, match=r"2021-01-08.csv: lines 2 and 6 both say id 553287560, but differ"):
        parse_recording(NAME, [*ROWS, ROWS[1].replace("39439.44", "39439.45")])


def test_prices_off_the_tick_are_kept() -> None:
    recording = parse_recording(NAME, [ROWS[0], ROWS[1].replace("39439.44", "39439.443")])
    assert recording.prints(1, 2)[0].price == 3_943_944_300_000


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("553287560,39439.44,0.004376", "3 columns instead of 6 or more"),
        ("x,39439.44,0.004376,172.5,1610064000310,False,True", "'x' is no id"),
        ("1,abc,0.004376,172.5,1610064000310,False,True", "'abc' is no price (malformed)"),
        ("1,-5,0.004376,172.5,1610064000310,False,True", "'-5' is no price (malformed)"),
        ("1,0.00,0.004376,172.5,1610064000310,False,True", "the price is zero"),
        ("1,39439.44,1e-05,172.5,1610064000310,False,True", "'1e-05' is no quantity (malformed)"),
        ("1,39439.44,0.000000001,172.5,1610064000310,False,True", "is no quantity (precision)"),
        ("1,99999999999999,1,172.5,1610064000310,False,True", "is no price (overflow)"),
        ("1,39439.44,1,172.5,1610064000,False,True", "neither in milliseconds nor in microseconds"),
        ("1,39439.44,1,172.5,,False,True", "'' is no time"),
        ("1,39439.44,1,172.5,1610064000310,maybe,True", "'maybe' is neither true nor false"),
        ("9" * 25 + ",39439.44,1,172.5,1610064000310,False,True", "is no id"),
    ],
)
def test_a_garbled_line_is_named_with_what_is_wrong(line: str, said: str) -> None:
    with pytest.raises(RecordingRefused) as refused:
        parse_recording(NAME, [ROWS[0], "", line])
    assert str(refused.value).startswith(f"{NAME}, line 3: ")
    assert said in str(refused.value)


@pytest.mark.parametrize("lines", [[], [HEADER], ["", "\n"]])
def test_a_recording_without_a_trade_is_refused(lines: Sequence[str]) -> None:
    with pytest.raises(RecordingRefused, match="holds no trade"):
        parse_recording(NAME, lines)


def test_a_recording_that_would_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MAX_PRINTS", 4)
    with pytest.raises(RecordingRefused, match="more than 4 trades"):
        parse_recording(NAME, ROWS)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("BTCUSDT-trades-2021-01-08.csv", ("BTCUSDT", "trades")),
        ("1000SATSUSDT-trades-2024-01.zip", ("1000SATSUSDT", "trades")),
        ("ETHBTC-aggTrades-2024-01.csv.gz", ("ETHBTC", "aggTrades")),
    ],
)
def test_the_file_name_tells_symbol_and_columns(name: str, told: tuple[str, str]) -> None:
    assert parse_name(name) == told


@pytest.mark.parametrize("name", ["trades.csv", "btcusdt-trades-2021.csv", "BTCUSDT.csv", "BTCUSDT_trades.csv"])
def test_a_name_that_tells_nothing_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(RecordingRefused, match=r"does not tell its symbol.*BTCUSDT-trades-2024-05-01.csv"):
        parse_name(name)


def test_a_dump_of_candles_is_refused_by_what_it_is() -> None:
    with pytest.raises(RecordingRefused, match="holds candles; a replay needs trades"):
        parse_name("ADABTC-1m-2021-11-27.csv")


# --- files -----------------------------------------------------------------------------------------------------------


def write_plain(path: Path, text: bytes) -> Path:
    path.write_bytes(text)
    return path


def write_gzip(path: Path, text: bytes) -> Path:
    path = path.with_name(path.name + ".gz")
    path.write_bytes(gzip.compress(text))
    return path


def write_zip(path: Path, text: bytes) -> Path:
    packed = path.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(path.name, text)
    return packed


TEXT = "\n".join([HEADER, *ROWS, ""]).encode()


@pytest.mark.parametrize("write", [write_plain, write_gzip, write_zip])
def test_a_file_is_read_plain_or_packed(tmp_path: Path, write: Callable[[Path, bytes], Path]) -> None:
    assert content(files.load(write(tmp_path / NAME, TEXT))) == EXPECTED


def test_a_zip_under_any_name_goes_by_the_file_inside(tmp_path: Path) -> None:
    packed = write_zip(tmp_path / NAME, TEXT)
    renamed = packed.rename(tmp_path / "yesterday.zip")
    assert files.load(renamed).symbol == "BTCUSDT"


@pytest.mark.parametrize("write", [write_gzip, write_zip])
@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) * 2 // 3], lambda raw: raw[:40] + bytes(8) + raw[48:]])
def test_a_damaged_archive_is_refused_by_name(
    tmp_path: Path, write: Callable[[Path, bytes], Path], damage: Callable[[bytes], bytes]
) -> None:
    path = write(tmp_path / NAME, TEXT * 20)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RecordingRefused, match=r"BTCUSDT-trades-2021-01-08\S+ (is damaged|cannot be read)"):
        files.load(path)


def test_a_zip_with_two_tables_or_none_is_refused(tmp_path: Path) -> None:
    packed = tmp_path / "BTCUSDT-trades-2021.zip"
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("a.txt", "x")
    with pytest.raises(RecordingRefused, match=r"exactly one .csv file; it holds 0"):
        files.load(packed)
    with zipfile.ZipFile(packed, "a") as file:
        file.writestr("a.csv", "x")
        file.writestr("b.csv", "x")
    with pytest.raises(RecordingRefused, match=r"exactly one .csv file; it holds 2"):
        files.load(packed)


def test_what_unpacks_to_more_than_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 1_000_000)
    bomb = write_gzip(tmp_path / NAME, TEXT + b"\n" * 2_000_000)
    with pytest.raises(RecordingRefused, match="unpacks to more than 1 MB"):
        files.load(bomb)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff\xfe\x00", "line 1: not a text"),
        (b"1" * 5_000, "line 1: longer than 500 bytes"),
        (b"", "holds no trade"),
    ],
)
def test_what_is_no_table_is_refused_by_name(tmp_path: Path, text: bytes, said: str) -> None:
    with pytest.raises(RecordingRefused, match=said):
        files.load(write_plain(tmp_path / NAME, text))


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RecordingRefused, match="there is no recording"):
        files.load(tmp_path / NAME)
    (tmp_path / NAME).mkdir()
    with pytest.raises(RecordingRefused, match=f"{NAME} cannot be read"):
        files.load(tmp_path / NAME)


# --- pace ------------------------------------------------------------------------------------------------------------


def test_prints_are_due_at_their_own_distances_and_only_once() -> None:
    pacing = Pacing(parse_recording(NAME, ROWS))
    assert pacing.due(0) == [EXPECTED[0][1]]
    assert pacing.due(31_999) == []
    assert pacing.due(100_000) == [EXPECTED[1][1], EXPECTED[2][1]]
    assert not pacing.finished
    assert pacing.due(10**9) == [EXPECTED[3][1], EXPECTED[4][1]]
    assert pacing.finished
    assert pacing.due(10**9) == []
    pacing.rewind()
    assert not pacing.finished
    assert pacing.due(50_000) == [EXPECTED[0][1], EXPECTED[1][1]]


def test_a_long_pause_hands_out_what_is_due_in_portions() -> None:
    pacing = Pacing(parse_recording(NAME, ROWS))
    assert [len(pacing.due(10**9, limit=2)) for _ in range(4)] == [2, 2, 1, 0]
