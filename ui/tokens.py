"""Colours and sizes: every one of them, and none elsewhere. Light and dark are designed separately."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tokens:
    """Colours of one theme. `on` is text on the accent; `okbg` and its like are backgrounds of a status."""

    name: str
    bg: str
    side: str
    card: str
    text: str
    muted: str
    faint: str
    line: str
    edge: str
    hover: str
    accent: str
    accent_hover: str
    on: str
    tint: str
    ok: str
    okbg: str
    warn: str
    warnbg: str
    bad: str
    badbg: str
    info: str
    infobg: str
    c1: str
    c2: str
    c3: str
    c4: str
    c5: str

    @property
    def dark(self) -> bool:
        """Whether this is the dark one."""
        return self.name == "dark"

    def status(self, kind: str) -> tuple[str, str]:
        """Foreground and background of a status: ok, warn, bad, info; anything else is neutral."""
        pairs = {
            "ok": (self.ok, self.okbg), "warn": (self.warn, self.warnbg),
            "bad": (self.bad, self.badbg), "info": (self.info, self.infobg),
        }  # fmt: skip
        return pairs.get(kind, (self.muted, self.side))


LIGHT = Tokens(
    name="light", bg="#F7F8FA", side="#EEF0F4", card="#FFFFFF", text="#1A1D21", muted="#596270", faint="#9AA2AE",
    line="#E2E5EA", edge="#C9CED6", hover="#F1F3F7", accent="#2A5DD2", accent_hover="#214FB8", on="#FFFFFF",
    tint="#E9EFFC", ok="#156B3E", okbg="#E3F3EA", warn="#8A4C08", warnbg="#FBEFD9", bad="#B4232F", badbg="#FBE6E7",
    info="#2552BC", infobg="#E4ECFC", c1="#2A5DD2", c2="#B5600A", c3="#127D72", c4="#7A4FC2", c5="#A8356F",
)  # fmt: skip

DARK = Tokens(
    name="dark", bg="#17191D", side="#121417", card="#1F2227", text="#E7E9EC", muted="#9BA4B0", faint="#667080",
    line="#2D3138", edge="#3E444E", hover="#272B31", accent="#7AA2FF", accent_hover="#93B4FF", on="#10131A",
    tint="#25304A", ok="#69C793", okbg="#1B3327", warn="#E3AE63", warnbg="#3A2D18", bad="#F08A92", badbg="#3F2225",
    info="#9DBBFF", infobg="#222E4A", c1="#7AA2FF", c2="#F0A55C", c3="#52C4B7", c4="#BC9CF5", c5="#F090BE",
)  # fmt: skip


# The average character that the widths of text below were chosen for, in pixels at scale 1.
CHARACTER = 6.6
TEXT_WIDTHS = ("inspector", "field", "label", "search")


@dataclass(frozen=True)
class Sizes:
    """Sizes in pixels at scale 1; `scaled` gives those of another scale and font."""

    base: int = 13
    caption: int = 11
    section: int = 15
    title: int = 20
    big: int = 22
    icon: int = 16
    icon_large: int = 40
    row: int = 28
    control: int = 30
    pill: int = 20
    bar: int = 6
    grid: int = 8
    half: int = 4
    radius: int = 8
    radius_control: int = 6
    sidebar: int = 220
    sidebar_small: int = 56
    tray: int = 40
    inspector: int = 380
    field: int = 320
    label: int = 170
    margin: int = 24
    search: int = 260
    toast_ms: int = 6000

    def scaled(self, factor: float, character: float = 0.0) -> Sizes:
        """All sizes by `factor`; times and the sidebar, which would eat the page, stay or grow less.

        `character` is the average width of one in the font at that scale: what holds text is as wide as its text asks.
        """
        values = {name: round(getattr(self, name) * factor) for name in self.__dataclass_fields__}
        if character:
            values |= {name: round(getattr(self, name) * character / CHARACTER) for name in TEXT_WIDTHS}
        values["toast_ms"] = self.toast_ms
        values["sidebar"] = round(self.sidebar * min(factor, 1.65))
        values["margin"] = round(self.margin * min(factor, 1.25))
        return Sizes(**values)


def luminance(colour: str) -> float:
    """Relative luminance after WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Contrast ratio after WCAG 2: 1 to 21."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)
