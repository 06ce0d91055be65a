"""A YAML file as plain values."""

from pathlib import Path
from typing import Any

import yaml

from landscape.errors import InputError

_DAMAGE = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError)
"""Errors that text raises which is no YAML, or holds `!!int ""` or a number of ten thousand digits."""


def read(path: str | Path) -> Any:
    """Read a YAML file.

    Raises:
        InputError: if it cannot be read, is not valid YAML, or is nested too deeply.
    """
    try:
        return yaml.safe_load(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply") from None
    except _DAMAGE as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
