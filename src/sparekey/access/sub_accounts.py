"""Decides what a master does with its sub-accounts. As in `decide`: state and command in, events or a refusal out.

A sub-account holds funds and keys of its own, but nobody signs in to it: it has neither an identity check nor factors.
Its master's count for it, so its keys stop when the master's do. A sub-account has no sub-accounts.
"""

from __future__ import annotations

from sparekey.access.commands import CloseSubAccount, CreateSubAccount, SetBroker
from sparekey.access.events import BrokerSet, SubAccountClosed, SubAccountCreated
from sparekey.access.state import SUB_ACCOUNT_LINKS, AccessState
from sparekey.terms.clocktime import DAY_US
from sparekey.terms.reasons import Reason
from sparekey.terms.refusals import Refusal

#: Binance takes broker tags shorter than 32 characters (Binance Link, "Create a Sub Account").
TAG_MAX = 31


def create_sub_account(
    state: AccessState, command: CreateSubAccount, now_us: int
) -> tuple[SubAccountCreated, ...] | Refusal:
    master = state.account(command.master_id)
    if master is None:
        return Refusal(Reason.ACCOUNT_UNKNOWN)
    if command.link not in SUB_ACCOUNT_LINKS:
        return Refusal(Reason.REQUEST_INVALID, (f"{command.link[:64]} is no kind of sub-account.",))
    if master.master_id:
        return Refusal(Reason.MAIN_ACCOUNT_ONLY)
    if command.link == "broker" and not master.is_broker:
        return Refusal(Reason.BROKER_ONLY)
    if master.kyc != "approved":
        return Refusal(Reason.KYC_MISSING, (master.kyc,))
    if not master.factors:
        return Refusal(Reason.FACTOR_MISSING)
    if len(command.tag) > TAG_MAX or not (command.tag.isprintable() or not command.tag):
        return Refusal(Reason.LABEL_INVALID)
    if len(state.sub_accounts_of(command.master_id, command.link)) >= command.most:
        return Refusal(Reason.SUB_ACCOUNT_LIMIT, (command.most,))
    if command.email_digest in state.accounts_by_email:
        return Refusal(Reason.ACCOUNT_EXISTS)
    return (
        SubAccountCreated(state.next_account_id, command.master_id, command.email_digest, command.link, command.tag),
    )


def close_sub_account(
    state: AccessState, command: CloseSubAccount, now_us: int
) -> tuple[SubAccountClosed, ...] | Refusal:
    account = state.account(command.account_id)
    if account is None or not account.master_id:
        return Refusal(Reason.SUB_ACCOUNT_UNKNOWN)
    if command.actor_account_id not in (0, account.master_id):
        return Refusal(Reason.SUB_ACCOUNT_UNKNOWN)
    if state.keys_of(command.account_id):
        return Refusal(Reason.SUB_ACCOUNT_IN_USE, ("API keys",))
    closed_lately = sum(
        1
        for account_id in state.sub_account_ids.get(account.master_id, ())
        if state.accounts[account_id].closed_us > now_us - DAY_US
    )
    if closed_lately >= command.daily_most:
        return Refusal(Reason.SUB_ACCOUNT_CLOSINGS, (command.daily_most,))
    return (SubAccountClosed(command.account_id),)


def set_broker(state: AccessState, command: SetBroker, now_us: int) -> tuple[BrokerSet, ...] | Refusal:
    account = state.account(command.account_id)
    if account is None:
        return Refusal(Reason.ACCOUNT_UNKNOWN)
    if account.master_id:
        return Refusal(Reason.MAIN_ACCOUNT_ONLY)
    return () if account.is_broker == command.broker else (BrokerSet(command.account_id, command.broker),)
