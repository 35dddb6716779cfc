"""Makes the shipped fonts from Inter's OTF files: Latin subset, figures of one width by default, own family name.

Run once when Inter is updated, not at build time:

    uv run --no-project --with fonttools python resources/fonts/build_fonts.py FOLDER_WITH_INTER_OTF

Baking the tabular figures in (rather than asking for the `tnum` feature widget by widget) makes every number of the
program line up, style sheets and plots included.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

FAMILY = "Inter Tabular"
WEIGHTS = ("Regular", "Medium", "SemiBold", "Bold")
UNICODES = [
    *range(0x20, 0x7F),
    *range(0xA0, 0x250),  # Latin-1, Extended-A and -B: names of people and accounts
    *range(0x370, 0x400),  # Greek
    *range(0x400, 0x460),  # Cyrillic
    *range(0x2010, 0x2027),
    0x2030, 0x2032, 0x2033, 0x2039, 0x203A, 0x2044, 0x20AC, 0x2116, 0x2122,
    *range(0x2190, 0x219A),
    0x2212, 0x2215, 0x2248, 0x2260, 0x2264, 0x2265, 0x2191, 0x2193, 0x25B2, 0x25BC, 0x25B3, 0x25BD,
    0x25CF, 0x25CB, 0x2713, 0x2715, 0x2717,
]  # fmt: skip


def single_substitutions(font: TTFont, tag: str) -> dict[str, str]:
    """Glyph -> glyph of one GSUB feature."""
    table = font["GSUB"].table
    found: dict[str, str] = {}
    for record in table.FeatureList.FeatureRecord:
        if record.FeatureTag == tag:
            for index in record.Feature.LookupListIndex:
                for subtable in table.LookupList.Lookup[index].SubTable:
                    # Behind an extension lies the table itself.
                    found.update(getattr(getattr(subtable, "ExtSubTable", subtable), "mapping", {}))
    return found


def build(source: Path, target: Path, weight: str) -> None:
    """Write one weight. Raises KeyError if the font has no `tnum`."""
    font = TTFont(source)
    tabular = single_substitutions(font, "tnum")
    for cmap in font["cmap"].tables:
        for code, glyph in list(cmap.cmap.items()):
            # Space stays proportional: text would look spread out.
            if glyph in tabular and code != 0x20:
                cmap.cmap[code] = tabular[glyph]
    options = subset.Options(layout_features=["kern", "mark", "mkmk", "ccmp", "case", "calt"], hinting=False)
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14, 16, 17]
    worker = subset.Subsetter(options)
    worker.populate(unicodes=UNICODES)
    worker.subset(font)
    postscript = FAMILY.replace(" ", "") + "-" + weight
    for record in font["name"].names:
        plain = weight in ("Regular", "Bold")
        text = {
            1: FAMILY if plain else f"{FAMILY} {weight}",
            2: weight if plain else "Regular",
            3: postscript,
            4: f"{FAMILY} {weight}",
            6: postscript,
            16: FAMILY,
            17: weight,
        }.get(record.nameID)
        if text is not None:
            record.string = text
    if "CFF " in font:
        cff = font["CFF "].cff
        cff.fontNames = [postscript]
        top = cff.topDictIndex[0]
        top.FamilyName, top.FullName = FAMILY, f"{FAMILY} {weight}"
    font.save(target)


def main() -> None:
    source = Path(sys.argv[1])
    for weight in WEIGHTS:
        build(source / f"Inter-{weight}.otf", Path(__file__).parent / f"InterTabular-{weight}.otf", weight)


if __name__ == "__main__":
    main()
