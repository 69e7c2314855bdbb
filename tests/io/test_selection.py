"""Which of several images is the slide."""

import pytest

from histoscale.io.selection import Candidate, note_on_others, slide_among
from histoscale.io.slide import Mpp

LABEL, MACRO = Candidate("label", (500, 500)), Candidate("macro", (4000, 3000), Mpp(16, 16))
SCAN = Candidate("scan", (1300, 1000), Mpp(0.5, 0.5))


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([SCAN], "scan"),
        ([MACRO, LABEL, SCAN], "scan"),
        ([SCAN, Candidate("larger", (1301, 1000), Mpp(0.51, 0.5))], "larger"),
        ([SCAN, Candidate("finer", (900, 900), Mpp(0.25, 0.25))], "finer"),
        ([Candidate("a", (500, 500)), Candidate("unknown", (900, 900))], "unknown"),
        ([Candidate("a", (9000, 9000)), SCAN], "scan"),
        ([Candidate("Macro image", (9000, 9000)), Candidate("small region", (9, 9))], "small region"),
        ([MACRO, Candidate("unknown", (900, 900))], "unknown"),
        ([LABEL], "label"),
        ([Candidate("a", (9, 9)), Candidate("b", (9, 9))], "a"),
    ],
)
def test_the_largest_at_the_finest_mpp_is_the_slide(candidates: list[Candidate], chosen: str) -> None:
    assert candidates[slide_among(candidates)].name == chosen


def test_a_remark_names_the_slide_and_the_others() -> None:
    note = note_on_others(SCAN, [MACRO, LABEL])
    assert [
        word for word in ("'scan'", "'macro'", "4000 x 3000", "'label'") if word not in (note or "")
    ] == []
    assert "and 96 more" in (note_on_others(SCAN, [MACRO] * 100) or "")
    assert note_on_others(SCAN, []) is None
