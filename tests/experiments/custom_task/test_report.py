"""The tables in Markdown: a measure may have any name."""

from histoscale.experiments.custom_task.report import MeasureTable, markdown


def test_a_bar_in_a_name_is_not_a_column() -> None:
    text = markdown("mine", 2.0, [MeasureTable("a|b", 3, 0, ())], ())
    assert "| setting | a\\|b | of the original's | recovered |" in text
