"""Units of length by their names and symbols, as OME-XML, NGFF, ImageJ and TIFF name them.

The lengths are those of OME's UnitsLength and of UDUNITS, which NGFF refers to.
"""

import html
import re
import unicodedata

SI_PREFIXES = {
    **{"Y": ("yotta", 24), "Z": ("zetta", 21), "E": ("exa", 18), "P": ("peta", 15), "T": ("tera", 12)},
    **{"G": ("giga", 9), "M": ("mega", 6), "k": ("kilo", 3), "h": ("hecto", 2), "da": ("deca", 1)},
    **{"": ("", 0), "d": ("deci", -1), "c": ("centi", -2), "m": ("milli", -3), "u": ("micro", -6)},
    **{"n": ("nano", -9), "p": ("pico", -12), "f": ("femto", -15), "a": ("atto", -18)},
    **{"z": ("zepto", -21), "y": ("yocto", -24)},
}
"""Symbol of a prefix, its name, and its power of ten."""
OTHER_LENGTHS = {
    ("u", "micron"): 1.0,
    ("Å", "angstrom"): 1e-4,
    ("in", "inch", "inche"): 25_400.0,
    ("thou", "mil"): 25.4,
    ("li", "line"): 25_400 / 12,
    ("pt", "point"): 25_400 / 72,
    ("ft", "foot", "feet"): 304_800.0,
    ("yd", "yard"): 914_400.0,
    ("mi", "mile"): 1.609344e9,
    ("ua", "au", "astronomical unit", "astronomical_unit"): 1.495978707e17,
    ("ly", "light year", "light_year"): 9.4607304725808e21,
    ("pc", "parsec"): 3.0856775814913673e22,
}
"""Symbol and names without plural s, with micrometres."""
UM_PER_SYMBOL = {f"{symbol}m": 10.0 ** (power + 6) for symbol, (_, power) in SI_PREFIXES.items()} | {
    names[0]: um for names, um in OTHER_LENGTHS.items()
}
UM_PER_NAME = {f"{name}meter": 10.0 ** (power + 6) for name, power in SI_PREFIXES.values()} | {
    name: um for names, um in OTHER_LENGTHS.items() for name in names[1:]
}
ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
"""A character as ImageJ and JSON escape it."""
LONGEST_UNIT = 40
"""Characters; a longer text is not a unit."""


def um_per(unit: str | None) -> float | None:
    """Find the micrometres of a unit of length, in any spelling; None if the unit is unknown.

    Symbols keep their case where it decides: ``mm`` is a millimetre, ``Mm`` a megametre. Names may be in any
    case, in the plural, and in British or American spelling.
    """
    if unit is None or len(unit) > LONGEST_UNIT:
        return None
    text = ESCAPED.sub(lambda found: chr(int(found[1], 16)), html.unescape(unit))
    # NFKC makes one character of the two micro signs, and of the two signs of the angstrom. A file in UTF-8
    # that was read as Latin-1 has a circumflexed A before the micro sign.
    symbol = unicodedata.normalize("NFKC", text).strip().replace("Â", "").replace("μ", "u")
    name = symbol.lower().replace("metre", "meter").removesuffix("s")
    for found in (UM_PER_SYMBOL.get(symbol), UM_PER_NAME.get(name), UM_PER_SYMBOL.get(symbol.lower())):
        if found is not None:
            return found
    return None
