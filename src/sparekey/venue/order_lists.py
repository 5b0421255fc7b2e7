"""Order lists: orders of one account and symbol of which each one's fate is the others' (spot REST, "Order lists").

A pair (OCO) is two orders of which only one can ever act. A working order (OTO) keeps the others pending until it is
filled whole; those are one order, or a pair (OTOCO). With OPO and OPOCO what the working order bought is what the
pending ones sell. A list is open while any of its orders is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sparekey.venue.effects import ClosedOrderList
from sparekey.venue.orders import Order

#: Forms of lists, by what their orders are: some begin with a working order, some end with a pair, and some of those
#: with a working order lock what it receives.
WITH_WORKING_ORDER = frozenset(("OTO", "OTOCO", "OPO", "OPOCO"))
WITH_PAIR = frozenset(("OCO", "OTOCO", "OPOCO"))
PAID_BY_WORKING_ORDER = frozenset(("OPO", "OPOCO"))

#: What an order is called that its list does not let in yet.
PENDING_NEW = "PENDING_NEW"


class OrderList(msgspec.Struct, eq=False, gc=False):
    """`order_ids`: the working order first, then the pending ones; of a pair the stop loss before the other.

    `hold` is what is locked for the list itself: for a pair of which none acts yet as much as the dearer one needs,
    for a working order that pays what it received. `holds_base`: it is of the base asset.
    `started`: the pending orders are let in; a pair without a working order is from the beginning.
    """

    list_id: int
    symbol: str
    account_id: int
    client_list_id: str
    form: str
    order_ids: list[int]
    client_order_ids: list[str]
    created_us: int
    updated_us: int
    hold: int
    holds_base: bool
    started: bool
    chosen: bool = False

    @property
    def contingency(self) -> str:
        return "OTO" if self.form in WITH_WORKING_ORDER else "OCO"

    @property
    def working_id(self) -> int:
        """0 where there is no working order."""
        return self.order_ids[0] if self.form in WITH_WORKING_ORDER else 0

    @property
    def pending_ids(self) -> Sequence[int]:
        return self.order_ids[1:] if self.form in WITH_WORKING_ORDER else ()

    def partner_of(self, order_id: int) -> int:
        """The other one of the pair; 0 where the order is in none."""
        if self.form not in WITH_PAIR or order_id not in self.order_ids[-2:]:
            return 0
        stop, other = self.order_ids[-2:]
        return other if order_id == stop else stop

    @property
    def shares_hold(self) -> bool:
        """The pair is let in, and none of it acts yet."""
        return self.started and not self.chosen and self.form in WITH_PAIR

    def problem(self, orders: Mapping[int, Order]) -> str:
        """What must hold between a list and the open orders of its symbol; "" if it does."""
        alive = [orders[order_id] for order_id in self.order_ids if order_id in orders]
        name = f"list {self.list_id} of {self.symbol}"
        if not alive:
            return f"{name} is open without an open order"
        if any(order.list_id != self.list_id for order in alive):
            return f"{name} has an order that does not know of it"
        pending = [order for order in alive if order.status == PENDING_NEW]
        if self.started and pending:
            return f"{name} is started and keeps an order pending"
        if not self.started and (len(pending) != len(self.pending_ids) or self.working_id not in orders):
            return (
                "" if self.working_id not in orders and len(pending) == len(self.pending_ids) else f"{name} is halved"
            )
        pair = [order for order in alive if self.partner_of(order.order_id)]
        if self.started and len(pair) == 2 and (self.chosen or not self.hold):
            return f"{name} has a pair of which one acts"
        if self.started and len(pair) == 1 and self.hold:
            return f"{name} holds {self.hold} for half a pair"
        if self.shares_hold and self.holds_base and self.hold != pair[0].quantity:
            return f"{name} holds {self.hold}"
        return ""

    def closed(self) -> ClosedOrderList:
        """The list as it stands, for reports, and as it ends, for the archive."""
        return ClosedOrderList(
            self.list_id,
            self.symbol,
            self.account_id,
            self.client_list_id,
            self.contingency,
            self.created_us,
            self.updated_us,
            tuple(zip(self.order_ids, self.client_order_ids, strict=True)),
        )

    def dump(self) -> list[Any]:
        return [getattr(self, name) for name in self.__struct_fields__]


class OrderLists:
    """The open lists. Ids count over all symbols."""

    __slots__ = ("by_client_id", "due", "next_id", "open")

    def __init__(self) -> None:
        self.next_id = 1
        self.open: dict[int, OrderList] = {}
        #: account → client list id → list
        self.by_client_id: dict[int, dict[str, OrderList]] = {}
        #: [derived] lists whose working order is filled and whose pending ones are not let in yet
        self.due: dict[int, OrderList] = {}

    def find(self, account_id: int, list_id: int, client_list_id: str) -> OrderList | None:
        """By id if one is given, else by client list id. Only the account's own."""
        if list_id:
            found = self.open.get(list_id)
            return found if found is not None and found.account_id == account_id else None
        return self.by_client_id.get(account_id, {}).get(client_list_id)

    def of(self, account_id: int, symbol: str = "") -> Sequence[OrderList]:
        """Ascending by id."""
        own = self.by_client_id.get(account_id, {}).values()
        return sorted((one for one in own if not symbol or one.symbol == symbol), key=lambda one: one.list_id)

    def add(self, one: OrderList) -> None:
        self.next_id = max(self.next_id, one.list_id + 1)
        self.open[one.list_id] = one
        self.by_client_id.setdefault(one.account_id, {})[one.client_list_id] = one

    def remove(self, list_id: int) -> OrderList:
        one = self.open.pop(list_id)
        own = self.by_client_id[one.account_id]
        del own[one.client_list_id]
        if not own:
            del self.by_client_id[one.account_id]
        self.due.pop(list_id, None)
        return one

    def shared_hold(self, order: Order) -> int:
        """What is locked for the pair that an order is one of, while none of it acts."""
        one = self.open.get(order.list_id) if order.list_id else None
        return one.hold if one is not None and one.shares_hold and one.partner_of(order.order_id) else 0

    # --- writing down --------------------------------------------------------------------------------------------

    def dump(self) -> list[Any]:
        """Empty before the first list, as a state of before there were any."""
        if self.next_id == 1:
            return []
        return [self.next_id, [one.dump() for _, one in sorted(self.open.items())]]

    def load(self, data: Any, orders_of: Mapping[str, Mapping[int, Order]]) -> None:
        """What `dump` wrote. `orders_of`: the open orders of each symbol, by id."""
        self.__init__()  # type: ignore[misc]
        if data:
            for row in data[1]:
                one = OrderList(*row)
                self.add(one)
                if one.working_id and not one.started and one.working_id not in orders_of[one.symbol]:
                    self.due[one.list_id] = one
            self.next_id = data[0]
