"""Rules about single records: names, values, versions, scans, and whose they are."""

from __future__ import annotations

from typing import Final, cast

from hauberk.errors import StoreConflict, StoreError
from hauberk.ports import Record, Scoped, Store
from hauberk.testing.storecontract.failure import raises, same

_NAMES: Final = (
    *("", " ", "a", "A", "a ", "a/b", "../x", "/etc/passwd", "CON", "NUL", "a\0b", "\0", "a\nb"),
    *("%", "_", "\\", "*", "?", "'", '"; DROP TABLE records; --', "$(id)", "\ufeffa"),
    *(
        "é",
        "e\u0301",
        "ß",
        "ss",
        "\u0131",
        "\uffff",
        "\U00010000",
        "\U0010ffff",
        "\u202e",
        "x" * 4096,
    ),
)
_MIB: Final = 1 << 20


def store_of(stores: Scoped, plugin: str = "one") -> Store:
    """Return the store of a plugin."""
    return cast(Store, stores.scoped(plugin))


def values(store: Store, prefix: str = "") -> list[tuple[str, bytes]]:
    """Return what a scan shows, without versions."""
    return [(name, record.value) for name, record in store.scan(prefix)]


def what_was_never_written_is_not_there(stores: Scoped) -> None:
    """Reading and removing nothing is no failure."""
    store = store_of(stores)
    same(store.get("a"), None, "get")
    same(store.get_many(["a", "b"]), {}, "get_many")
    same(store.get_many([]), {}, "get_many of no names")
    same(values(store), [], "scan")
    store.delete("a")
    store.delete("a", version=0)
    raises(StoreConflict, store.delete, "a", version=1)


def versions_begin_at_1_and_rise_by_1(stores: Scoped) -> None:
    """Also for a record that was removed and is written again."""
    store = store_of(stores)
    same([store.put("a", b"x") for _ in range(3)], [1, 2, 3], "the versions that put returned")
    same(store.get("a"), Record(b"x", 3), "get")
    same(store.put("b", b"y"), 1, "the version of another record")
    store.delete("a")
    same(store.get("a"), None, "get of what was removed")
    same(store.put("a", b"z"), 1, "the version of what is written again")


def a_version_that_is_given_must_stand(stores: Scoped) -> None:
    """Compare-and-set; 0 means that there must be none."""
    store = store_of(stores)
    same(store.put("a", b"1", version=0), 1, "put where there is none")
    same(store.put("a", b"2", version=1), 2, "put at the version that stands")
    for version in (0, 1, 3, -1, 1 << 62, 1 << 80):
        raises(StoreConflict, store.put, "a", b"!", version=version)
        raises(StoreConflict, store.delete, "a", version=version)
    raises(StoreConflict, store.put, "b", b"!", version=1)
    same(store.get("a"), Record(b"2", 2), "get after what was refused")
    store.delete("a", version=2)
    same(store.get("a"), None, "get of what was removed")


def any_text_is_only_a_name(stores: Scoped) -> None:
    """No name is a path, a pattern or a statement, and none is taken for another."""
    store = store_of(stores)
    wanted = {name: str(number).encode() for number, name in enumerate(_NAMES)}
    for name, value in wanted.items():
        same(store.put(name, value, version=0), 1, f"put {name[:40]!r}")
    found = {name: record.value for name, record in store.get_many(_NAMES).items()}
    same(found, wanted, "get_many")
    for name, value in wanted.items():
        same(store.get(name), Record(value, 1), f"get {name[:40]!r}")
    same(values(store), sorted(wanted.items()), "scan")


def lone_surrogates_are_refused(stores: Scoped) -> None:
    """They cannot be kept as text everywhere: the same answer from every store."""
    store = store_of(stores)
    for name in ("\ud800", "a\udcffb"):
        raises(StoreError, store.get, name)
        raises(StoreError, store.get_many, ["a", name])
        raises(StoreError, store.put, name, b"")
        raises(StoreError, store.delete, name)
        raises(StoreError, lambda prefix: list(store.scan(prefix)), name)
    same(values(store), [], "scan of all")


def a_scan_goes_by_code_points(stores: Scoped) -> None:
    """Not by what a language or UTF-16 makes of them."""
    store = store_of(stores)
    names = ["\U00010000", "\uffff", "z", "Z", "é", "e", "É", "a-b", "ab", "a b", "10", "9", ""]
    for name in names:
        store.put(name, name.encode())
    same([name for name, _ in store.scan()], sorted(names), "scan")


def a_prefix_is_no_pattern(stores: Scoped) -> None:
    """Every character of it stands for itself."""
    store = store_of(stores)
    names = ["", "%", "%a", "_", "_a", "\\", "\\%", "*", "[a", "a", "ab", "abc", "b", "A"]
    names += ["\0", "\0a", "\u00ff", "\u00ffa", "\U0010ffff", "\U0010ffffa", "\x7f", "\x7fa"]
    for name in names:
        store.put(name, b"")
    for prefix in (*names, "abcd", "\0\0", "\U0010ffff\U0010ffff"):
        wanted = sorted(name for name in names if name.startswith(prefix))
        same([name for name, _ in store.scan(prefix)], wanted, f"scan {prefix!r}")


def any_bytes_are_a_value(stores: Scoped) -> None:
    """Empty, of every byte, and of 1 MiB."""
    store = store_of(stores)
    kept = {"empty": b"", "nul": b"\0", "bytes": bytes(range(256)), "text": "é%'".encode()}
    kept["large"] = bytes(range(256)) * (_MIB // 256)
    for name, value in kept.items():
        store.put(name, value)
        same(store.get(name) == Record(value, 1), True, f"get {name!r} as it was put")
    same(values(store) == sorted(kept.items()), True, "scan as it was put")


def plugins_see_nothing_of_each_other(stores: Scoped) -> None:
    """Not even where one's name begins with another's."""
    plugins = ("one", "on", "one_more", "two")
    for plugin in plugins:
        store_of(stores, plugin).put("a", plugin.encode())
        store_of(stores, plugin).put("_more/a", plugin.encode())
    store_of(stores, "on").delete("a")
    same(store_of(stores, "on").get("a"), None, "get of what the plugin removed")
    for plugin in ("one", "one_more", "two"):
        store = store_of(stores, plugin)
        same(store.get("a"), Record(plugin.encode(), 1), f"get by {plugin!r}")
        wanted = [("_more/a", plugin.encode()), ("a", plugin.encode())]
        same(values(store), wanted, f"scan by {plugin!r}")
        same(values(store, "e"), [], f"scan of 'e' by {plugin!r}")


def what_a_scan_shows_is_of_one_moment(stores: Scoped) -> None:
    """Writing while one goes through it changes nothing of it."""
    store = store_of(stores)
    for number in range(10):
        store.put(f"{number}", b"1")
    seen = []
    for name, record in store.scan():
        seen.append((name, record.value))
        store.put(name, b"2")
        store.put(f"{name}x", b"2")
        store.delete("9")
    same(seen, [(f"{number}", b"1") for number in range(10)], "scan")
