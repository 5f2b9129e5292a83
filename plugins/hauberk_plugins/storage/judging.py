"""Whether records are as they were left: by what is known of their bucket, or by its sum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hmac import compare_digest

from attrs import define, field

from hauberk.ports import Record
from hauberk_plugins.storage.buckets import Bucket, digest, read_key, total_of
from hauberk_plugins.storage.errors import (
    RecordAdded,
    RecordMissing,
    RecordReplayed,
    SealedStateChanged,
    SumMissing,
    SumReplayed,
)
from hauberk_plugins.storage.seals import Seals


@define(eq=False)
class Found:
    """What stands in the store of one bucket.

    Attributes:
        number: The bucket's number.
        sum: Its sum, sealed.
        records: Its records by name, sealed.
    """

    number: int
    sum: Record | None = None
    records: dict[str, Record] = field(factory=dict)


def sorted_out(numbers: Iterable[int], rows: Iterable[tuple[str, Record]]) -> dict[int, Found]:
    """Return what stands of each bucket, from the rows of a scan."""
    found = {number: Found(number) for number in numbers}
    for key, record in rows:
        number, name = read_key(key) or (-1, None)
        if number not in found:
            continue  # nothing of ours
        if name is None:
            found[number].sum = record
        else:
            found[number].records[name] = record
    return found


def stands(bucket: Bucket, found: Record | None) -> bool:
    """Whether a bucket's sum stands in the store as it is known."""
    if found is None:
        return bucket.sealed is None
    return found.version == bucket.version and found.value == bucket.sealed


def checked(seals: Seals, bucket: Bucket, name: str, record: Record | None) -> Record | None:
    """Check a record by what is known of its bucket, whose sum stands as it is known.

    Returns:
        The record; `None` where none is known to stand.

    Raises:
        SealError: It does not open: it was changed.
        SealedStateChanged: It was put back, added or removed.
    """
    known = bucket.digests.get(name)
    if record is None and known is None:
        return None
    where = f"record {name!r}"
    if record is None:
        raise RecordMissing(seals.namespace, where)
    if known is None:
        raise RecordAdded(seals.namespace, where)
    if not compare_digest(digest(record.value), known):
        seals.open(name, record.value)
        raise RecordReplayed(seals.namespace, where)
    return record


def judged(seals: Seals, found: Found, newest: tuple[int, bytes | None], key: bytes) -> Bucket:
    """Return a bucket, once its records and its sum are found to belong together.

    Args:
        seals: Opens them.
        found: What stands in the store.
        newest: The highest version of its sum that this process has seen, and that sum.
        key: A fresh key, for a bucket in which nothing was ever written.

    Raises:
        SealError: A record does not open, or the sum: it was changed.
        SealedStateChanged: A record was put back, added or removed; or the sum was.
    """
    where = f"bucket {found.number:02x}"
    known_version, known_sum = newest
    if found.sum is None:
        if known_version or found.records:
            raise SumMissing(seals.namespace, where)
        return Bucket(key)
    version, sealed = found.sum.version, found.sum.value
    if version < known_version or (version == known_version and sealed != known_sum):
        raise SumReplayed(seals.namespace, where)
    summed = seals.open_sum(found.number, found.sum)
    digests = {name: digest(record.value) for name, record in found.records.items()}
    total = total_of(summed.key, digests)
    if total != summed.total:
        raise _blamed(seals, where, found.records, summed.count)
    return Bucket(summed.key, digests, total, version, sealed)


def _blamed(
    seals: Seals, where: str, records: Mapping[str, Record], count: int
) -> SealedStateChanged:
    """Return what to raise where records and sum do not belong together.

    Raises:
        SealError: A record does not open: that one was changed.
    """
    for name, record in records.items():
        seals.open(name, record.value)
    if len(records) == count:
        return RecordReplayed(seals.namespace, f"a record in {where}")
    kind = RecordMissing if len(records) < count else RecordAdded
    return kind(seals.namespace, f"a record in {where}")
