"""Build: one C library per instruction set, and the Cython modules that call them."""

import platform
import sys

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SIMD = "fastlr/_kernels/simd"
HEADERS = [f"{SIMD}/{name}" for name in ("simd.h", "isa.h", "body.h", "sparse.h", "layers.h")]
X86_64 = platform.machine().lower() in ("x86_64", "amd64") and sys.maxsize > 2**32
# An instruction set's flags reach its own file and no other: nothing else may use the instructions.
ISA_FLAGS = {"baseline": []}
if X86_64:
    ISA_FLAGS["avx2"] = ["-mavx2", "-mfma"]
    ISA_FLAGS["avx512"] = [
        "-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw", "-mfma", "-mprefer-vector-width=512",
    ]  # fmt: skip

libraries = [
    (
        f"fastlr_{isa}",
        {
            "sources": [f"{SIMD}/{isa}.c"],
            "include_dirs": [SIMD],
            "obj_deps": {"": HEADERS},
            "cflags": ["-O3", "-g0", "-fvisibility=hidden", *flags],
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
        extra_compile_args=["-O3", "-g0"],
        **options,
    )


class build_ext_beside_sources(build_ext):
    """Leaves the modules beside their sources, too: `python -m fastlr` in a checkout imports from there."""

    def run(self):
        super().run()
        self.copy_extensions_to_source()


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
    cmdclass={"build_ext": build_ext_beside_sources},
    ext_modules=cythonize(
        modules,
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": True,
        },
    ),
)
