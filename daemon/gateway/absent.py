"""Imports the SDK without the libraries for tables and arithmetic that nothing of it that is used here needs.

project-x-py imports polars and NumPy in nearly every module, most of them for type annotations: 45 MiB of memory, 0.3 s
of every start and two thirds of the installed daemon. While it is imported, stand-ins take their places: they can be
named, and say what is missing when they are used. docs/decisions/0166.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

TABLES: Final = ("polars", "numpy", "numpy.typing")


class NotIncludedError(ImportError):
    """Something of the SDK was used that needs a library which this program does without."""


class _Name(type):
    """Whatever is asked of a name while the SDK is imported gives the name again; afterwards it can't be used."""

    _library = ""
    _importing = True

    def __getattr__(cls, name: str) -> _Name:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls._named()

    def __call__(cls, *_arguments: Any, **_keywords: Any) -> _Name:
        return cls._named()

    def __getitem__(cls, _item: object) -> _Name:
        return cls._named()

    def __or__(cls, _other: object) -> _Name:
        return cls

    __ror__ = __or__

    def _named(cls) -> _Name:
        if not cls._importing:
            raise NotIncludedError(f"This needs {cls._library}, which Risk Manager does without.")
        return cls


class _StandIn(ModuleType):
    """A module whose every name is one that stands for nothing."""

    def __init__(self, module: str, name: _Name) -> None:
        super().__init__(module)
        self.__path__: list[str] = []
        self._name = name

    def __getattr__(self, name: str) -> _Name:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._name._named()


@contextlib.contextmanager
def without(*modules: str) -> Iterator[None]:
    """What is imported within takes stand-ins for these modules, unless one of them is there already.

    Afterwards they can be imported as ever, and using what was taken raises NotIncludedError.
    """
    if any(module in sys.modules for module in modules):
        yield
        return
    names = {module: _Name(f"{module} (not included)", (), {"_library": module}) for module in modules}
    stand_ins = {module: _StandIn(module, name) for module, name in names.items()}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for module, name in names.items():
            name._importing = False
            if sys.modules.get(module) is stand_ins[module]:
                del sys.modules[module]
