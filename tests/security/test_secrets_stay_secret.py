"""After a life with keys of every type, right and wrong calls and pasted secrets, no file and no line that the server
wrote holds a secret, a whole signature, a private key, or what belongs to a person."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.process import Server
from tests.signing import Caller, sign
from tests.traces import everything_written, found_in
from tests.venue import Credentials


def ask(server: Server, method: str, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        f"{server.url}/sparekey/v1{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {server.env('operator.env')['OPERATOR_TOKEN']}"}
        | ({"Content-Type": "application/json"} if body is not None else {}),
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)


def test_nothing_that_the_server_wrote_holds_a_secret(start: Any, tmp_path: Path) -> None:
    server: Server = start()
    operator = server.env("operator.env")
    secrets = {
        "the operator's token": operator["OPERATOR_TOKEN"],
        "the demo account's password": operator["CONSOLE_PASSWORD"],
        "the demo account's authenticator": operator["CONSOLE_TOTP_SECRET"],
        "the demo account's address": operator["CONSOLE_EMAIL"],
    }
    account = ask(server, "POST", "/accounts", {"email": "Ada.Lovelace@example.org", "kyc": "approved", "totp": True})
    secrets |= {
        "an address": "ada.lovelace@example.org",
        "the address as typed": "Ada.Lovelace@example.org",
        "a password": account["password"],
        "an authenticator": account["totpSecret"],
    }
    email = urllib.parse.quote(account["email"])
    made = ask(server, "POST", f"/accounts/{email}/keys", {"label": "one", "permissions": ["reading"]})
    keys = [*server.demo_keys(), Credentials(made["apiKey"], made["secretKey"], "", account["email"])]
    signatures = []
    for key in keys:
        secrets[f"the secret of {key.api_key[:12]}"] = key.secret or "".join(key.private_pem.splitlines()[1:-1])
        call = Caller(server.url, key)
        assert call("GET", "/api/v3/account").status == 200
        # Right and wrong, in the query and in the body, refused early and late.
        for payload in ("symbol=BTCUSDT&timestamp=1", f"timestamp={10**12}", "symbol=NOSUCH&recvWindow=60000"):
            signature = sign(key, payload)
            signatures.append(urllib.parse.unquote(signature))
            raw_call = Caller(server.url, key)
            pairs = dict(urllib.parse.parse_qsl(payload)) | {"signature": urllib.parse.unquote(signature)}
            for in_body in (False, True):
                method = "POST" if in_body else "GET"
                raw_call(method, "/api/v3/order", pairs, signed=False, in_body=in_body)
        # A secret in the key's place: what people paste, refused for this and that.
        pasted = Credentials(secrets[f"the secret of {key.api_key[:12]}"][:64], "x", "", "")
        for path in ("/api/v3/account", "/api/v3/order", "/api/v3/nowhere", "/sapi/v1/account/status"):
            Caller(server.url, pasted)("GET", path)
            Caller(server.url, pasted)("GET", path, signed=False)
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    secrets["a pasted private key"] = private.splitlines()[1]
    for kind, text in (("ed25519", private), ("ed25519", private.replace("PRIVATE", "PUBLIC")), ("hmac", private)):
        body = {"label": "pasted", "type": kind, "publicKey": text}
        assert private.splitlines()[1] not in json.dumps(ask(server, "POST", f"/accounts/{email}/keys", body))
        assert private.splitlines()[1] not in json.dumps(
            ask(server, "POST", f"/accounts/{email}/keys", body | {"x": 1})
        )
    ask(server, "DELETE", f"/keys/{made['apiKey']}")
    assert server.stop() == 0
    secrets |= {f"a whole signature ({signature[:6]}…)": signature for signature in signatures}

    written = [*everything_written(server.data), ("what the server printed", server.said.encode())]
    searched = b"".join(content for _, content in written)
    # The search finds what it should: the key itself is in the journal and in the call log.
    assert any(keys[0].api_key.encode() in content for place, content in written if "batches" in place)
    assert any(keys[0].api_key.encode() in content for place, content in written if "an entry" in place)
    assert len(searched) > 100_000
    assert found_in(secrets, written) == []


def test_a_secret_is_shown_once_and_never_again(start: Any) -> None:
    server: Server = start()
    account = ask(server, "POST", "/accounts", {"email": "a@example.org", "kyc": "approved", "totp": True})
    email = urllib.parse.quote(account["email"])
    made = ask(server, "POST", f"/accounts/{email}/keys", {"label": "one"})
    assert len(made["secretKey"]) == 64
    answers = [
        ask(server, "GET", f"/accounts/{email}"),
        ask(server, "GET", f"/accounts/{email}/keys"),
        ask(server, "GET", f"/keys/{made['apiKey']}"),
        ask(server, "GET", "/calls"),
        ask(server, "DELETE", f"/keys/{made['apiKey']}"),
    ]
    text = json.dumps(answers)
    assert made["apiKey"] in text
    for secret in (made["secretKey"], account["password"], account["totpSecret"]):
        assert secret not in text


def test_every_file_that_the_server_writes_is_its_owners_alone(start: Any) -> None:
    server: Server = start()
    server.call()("GET", "/api/v3/account")
    assert server.stop() == 0
    shared = [
        f"{path.relative_to(server.data)} {path.stat().st_mode & 0o777:o}"
        for path in [server.data, *server.data.rglob("*")]
        if path.stat().st_mode & 0o077 and path.name != ".gitignore"
    ]
    assert shared == []
