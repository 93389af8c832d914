"""Files unpacked while they are read; the compression is recognised from the content, as a suffix says less."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from importlib import import_module
from pathlib import Path
from typing import Any

from monitor.errors import ConfigError

_COMPRESSIONS = ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zst"))


class _Zstandard(io.RawIOBase):
    """A Zstandard stream whose damage is an `OSError`, as it is for the other compressions."""

    def __init__(self, path: Path) -> None:
        try:
            zstandard = import_module("zstandard")
        except ImportError:
            raise ConfigError(f"{path}: is Zstandard-compressed; pip install zstandard, or unpack it first") from None
        self._error: type[Exception] = zstandard.ZstdError
        self._stream: Any = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return int(self._stream.readinto(buffer))
        except self._error as error:
            raise OSError(str(error)) from None

    def close(self) -> None:
        self._stream.close()
        super().close()


def open_unpacked(path: Path) -> io.BufferedReader:
    """The file's content, unpacked as its first bytes say. Raises `OSError`, and `ConfigError` without zstandard."""
    with path.open("rb") as file:
        start = file.read(8)
    compression = next((name for magic, name in _COMPRESSIONS if start.startswith(magic)), None)
    raw: Any
    if compression == "gz":
        raw = gzip.open(path)  # noqa: SIM115
    elif compression == "bz2":
        raw = bz2.open(path)  # noqa: SIM115
    elif compression == "xz":
        raw = lzma.open(path)  # noqa: SIM115
    elif compression == "zst":
        raw = _Zstandard(path)
    else:
        raw = path.open("rb", buffering=0)
    return io.BufferedReader(raw, 1 << 16)
