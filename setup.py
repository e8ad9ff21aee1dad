"""Build: one C library per instruction set, and the Cython modules that call them."""

import os
import shutil
import subprocess
import sys
import sysconfig

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_clib import build_clib
from setuptools.command.build_ext import build_ext

SIMD = "fastlr/_kernels/simd"
HEADERS = [f"{SIMD}/{name}" for name in ("simd.h", "isa.h", "body.h", "sparse.h", "layers.h")]
MACOS = sys.platform == "darwin"
# The processor that the interpreter was built for, which may not be the one that runs it.
X86_64 = sysconfig.get_platform().endswith(("x86_64", "amd64")) and sys.maxsize > 2**32
# An instruction set's flags reach its own file and no other: nothing else may use the instructions.
ISA_FLAGS = {"baseline": []}
if X86_64 or MACOS:
    ISA_FLAGS["avx2"] = ["-mavx2", "-mfma"]
    ISA_FLAGS["avx512"] = [
        "-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw", "-mfma", "-mprefer-vector-width=512",
    ]  # fmt: skip
if MACOS:
    # One call of the compiler may be for two processors, or for the other one: only x86-64 takes these flags.
    ISA_FLAGS = {
        isa: [word for flag in flags for word in ("-Xarch_x86_64", flag)] for isa, flags in ISA_FLAGS.items()
    }

# Builds that look for mistakes, named by FASTLR_DEBUG: see CONTRIBUTING.md. None is for use.
BUILDS = {
    "": ["-O3", "-g0"],
    "checks": ["-O3", "-g0"],  # Cython's checks of indices, divisors and uninitialised views
    "sanitize": ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined"],
    "coverage": ["-O1", "-g0", "--coverage", "-fprofile-update=atomic"],
}
DEBUG = os.environ.get("FASTLR_DEBUG", "")
if DEBUG not in BUILDS:
    raise SystemExit(f"FASTLR_DEBUG must be checks, sanitize or coverage; found {DEBUG!r}.")
COMPILE = BUILDS[DEBUG]
LINK = [flag for flag in COMPILE if flag.startswith(("-fsanitize", "--coverage"))]

libraries = [
    (
        f"fastlr_{isa}",
        {
            "sources": [f"{SIMD}/{isa}.c"],
            "include_dirs": [SIMD],
            "obj_deps": {"": HEADERS},
            "cflags": [*COMPILE, "-fvisibility=hidden", *flags],
        },
    )
    for isa, flags in ISA_FLAGS.items()
]


def kernel(name, depends=(), **options):
    return Extension(
        f"fastlr._kernels.{name}",
        [f"fastlr/_kernels/{name}.pyx"],
        include_dirs=[SIMD, "fastlr/_kernels"],
        depends=[*HEADERS, *depends],
        extra_compile_args=COMPILE,
        extra_link_args=LINK,
        **options,
    )


def choose_clang(compiler):
    """With Visual Studio, clang-cl replaces cl, which knows no vector extensions; says whether it does."""
    if compiler.compiler_type != "msvc":
        return False
    if not compiler.initialized:
        compiler.initialize()
    compiler.cc = shutil.which("clang-cl")
    if compiler.cc is None:
        sys.exit("fastlr needs Clang on Windows: clang-cl, from LLVM 16 or later, must be on the PATH.")
    return True


def for_clang_cl(flags):
    """GCC's flags as clang-cl takes them, without the one that means nothing to Windows."""
    return [f"/clang:{flag}" for flag in flags if flag != "-fvisibility=hidden"]


class build_clib_for_all(build_clib):
    """Compiles the libraries on Windows, too."""

    def build_libraries(self, libraries):
        if choose_clang(self.compiler):
            libraries = [(name, {**info, "cflags": for_clang_cl(info["cflags"])}) for name, info in libraries]
        super().build_libraries(libraries)


class build_ext_beside_sources(build_ext):
    """Leaves the modules beside their sources, too: `python -m fastlr` in a checkout imports from there."""

    def run(self):
        super().run()
        self.copy_extensions_to_source()

    def build_extensions(self):
        if choose_clang(self.compiler):
            # Visual Studio's linker does not know Clang's own library, which holds __builtin_cpu_supports.
            ask = [self.compiler.cc, *for_clang_cl(["--rtlib=compiler-rt", "-print-libgcc-file-name"])]
            builtins = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
            for extension in self.extensions:
                extension.extra_compile_args = for_clang_cl(extension.extra_compile_args)
                extension.extra_objects = [builtins]
        super().build_extensions()


modules = [
    kernel("simd", libraries=[name for name, _ in libraries]),
    kernel("source"),
    kernel("slices", depends=["fastlr/_kernels/team.h"]),
    kernel("sgd", depends=["fastlr/_kernels/team.h"]),
    kernel("mlp", depends=["fastlr/_kernels/team.h"]),
    kernel("saga", depends=["fastlr/_kernels/team.h"]),
    kernel("lagged"),
    kernel("sdca"),
    kernel("hessian", depends=["fastlr/_kernels/team.h"]),
    kernel("descent"),
    kernel("scores"),
    kernel("passes", depends=["fastlr/_kernels/team.h"]),
    kernel("curvature", depends=["fastlr/_kernels/team.h"]),
]

setup(
    libraries=libraries,
    cmdclass={"build_clib": build_clib_for_all, "build_ext": build_ext_beside_sources},
    ext_modules=cythonize(
        modules,
        emit_linenums=DEBUG == "coverage",
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG == "checks",
            "wraparound": False,
            "cdivision": DEBUG != "checks",
            "initializedcheck": DEBUG == "checks",
            "freethreading_compatible": True,
        },
    ),
)
