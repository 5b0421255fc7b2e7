"""The API over HTTP, on both adapters: our own protocol, and ASGI after a connection was handed to uvicorn.

What a client can see of one it must see of the other. Sources: RFC 9110 and 9112; Binance spot REST, "General
information on endpoints", for what goes into query string and body.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator

import pytest

from sparekey.server.http import Limits
from tests.served import Client, Served, request

Dial = Callable[[], Client]


@pytest.fixture(scope="module")
def shared() -> Iterator[Served]:
    one = Served()
    yield one
    one.close()


@pytest.fixture
def served(shared: Served) -> Served:
    shared.application.__init__()  # type: ignore[misc]
    return shared


@pytest.fixture(params=["own", "asgi", "tls"])
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def dial_by(adapter: str, served: Served) -> Client:
    client = served.connect(tls=adapter == "tls")
    if adapter == "asgi":
        answer = client.ask(b"GET /console/page HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.status == 404
        assert answer.body == b"console GET /console/page "
    return client


@pytest.fixture
def dial(adapter: str, served: Served) -> Iterator[Dial]:
    clients: list[Client] = []

    def one() -> Client:
        client = dial_by(adapter, served)
        clients.append(client)
        return client

    yield one
    for client in clients:
        client.close()


def test_a_get_arrives_with_path_query_and_headers_as_they_were_sent(dial: Dial) -> None:
    headers = (
        "X-MBX-APIKEY: \t KeyKey \r\nX-MBX-TIME-UNIT: MICROSECOND\r\nAccept: application/json\r\nUser-Agent: bot/1\r\n"
    )
    answer = dial().ask(request(target="/api/v3/echo?a=%2F&b=c+d&a=2;", headers=headers))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json;charset=UTF-8"
    assert answer.headers["x-mbx-used-weight-1m"] == "1"
    assert "date" in answer.headers
    assert json.loads(answer.body) == {
        "method": "GET",
        "path": "/api/v3/echo",
        "query": "a=%2F&b=c+d&a=2;",
        "body": "",
        "ip": "127.0.0.1",
        "apiKey": "KeyKey",
        "contentType": "",
        "contentEncoding": "",
        "timeUnit": "MICROSECOND",
        "accept": "application/json",
        "userAgent": "bot/1",
        "host": "api",
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_body_and_a_query_string_may_come_together(dial: Dial, method: str) -> None:
    headers = "Content-Type: application/x-www-form-urlencoded\r\n"
    answer = dial().ask(request(method, "/sapi/v1/echo", headers, b"x=1"))
    assert answer.status == 404  # not that family's path: the application itself says so
    client = dial()
    said = json.loads(client.ask(request(method, "/api/v3/echo?q=2", headers, b"x=1&signature=a%2Bb")).body)
    assert (said["method"], said["query"], said["body"]) == (method, "q=2", "x=1&signature=a%2Bb")
    assert said["contentType"] == "application/x-www-form-urlencoded"
    # And again on the same connection, with another length.
    assert json.loads(client.ask(request(method, "/api/v3/echo", headers, b"x=22")).body)["body"] == "x=22"


def test_an_empty_key_header_is_not_an_absent_one(dial: Dial) -> None:
    client = dial()
    assert json.loads(client.ask(request(headers="X-MBX-APIKEY: \r\n")).body)["apiKey"] == ""
    assert json.loads(client.ask(request()).body)["apiKey"] is None


def test_header_names_are_read_in_any_case(dial: Dial) -> None:
    said = json.loads(dial().ask(request(headers="x-mbx-apikey: a\r\nCONTENT-type: b\r\n")).body)
    assert (said["apiKey"], said["contentType"]) == ("a", "b")


def test_a_connection_lives_on_after_a_refusal_by_the_application(dial: Dial) -> None:
    client = dial()
    assert client.ask(request(target="/api/v3/refused")).status == 401
    assert client.ask(request()).status == 200


@pytest.mark.parametrize("before", [0, 1])
def test_a_banned_address_is_told_so_and_nothing_more_is_heard_on_the_connection(dial: Dial, before: int) -> None:
    client = dial()
    ask = request(target="/api/v3/banned")
    for _ in range(before):  # then the server knows the headers by heart
        assert client.ask(request()).status == 200
    client.send(ask + request())
    answer = client.answer()
    assert (answer.status, answer.headers["connection"], answer.headers["retry-after"]) == (418, "close", "120")
    assert client.closed()


def test_a_single_banned_call_ends_its_connection(dial: Dial) -> None:
    client = dial()
    assert client.ask(request()).status == 200
    assert client.ask(request(target="/api/v3/banned")).status == 418
    assert client.closed()


def test_a_ban_that_is_not_durable_yet_is_told_last_and_once_it_is(served: Served) -> None:
    client = served.connect()
    assert client.ask(request()).status == 200  # from here on the header block is known by heart
    served.application.applied = 1
    client.send(request(target="/api/v3/banned"))
    assert client.silent()
    served.run(served.application.commit)
    assert client.answer().status == 418
    assert client.closed()
    client.close()


def test_what_a_banned_address_left_open_is_closed_and_other_addresses_keep_theirs(served: Served) -> None:
    idle, half_sent, waiting = served.connect(), served.connect(), served.connect()
    for client in (idle, waiting):
        assert client.ask(request()).status == 200
    half_sent.send(b"GET /api/v3/ec")
    waiting.send(request(target="/api/v3/slow"))
    served.until(lambda: len(served.application.slow) == 1, "the slow call is being worked on")
    served.run(lambda: served.server.part_with("127.0.0.2"))
    assert idle.ask(request()).status == 200
    served.run(lambda: served.server.part_with("127.0.0.1"))
    assert idle.closed()
    assert half_sent.closed()
    served.run(served.application.finish)
    assert waiting.answer().status == 200  # it was asked before
    assert waiting.closed()


def test_an_application_that_fails_is_status_500_and_the_connection_lives_on(dial: Dial) -> None:
    client = dial()
    answer = client.ask(request(target="/api/v3/broken"))
    assert answer.status == 500
    assert json.loads(answer.body)["code"] == -1000
    assert client.ask(request()).status == 200


def test_head_gets_the_length_and_no_body(dial: Dial) -> None:
    client = dial()
    answer = client.ask(request("HEAD", "/api/v3/small"), bodiless=True)
    assert (answer.status, answer.headers["content-length"]) == (200, "2")
    assert client.ask(request()).status == 200


@pytest.mark.parametrize("method", ["OPTIONS", "PATCH"])
def test_other_methods_are_judged_by_the_application(dial: Dial, served: Served, method: str) -> None:
    assert dial().ask(request(method, "/api/v3/nowhere")).status == 404
    assert served.application.handled[-1].method == method


@pytest.mark.parametrize("target", ["//api/v3/echo", "/%61pi/v3/echo", "/api%2fv3/echo", "/API/v3/echo", "/"])
def test_a_path_is_compared_as_bytes_and_never_decoded(dial: Dial, served: Served, target: str) -> None:
    answer = dial().ask(request(target=target))
    assert answer.status == 404
    assert answer.body == f"console GET {target} ".encode()
    assert served.application.handled == []


def test_a_target_in_absolute_form_names_the_same_endpoint(dial: Dial) -> None:
    said = json.loads(dial().ask(request(target="http://api/api/v3/echo?x=1")).body)
    assert (said["path"], said["query"]) == ("/api/v3/echo", "x=1")


def test_a_chunked_body_is_put_together(dial: Dial) -> None:
    client = dial()
    head = request("POST", headers="Transfer-Encoding: chunked\r\n")
    said = json.loads(client.ask(head + b"3\r\nx=1\r\n4;note=1\r\n&y=2\r\n0\r\nTrailer: t\r\n\r\n").body)
    assert said["body"] == "x=1&y=2"
    assert client.ask(request()).status == 200


def test_every_split_of_a_request_gives_the_same_reply(dial: Dial) -> None:
    client = dial()
    raw = request("POST", "/api/v3/echo?q=1", "X-MBX-APIKEY: key\r\n", b"x=1&y=2") + request()
    client.send(raw)
    whole = (client.answer().body, client.answer().body)
    for at in range(1, len(raw)):
        client.send(raw[:at])
        client.send(raw[at:])
        assert (client.answer().body, client.answer().body) == whole


def test_a_request_sent_byte_by_byte_is_answered(dial: Dial) -> None:
    client = dial()
    for raw in (
        request("POST", "/api/v3/echo?q=1", "X-MBX-APIKEY: key\r\n", b"x=1"),
        request("POST", headers="Transfer-Encoding: chunked\r\n") + b"3\r\nx=1\r\n0\r\n\r\n",
    ):
        for at in range(len(raw)):
            client.send(raw[at : at + 1])
        assert json.loads(client.answer().body)["body"] == "x=1"


def test_pipelined_requests_are_answered_in_order(dial: Dial) -> None:
    client = dial()
    client.send(b"".join(request("POST", f"/api/v3/echo?n={n}", body=b"x" * n) for n in range(200)))
    for n in range(200):
        said = json.loads(client.answer().body)
        assert (said["query"], said["body"]) == (f"n={n}", "x" * n)


def test_a_reply_waits_for_its_commit_and_those_behind_it_wait_too(dial: Dial, served: Served) -> None:
    client = dial()
    application = served.application
    client.send(
        request(target="/api/v3/echo?n=0")
        + request("POST", "/api/v3/order?n=1")
        + request(target="/api/v3/echo?n=2")
        + request("POST", "/api/v3/order?n=3")
    )
    assert json.loads(client.answer().body)["query"] == "n=0"
    served.until(lambda: bool(application.waiting), "the order waits for its commit")
    assert client.silent()
    replies = [b'{"order":"n=1"}', b"n=2", b'{"order":"n=3"}']
    got = []
    for _ in range(50):  # The ASGI adapter starts a request when the one before it was answered: more than one commit.
        served.run(application.commit)
        while len(got) < 3 and not client.silent(0.02):
            got.append(client.answer().body)
        if len(got) == 3:
            break
    assert got[0] == replies[0] and json.loads(got[1])["query"] == "n=2" and got[2] == replies[2]


def test_a_read_waits_for_the_commit_that_it_looked_at(dial: Dial, served: Served) -> None:
    writer, reader = dial(), dial()
    writer.send(request("POST", "/api/v3/order?n=1"))
    served.until(lambda: bool(served.application.waiting), "the order waits for its commit")
    reader.send(request())
    assert reader.silent()
    served.run(served.application.commit)
    assert reader.answer().status == 200
    assert writer.answer().body == b'{"order":"n=1"}'


def test_slow_work_delays_nobody_else_and_its_reply_waits_for_its_commit(dial: Dial, served: Served) -> None:
    client, other = dial(), dial()
    application = served.application
    client.send(request(target="/api/v3/slowOrder?n=1") + request(target="/api/v3/echo?n=2"))
    served.until(lambda: bool(application.slow), "the slow call waits")
    assert other.ask(request()).status == 200
    assert client.silent()
    served.run(application.finish)
    served.until(lambda: bool(application.waiting), "the slow call waits for its commit")
    assert client.silent()
    served.run(application.commit)
    assert client.answer().body == b'{"slow":"n=1"}'
    assert json.loads(client.answer().body)["query"] == "n=2"


def test_every_judged_call_is_told_once_also_when_the_client_has_gone(dial: Dial, served: Served) -> None:
    client = dial()
    application = served.application
    assert client.ask(request()).status == 200
    client.send(request("POST", "/api/v3/order?n=1"))
    served.until(lambda: bool(application.waiting), "the order waits for its commit")
    client.reset()
    served.until(lambda: not served.server.connections, "the connection is gone")
    served.run(application.commit)
    served.until(lambda: len(application.told) == 2, "both calls are told")
    assert [(asked.path, reply.status) for asked, reply in application.told] == [
        (b"/api/v3/echo", 200),
        (b"/api/v3/order", 200),
    ]


def test_connection_close_is_obeyed_and_said(dial: Dial) -> None:
    client = dial()
    answer = client.ask(request(headers="Connection: close\r\n"))
    assert answer.status == 200 and answer.headers["connection"] == "close"
    assert client.closed()


def test_http_1_0_is_answered_once_and_closed(dial: Dial) -> None:
    client = dial()
    answer = client.ask(request(version="HTTP/1.0", headers="Connection: keep-alive\r\n"))
    assert answer.status == 200
    assert client.closed()


def test_a_client_that_has_finished_sending_still_gets_its_reply(served: Served) -> None:
    client = served.connect()
    client.send(request("POST", "/api/v3/order?n=1") + request(target="/api/v3/echo?n=2"))
    client.socket.shutdown(1)
    served.until(lambda: bool(served.application.waiting), "the order waits for its commit")
    served.run(served.application.commit)
    assert client.answer().body == b'{"order":"n=1"}'
    assert json.loads(client.answer().body)["query"] == "n=2"
    assert client.closed()


def test_who_asks_whether_to_continue_is_told_before_sending_the_body(dial: Dial) -> None:
    client = dial()
    head = request("POST", headers="Expect: 100-continue\r\nContent-Length: 3\r\n")
    assert client.ask(head).status == 100
    assert json.loads(client.ask(b"x=1").body)["body"] == "x=1"


def test_a_large_reply_arrives_whole(dial: Dial) -> None:
    client = dial()
    for size in (4095, 4096, 5_000_000):
        assert client.ask(request(target=f"/api/v3/large?{size}")).body == b"x" * size
    assert client.ask(request()).status == 200


def test_two_keys_or_a_key_beyond_ascii_are_refused_before_anybody_looks(dial: Dial, served: Served) -> None:
    for headers in (
        "X-MBX-APIKEY: a\r\nX-MBX-APIKEY: a\r\n",
        "X-MBX-APIKEY: a\r\nx-mbx-apikey: b\r\n",
        "X-MBX-APIKEY: \xe9\r\n",
    ):
        client = dial()
        answer = client.ask(request(headers=headers))
        assert (answer.status, json.loads(answer.body)["code"]) == (400, -1000)
        assert answer.headers["connection"] == "close"
        assert client.closed()
    assert served.application.handled == []


def test_a_body_beyond_the_limit_is_413(dial: Dial, served: Served) -> None:
    most = Limits().body_bytes
    client = dial()
    assert len(json.loads(client.ask(request("POST", body=b"x" * most)).body)["body"]) == most
    for raw in (
        request("POST", headers=f"Content-Length: {most + 1}\r\n"),
        request("POST", headers="Transfer-Encoding: chunked\r\n") + b"%x\r\n" % (most + 1) + b"x" * 100_000,
    ):
        client = dial()
        client.send(raw)
        if b"chunked" in raw:
            try:
                client.send(b"x" * (most - 99_999))
            except OSError:
                pass  # refused already
        assert client.answer().status == 413
        assert client.closed()
    assert len(served.application.handled) == 1


def test_health_and_metrics_answer_on_both_sides(dial: Dial) -> None:
    client = dial()
    assert json.loads(client.ask(request(target="/healthz")).body) == {"status": "ok"}
    assert json.loads(client.ask(request(target="/readyz")).body)["ready"] is True
    metrics = client.ask(request(target="/metrics"))
    assert metrics.headers["content-type"].startswith("text/plain")
    assert b"sparekey_connections_accepted_total" in metrics.body
    assert client.ask(request("POST", "/healthz")).status == 405


def test_an_idle_connection_is_closed_after_75_seconds_and_not_before(adapter: str) -> None:
    served = Served()
    client = dial_by(adapter, served)
    assert client.ask(request()).status == 200
    served.pass_seconds(40)
    assert client.ask(request()).status == 200  # which begins a new wait
    served.pass_seconds(73)
    assert client.silent()
    served.pass_seconds(2)
    assert client.closed()
    served.close()


HALF_SENT = {
    "request line": b"GET /api/v3/ec",
    "head": request()[:-2],
    "body": request("POST", body=b"x=12345")[:-3],
    "chunks": request("POST", headers="Transfer-Encoding: chunked\r\n") + b"5\r\nab",
}


@pytest.mark.parametrize("part", HALF_SENT)
def test_a_half_sent_request_ends_within_75_seconds_however_slowly_it_goes_on(adapter: str, part: str) -> None:
    served = Served()
    client = dial_by(adapter, served)
    raw = HALF_SENT[part]
    client.send(raw)
    served.until(lambda: len(served.server.connections) == 1, "connected")
    # A byte a second must not earn it more time. What is still to come of each part is longer than that.
    drip = {"request line": b"h", "head": b"X", "body": b"", "chunks": b""}[part]
    assert client.silent()
    for _ in range(73):
        served.pass_seconds(1)
        if drip:
            client.send(drip)
    assert client.silent()
    served.pass_seconds(2)
    rest = client.rest()
    assert rest.startswith(b"HTTP/1.1 408 "), rest
    assert served.application.handled == []
    served.close()


def test_stopping_answers_what_was_accepted_says_close_and_closes(adapter: str) -> None:
    served = Served()
    idle, busy = dial_by(adapter, served), dial_by(adapter, served)
    assert idle.ask(request()).status == 200
    busy.send(request(target="/api/v3/slow?n=1"))
    served.until(lambda: bool(served.application.slow), "the slow call waits")
    stopping = served.loop.create_task  # made on the loop's thread below
    served.run(lambda: setattr(served, "stopped", stopping(served.server.stop(5))))
    assert idle.closed()
    assert busy.silent()
    served.run(served.application.finish)
    answer = busy.answer()
    assert answer.body == b'{"slow":"n=1"}' and answer.headers["connection"] == "close"
    assert busy.closed()
    served.until(lambda: not served.server.connections, "all connections are closed")
    served.close()


def test_stopping_cuts_what_does_not_finish_in_time(adapter: str) -> None:
    served = Served()
    stuck, half = dial_by(adapter, served), dial_by(adapter, served)
    stuck.send(request(target="/api/v3/slow?n=1"))
    half.send(request()[:-4])
    served.until(lambda: bool(served.application.slow), "the slow call waits")
    served.run(lambda: served.server.stop(0.05))
    assert stuck.closed() and half.closed()
    served.run(served.application.finish)
    served.until(lambda: len(served.application.told) == 1, "the call is told")
    served.close()


def test_a_reader_that_never_reads_stops_being_served_and_is_cut(adapter: str) -> None:
    served = Served()
    client = served.connect(receive_buffer=4096)
    if adapter == "asgi":
        client.ask(b"GET /console HTTP/1.1\r\nHost: x\r\n\r\n")
    one = request(target="/api/v3/large?300000")
    client.socket.setblocking(False)
    sent = 0
    for _ in range(400):
        try:
            sent += client.socket.send(one)
        except BlockingIOError:
            break
    application = served.application
    seen = -1
    while seen != len(application.handled):  # until the server stands still
        seen = len(application.handled)
        client.socket.settimeout(10)
        served.run(lambda: asyncio.sleep(0.1))
    assert 0 < seen < 60, f"{seen} requests were answered into the void"
    for _ in range(3):  # What the kernel still took after the first pause counts as progress once.
        served.pass_seconds(61)
    served.until(lambda: not served.server.connections, "the connection is cut")
    served.close()
