"""Raw pairs and typed values: what is read, what is refused, and how exactly the refusal is worded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.wire import parameters as p
from sparekey.wire.errors import public_error
from sparekey.wire.parameters import RECV_WINDOW, SIGNATURE, TIMESTAMP, Parameter, Reader, merge_pairs, split_pairs


def reason_of(outcome: object) -> Reason:
    assert isinstance(outcome, Refusal), outcome
    return outcome.reason


# --- raw pairs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=1&&b=2&", {"a": "1", "b": "2"}),
        (b"a=1=2", {"a": "1=2"}),
        (b"a", {"a": ""}),
        (b"a=", {"a": ""}),
        (b"a=%5B%22BTCUSDT%22%5D", {"a": '["BTCUSDT"]'}),
        (b'a=["BTCUSDT"]', {"a": '["BTCUSDT"]'}),
        (b"a=x+y", {"a": "x y"}),
        (b"a=x%2By", {"a": "x+y"}),
        ("a=\u8fd9".encode(), {"a": "\u8fd9"}),
        (b"a=%E8%BF%99", {"a": "\u8fd9"}),
        (b"a=1;b=2", {"a": "1;b=2"}),
        (b"a=%zz", {"a": "%zz"}),
    ],
)
def test_pairs_are_split_at_ampersands_alone_and_decoded_once(raw: bytes, pairs: dict[str, str]) -> None:
    assert split_pairs(raw) == pairs


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"a=1&a=1", Reason.PARAMETER_DUPLICATE),
        (b"a=1&b=%41&a=%41", Reason.PARAMETER_DUPLICATE),
        (b"a=1&%61=2", Reason.PARAMETER_DUPLICATE),
        (b"a=\xff", Reason.PARAMETER_ILLEGAL),
        (b"a=%ff", Reason.PARAMETER_ILLEGAL),
        (b"a=1&%73ignature=2", Reason.PARAMETER_ILLEGAL),
        (b"=1", Reason.PARAMETER_UNKNOWN),
        (b"&".join(b"a%d=1" % n for n in range(300)), Reason.PARAMETERS_SURPLUS),
    ],
)
def test_ambiguous_pairs_are_refused_and_never_interpreted(raw: bytes, reason: Reason) -> None:
    assert reason_of(split_pairs(raw)) is reason


def test_the_query_wins_where_both_places_name_a_parameter() -> None:
    assert merge_pairs(b"a=1", b"a=2&b=3") == {"a": "1", "b": "3"}


def test_a_signature_in_both_places_is_refused() -> None:
    assert reason_of(merge_pairs(b"signature=1", b"signature=1")) is Reason.PARAMETER_DUPLICATE


# --- kinds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1", 100_000_000), ("0.00000001", 1), ("0", 0), ("1.500000000000", 150_000_000), ("00012.5", 1_250_000_000)],
)
def test_decimals_become_whole_units_of_1e_8(text: str, amount: int) -> None:
    assert p.decimal("price").parse(text) == amount


NO_NUMBERS = ["1e-8", ".5", "5.", "+1", "-0", "-1", "NaN", "1_000", "1 ", " 1", "\uff11", "\u00b2", "1" * 5_000, "0x1"]


@pytest.mark.parametrize("text", [*NO_NUMBERS, "1." + "0" * 21, "1.2.3"])
def test_what_is_no_decimal_has_illegal_characters(text: str) -> None:
    refusal = p.decimal("price").parse(text)
    assert reason_of(refusal) is Reason.PARAMETER_ILLEGAL
    assert public_error(refusal).text == (
        "Illegal characters found in parameter 'price'; legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'."
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [("0.000000001", Reason.PARAMETER_PRECISION), ("99999999999999999999", Reason.PARAMETER_OVERFLOW)],
)
def test_decimals_beyond_the_scale_are_told_apart(text: str, reason: Reason) -> None:
    assert reason_of(p.decimal("quantity").parse(text)) is reason


@pytest.mark.parametrize("text", [*NO_NUMBERS, "1.0"])
def test_what_is_no_whole_number_has_illegal_characters(text: str) -> None:
    for parameter in (p.long("orderId"), p.limit(500, 1000), p.time("startTime")):
        assert reason_of(parameter.parse(text)) is Reason.PARAMETER_ILLEGAL


def test_whole_numbers_end_at_64_bits() -> None:
    assert p.long("orderId").parse(str(2**63 - 1)) == 2**63 - 1
    assert reason_of(p.long("orderId").parse(str(2**63))) is Reason.PARAMETER_OVERFLOW


def test_limits_are_clamped_above_and_refused_at_zero() -> None:
    assert p.limit(100, 5000).parse("5000") == 5000
    assert p.limit(100, 5000).parse("99999") == 5000
    assert reason_of(p.limit(100, 5000).parse("0")) is Reason.PARAMETER_INVALID


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("1499827319559", 1_499_827_319_559_000),
        ("1499827319559123", 1_499_827_319_559_123),
        ("1499827319", 1_499_827_319_000),  # seconds: a day in January 1970, which no check accepts
        ("1499827319559123456", 1_499_827_319_559_123_456),  # nanoseconds: far ahead
    ],
)
def test_times_are_milliseconds_or_microseconds_by_their_magnitude(text: str, time_us: int) -> None:
    assert TIMESTAMP.parse(text) == time_us


@pytest.mark.parametrize(
    ("text", "time_us"),
    [("1700000000000", 1_700_000_000_000_999), ("1700000000000000", 1_700_000_000_000_000), ("0", 999)],
)
def test_the_millisecond_that_ends_a_span_counts_whole(text: str, time_us: int) -> None:
    assert p.time("endTime", ends=True).parse(text) == time_us


@pytest.mark.parametrize(
    ("text", "window_us"),
    [("5000", 5_000_000), ("6000.346", 6_000_346), ("0", 0), ("60000", 60_000_000), ("0.5", 500)],
)
def test_recv_window_has_up_to_three_decimals(text: str, window_us: int) -> None:
    assert RECV_WINDOW.parse(text) == window_us


@pytest.mark.parametrize("text", ["-1", "60000.0001", "5000.", ".5", "1e3", "five"])
def test_a_recv_window_of_another_shape_is_illegal(text: str) -> None:
    assert reason_of(RECV_WINDOW.parse(text)) is Reason.PARAMETER_ILLEGAL


@pytest.mark.parametrize("text", ["60000.001", "60001", "9" * 20])
def test_a_recv_window_above_a_minute_is_refused_with_binances_text(text: str) -> None:
    error = public_error(RECV_WINDOW.parse(text))
    assert (error.code, error.text) == (
        -1102,
        "'recvWindow' contains unexpected value. Cannot be greater than 60000.",
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(text, True) for text in ("true", "True", "TRUE", '"true"')],
        *[(text, False) for text in ("false", "False", "FALSE", '"false"')],
    ],
)
def test_booleans_come_in_the_spelling_of_every_client(text: str, value: bool) -> None:
    assert p.boolean("omitZeroBalances").parse(text) is value


@pytest.mark.parametrize("text", ["1", "yes", "tRue"])
def test_what_is_no_boolean_is_refused(text: str) -> None:
    assert reason_of(p.boolean("omitZeroBalances").parse(text)) is Reason.PARAMETER_INVALID


@pytest.mark.parametrize("text", ["BTCUSDT", "BTC-USD.X_1", "\u8fd9\u662f456"])
def test_symbols_may_be_of_any_script(text: str) -> None:
    assert p.symbol().parse(text) == text


@pytest.mark.parametrize("text", ["btcusdt", "BTC/USDT", "BTC USDT", "A" * 51, "BTC\x00"])
def test_symbols_with_other_ascii_are_illegal(text: str) -> None:
    assert public_error(p.symbol().parse(text)).text == (
        r"Illegal characters found in parameter 'symbol'; legal range is '^[\w\-._&&[^a-z]]{1,50}$'."
    )


@pytest.mark.parametrize("text", ['["BTCUSDT"]', '["BTCUSDT","BNBUSDT"]', '["\u8fd9\u662f456"]'])
def test_lists_of_symbols_are_tight_json(text: str) -> None:
    assert p.symbols().parse(text) == tuple(json.loads(text))


@pytest.mark.parametrize(
    "text",
    ['["BTCUSDT", "BNBUSDT"]', '["btcusdt"]', "[BTCUSDT]", "BTCUSDT", "[1]", '["A",]', "[" * 5_000, '["\\u0041"]'],
)
def test_a_blank_or_a_small_letter_in_a_list_of_symbols_is_illegal_as_on_the_live_exchange(text: str) -> None:
    characters = r"[\w\-._&&[^a-z]]{1,50}"
    assert public_error(p.symbols().parse(text)).text == (
        "Illegal characters found in parameter 'symbols'; legal range is "
        rf"""'^\[("{characters}"(,"{characters}"){{0,}}){{0,1}}\]$'."""
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", Reason.PARAMETER_INVALID),
        ('["A","A"]', Reason.SYMBOLS_DUPLICATE),
        ('["A","B","C"]', Reason.TOO_MANY_VALUES),
    ],
)
def test_lists_of_symbols_have_reasons_of_their_own(text: str, reason: Reason) -> None:
    assert reason_of(p.symbols(most=2).parse(text)) is reason


@pytest.mark.parametrize("text", ["x-TKT5PX2F0123456789abcdef", "O-20261122-145146-001-000-1", "a" * 36, "_"])
def test_the_client_order_ids_of_known_clients_are_legal(text: str) -> None:
    assert p.client_order_id("newClientOrderId").parse(text) == text


@pytest.mark.parametrize("text", ["a" * 37, "a.b", "a:b", "a/b", "\u00e4", "a\n", "a b"])
def test_client_order_ids_that_spot_refuses_are_illegal(text: str) -> None:
    assert public_error(p.client_order_id("newClientOrderId").parse(text)).text == (
        "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'."
    )


def test_arrays_are_json_texts() -> None:
    assert p.text_array("permissions").parse('["SPOT", "MARGIN"]') == ("SPOT", "MARGIN")
    assert p.text_array("permissions", single_allowed=True).parse("SPOT") == ("SPOT",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("BTCUSDT", Reason.PARAMETER_JSON),
        ("[BTCUSDT]", Reason.PARAMETER_JSON),
        ("['BTCUSDT']", Reason.PARAMETER_JSON),
        ("[1]", Reason.PARAMETER_JSON),
        ("{}", Reason.PARAMETER_JSON),
        ("[" * 5_000, Reason.PARAMETER_JSON),
        ("[]", Reason.PARAMETER_INVALID),
        ('["A","A"]', Reason.SYMBOLS_DUPLICATE),
    ],
)
def test_arrays_that_do_not_parse_are_refused(text: str, reason: Reason) -> None:
    assert reason_of(p.text_array("permissions").parse(text)) is reason


@pytest.mark.parametrize(
    ("text", "minutes"), [("0", 0), ("8", 480), ("-1:00", -60), ("05:45", 345), ("-12:00", -720), ("14", 840)]
)
def test_time_zones_are_hours_with_optional_minutes(text: str, minutes: int) -> None:
    assert p.time_zone().parse(text) == minutes * 60_000_000


@pytest.mark.parametrize("text", ["15", "-13", "14:01", "5:60", "5:5", "UTC", "+1", "\u0665"])
def test_other_time_zones_are_refused(text: str) -> None:
    assert reason_of(p.time_zone().parse(text)) is Reason.PARAMETER_INVALID


# --- reading a declaration ---------------------------------------------------------------------------------------


def reader(*parameters: Parameter, **options: Any) -> Reader:
    return Reader(parameters, **options)


def test_absent_parameters_stand_at_their_defaults() -> None:
    values = reader(p.symbol(mandatory=True), p.limit(500, 1000), p.long("fromId")).read({"symbol": "BTCUSDT"})
    assert values == {"symbol": "BTCUSDT", "limit": 500, "fromId": None}


@pytest.mark.parametrize("pairs", [{}, {"symbol": ""}])
def test_a_mandatory_parameter_missing_or_empty_is_named(pairs: dict[str, str]) -> None:
    refusal = reader(p.symbol(mandatory=True)).read(pairs)
    assert isinstance(refusal, Refusal)
    error = public_error(refusal)
    assert (error.code, error.text) == (
        -1102,
        "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
    )


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("newClientOrderId", -1118, "New client order ID was empty."),
        ("origClientOrderId", -1119, "Original client order ID was empty."),
        ("price", -1105, "Parameter 'price' was empty."),
    ],
)
def test_an_optional_parameter_sent_empty_has_its_own_code(name: str, code: int, text: str) -> None:
    declared = p.decimal(name) if name == "price" else p.client_order_id(name)
    refusal = reader(declared).read({name: ""})
    assert isinstance(refusal, Refusal)
    error = public_error(refusal)
    assert (error.code, error.text) == (code, text)


def test_one_of_two_ids_must_be_sent() -> None:
    either = reader(
        p.long("orderId"), p.client_order_id("origClientOrderId"), wants_any=("orderId", "origClientOrderId")
    )
    refusal = either.read({})
    assert isinstance(refusal, Refusal)
    assert public_error(refusal).text == (
        "Param 'orderId' or 'origClientOrderId' must be sent, but both were empty/null!"
    )
    assert not isinstance(either.read({"orderId": "1", "origClientOrderId": "a"}), Refusal)


def test_surplus_parameters_are_counted_with_timestamp_and_signature() -> None:
    refusal = reader(p.symbol(mandatory=True), RECV_WINDOW, TIMESTAMP, SIGNATURE).read(
        {"symbol": "BTCUSDT", "foo": "1", "timestamp": "1", "signature": "x"}
    )
    assert isinstance(refusal, Refusal)
    error = public_error(refusal)
    assert (error.code, error.text) == (
        -1104,
        "Not all sent parameters were read; read '3' parameter(s) but was sent '4'.",
    )


def test_a_route_without_parameters_expects_none() -> None:
    refusal = reader().read({"foo": "1"})
    assert isinstance(refusal, Refusal)
    error = public_error(refusal)
    assert (error.code, error.text) == (-1101, "Too many parameters; expected '0' and received '1'.")


def test_a_tolerant_route_ignores_what_it_does_not_know() -> None:
    assert reader(p.symbol(), tolerant=True).read({"foo": "", "symbol": "A"}) == {"symbol": "A"}


def test_tolerated_parameters_are_dropped_unread() -> None:
    assert reader(tolerated=(TIMESTAMP, SIGNATURE)).read({"timestamp": "soon", "signature": ""}) == {}
