"""Keep decoders quiet: pydicom and Pillow quote a file's values, names included, in warnings and log lines."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

_LOGGERS = ("pydicom", "PIL")


@contextmanager
def silenced(pydicom: bool = False) -> Iterator[None]:
    """No warning and no log line of the decoders while the block runs; with `pydicom` it validates no values either."""
    unvalidated: AbstractContextManager[None] = nullcontext()
    if pydicom:
        from pydicom import config

        unvalidated = config.disable_value_validation()
    # Pillow's modules log to children of "PIL" that are made when they are imported; a child without a level of its
    # own takes its parent's
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), unvalidated:
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
