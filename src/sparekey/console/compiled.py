"""Templates compiled once per installation instead of once per start, beside what Python compiles of its own."""

from __future__ import annotations

import os
from pathlib import Path

from jinja2 import BytecodeCache, FileSystemBytecodeCache
from jinja2.bccache import Bucket


class _Compiled(FileSystemBytecodeCache):
    def dump_bytecode(self, bucket: Bucket) -> None:
        """A disk that is full costs time at the next start, and no page."""
        try:
            super().dump_bytecode(bucket)
        except OSError:
            pass


def compiled_templates() -> BytecodeCache | None:
    """Where templates are kept compiled; None where nothing can be written, as Python does without then, too.

    What is kept goes by the template's text: a changed template is compiled anew.
    """
    kept = Path(__file__).parent / "__pycache__" / "templates"
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return _Compiled(str(kept)) if os.access(kept, os.W_OK) else None
