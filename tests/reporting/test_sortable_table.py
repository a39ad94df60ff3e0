import math
import re

from ctc_jax.reporting.sortable_table import Cell, Column, sortable_table


def marked(page):
    return re.findall(r'class="best">([^<]*)<', page)


def numbers(*values, counts=True):
    return [[Cell(f"{value:g}", value, counts)] for value in values]


def test_the_best_number_of_a_column_is_the_highest_the_lowest_or_none():
    rows = numbers(2.0, 5.0, math.nan, 3.0)
    assert [marked(sortable_table([Column("bound", better)], rows)) for better in (1, -1, 0)] == [["5"], ["2"], []]


def test_what_does_not_count_is_not_the_best_and_one_alone_is_not_compared():
    rows = [*numbers(2.0, 5.0), *numbers(9.0, counts=False)]
    assert marked(sortable_table([Column("bound", 1)], rows)) == ["5"]
    assert marked(sortable_table([Column("bound", 1)], rows[1:])) == []


def test_equally_good_ones_are_all_marked():
    assert marked(sortable_table([Column("bound", 1)], numbers(5.0, 2.0, 5.0))) == ["5", "5"]


def test_headings_are_words_and_cells_are_html():
    page = sortable_table([Column("a <b>")], [[Cell("<i>c</i>")]])
    assert "a &lt;b&gt;" in page
    assert "<td><i>c</i></td>" in page
