"""Bring a database's schema up to date, in one transaction, whoever opens it first."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.adapters.store import dialect
from reconciler.core.problem import Refused

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

SCRIPTS = Path(__file__).parent / "migrations"
_alembic = threading.Lock()
"""Alembic keeps what it is at in a global."""


def migrate(engine: Engine) -> None:
    """Run what is missing. `Refused` for a schema that this program does not know."""
    with _alembic, dialect.writing(engine) as connection:
        _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # here, since it is a quarter of the start of any program that opens a store
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise Refused(
            f"the store has a schema that this version does not know ({error})",
            "a state is not opened by an older version than wrote it",
            "install that version or a newer one",
        ) from error
