"""What every provider of the port `store` keeps to, as tests that run against any of them.

    @pytest.mark.parametrize("rule", STORE_RULES, ids=lambda rule: rule.__name__)
    def test_it_keeps_the_contract_of_a_store(rule: StoreRule, tmp_path: Path) -> None:
        check_store(lambda: MyStores(tmp_path), [rule])

A provider of `sealed` keeps to the same. What only shows across processes, a crash or a full disk
is not looked at here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from hauberk.ports import Scoped
from hauberk.testing.storecontract import records, transactions
from hauberk.testing.storecontract.failure import BrokenStore
from hauberk.testing.storecontract.machine import lives_like_a_dict

__all__ = ["STORE_RULES", "BrokenStore", "StoreRule", "check_store"]

#: A rule is given a provider in which nothing was stored yet.
StoreRule: TypeAlias = Callable[[Scoped], None]


def check_store(make: Callable[[], Scoped], rules: Iterable[StoreRule] | None = None) -> None:
    """Check a provider of `store` or `sealed`; the first rule that is broken is raised.

    Args:
        make: Makes a provider in which nothing is stored, one for each rule. If it has a method
            `close`, that is called when the rule has been checked.
        rules: Which rules; all unless given.

    Raises:
        BrokenStore: Says which rule was broken and how.
    """
    for rule in STORE_RULES if rules is None else rules:
        stores = make()
        try:
            rule(stores)
        except BrokenStore as broken:
            broken.rule = rule.__name__.replace("_", " ")
            raise
        finally:
            getattr(stores, "close", lambda: None)()


#: Every rule, in the order in which they are best read.
STORE_RULES: Final[tuple[StoreRule, ...]] = (
    records.what_was_never_written_is_not_there,
    records.versions_begin_at_1_and_rise_by_1,
    records.a_version_that_is_given_must_stand,
    records.any_text_is_only_a_name,
    records.lone_surrogates_are_refused,
    records.a_scan_goes_by_code_points,
    records.a_prefix_is_no_pattern,
    records.any_bytes_are_a_value,
    records.what_a_scan_shows_is_of_one_moment,
    records.plugins_see_nothing_of_each_other,
    transactions.a_transaction_is_kept_whole,
    transactions.an_exception_undoes_a_transaction,
    transactions.a_transaction_within_another_is_part_of_it,
    transactions.a_conflict_does_not_end_a_transaction,
    transactions.a_transaction_that_has_ended_is_refused,
    transactions.nobody_sees_half_a_transaction,
    transactions.threads_lose_nothing_to_each_other,
    lives_like_a_dict,
)
