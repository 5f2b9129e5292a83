"""Whatever one row of sealed records is changed to, nobody is shown a value that was not left."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hauberk.errors import HauberkError
from hauberk.ports import Record
from hauberk.testing import MemoryStores, MemoryVault
from hauberk_plugins.storage.buckets import Bucket, Sum, place, read_key, total_of
from hauberk_plugins.storage.sealed import SealedStore
from hauberk_plugins.storage.secure_storage import SecureStorage

#: Four names in one bucket, and one in another.
_ALL = [f"{number}" for number in range(1_000)]
_SAME = [name for name in _ALL if place(name).bucket == place("a").bucket][:3]
NAMES = [*_SAME, "a", "b"]

Rows = dict[str, Record]


class Life:
    """Sealed records, all that was ever stored of them, and what they are."""

    def __init__(self) -> None:
        self.stores = MemoryStores()
        self.bare = self.stores.scoped("sealed/one")
        self.model: dict[str, bytes] = {}
        self.seen: list[Rows] = [{}]
        self.known = self.process()

    def process(self) -> SealedStore:
        return SecureStorage(self.stores, MemoryVault()).scoped("one")  # type: ignore[arg-type]

    def rows(self) -> Rows:
        return dict(self.bare._records)

    def do(self, name: str, value: bytes | None) -> None:
        if value is None:
            self.known.delete(name)
            self.model.pop(name, None)
        else:
            self.known.put(name, value)
            self.model[name] = value
        self.seen.append(self.rows())

    def change(self, key: str, row: Record | None) -> None:
        self.bare._records.pop(key, None)
        if row is not None:
            self.bare._records[key] = row


def reads(store: SealedStore) -> dict[str, bytes | type | None]:
    """What each name gives: a value, nothing, or an error."""
    found: dict[str, bytes | type | None] = {}
    for name in NAMES:
        try:
            record = store.get(name)
        except HauberkError as error:
            found[name] = type(error)
        else:
            found[name] = None if record is None else record.value
    return found


lives = st.lists(
    st.tuples(st.sampled_from(NAMES), st.one_of(st.none(), st.binary(max_size=3))),
    min_size=1,
    max_size=12,
)


@given(life=lives, data=st.data())
def test_one_row_put_back_moved_or_removed_is_never_believed(
    life: list[tuple[str, bytes | None]], data: Any
) -> None:
    world = Life()
    for name, value in life:
        world.do(name, value)
    truth = {name: world.model.get(name) for name in NAMES}
    now = world.rows()
    every = sorted(
        {(key, row.version, row.value) for rows in world.seen for key, row in rows.items()}
    )
    target = data.draw(st.sampled_from(sorted({key for key, _, _ in every} | {place("b").key})))
    rows = [None, *(Record(value, version) for _, version, value in every)]
    world.change(target, data.draw(st.sampled_from(rows)))
    is_changed = world.rows() != now
    bucket, _ = read_key(target) or (None, None)

    known, fresh = reads(world.known), reads(world.process())
    for name in NAMES:
        for seen in (known[name], fresh[name]):
            assert seen == truth[name] or isinstance(seen, type)
        if not is_changed or place(name).bucket != bucket:
            assert known[name] == fresh[name] == truth[name]
    if is_changed:
        # Who knows the bucket notices whenever it looks at what was changed.
        changed = [
            name for name in NAMES if place(name).key == target or place(name).sum_key == target
        ]
        assert all(isinstance(known[name], type) for name in changed)
        # Who does not notices whatever it looks at there, unless all it finds is as it should be.
        beside = [name for name in NAMES if place(name).bucket == bucket]
        noticed = {isinstance(fresh[name], type) for name in beside}
        assert noticed in ({True}, {False})
        if noticed == {False}:
            assert all(fresh[name] == truth[name] for name in beside)


@given(life=lives, data=st.data())
def test_a_whole_earlier_state_is_noticed_by_who_has_seen_a_later_one(
    life: list[tuple[str, bytes | None]], data: Any
) -> None:
    world = Life()
    for name, value in life:
        world.do(name, value)
    earlier = data.draw(st.sampled_from(world.seen))
    now = world.rows()
    for key in now.keys() | earlier.keys():
        world.change(key, earlier.get(key))
    for name, seen in reads(world.known).items():
        where = place(name)
        is_back = earlier.get(where.sum_key) != now.get(where.sum_key)
        assert isinstance(seen, type) == is_back


digests = st.dictionaries(st.text(max_size=3), st.binary(min_size=32, max_size=32), max_size=8)


@given(
    before=digests,
    changes=st.lists(
        st.dictionaries(
            st.text(max_size=3), st.one_of(st.none(), st.binary(min_size=32, max_size=32))
        ),
        max_size=6,
    ),
)
def test_a_sum_that_is_kept_up_is_the_sum_of_all(
    before: dict[str, bytes], changes: list[dict[str, bytes | None]]
) -> None:
    key = bytes(range(32))
    bucket = Bucket(key).with_records(before)
    for change in changes:
        bucket = bucket.with_records(change)
    assert bucket.total == total_of(key, bucket.digests)
    summed = Sum.from_bytes(bucket.to_bytes())
    assert summed == Sum(key, bucket.total, len(bucket.digests))


@given(one=digests, other=digests)
def test_different_records_have_different_sums(
    one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    key = bytes(32)
    assert (total_of(key, one) == total_of(key, other)) == (one == other)
    assert not one or total_of(key, one) != total_of(bytes([1] * 32), one)


@given(name=st.text(max_size=20))
def test_every_name_has_a_place_that_is_read_back(name: str) -> None:
    where = place(name)
    assert read_key(where.key) == (where.bucket, name)
    assert read_key(where.sum_key) == (where.bucket, None)


@given(key=st.text(alphabet="0123456789abcdef/rs", max_size=6))
def test_what_is_read_from_a_key_leads_back_to_it(key: str) -> None:
    found = read_key(key)
    if found is not None:
        bucket, name = found
        prefix = f"{bucket:02x}/"
        assert key == (f"{prefix}s" if name is None else f"{prefix}r/{name}")
