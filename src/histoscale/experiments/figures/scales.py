"""Fig. 7: LIIF above ISTE at scales that are no integers, with a boxed detail."""

from collections.abc import Iterator

from histoscale.experiments.figures.crops import RULE, pair_of, strongest_edges
from histoscale.experiments.figures.figure import Drawn, LeftOut, Material, why_not
from histoscale.experiments.figures.panels import Panel, draw_sheet

FIG_7 = "Fig. 7: LIIF above ISTE at scales that are no integers"
LABELS = ("liif", "iste")
SCALES = (1.7, 2.6, 3.5, 4.4, 5.3, 6.2, 7.3)
"""To the paper's largest; of the others the paper's text names none."""
DETAIL = 3
"""The box is so much smaller than the crop a side."""


def many_scales(material: Material) -> Iterator[Drawn | LeftOut]:
    """The first scene made small by each scale, and enlarged again by either model."""
    scene = material.shown[0].scene
    pairs = [pair_of(scene, scale, material.degradation) for scale in SCALES]
    at = [] if material.rows.lacking(LABELS) else list(zip(pairs, SCALES, strict=True))
    made = [material.rows.enlarged(pair, scale, LABELS) for pair, scale in at]
    remark = why_not(LABELS, material.rows, made)
    if remark:
        yield LeftOut(FIG_7, remark)
        return
    side = max(max(pair.size) for pair in pairs)
    smallest = min((pair.truth for pair in pairs), key=len)
    box = strongest_edges(smallest, side // DETAIL)
    wholes, details = [], []
    for label in LABELS:
        enlarged = [
            Panel(pictures[label], f"{label} x{scale:g}", box=box)
            for pictures, scale in zip(made, SCALES, strict=True)
        ]
        wholes.append([*enlarged, Panel(pairs[0].truth, "original", box=box, mpp=scene.mpp)])
        details.append([Panel(box.of(one.picture), one.title, mpp=one.mpp) for one in wholes[-1]])
    caption = (
        f"{scene.describe()} ({RULE}), made small by degradation {material.degradation} at each scale and "
        f"enlarged again by LIIF (upper row) and ISTE (below it). The two rows below show the box, "
        f"{box.side_px} x {box.side_px} px, found by the same rule in the crop."
    )
    credit = material.rows.credit(LABELS, SCALES)
    yield Drawn("fig07-scales", FIG_7, caption, draw_sheet([*wholes, *details], side), credit)
