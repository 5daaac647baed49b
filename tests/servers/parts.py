"""What a test needs beside Python: found, or named in one line. In CI every part must be there."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

Found = TypeVar("Found")


class PartMissingError(Exception):
    """Something is not on this machine; the sentence says what."""


def require(part: Callable[[], Found]) -> Found:
    """What `part` finds: `require(program("java"))`. Where it raises PartMissingError the test is skipped.

    With `CI` in the environment it fails instead: there, a part that is missing would silently test nothing.
    """
    try:
        return part()
    except PartMissingError as error:
        sentence = f"missing: {error}"
        if os.environ.get("CI"):
            pytest.fail(sentence, pytrace=False)
        pytest.skip(sentence)


def program(*names: str) -> Callable[[], Path]:
    """A part that is a program on the PATH, under the first of `names` that is there."""

    def find() -> Path:
        for name in names:
            if found := shutil.which(name):
                return Path(found)
        raise PartMissingError(f"the program {' or '.join(names)}")

    return find
