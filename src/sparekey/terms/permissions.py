"""What a key may do: one bit each, with the names that people type and the flags that the wallet API shows."""

from __future__ import annotations

from enum import IntFlag


class Permission(IntFlag):
    """Permissions of an API key (Binance: "API Key Permission", `GET /sapi/v1/account/apiRestrictions`)."""

    NONE = 0
    READING = 1
    SPOT_AND_MARGIN_TRADING = 2
    MARGIN_LOAN = 4
    FUTURES = 8
    WITHDRAWALS = 16
    INTERNAL_TRANSFER = 32
    UNIVERSAL_TRANSFER = 64


#: The names that people type, in the order they are shown.
PERMISSION_NAMES: dict[str, Permission] = {
    "reading": Permission.READING,
    "spot-and-margin-trading": Permission.SPOT_AND_MARGIN_TRADING,
    "margin-loan": Permission.MARGIN_LOAN,
    "futures": Permission.FUTURES,
    "withdrawals": Permission.WITHDRAWALS,
    "internal-transfer": Permission.INTERNAL_TRANSFER,
    "universal-transfer": Permission.UNIVERSAL_TRANSFER,
}

#: What each permission presupposes; all of them presuppose reading.
PREREQUISITES: dict[Permission, Permission] = {
    Permission.SPOT_AND_MARGIN_TRADING: Permission.READING,
    Permission.MARGIN_LOAN: Permission.READING | Permission.SPOT_AND_MARGIN_TRADING,
    Permission.FUTURES: Permission.READING,
    Permission.WITHDRAWALS: Permission.READING,
    Permission.INTERNAL_TRANSFER: Permission.READING,
    Permission.UNIVERSAL_TRANSFER: Permission.READING,
}


def names_of(permissions: Permission) -> list[str]:
    """`READING | FUTURES` → `["reading", "futures"]`, in display order."""
    return [name for name, bit in PERMISSION_NAMES.items() if permissions & bit]
