"""`hauberk verify`: every form of archive, what is broken, and going on where it was stopped."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from tests.plugins.batch.archives import FORMS, KEYS, bad, good, write, write_keys
from tests.ran import Ran

from hauberk.cli.main import main
from hauberk_plugins.batch import columns, text


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: Path) -> Path:
    """An empty folder without a configuration, small parts, and a warm cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hauberk_plugins.batch.compiled.cache_folder", lambda: compiled)
    monkeypatch.setattr("hauberk_plugins.batch.cpu.cache_folder", lambda: compiled)
    monkeypatch.setattr(text, "ROWS", 10)
    monkeypatch.setattr(columns, "COLUMN_ROWS", 5)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def run(*words: object) -> Ran:
        status = main([str(word) for word in ("verify", *words)])
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    return run


def lines(path: Path | str) -> list[Any]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_the_same(run, form: str) -> None:
    rows = [good(n, "bob" if n % 3 else "alice") for n in range(47)]
    keys = write_keys(Path("keys.json"))
    path = write(Path(f"all.{form}"), rows)
    ran = run(path, "--keys", keys, "--json")
    assert (ran.status, ran.err) == (0, "")
    assert ran.document.pop("seconds") >= 0
    assert ran.document["rows"] == ran.document["valid"] == 47
    assert set(ran.document) == {"rows", "valid", "invalid", "engine", "seconds"}

    rows[3], rows[46] = bad(3), bad(46, "bob")
    rows[10] = (rows[10][0], b"short", "alice")
    rows[11] = (rows[11][0], rows[11][1], "mallory")
    rows[12] = (None, rows[12][1], "alice")
    rows[13] = (rows[13][0], None, "bob")
    rows[14] = (rows[14][0], rows[14][1], None)
    ran = run(write(path, rows), "--keys", keys, "--json", "--report", "bad.jsonl")
    assert ran.status == 1
    assert (ran.document["rows"], ran.document["invalid"]) == (47, 7)
    reported = lines("bad.jsonl")
    assert [line["row"] for line in reported] == [3, 10, 11, 12, 13, 14, 46]
    assert all(set(line) == {"row", "reason"} and line["reason"] for line in reported)
    assert reported[2]["reason"] == "its key is not known"
    assert "does not match" in reported[0]["reason"]
    if form != "csv":  # where nothing and nothing at all are written alike
        assert "missing" in reported[3]["reason"]
    assert not Path("bad.jsonl.progress").exists()


@pytest.mark.parametrize("engine", ["auto", "cpu", "reference"])
def test_every_engine_says_the_same(run, engine: str) -> None:
    path = write(Path("a.jsonl"), [good(0), bad(1), good(2)])
    ran = run(path, "--keys", write_keys(Path("k.json")), "--engine", engine, "--json")
    assert (ran.status, ran.document["invalid"]) == (1, 1)
    assert ran.document["engine"] == ("reference" if engine == "reference" else "cpu")


def test_rows_may_be_of_different_algorithms(run) -> None:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
    keys = {
        "h": {"algorithm": "hmac-sha256", "secret": base64.b64encode(KEYS["alice"]).decode()},
        "e": {
            "algorithm": "ed25519",
            "public": base64.b64encode(private.public_key().public_bytes_raw()).decode(),
        },
    }
    Path("k.json").write_text(json.dumps(keys))
    message, tag, _ = good(5)
    signed = (message, private.sign(message), "e")
    rows = [(message, tag, "h"), signed, (message, tag, "e"), (message, signed[1], "h"), signed]
    said = ["hmac-sha256", "ed25519", "ed25519", "hmac-sha256", "hmac-sha256"]
    for more in ({}, {"algorithm": said}):
        ran = run(write(Path("a.parquet"), rows, **more), "--keys", "k.json", "--report", "r.jsonl")
        assert ran.status == 1
        assert [line["row"] for line in lines("r.jsonl")] == [2, 3, *([4] if more else [])]


def test_of_several_archives_the_report_says_which(run) -> None:
    for name in ("a", "b"):
        write(Path(f"{name}.csv"), [good(0), bad(1)])
    ran = run(
        "a.csv", "b.csv", "--keys", write_keys(Path("k.json")), "--report", "r.jsonl", "--json"
    )
    assert ran.document["invalid"] == 2
    assert [(line["file"], line["row"]) for line in lines("r.jsonl")] == [
        ("a.csv", 1),
        ("b.csv", 1),
    ]


def test_lines_that_are_none_are_rejected_rows(run) -> None:
    path = write(Path("a.jsonl"), [good(n) for n in range(3)])
    path.write_bytes(
        path.read_bytes() + b"\n{\n[]\n\xff\n" + b'{"message": 5}\n' + b'{"message":"?"}'
    )
    ran = run(path, "--keys", write_keys(Path("k.json")), "--report", "r.jsonl", "--json")
    assert (ran.status, ran.document["rows"]) == (1, 9)
    assert [line["row"] for line in lines("r.jsonl")] == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("form", ["parquet", "arrow", "arrows"])
def test_a_file_that_was_cut_off_or_overwritten_is_an_error_with_its_place(run, form: str) -> None:
    keys = write_keys(Path("k.json"))
    path = write(Path(f"a.{form}"), [good(n) for n in range(40)])
    content = path.read_bytes()
    for damaged in (b"", content[:10], content[: len(content) // 2], content[:-5], b"x" * 100):
        path.write_bytes(damaged)
        ran = run(path, "--keys", keys, "--report", "r.jsonl")
        if ran.status == 0:  # a stream may end anywhere between two batches, unseen
            assert form == "arrows"
            continue
        assert ran.status == 2
        assert f"a.{form}" in ran.err
        assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no JSON"),
        ("[]", "must be an object"),
        ("{}", "must be an object"),
        ('{"a": {"algorithm": "hmac-sha265", "secret": ""}}', "hmac-sha256"),
        ('{"a": {"algorithm": "hmac-sha256", "public": ""}}', '"secret"'),
        ('{"a": {"algorithm": "hmac-sha256", "secret": "?"}}', "no base64"),
        ('{"a": {"algorithm": "ed25519", "public": 5}}', "no base64"),
        ('{"a": {"algorithm": "hmac-sha256", "secret": ""}, "a": {}}', "stands there twice"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_keys_that_are_none_are_said_to_be(run, content: str, said: str) -> None:
    Path("k.json").write_text(content)
    ran = run(write(Path("a.jsonl"), [good(0)]), "--keys", "k.json")
    assert ran.status == 2
    assert said in ran.err


def test_columns_that_are_missing_or_of_a_wrong_type_are_named(run) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    keys = write_keys(Path("k.json"))
    for columns_, said in (
        ({"message": [b""], "signature": [b""]}, "'key_id'"),
        ({"message": [5], "signature": [b""], "key_id": ["a"]}, "'message' is of type int64"),
        ({"message": [b""], "signature": [b""], "key_id": [5]}, "'key_id' is of type int64"),
    ):
        pyarrow.parquet.write_table(pa.table(columns_), "a.parquet")
        ran = run("a.parquet", "--keys", keys)
        assert ran.status == 2
        assert said in ran.err
    Path("a.csv").write_text("message,signature\n")
    assert "names no column key_id" in run("a.csv", "--keys", keys).err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "at least one archive"),
        (["a.jsonl"], "--keys KEYS"),
        (["a.jsonl", "--keys", "k.json", "--attribute", "k.json"], "--keys KEYS"),
        (["a.jsonl", "--keys", "k.json", "--resume"], "--report FILE"),
        (["none.jsonl", "--keys", "k.json"], "no such file"),
        (["a.txt", "--keys", "k.json"], ".parquet"),
        (["a.jsonl", "--keys", "none.json"], "cannot be read"),
        (["a.jsonl", "--keys", "k.json", "--report", "no/such/r"], "cannot be written"),
        (["a.jsonl", "--keys", "k.json", "--engine", "gpu"], "--engine"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(run, words: list[str], said: str) -> None:
    write(Path("a.jsonl"), [good(0)])
    Path("a.txt").write_text("")
    write_keys(Path("k.json"))
    ran = run(*words)
    assert ran.status == 2
    assert said in ran.err


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stops", [1, 2, 3])
def test_an_interruption_leaves_a_report_that_resume_goes_on_with(
    run, monkeypatch: pytest.MonkeyPatch, form: str, stops: int
) -> None:
    rows = [bad(n) if n % 4 == 0 else good(n) for n in range(47)]
    paths = [write(Path(f"{name}.{form}"), rows) for name in ("a", "b")]
    command = (*paths, "--keys", write_keys(Path("k.json")), "--report", "r.jsonl", "--json")
    assert run(*command).status == 1
    whole = Path("r.jsonl").read_text()
    Path("r.jsonl").unlink()

    from hauberk_plugins.batch.parts import Judge

    judge, left = Judge.judge, [0]

    def interrupted(self, part):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return judge(self, part)

    monkeypatch.setattr(Judge, "judge", interrupted)
    for turn in range(stops):
        left[0] = 4
        ran = run(*command, *(["--resume"] if turn else []))
        assert ran.status == 130
        assert "--resume" in ran.err
        assert Path("r.jsonl.progress").exists()
    left[0] = -1
    with Path("r.jsonl").open("a") as file:  # as a kill in the middle of a line leaves it
        file.write('{"row": 4')
    ran = run(*command, "--resume")
    assert (ran.status, ran.document["rows"], ran.document["invalid"]) == (1, 94, 24)
    assert Path("r.jsonl").read_text() == whole
    assert not Path("r.jsonl.progress").exists()


def test_resume_refuses_what_is_another_job_or_finished(run) -> None:
    write(Path("a.jsonl"), [bad(0)])
    command = ("a.jsonl", "--keys", write_keys(Path("k.json")), "--report", "r.jsonl")
    assert run(*command).status == 1
    assert "it is finished" in run(*command, "--resume").err
    for noted in ("", "[]", '{"format": 1}', '{"format": 9, "job": ""}'):
        Path("r.jsonl.progress").write_text(noted)
        assert "cannot be read" in run(*command, "--resume").err
    Path("r.jsonl.progress").write_text('{"format": 1, "job": "another"}')
    assert "other archives or keys" in run(*command, "--resume").err


def test_attribution_finds_who_signed_whatever_rows_say(run) -> None:
    rows = [good(n, "bob" if n % 2 else "alice") for n in range(25)]
    rows = [(message, tag, "someone") for message, tag, _ in rows]
    rows[7] = bad(7)
    keys = write_keys(Path("k.json"), **KEYS, carol=b"c")
    ran = run(write(Path("a.parquet"), rows), "--attribute", keys, "--report", "w.jsonl", "--json")
    assert ran.status == 1
    assert ran.document["keys"] == {"alice": 13, "bob": 11}
    found = {line["row"]: line.get("key") for line in lines("w.jsonl")}
    assert found == {n: None if n == 7 else "bob" if n % 2 else "alice" for n in range(25)}
    Path("b.csv").write_text("message,signature\nYQ==,YQ==\n")
    assert run("b.csv", "--attribute", keys, "--json").document["invalid"] == 1


def test_an_engine_that_lies_is_reported_and_its_answer_not_believed(
    run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "hauberk_plugins.batch.cpu.CpuEngine.verify", lambda engine, batch: b"\1" * len(batch)
    )
    path = write(Path("a.jsonl"), [good(0), bad(1)])
    keys = write_keys(Path("k.json"))
    ran = run(path, "--keys", keys, "--json")
    assert (ran.status, ran.document["invalid"], ran.document["engine"]) == (1, 1, "reference")
    assert "CRITICAL: engine cpu verified wrongly" in ran.err
    assert run(path, "--attribute", keys, "--json").document["keys"] == {"alice": 1}


def test_an_engine_that_fails_is_passed_over(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def verify(engine, batch):
        raise MemoryError

    monkeypatch.setattr("hauberk_plugins.batch.cpu.CpuEngine.verify", verify)
    ran = run(write(Path("a.jsonl"), [good(0)]), "--keys", write_keys(Path("k.json")), "--json")
    assert (ran.status, ran.document["engine"]) == (0, "reference")


def test_failures_over_time_are_drawn(run) -> None:
    import datetime

    rows = [bad(n) if n > 30 else good(n) for n in range(40)]
    keys = write_keys(Path("k.json"))
    times = [
        datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(hours=n)
        for n in range(40)
    ]
    for name, column, said in (
        ("a.parquet", times, "2026-01-0"),
        ("a.jsonl", [time.isoformat() for time in times], "2026-01-0"),
        ("a.csv", [int(time.timestamp() * 1000) for time in times], "2026-01-0"),
        ("b.csv", None, "number of row"),
    ):
        more = {"time": column} if column else {}
        ran = run(write(Path(name), rows, **more), "--keys", keys, "--plot", "p.svg")
        assert ran.status == 1
        picture = Path("p.svg").read_text()
        assert said in picture
        assert picture.count("#d1242f") >= 5


def test_help_teaches(run) -> None:
    ran = run("--help")
    assert ran.status == 0
    assert "hauberk verify orders.parquet --keys keys.json" in ran.out
