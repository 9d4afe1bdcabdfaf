"""Opening the storage that a search is kept in: memory, a journal file, or a database."""

from __future__ import annotations

import re
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasx.search_spaces.errors import NasxError, UsageError

if TYPE_CHECKING:
    import optuna


class StorageLost(NasxError):
    """A storage that could not be written or did not answer any more; what was evaluated before is in it."""


_ATTEMPTS = 5  # of several processes that make the tables of a new database at once, all but one fail the first time


def open_storage(url: str | Path | None) -> optuna.storages.BaseStorage:
    """Opens an Optuna storage.

    Args:
        url: None for memory, a path (``.log``) for a journal file, else any storage URL Optuna takes
            (``postgresql://...``, ``mysql://...``, ``sqlite:///...``) or ``redis://...``. A storage that goes away
            later is waited for (:class:`nasx.patient_storage.PatientStorage`).

    Raises:
        UsageError: If the URL is not understood or its driver is missing.
        NasxError: If the storage cannot be opened.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url is None:
        return optuna.storages.InMemoryStorage()
    shown = without_password(str(url))
    try:
        from nasx.patient_storage import PatientStorage

        if "://" in str(url):
            return PatientStorage(_database(str(url)), f"the storage '{shown}'")
        from nasx.journal import open_journal

        return PatientStorage(open_journal(Path(url)), f"the journal {shown}")
    except (ImportError, ValueError) as error:
        raise UsageError(f"the storage '{shown}' cannot be used: {_first_line(error)}") from error
    except NasxError:
        raise
    except Exception as error:
        raise NasxError(f"the storage '{shown}' cannot be opened: {_first_line(error)}") from error


def without_password(text: str) -> str:
    """The text with the passwords of URLs in it masked.

    >>> without_password("postgresql://ada:secret@host/nasx")
    'postgresql://ada:***@host/nasx'
    """
    return re.sub(r"(\w+://[^\s:/@]+):[^\s@]+@", r"\1:***@", text)


def _database(url: str) -> Any:
    """A database, with the cache that Optuna puts before it."""
    import optuna

    if url.startswith(("redis://", "rediss://")):
        return optuna.storages.JournalStorage(optuna.storages.journal.JournalRedisBackend(url))
    url, server = _with_driver(url), not url.startswith("sqlite")
    # A connection that broke while nobody used it is noticed before it is used; a server that is gone is not waited
    # for minutes at every attempt.
    settings: dict[str, Any] = {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}} if server else {}
    for attempt in range(_ATTEMPTS):
        try:
            return optuna.storages.get_storage(optuna.storages.RDBStorage(url, engine_kwargs=settings))
        except Exception as error:
            if attempt == _ATTEMPTS - 1 or type(error).__name__ not in ("IntegrityError", "ProgrammingError"):
                raise
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError("not reached")


def _with_driver(url: str) -> str:
    """The URL with the PostgreSQL driver that is installed."""
    scheme, rest = url.split("://", 1)
    if scheme not in ("postgresql", "postgres"):
        return url
    for module, driver in (("psycopg", "postgresql+psycopg"), ("psycopg2", "postgresql+psycopg2")):
        if find_spec(module) is not None:
            return f"{driver}://{rest}"
    raise ImportError("PostgreSQL needs a driver; type: pip install 'nasx[postgresql]'")


def _first_line(error: BaseException) -> str:
    error = getattr(error, "orig", None) or error
    return without_password(str(error).strip().split("\n")[0]) or type(error).__name__
