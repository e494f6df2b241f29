"""The map of the machine at the top of every lesson, with the lesson's part in colour.

    python -m sdkit.lessons.machine

writes one drawing a lesson to docs/images/machine. They are SVG: sharp on any projector, 3 kB each.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from sdkit.files import ROOT

FOLDER = ROOT / "docs" / "images" / "machine"
WIDTH, HEIGHT = 760, 168
ALL = frozenset({"00", "09"})  # lessons about the whole machine

# name of a part: x, y, width, height, its lines of text, the lessons that take it apart
PARTS: dict[str, tuple[int, int, int, int, list[str], set[str]]] = {
    "text encoder": (104, 12, 104, 40, ["text encoder"], {"06", "13"}),
    "noise": (104, 64, 104, 40, ["noise"], {"02", "11", "16"}),
    "VAE encoder": (104, 116, 104, 40, ["VAE encoder"], {"05", "11", "16"}),
    "UNet": (
        246,
        12,
        96,
        92,
        ["UNet", "says what", "is noise"],
        set("03 07 11 13 14 15 16".split()),
    ),
    "guidance": (352, 12, 86, 40, ["guidance"], {"08", "14"}),
    "scheduler": (352, 64, 86, 40, ["scheduler"], {"03", "04", "14", "15"}),
    "VAE decoder": (476, 38, 104, 40, ["VAE decoder"], {"05", "11"}),
    "super-resolution": (618, 12, 130, 40, ["super-resolution"], {"10"}),
    "judges": (618, 64, 130, 40, ["is it good?", "whose is it?"], {"12", "17"}),
    "GAN": (246, 122, 334, 36, ["GAN: noise to picture in one call"], {"01", "12"}),
}
LABELS = {"sentence": (50, 36), "seed": (50, 88), "photo": (50, 140)}
ARROWS = [
    (84, 32, 102, 32),
    (72, 84, 102, 84),
    (76, 136, 102, 136),
    (208, 32, 234, 32),
    (208, 84, 234, 84),
    (156, 116, 156, 106),
    (450, 58, 474, 58),
    (580, 50, 616, 38),
    (580, 68, 616, 80),
]


def lit(lesson: str) -> list[str]:
    """The parts that a lesson ("00" to "17") is about."""
    if lesson in ALL:
        return [name for name in PARTS if name != "GAN"]
    return [name for name, (*_, lessons) in PARTS.items() if lesson in lessons]


def words(lesson: str) -> str:
    """The content of the drawing in words, for people who cannot see it."""
    parts = lit(lesson)
    about = "the whole machine" if lesson in ALL else " and ".join(parts)
    return f"Map of the machine from sentence, seed and photo to a large picture. Lit: {about}."


def svg(lesson: str) -> str:
    """The map as a drawing."""
    shown = lit(lesson)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="13" '
        f'role="img" aria-label="{escape(words(lesson))}">',
        '<defs><marker id="tip" markerWidth="7" markerHeight="7" refX="6" refY="3.5" '
        'orient="auto"><path d="M0,0 L7,3.5 L0,7 z" fill="#444"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        '<rect x="236" y="4" width="212" height="108" rx="10" fill="none" stroke="#888" '
        'stroke-dasharray="4 3"/>',
    ]
    lines += [
        f'<path d="M{x},{y} L{to_x},{to_y}" stroke="#444" marker-end="url(#tip)"/>'
        for x, y, to_x, to_y in ARROWS
    ]
    lines += [
        f'<text x="{x}" y="{y}" text-anchor="middle" fill="#333">{name}</text>'
        for name, (x, y) in LABELS.items()
    ]
    for name, (x, y, width, height, text, _) in PARTS.items():
        bright = name in shown
        lines.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" '
            f'fill="{"#ffd966" if bright else "#f2f2f2"}" '
            f'stroke="{"#7f6000" if bright else "#999"}" stroke-width="{2 if bright else 1}"/>'
        )
        top = y + height / 2 + 4.5 - 8 * (len(text) - 1)
        lines += [
            f'<text x="{x + width / 2:g}" y="{top + 16 * k:g}" text-anchor="middle" '
            f'fill="{"black" if bright else "#555"}" '
            f'font-weight="{"bold" if bright and not k else "normal"}">'
            f"{line}</text>"
            for k, line in enumerate(text)
        ]
    return "\n".join([*lines, "</svg>", ""])


def write(folder: Path = FOLDER) -> None:
    """Write the map of every lesson that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for lesson in sorted(ROOT.glob("notebooks/[0-9]*.ipynb")):
        number = lesson.name[:2]
        (folder / f"{number}.svg").write_text(svg(number), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write()
