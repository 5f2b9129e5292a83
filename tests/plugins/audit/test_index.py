"""The index: the same answers as reading everything, and made again when it is spoilt."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.audit.index import NAME, Index, Query
from hauberk_plugins.audit.logger import AuditLogger
from hauberk_plugins.audit.record import line

USERS, KINDS = ("alice", "bob", ""), ("vault.put", "vault.get", "user.add")


def wrote(folder, records, **options):
    logger = AuditLogger(folder / "audit", None, lambda: 0, **options)
    for at, user, kind in records:
        logger.log(line(kind, at, "test", {"user": user} if user else {}, f"r{at}", "main"))
    logger.close()


RECORDS = [(n, USERS[n % 3], KINDS[n % 2]) for n in range(20)]

queries = st.builds(
    Query,
    user=st.sampled_from(USERS),
    action=st.sampled_from(["", "vault.*", "user.add", "vault.get", "*"]),
    request=st.sampled_from(["", "r3"]),
    account=st.sampled_from(["", "main", "other"]),
    since_ns=st.none() | st.integers(0, 20),
    until_ns=st.none() | st.integers(0, 20),
    start=st.integers(0, 22),
    limit=st.none() | st.integers(0, 5),
)


def expected(query):
    found = []
    for n, (at, user, kind) in enumerate([(0, "", "audit.begin"), *RECORDS]):
        account = "main" if n else ""
        if (
            n >= query.start
            and (not query.user or user == query.user)
            and (not query.request or (n and f"r{at}" == query.request))
            and (not query.account or account == query.account)
            and (kind.startswith(query.action[:-1]) if query.action.endswith("*")
                 else not query.action or kind == query.action)
            and (query.since_ns is None or at >= query.since_ns)
            and (query.until_ns is None or at < query.until_ns)
        ):  # fmt: skip
            found.append(n)
    return found if query.limit is None else found[len(found) - min(query.limit, len(found)) :]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("indexed")
    wrote(made, RECORDS, max_bytes=300)
    return made


@given(queries)
def test_it_finds_what_reading_everything_finds(folder, query):
    with closing(Index(folder / "audit")) as index:
        assert [n for n, _ in index.find(query)] == expected(query)


def test_a_time_that_no_index_holds_spoils_none(tmp_path):
    far = 253_402_300_799 * 10**9
    wrote(tmp_path, [(1, "alice", "user.add"), (far, "alice", "user.add")])
    with closing(Index(tmp_path / "audit")) as index:
        assert [n for n, _ in index.find(Query(user="alice", since_ns=2))] == [2]
        assert [n for n, _ in index.find(Query(since_ns=far))] == [2]
        assert [n for n, _ in index.find(Query(until_ns=far))] == [0, 1]


def test_it_takes_in_what_is_appended_later(tmp_path):
    wrote(tmp_path, RECORDS[:3])
    with closing(Index(tmp_path / "audit")) as index:
        assert len(list(index.find(Query()))) == 4
        wrote(tmp_path, RECORDS[3:])
        assert len(list(index.find(Query()))) == 21
        found = index.find(Query(user="bob", limit=2))
        assert [record.user for _, record in found] == ["bob"] * 2
    assert (tmp_path / "audit" / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spoil", [b"", b"no database", b"SQLite format 3\0" + b"\0" * 200])
def test_one_that_is_spoilt_is_made_again(tmp_path, spoil):
    wrote(tmp_path, RECORDS)
    with closing(Index(tmp_path / "audit")) as index:
        index.catch_up()
    (tmp_path / "audit" / NAME).write_bytes(spoil)
    with closing(Index(tmp_path / "audit")) as index:
        assert len(list(index.find(Query(user="alice")))) == 7


def test_one_that_knows_more_than_there_is_is_made_again(tmp_path):
    wrote(tmp_path, RECORDS)
    with closing(Index(tmp_path / "audit")) as index:
        index.catch_up()
    path = tmp_path / "audit" / "000000000000000.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:5]))
    with closing(Index(tmp_path / "audit")) as index:
        assert [n for n, _ in index.find(Query())] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("query", "through"),
    [
        (Query(user="a"), "by_user"),
        (Query(user="a", limit=3), "by_user"),
        (Query(user="a", since_ns=3, until_ns=9), "by_user_at (user=? AND at>? AND at<?)"),
        (Query(since_ns=3), "by_at (at>?)"),
        (Query(action="vault.*"), "by_kind (kind>? AND kind<?)"),
        (Query(account="a"), "by_account"),
        (Query(request="r"), "by_request"),
    ],
)
def test_a_question_goes_through_an_index(tmp_path, query, through):
    wrote(tmp_path, RECORDS)
    with closing(Index(tmp_path / "audit")) as index:
        index.catch_up()
        text, values = index.asked(query)
        plan = index._base.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall()
    assert through in str(plan)
