"""Colours that colour-blind readers can tell apart, for light and for dark pages.

Reference:
    The hues are from Okabe & Ito, "Color Universal Design" (2008). Their lightness is adapted to each
    background.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """The colours of one theme, as `#rrggbb`.

    Args:
        page: the background.
        text: main text.
        quiet: labels and notes.
        line: rules, grids and borders.
        panel: the background of panels, which stand out from the page.
        accent: links.
        series: eight hues for series without an order.
        family: the stops of a colour scale for series with an order, such as levels.
        heat: the stops of a colour scale from the smallest to the largest number.
    """

    page: str
    text: str
    quiet: str
    line: str
    panel: str
    accent: str
    series: tuple[str, ...]
    family: tuple[str, ...]
    heat: tuple[str, ...]

    def colours(self, count: int) -> list[str]:
        """The colours of `count` series: distinct hues for up to eight, ordered shades for more.

        Example:
            >>> len(LIGHT.colours(3)), LIGHT.colours(9)[0] == LIGHT.family[0]
            (3, True)
        """
        if count <= len(self.series):
            return list(self.series[:count])
        return [shade(self.family, index / (count - 1)) for index in range(count)]


LIGHT = Palette(
    page="#ffffff",
    text="#16191d",
    quiet="#5b636e",
    line="#dfe3e8",
    panel="#f6f7f9",
    accent="#0b5cad",
    series=("#0072b2", "#d55e00", "#00866a", "#b0508c", "#b07d00", "#3f9ed6", "#6b7280", "#7a1f3d"),
    family=("#440154", "#414487", "#2a788e", "#22a884", "#74c04d"),
    heat=("#f2f5f9", "#bfd6eb", "#7fb0dc", "#0c3a66"),
)
DARK = Palette(
    page="#121519",
    text="#e6e9ee",
    quiet="#9aa4b1",
    line="#2c333c",
    panel="#1a1f25",
    accent="#7cb8f2",
    series=("#5aaef0", "#ff8c50", "#3cc79c", "#e394c2", "#e5b84a", "#a5dbff", "#a3abb8", "#e0738f"),
    family=("#8f86e8", "#5b9be0", "#35b5b5", "#5ccf83", "#d8e04a"),
    heat=("#1c232c", "#28517a", "#4f96d0", "#cbe6ff"),
)


def shade(stops: Sequence[str], where: float) -> str:
    """The colour at position `where`, in [0, 1], of a colour scale with evenly spaced `stops`.

    Example:
        >>> shade(("#000000", "#0000ff"), 0.2)
        '#000033'
    """
    place = where * (len(stops) - 1)
    index = min(int(place), len(stops) - 2)
    pair = [[int(stop[n : n + 2], 16) for n in (1, 3, 5)] for stop in stops[index : index + 2]]
    mixed = [round(a + (b - a) * (place - index)) for a, b in zip(*pair, strict=True)]
    return "#" + "".join(f"{part:02x}" for part in mixed)


def legible(count: int, most: int = 6) -> list[int]:
    """The indices of the series that a legend names: all up to eight, or `most` evenly spaced ones of more.

    Example:
        >>> legible(3), legible(22)
        ([0, 1, 2], [0, 4, 8, 13, 17, 21])
    """
    if count <= len(LIGHT.series):
        return list(range(count))
    return [round(n * (count - 1) / (most - 1)) for n in range(most)]
