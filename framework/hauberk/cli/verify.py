"""`hauberk verify`."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from hauberk.cli.answer import Answer
from hauberk.cli.failure import UsageError, is_missing
from hauberk.cli.options import Options
from hauberk.errors import HauberkError
from hauberk.records import Severity

if TYPE_CHECKING:
    from hauberk_plugins.batch.archive import Part, Reader
    from hauberk_plugins.batch.job import Done, Job, Work
    from hauberk_plugins.batch.keyfile import Key

log = logging.getLogger("hauberk")


def verify(
    *archives: Annotated[Path, Parameter(name="FILE")],
    keys: Path | None = None,
    attribute: Path | None = None,
    venue: str | None = None,
    engine: Literal["auto", "cuda", "cpu", "reference"] = "auto",
    report: Path | None = None,
    resume: bool = False,
    plot: Path | None = None,
    options: Options = Options(),
) -> Answer:
    """Verify the signatures of archives, millions at a time.

    Archives are Parquet, Arrow, JSON lines or CSV, with the columns message, signature and
    key_id, and perhaps algorithm and time; in JSON lines and CSV, messages and signatures are in
    base64. Keys are JSON, {"ID": {"algorithm": "hmac-sha256", "secret": BASE64}}, or "public".
    With --venue they are requests as they were sent, in JSON lines: method, url, headers, body
    (or body_base64), key_id, and perhaps time.

    For example:
        hauberk verify orders.parquet --keys keys.json --report bad.jsonl
        hauberk verify orders-*.jsonl --keys keys.json --report bad.jsonl --resume
        hauberk verify leaked.parquet --attribute all-keys.json --report who.jsonl
        hauberk verify requests.jsonl --venue kraken --keys keys.json

    Args:
        archives: What to verify.
        keys: The keys by which rows are verified.
        attribute: Keys of which is to be found which one signed each row, whatever it names.
        venue: The venue that requests were sent to, or a venue file of your own, NAME.yml: each is
            rebuilt into what was signed.
        engine: What verifies; auto takes the fastest that runs here.
        report: Where rows are reported that fail, or with --attribute who signed each.
        resume: Go on with a report that was interrupted.
        plot: Where failures over time are drawn, as SVG.
    """
    if not archives:
        raise UsageError("name at least one archive: hauberk verify FILE --keys KEYS")
    if (keys is None) == (attribute is None):
        raise UsageError("say what to verify by: --keys KEYS, or --attribute KEYS")
    if venue is not None and attribute is not None:
        raise UsageError(
            "a request bears its key, which is signed with it: verify it with --venue and --keys"
        )
    if resume and report is None:
        raise UsageError("--resume goes on with a report: name it, --report FILE")
    from hauberk_plugins.batch.archive import reader_of
    from hauberk_plugins.batch.job import Job
    from hauberk_plugins.batch.plot import Histogram, write

    counts: Counter[str] = Counter()
    source = keys or attribute or Path()
    readers: Callable[[Path], Reader] = reader_of
    if venue is not None:
        readers, work = _requests(venue, source, engine, options)
    else:
        work = _work(source, engine, options, counts if attribute is not None else None)
    histogram = None if plot is None else Histogram()
    with _progress(str(report) if report is not None else "") as told:
        job = Job(
            archives,
            _identity(source, is_attributed=attribute is not None, venue=venue),
            work,
            needs_key=attribute is None,
            report=report,
            resume=resume,
            histogram=histogram,
            told=told,
            reader_of=readers,
        )
        done = job.run()
    if plot is not None and histogram is not None:
        write(histogram, plot)
    return _answer(job, done, counts if attribute is not None else None)


def _work(path: Path, engine: str, options: Options, counts: Counter[str] | None) -> Work:
    from hauberk_plugins.batch import engines
    from hauberk_plugins.batch.attribute import Attribution
    from hauberk_plugins.batch.job import attributed
    from hauberk_plugins.batch.keyfile import read_keys
    from hauberk_plugins.gpu.plugin import open_engine

    keys = read_keys(path)
    if counts is None:
        return _judging(keys, engine, options)
    found = engines.found(engine, open_engine)

    def report(title: str, details: dict[str, Any]) -> None:
        _report(title, details, options)

    name, ask = found[0] if found else ("reference", None)
    attribution = Attribution(keys, ask, report, SystemRandom())

    def done(part: Part) -> Any:
        rejected, lines = attributed(attribution.attribute(part, name), part, counts)
        return rejected, lines, sorted(attribution.engines)

    return done


def _judging(keys: Mapping[str, Key], engine: str, options: Options) -> Work:
    from hauberk_plugins.batch import engines
    from hauberk_plugins.batch.parts import Judge
    from hauberk_plugins.gpu.plugin import open_engine

    def report(title: str, details: dict[str, Any]) -> None:
        _report(title, details, options)

    judge = Judge(keys, engines.verifier(engines.found(engine, open_engine), report))

    def judged(part: Part) -> Any:
        done = judge.judge(part)
        return done.rejected, [], sorted(done.engines)

    return judged


def _requests(
    venue: str, path: Path, engine: str, options: Options
) -> tuple[Callable[[Path], Reader], Work]:
    """Return what reads a venue's requests, and what verifies them."""
    from hauberk.cli.requestlog import open_log

    requests = open_log(venue, path)
    if not requests.is_verified:
        return requests.reader_of, _judging(requests.keys, engine, options)
    if engine not in ("auto", "reference"):
        raise UsageError(
            f"--engine {engine}: no engine reads the signatures of {venue}, which are verified one "
            "by one: leave it out"
        )

    def rejected(part: Part) -> Any:
        return {part.first + row: why for row, why in part.problems.items()}, [], ["reference"]

    return requests.reader_of, rejected


def _identity(source: Path, *, is_attributed: bool, venue: str | None) -> str:
    """Return what a report is of, beside the archives: whoever goes on with it means the same."""
    if venue is None:
        return f"{'attribute' if is_attributed else 'keys'}\0{_digest(source)}"
    file = Path(venue)
    more = _digest(file) if file.suffix == ".yml" else ""
    return f"venue\0{venue}\0{more}\0{_digest(source)}"


def _answer(job: Job, done: Done, counts: Counter[str] | None) -> Answer:
    engine = "+".join(done.engines) or "none"
    document: dict[str, Any] = {
        "rows": done.rows,
        "valid": done.rows - done.invalid,
        "invalid": done.invalid,
        "engine": engine,
        "seconds": round(done.seconds, 3),
    }
    rate = f"{done.rows / max(done.seconds, 1e-9):,.0f} rows/s by {engine}"
    where = f"; see {job.report}" if job.report is not None and done.invalid else ""
    if counts is not None:
        document["keys"] = dict(counts)
        lines = [f"{count:,} rows were signed by {key}" for key, count in counts.most_common()]
        lines.append(f"{done.invalid:,} of {done.rows:,} rows by none of the keys{where} ({rate})")
        return Answer(document, "\n".join(lines), ok=not done.invalid)
    if done.invalid:
        shown = f"{done.invalid:,} of {done.rows:,} rows fail{where} ({rate})"
    else:
        shown = f"all {done.rows:,} rows are valid ({rate})"
    return Answer(document, shown, ok=not done.invalid)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def _report(title: str, details: dict[str, Any], options: Options) -> None:
    """Report an engine that verified wrongly, where there is a configuration; and say so."""
    sys.stderr.write(f"hauberk: CRITICAL: {title}: {details}\n")
    if is_missing(options.config):
        return
    from hauberk.command import started

    try:
        with started(options.config, "killswitch") as running:
            running.guard.report(title, Severity.CRITICAL, details)
    except HauberkError as error:
        log.error("the incident could not be reported: %s", error)


@contextmanager
def _progress(report: str) -> Iterator[Callable[[int, float], None]]:
    """Show how far it has come on a terminal, with the rate and the time that is left."""
    try:
        if not sys.stderr.isatty():
            yield lambda rows, share: None  # noqa: ARG005 - nobody looks
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.fields[rows]:,} rows"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[rate]:,.0f} rows/s"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
            task = shown.add_task("verifying", total=1.0, rows=0, rate=0.0)

            def told(rows: int, share: float) -> None:
                rate = rows / max(shown.tasks[0].elapsed or 0.0, 1e-9)
                shown.update(task, completed=share, rows=rows, rate=rate)

            yield told
    except KeyboardInterrupt:
        how = (
            "to go on: the same command with --resume" if report else "with --report, it can go on"
        )
        sys.stderr.write(f"hauberk: stopped; {how}\n")
        raise
