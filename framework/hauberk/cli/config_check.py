"""`hauberk config check`."""

from __future__ import annotations

from collections.abc import Iterator

from hauberk.cli.answer import Answer
from hauberk.cli.config_file import vault_of
from hauberk.cli.options import Options
from hauberk.config import Config, read_config
from hauberk.discovery import discover
from hauberk.errors import ConfigError, ConfigProblem, HauberkError
from hauberk.secureconfig import SecureConfig
from hauberk.yamlfile import in_order


def check(*, options: Options = Options()) -> Answer:
    """Check hauberk.yml, and that what is sealed in it can be opened.

    Starts no plugin but the one that opens sealed values; `hauberk doctor` starts all
    and looks at keys, venues and the machine too. Exits 2 and lists every problem.

    For example:
        hauberk config check
        hauberk config check --config mybot/hauberk.yml --json
    """
    config = read_config(options.config)
    problems: list[ConfigProblem] = []
    failed: HauberkError | None = None
    try:
        discover(config)
    except ConfigError as error:
        problems += error.problems
    except HauberkError as error:
        failed = error
    problems += _unopened(config)
    if problems and failed is not None:
        problems.append(config.document.problem((), str(failed)))
    if problems:
        raise ConfigError(in_order(problems))
    if failed is not None:
        raise failed
    sealed = [one.path for one in config.document.sealed.values()]
    document = {"config": str(options.config), "ok": True, "sealed": sealed}
    opened = f" {len(sealed)} sealed, and opened." if sealed else ""
    return Answer(document, f"{options.config}: nothing is wrong with it.{opened}")


def _unopened(config: Config) -> Iterator[ConfigProblem]:
    """Say which sealed values do not open, or why none can be tried."""
    document = config.document
    if not document.sealed or "vault" not in config.providers:  # which is said already
        return
    try:
        with vault_of(config) as vault:
            yield from SecureConfig(document.file, vault).check()
    except ConfigError as error:
        yield from error.problems
    except HauberkError as error:
        at = next(iter(document.sealed))
        yield document.problem(at, f"is sealed, and what opens it did not start: {error}")
