"""Where the weights of an adopted run come from: a file here, or an address."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urldefrag, urlsplit
from urllib.request import url2pathname

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from landscape.config.section import Section
from landscape.errors import InputError
from landscape.store import download, weight_files


class WeightsSource(Section):
    """A checkpoint of a stated checksum: a file, or an address from which it is fetched once."""

    path: str | None = Field(None, min_length=1, description="the file, as FILE or FILE#ENTRY")
    url: str | None = Field(
        None, description="the address (https), with #ENTRY where one is chosen; the file is kept in a cache"
    )
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="checksum of the file; an address needs it")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.url is not None and urlsplit(self.url).scheme == "file":
            self._settle("path", url2pathname(urlsplit(self.url).path) + _entry(self.url))
            self._settle("url", None)
        elif (self.path is None) == (self.url is None):
            raise ValueError("must have either a path or a url")
        if self.path is not None and "://" in self.path:
            raise ValueError(f"path is {self.path!r}; an address is stated as {{url: ..., sha256: ...}}")
        if self.url is not None:
            if problem := download.problem_of(self.url):
                raise ValueError(f"url is {problem}")
            if self.sha256 is None:
                raise ValueError("a url needs the sha256 of its file, as `sha256sum FILE` shows it")
        return self

    @model_serializer(mode="wrap")
    def _plainly(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Write what is only a path as text."""
        if self.path is not None and self.sha256 is None:
            return self.path
        return {key: value for key, value in handler(self).items() if value is not None}

    def __str__(self) -> str:
        return str(self.path or self.url)

    @property
    def here(self) -> str | None:
        """The file as FILE or FILE#ENTRY, where it needs no download now."""
        if self.path is not None:
            return self.path
        place = self._cached()
        return f"{place}{_entry(str(self.url))}" if place.is_file() else None

    def located(self) -> str:
        """Return the file as FILE or FILE#ENTRY, once it is fetched and its checksum compared.

        Raises:
            InputError: if it cannot be had, or has another checksum.
        """
        if self.path is None:
            url, sha256 = str(self.url), str(self.sha256)
            return f"{download.fetched(urldefrag(url).url, sha256)}{_entry(url)}"
        if self.sha256 is not None and (found := weight_files.checksum(self.path)) != self.sha256:
            raise InputError(f"{self.path} has the SHA-256 {found}, and {self.sha256} is stated")
        return self.path

    def _cached(self) -> Path:
        return download.cached(urldefrag(str(self.url)).url, str(self.sha256))


def _entry(url: str) -> str:
    """`#ENTRY` of an address, or nothing."""
    return f"#{fragment}" if (fragment := urldefrag(url).fragment) else ""


def _as_mapping(value: Any) -> Any:
    if not isinstance(value, str | Path | Mapping | WeightsSource):
        raise ValueError("must be a file, or a mapping with path or url, and sha256")
    return {"path": str(value)} if isinstance(value, str | Path) else value


Checkpoint = Annotated[WeightsSource, BeforeValidator(_as_mapping, json_schema_input_type=str | WeightsSource)]
"""FILE or FILE#ENTRY, or a mapping that says more."""
