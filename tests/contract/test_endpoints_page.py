"""The page of endpoints is what the tables say, and every documented endpoint is on it, served or with a reason."""

from __future__ import annotations

import pytest

from sparekey.wire.weights import load_weights
from tests import make_endpoints
from tests.make_endpoints import documented, served, spell_weight, why_not


def test_the_page_is_up_to_date() -> None:
    found = make_endpoints.PAGE.read_text("utf-8")
    assert found == make_endpoints.page(), "docs/endpoints.md is out of date: python -m tests.make_endpoints"


def test_every_documented_endpoint_is_served_or_says_why_it_is_not() -> None:
    rows = served()
    missing = [one for one in documented() if (one.method, one.path) not in rows]
    assert [one for one in missing if not why_not(one.path)] == []
    there = [path for method, path in rows if why_not(path) and (method, path) not in {one[:2] for one in missing}]
    assert there == [], "REFUSED in tests/make_endpoints.py speaks of what is served"


def test_every_served_spot_endpoint_is_a_documented_one_with_the_documented_websocket_method() -> None:
    told = {(one.method, one.path): one.websocket for one in documented()}
    assert len(told) == 58  # 48 routes, 3 that are retired, 7 methods without a route
    assert len(set(told.values())) == len(told)
    spot = {key: row.websocket for key, row in served().items() if key[1].startswith(("/api/v3", "/ws-api/v3"))}
    assert spot == {key: told.get(key) for key in spot}


@pytest.mark.parametrize("profile", make_endpoints.PROFILES)
def test_every_weight_can_be_put_into_words(profile: str) -> None:
    for row in load_weights(profile).values():
        assert spell_weight(row.rule)
    with pytest.raises(ValueError, match="spell"):
        spell_weight("5:limit<100")
