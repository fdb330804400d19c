"""What nobody wants in a code index, whatever a project's own rules say: one table a kind.

A folder is known by its name, by what stands beside it, or by what it holds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container
from dataclasses import dataclass


def words(text: str) -> frozenset[str]:
    """The words of a table's cell."""
    return frozenset(text.split())


_FOLDERS = words("""
    .git .hg .svn .bzr CVS _darcs .jj .pijul
    node_modules bower_components jspm_packages .pnpm-store .yarn .npm .next .nuxt .svelte-kit .angular .astro .vercel
    .netlify .expo .turbo .parcel-cache .vite .cache .sass-cache .nyc_output
    __pycache__ .venv venv .tox .nox .eggs site-packages .mypy_cache .pytest_cache .ruff_cache .hypothesis htmlcov
    .import_linter_cache .ipynb_checkpoints .pytype .direnv
    .gradle .idea .vs .metals .bloop .bsp .terraform .terragrunt-cache .serverless .aws-sam .bundle
    DerivedData Pods Carthage xcuserdata .build .swiftpm .dart_tool .stack-work dist-newstyle elm-stuff .zig-cache
    zig-out .ccls-cache .clangd __MACOSX .Trash
""")
_FOLDER_ENDS = (".egg-info", ".dist-info", ".xcodeproj", ".xcworkspace", ".xcassets", ".app", ".framework", ".dSYM")
_FILES = re.compile(r"^(?:\.git|\.DS_Store|Thumbs\.db|desktop\.ini|\.localized|.*\.sw[a-p]|.*~|#.*#|\.#.*)$", re.DOTALL)
# A folder of such a name holds what was built where one of these files stands beside it and none of it is tracked.
_BUILT = {
    "build": "setup.py setup.cfg pyproject.toml package.json build.gradle build.gradle.kts CMakeLists.txt meson.build "
    "pubspec.yaml",
    "dist": "setup.py setup.cfg pyproject.toml package.json",
    "out": "package.json build.gradle build.gradle.kts CMakeLists.txt",
    "target": "Cargo.toml pom.xml build.sbt",
    "coverage": "package.json",
    "storybook-static": "package.json",
    "_build": "mix.exs dune-project conf.py",
    "deps": "mix.exs",
    "cmake-build-debug": "CMakeLists.txt",
    "cmake-build-release": "CMakeLists.txt",
}
# Of any name where it holds one of these, tracked or not.
_HOLDING = {
    "pyvenv.cfg": "a Python environment", "conda-meta": "a conda environment", "CACHEDIR.TAG": "a cache",
}  # fmt: skip
# Other people's code, copied by a package manager that leaves its list there.
_VENDORED = {"vendor": "modules.txt autoload.php bundle", "Godeps": "Godeps.json"}


@dataclass(frozen=True)
class Names:
    """What stands in a folder on disk, asked one name at a time."""

    folder: str

    def __contains__(self, name: object) -> bool:
        return os.path.lexists(os.path.join(self.folder, str(name)))


def never_wanted_file(name: str) -> str:
    """The default rule that leaves out a file of this name, or ""."""
    return name if _FILES.match(name) else ""


def never_wanted_folder(name: str, beside: Container[str], inside: Container[str], *, tracked: bool) -> str:
    """The default rule that leaves out a folder, or "": by its name, by what stands beside it, by what it holds."""
    if name in _FOLDERS:
        return f"{name}/"
    if name.endswith(_FOLDER_ENDS):
        return f"*{os.path.splitext(name)[1]}/"
    if not tracked:
        for sign in _BUILT.get(name, "").split():
            if sign in beside:
                return f"{name}/ beside {sign}"
    for sign, title in _HOLDING.items():
        if sign in inside:
            return f"{title} ({sign})"
    for sign in _VENDORED.get(name, "").split():
        if sign in inside:
            return f"{name}/ with {sign}"
    return ""
