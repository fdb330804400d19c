"""The system libraries that Qt needs on Linux: looked for before Qt is loaded, which would only abort."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

FOLDERS = (f"/usr/lib/{os.uname().machine}-linux-gnu", f"/lib/{os.uname().machine}-linux-gnu", "/usr/lib64", "/usr/lib")
# Shared object -> Debian package, as Qt's own libraries name them (`objdump -p`, NEEDED) and no other package brings.
ALWAYS = {
    "libEGL.so.1": "libegl1", "libGL.so.1": "libgl1", "libxkbcommon.so.0": "libxkbcommon0",
    "libdbus-1.so.3": "libdbus-1-3", "libfontconfig.so.1": "libfontconfig1", "libglib-2.0.so.0": "libglib2.0-0",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
}  # fmt: skip
X11 = {
    "libX11-xcb.so.1": "libx11-xcb1", "libxcb-cursor.so.0": "libxcb-cursor0", "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0", "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0", "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0", "libxcb-shm.so.0": "libxcb-shm0", "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1", "libxcb-xfixes.so.0": "libxcb-xfixes0", "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}  # fmt: skip
WAYLAND = {"libwayland-client.so.0": "libwayland-client0", "libwayland-cursor.so.0": "libwayland-cursor0"}


def complaint() -> str:
    """What keeps the window from opening and what to do, or "". Only a Linux without Qt's libraries has one."""
    # A packed application brings its libraries along.
    if not sys.platform.startswith("linux") or getattr(sys, "frozen", False):
        return ""
    return check(os.environ, _loads)


def check(environment: Mapping[str, str], loads: Callable[[str], bool]) -> str:
    """The same for these environment variables; `loads(soname)` says whether a library is there."""
    platform = _platform(environment)
    if not platform:
        return (
            "Bright Run can't open its window: there is no display. Neither DISPLAY nor WAYLAND_DISPLAY is set.\n"
            "Start it in a desktop session; without one, `python -m app pipeline` does the same work.\n"
        )
    wanted = ALWAYS | {"xcb": X11, "wayland": WAYLAND}.get(platform, {})
    missing = [name for name in wanted if not loads(name)]
    if not missing:
        return ""
    packages = " ".join(wanted[name] for name in missing)
    return (
        f"Bright Run can't open its window: Qt needs system libraries that are missing: {', '.join(missing)}.\n"
        f"On Debian and Ubuntu, install them with\n\n    sudo apt install {packages}\n\n"
        "and start again; elsewhere, install the packages that hold these files.\n"
    )


def _platform(environment: Mapping[str, str]) -> str:
    """Which of Qt's platforms will be loaded, as Qt chooses it; "" if there is no display."""
    asked = environment.get("QT_QPA_PLATFORM", "").partition(":")[0].partition(";")[0]
    if asked:
        return asked
    if environment.get("WAYLAND_DISPLAY"):
        return "wayland"
    return "xcb" if environment.get("DISPLAY") else ""


def _loads(name: str) -> bool:
    # A look into the usual folders takes no time; the loader knows others, and is asked for what is not there.
    if any(os.path.exists(f"{folder}/{name}") for folder in FOLDERS):
        return True
    import ctypes

    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
