"""Adds to a Wine 8 test bed the few Windows functions that today's wheels import and Wine 8 does not have.

Only the test bed is touched, never the product. Usage: ``shims.py BED``, where BED holds ``python/`` and ``prefix/``.

- ``bcryptprimitives.ProcessPrng``: random numbers for wheels written in Rust (pydantic-core, orjson, polars).
- The complex functions of the C runtime, for NumPy: its import of the runtime's maths is turned to a DLL of ours that
  forwards what Wine has and computes the rest.
- ``icuuc``: Qt 6 imports it by name; stubs that return null suffice for Unicode text.
- ``takeown.exe``: does nothing, as Wine's own ``icacls.exe``; what rights do is tested on Linux with a second user.
- ``mscms``: Qt's Windows platform plugin asks for colour profiles; null answers suffice.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pefile  # type: ignore[import-not-found,import-untyped,unused-ignore]  # in the bed's tools alone

CRT_MATH = b"api-ms-win-crt-math-l1-1-0.dll"
CRT_SHIM = b"crtmathshim.dll"
COMPLEX_FUNCTION = re.compile(r"(c(?:real|imag|abs|arg|exp|cosh?|sinh?|tanh?|pow|sqrt|log))([fl]?)")

PROCESS_PRNG = """
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) {
    while (size) {
        ULONG part = size > 0x10000000 ? 0x10000000 : (ULONG)size;
        if (!SystemFunction036(data, part)) return FALSE;
        data += part;
        size -= part;
    }
    return TRUE;
}
"""


def imported(binary: Path, *libraries: bytes) -> set[str]:
    """Names that ``binary`` imports, at once or delayed, from the given libraries (lower case)."""
    pe = pefile.PE(str(binary), fast_load=True)
    pe.parse_data_directories(directories=[1, 13])
    entries = [*getattr(pe, "DIRECTORY_ENTRY_IMPORT", []), *getattr(pe, "DIRECTORY_ENTRY_DELAY_IMPORT", [])]
    return {i.name.decode() for e in entries if e.dll.lower() in libraries for i in e.imports if i.name}


def complex_source(names: set[str]) -> tuple[str, str]:
    """C source and module definition of the maths DLL that exports ``names``."""
    source, exports = ["#include <complex.h>"], []
    for name in sorted(names):
        match = COMPLEX_FUNCTION.fullmatch(name)
        if match is None:
            exports.append(f"  {name} = ucrtbase.{name}")
            continue
        stem, suffix = match.groups()
        kind = "float" if suffix == "f" else "double"
        compute = name if suffix == "f" else stem  # long double is double on Windows
        result = kind if stem in {"creal", "cimag", "cabs", "carg"} else f"{kind} _Complex"
        parameters = [f"{kind} _Complex a", f"{kind} _Complex b"][: 2 if stem == "cpow" else 1]
        arguments = ["a", "b"][: len(parameters)]
        source.append(f"{result} shim_{name}({', '.join(parameters)}) {{ return {compute}({', '.join(arguments)}); }}")
        exports.append(f"  {name} = shim_{name}")
    return "\n".join(source) + "\n", "\n".join(["LIBRARY crtmathshim", "EXPORTS", *exports]) + "\n"


def stubs(names: set[str]) -> str:
    return "".join(f"__declspec(dllexport) void *{name}(void) {{ return 0; }}\n" for name in sorted(names))


class TestBed:
    def __init__(self, root: Path) -> None:
        self.work = root / "shims"
        self.work.mkdir(exist_ok=True)
        self.python = root / "python"
        self.site = self.python / "Lib" / "site-packages"
        self.targets = (self.python, root / "prefix" / "drive_c" / "windows" / "system32")

    def build(self, name: str, source: str, *linker: str) -> None:
        code, library = self.work / f"{name}.c", self.work / f"{name}.dll"
        code.write_text(source)
        gcc = ["x86_64-w64-mingw32-gcc", "-O1", "-shared", "-static", "-o", str(library), str(code), *linker]
        subprocess.run(gcc, check=True, timeout=60)
        for target in self.targets:
            (target / library.name).write_bytes(library.read_bytes())

    def add_takeown(self) -> None:
        code, program = self.work / "takeown.c", self.targets[1] / "takeown.exe"
        code.write_text("int main(void) { return 0; }\n")
        subprocess.run(["x86_64-w64-mingw32-gcc", "-O1", "-static", "-o", program, code], check=True, timeout=60)

    def add_random(self) -> None:
        self.build("bcryptprimitives", PROCESS_PRNG, "-ladvapi32")

    def add_complex_maths(self) -> None:
        binaries = [*self.site.glob("numpy/**/*.pyd"), *self.site.glob("numpy.libs/*.dll")]
        names = set().union(*(imported(b, CRT_MATH, CRT_SHIM) for b in binaries))
        if not names:
            return
        source, definition = complex_source(names)
        exports = self.work / "crtmathshim.def"
        exports.write_text(definition)
        self.build("crtmathshim", source, str(exports))
        for binary in binaries:
            data = binary.read_bytes()
            turned = re.sub(re.escape(CRT_MATH), CRT_SHIM.ljust(len(CRT_MATH), b"\0"), data, flags=re.IGNORECASE)
            if turned != data:
                binary.write_bytes(turned)

    def add_qt_needs(self) -> None:
        qt = self.site / "PySide6"
        if not qt.exists():
            return
        self.build("icuuc", stubs(imported(qt / "Qt6Core.dll", b"icuuc.dll")))
        binaries = [*qt.glob("*.dll"), *qt.glob("plugins/**/*.dll")]
        profiles = set().union(*(imported(b, b"mscms.dll") for b in binaries))
        self.build("mscms", stubs(profiles | {"WcsCreateIccProfile"}))


if __name__ == "__main__":
    bed = TestBed(Path(sys.argv[1]))
    bed.add_takeown()
    bed.add_random()
    bed.add_complex_maths()
    bed.add_qt_needs()
