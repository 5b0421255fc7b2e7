"""The management API does what its OpenAPI document says, whatever is sent: schemathesis makes the requests.

Nobody hits on a good e-mail address by chance, so most requests are about an account and a key that exist, or could.
"""

from __future__ import annotations

import http.client
import json
import urllib.parse
import urllib.request
from collections.abc import Mapping
from email.message import Message
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.venue import Venue

CHECKS: list[Any] = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
]
ABSENT = {"email": "nobody@example.com", "api_key": "U" * 64}
MODES = list(schemathesis.GenerationMode)


class Document:
    """The API of a started server as it describes itself, and what there is behind it."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"{venue.url}/sparekey/v1/openapi.json", timeout=10
        ) as reply:
            self.text: dict[str, Any] = json.load(reply)
        self.schema = schemathesis.openapi.from_dict(self.text)
        self.schema.config.update(base_url=venue.url)
        self.operations = [found.ok() for found in self.schema.get_all_operations()]
        self.renew()

    def renew(self) -> None:
        """An account, a key and sessions in place of those that a request has deleted or ended."""
        key = self.venue.key()
        self.sessions, self.handle = self.venue.sessions_of(key.email)
        self.existing = {"email": key.email, "api_key": key.api_key, "handle": self.handle}

    def tokens(self, operation: Mapping[str, Any], path: str) -> dict[str, str]:
        """What the operation wants, by what the document says of it."""
        kinds = [kind for wanted in operation.get("security", ()) for kind in wanted]
        if not kinds:
            return {}
        if kinds == ["operatorToken"]:
            return self.token
        stage = "half" if path.startswith("/sparekey/v1/session/") else "full"
        return {"Authorization": f"Bearer {self.sessions[stage]}"}

    @property
    def token(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.venue._running.operator_token}"}

    def try_out(self, case: Any, about: Mapping[str, str]) -> None:
        known = set(case.path_parameters or ()) & set(about)
        for name in known:
            case.path_parameters[name] = about[name]
        operation = case.operation
        tokens = self.tokens(self.text["paths"][operation.path][operation.method], operation.path)
        response = case.call(headers=tokens)
        ends = case.method == "DELETE" or "token" in response.text
        if ends and response.status_code == 200 and (about is self.existing or "session" in case.path):
            self.renew()
        if response.status_code == 414:  # a path that is too long for the server: what the document says in words
            assert "414" in self.text["info"]["description"]
            assert response.json() == {"code": -1000, "msg": "Request line too long."}
            return
        # A surplus parameter without a value is not in the address, which is right without it.
        vanished = any(value in ([], {}, None) for value in (case.query or {}).values())
        # What was wrong with the path or the token has been made right here, and 413 is a no as well.
        mended = {ParameterLocation.HEADER, ParameterLocation.PATH} if known else {ParameterLocation.HEADER}
        parts = case.meta.components.items() if case.meta else ()
        is_right = {where for where, part in parts if part.mode.is_negative} <= mended
        let_off = vanished or is_right or response.status_code == 413
        checks = [check for check in CHECKS if not (let_off and check is negative_data_rejection)]
        case.validate_response(response, checks=checks, headers=tokens)

    def try_one(self, data: st.DataObject) -> None:
        operation = data.draw(st.sampled_from(self.operations))
        case = data.draw(operation.as_strategy(generation_mode=data.draw(st.sampled_from(MODES))))
        self.try_out(case, data.draw(st.sampled_from([{}, ABSENT, self.existing])))

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any, Message]:
        """Status, document and headers; header names are spelled with underscores."""
        address = urllib.parse.urlsplit(self.venue.url)
        assert address.hostname
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
        sent = self.token | {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, f"/sparekey/v1{path}", body or None, sent)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read()), reply.headers
        finally:
            connection.close()


@pytest.fixture(scope="module")
def document(lenient_venue: Venue) -> Document:
    return Document(lenient_venue)


def test_the_document_is_valid_openapi(document: Document) -> None:
    assert document.text["openapi"].startswith("3.1")
    document.schema.validate()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_request_gets_an_answer_that_the_document_names(document: Document, data: st.DataObject) -> None:
    document.try_one(data)


@pytest.mark.long
def test_each_limit_that_the_document_names_is_held_to(document: Document) -> None:
    """Schemathesis walks along each field's limits, and steps over them."""
    generation = document.schema.config.generation
    for operation in document.operations:
        for case in document.schema.iter_coverage_cases(
            operation, generation_modes=MODES, generation_config=generation
        ):
            document.try_out(case, document.existing)


@pytest.mark.long
@settings(max_examples=6_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_many_more_requests_get_an_answer_that_the_document_names(document: Document, data: st.DataObject) -> None:
    document.try_one(data)


@pytest.mark.parametrize(
    ("kind", "body", "status", "reason"),
    [
        ("application/x-www-form-urlencoded", b"duration=0s", 415, "body-not-json"),
        ("text/plain", b'{"duration": "0s"}', 415, "body-not-json"),
        ("", b'{"duration": "0s"}', 415, "body-not-json"),
        ("application/json-patch+json", b'{"duration": "0s"}', 415, "body-not-json"),
        ("application/json", b'{"duration": "0s", "duration": "1s"}', 422, "request-invalid"),
        ("application/json", b'{"duration": NaN}', 422, "request-invalid"),
        ("application/json", b'{"duration": "\xff"}', 422, "request-invalid"),
        ("application/json", b"[" * 100_000, 422, "request-invalid"),
        ("application/json", b"1" * 10_000, 422, "request-invalid"),
        ("application/json", b"", 422, "request-invalid"),
        ("application/json", b'{"duration": "0s", "account": 1}', 422, "request-invalid"),
        ("application/json", b'{"duration": 0}', 422, "request-invalid"),
        ("application/json", b'{"duration": "' + b"s" * 300_000 + b'"}', 413, "body-too-large"),
    ],
)
def test_a_body_that_is_not_what_it_should_be_gets_an_exact_reason(
    document: Document, kind: str, body: bytes, status: int, reason: str
) -> None:
    answer = document.send("POST", "/clock/skew", body, Content_Type=kind)
    assert (answer[0], answer[1]["error"]["reason"], answer[1]["error"]["page"]) == (
        status,
        reason,
        f"/reasons/{reason}",
    )


def test_json_may_name_its_charset(document: Document) -> None:
    kind = "Application/JSON; charset=utf-8"
    assert document.send("POST", "/clock/skew", b'{"duration": "0s"}', Content_Type=kind)[0] == 200


@pytest.mark.parametrize("query", ["?limit=1&limit=2", "?limits=1", "?limit=%F0%9D%9F%8F%F0%9D%9F%8F%F0%9D%9F%8Fx"])
def test_a_parameter_that_is_unknown_or_there_twice_is_refused(document: Document, query: str) -> None:
    status, answer, _ = document.send("GET", f"/calls{query}")
    assert (status, answer["error"]["reason"]) == (422, "request-invalid")


def test_a_path_or_method_that_is_not_there_is_told_in_the_same_form(document: Document) -> None:
    status, answer, headers = document.send("PUT", "/clock")
    assert (status, answer["error"]["reason"], headers["Allow"]) == (405, "method-unknown", "GET")
    for path in ("", "/", "/clocks", "/clock/", "/openapi.json/x", "/keys//usage"):
        status, answer, _ = document.send("GET", path)
        assert (status, answer["error"]["reason"]) == (404, "route-unknown"), path


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"x" * 1_000_000, b'{"surplus": 1}'])
def test_who_may_not_call_is_told_so_before_the_body_is_looked_at(document: Document, body: bytes) -> None:
    status, answer, headers = document.send("POST", "/accounts?x=1", body, Authorization="Bearer x")
    assert (status, answer["error"]["reason"]) == (401, "operator-token-wrong")
    assert headers["WWW-Authenticate"] == "Bearer"


def test_no_answer_may_be_kept_by_a_cache(document: Document) -> None:
    for path in ("/clock", "/nowhere", f"/keys/{document.existing['api_key']}"):
        assert document.send("GET", path)[2]["Cache-Control"] == "no-store"
