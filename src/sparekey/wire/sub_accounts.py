"""Sub-accounts of a master: made, listed, funded. Funds move between spot accounts only; others are not open."""

from __future__ import annotations

from typing import Any

import msgspec

from sparekey.access.commands import CreateSubAccount
from sparekey.access.state import Account
from sparekey.terms.clocktime import DAY_US, MILLISECOND_US
from sparekey.terms.money import format_money
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal
from sparekey.venue.commands import TransferFunds
from sparekey.venue.transfers import Transfer
from sparekey.wire.account_parameters import page_of
from sparekey.wire.calls import Call
from sparekey.wire.desk import Desk
from sparekey.wire.managed_keys import master_of_call

_encode = msgspec.json.Encoder().encode

#: Of one master. Binance's own numbers go by VIP level and are not published for all; ours is its longest page.
SUB_ACCOUNTS_MAX = 200
#: Binance draws the domain of a virtual address anew each time: `text_virtual@` eight letters `noemail.com`.
_DOMAIN_LETTERS = 8
_ZERO = format_money(0)
#: Without times, the history goes back so far; with both, they are at most so far apart.
_HISTORY_DEFAULT_US = 30 * DAY_US
_HISTORY_SPAN_MAX_US = 7 * DAY_US

#: The account types of a universal transfer, and why funds cannot go there (None: they can).
ACCOUNT_TYPES: dict[str, Refusal | None] = {
    "SPOT": None,
    "USDT_FUTURE": Refusal(Reason.FUTURES_ACCOUNT_MISSING),
    "COIN_FUTURE": Refusal(Reason.FUTURES_ACCOUNT_MISSING),
    "MARGIN": Refusal(Reason.MARGIN_ACCOUNT_MISSING),
    "ISOLATED_MARGIN": Refusal(Reason.MARGIN_ACCOUNT_MISSING),
    "ALPHA": Refusal(Reason.OPERATION_UNSUPPORTED),
}

_SUB_ACCOUNT_UNKNOWN = Refusal(Reason.SUB_ACCOUNT_UNKNOWN)
_BOTH_EMAILS = Refusal(Reason.PARAMETERS_COMBINATION)
_SPAN_TOO_LONG = Refusal(Reason.SPAN_TOO_LONG, (_HISTORY_SPAN_MAX_US // DAY_US * 24,))


def sub_account_by_email(desk: Desk, call: Call, email: str) -> Account | Refusal:
    """A sub-account of the calling master. Anybody else's is as unknown as one that never was."""
    master = master_of_call(desk, call)
    if isinstance(master, Refusal):
        return master
    account = desk.access.account_by_email(desk.key_maker.digest_of(email))
    if account is None or account.master_id != master.account_id or account.link != "virtual":
        return _SUB_ACCOUNT_UNKNOWN
    return account


def create_virtual(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /sapi/v1/sub-account/virtualSubAccount"""
    master = master_of_call(desk, call)
    if isinstance(master, Refusal):
        return master
    maker = desk.key_maker
    domain = f"{maker.random_letters(_DOMAIN_LETTERS)}noemail.com"
    email = f"{call.values['subAccountString'].lower()}_virtual@{domain}"
    outcome = open_sub_account(desk, master, email, "virtual", "", SUB_ACCOUNTS_MAX)
    return outcome if isinstance(outcome, Refusal) else _encode({"email": email})


def open_sub_account(desk: Desk, master: Account, email: str, link: str, tag: str, most: int) -> Account | Refusal:
    """Its address is sealed under the number that it will have, before the journal knows of it."""
    maker = desk.key_maker
    vault_id = maker.seal_email(desk.access.next_account_id, email)
    command = CreateSubAccount(master.account_id, maker.digest_of(email), link, tag, most)
    outcome = desk.submit("access", command)
    if isinstance(outcome, Refusal):
        maker.forget(vault_id)
        return outcome
    return desk.access.accounts[outcome[0].account_id]


def list_sub_accounts(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/sub-account/list"""
    chosen = _chosen(desk, call)
    if isinstance(chosen, Refusal):
        return chosen
    values = call.values
    if values["isFreeze"] is not None:
        chosen = [account for account in chosen if account.suspended is values["isFreeze"]]
    return _encode(
        {
            "subAccounts": [
                {
                    "subUserId": account.account_id,
                    "email": desk.key_maker.email_of(account.account_id),
                    "remark": "",
                    "isFreeze": account.suspended,
                    "createTime": call.time(account.created_us),
                    "isManagedSubAccount": False,
                    "isAssetManagementSubAccount": False,
                }
                for account in page_of(chosen, values["page"], values["limit"])
            ]
        }
    )


def sub_account_status(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/sub-account/status. Nobody ever gave a telephone number for a virtual one."""
    chosen = _chosen(desk, call)
    if isinstance(chosen, Refusal):
        return chosen
    return _encode(
        [
            {
                "email": desk.key_maker.email_of(account.account_id),
                "isSubUserEnabled": not account.suspended,
                "isUserActive": True,
                "insertTime": call.time(account.created_us),
                "isMarginEnabled": False,
                "isFutureEnabled": account.futures_allowed,
                "mobile": 0,
            }
            for account in chosen
        ]
    )


def _chosen(desk: Desk, call: Call) -> list[Account] | Refusal:
    """All of the master's, or the one whose address was sent."""
    email = call.values["email"]
    if email is not None:
        account = sub_account_by_email(desk, call, email)
        return account if isinstance(account, Refusal) else [account]
    master = master_of_call(desk, call)
    return master if isinstance(master, Refusal) else desk.access.sub_accounts_of(master.account_id, "virtual")


# --- funds -----------------------------------------------------------------------------------------------------------


def assets_in_text(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v4/sub-account/assets"""
    return _assets(desk, call, in_text=True)


def assets_in_numbers(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v3/sub-account/assets: the same, as numbers."""
    return _assets(desk, call, in_text=False)


def _assets(desk: Desk, call: Call, *, in_text: bool) -> bytes | Refusal:
    account = sub_account_by_email(desk, call, call.values["email"])
    if isinstance(account, Refusal):
        return account

    def spell(amount: str) -> Any:
        if in_text:
            return amount
        number = float(amount)
        return int(number) if number.is_integer() else number

    return _encode(
        {
            "balances": [
                {
                    "asset": asset,
                    "free": spell(format_money(balance.free)),
                    "locked": spell(format_money(balance.locked)),
                    "freeze": spell(_ZERO),
                    "withdrawing": spell(_ZERO),
                }
                for asset, balance in desk.spot.balances(account.account_id).items()
            ]
        }
    )


def transfer(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /sapi/v1/sub-account/universalTransfer, between spot accounts; no address means the master."""
    values = call.values
    master = master_of_call(desk, call)
    if isinstance(master, Refusal):
        return master
    ends = []
    for email, account_type in (
        (values["fromEmail"], values["fromAccountType"]),
        (values["toEmail"], values["toAccountType"]),
    ):
        closed = ACCOUNT_TYPES[account_type]
        if closed is not None:
            return closed
        end = _member(desk, call, master, email)
        if isinstance(end, Refusal):
            return end
        ends.append(end.account_id)
    made = move_funds(desk, call, master.account_id, ends[0], ends[1])
    if isinstance(made, Refusal):
        return made
    return _encode({"tranId": made.transfer_id, "clientTranId": made.client_transfer_id})


def move_funds(desk: Desk, call: Call, master_id: int, from_id: int, to_id: int) -> Transfer | Refusal:
    """What was moved now, or earlier under the same client id."""
    values = call.values
    client_id = values.get("clientTranId") or ""
    outcome = desk.submit(
        "spot",
        TransferFunds(call.admitted(), master_id, from_id, to_id, values["asset"], values["amount"], client_id),
    )
    if isinstance(outcome, Refusal):
        return outcome
    made = desk.spot.transfers.of(master_id)[-1] if outcome else desk.spot.transfers.find(master_id, client_id)
    assert made is not None
    return made


def transfer_to_master(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /sapi/v1/sub-account/transfer/subToMaster, by a key of the sub-account"""
    account = desk.access.accounts[call.account_id]
    if not account.master_id:
        return _SUB_ACCOUNT_UNKNOWN
    made = move_funds(desk, call, account.master_id, account.account_id, account.master_id)
    return made if isinstance(made, Refusal) else _encode({"txnId": str(made.transfer_id)})


def transfer_to_sibling(desk: Desk, call: Call) -> bytes | Refusal:
    """POST /sapi/v1/sub-account/transfer/subToSub, by a key of the sub-account: to another one of its master's."""
    account = desk.access.accounts[call.account_id]
    sibling = desk.access.account_by_email(desk.key_maker.digest_of(call.values["toEmail"]))
    if not account.master_id or sibling is None:
        return _SUB_ACCOUNT_UNKNOWN
    if sibling.master_id != account.master_id or sibling.link != account.link:
        return _SUB_ACCOUNT_UNKNOWN
    made = move_funds(desk, call, account.master_id, account.account_id, sibling.account_id)
    return made if isinstance(made, Refusal) else _encode({"txnId": str(made.transfer_id)})


def _member(desk: Desk, call: Call, master: Account, email: str | None) -> Account | Refusal:
    """The master itself, also by its own address, or one of its sub-accounts."""
    if email is None or desk.key_maker.digest_of(email) == master.email_digest:
        return master
    return sub_account_by_email(desk, call, email)


def transfers(desk: Desk, call: Call) -> bytes | Refusal:
    """GET /sapi/v1/sub-account/universalTransfer, newest first: by one end, by id, by time."""
    values = call.values
    master = master_of_call(desk, call)
    if isinstance(master, Refusal):
        return master
    if values["fromEmail"] is not None and values["toEmail"] is not None:
        return _BOTH_EMAILS
    source_id = destination_id = 0
    email = values["fromEmail"] or values["toEmail"]
    if email is not None:
        end = _member(desk, call, master, email)
        if isinstance(end, Refusal):
            return end
        if values["fromEmail"] is not None:
            source_id = end.account_id
        else:
            destination_id = end.account_id
    first_us, last_us = values["startTime"], values["endTime"]
    if first_us is not None and last_us is not None and last_us - first_us >= _HISTORY_SPAN_MAX_US + MILLISECOND_US:
        return _SPAN_TOO_LONG
    if first_us is None:
        first_us = (call.now_us if last_us is None else last_us) - _HISTORY_DEFAULT_US
    client_id = values["clientTranId"]
    found = [
        one
        for one in desk.spot.transfers.of(master.account_id)
        if source_id in (0, one.from_account_id)
        and destination_id in (0, one.to_account_id)
        and client_id in (None, one.client_transfer_id)
        and one.time_us >= first_us
        and (last_us is None or one.time_us <= last_us)
    ]
    found.reverse()
    return _encode(
        {
            "result": [
                {
                    "tranId": one.transfer_id,
                    "fromEmail": desk.key_maker.email_of(one.from_account_id),
                    "toEmail": desk.key_maker.email_of(one.to_account_id),
                    "asset": one.asset,
                    "amount": format_money(one.amount),
                    "createTimeStamp": call.time(one.time_us),
                    "fromAccountType": "SPOT",
                    "toAccountType": "SPOT",
                    "status": "SUCCESS",
                    "clientTranId": one.client_transfer_id,
                }
                for one in page_of(found, values["page"], values["limit"])
            ],
            "totalCount": len(found),
        }
    )
