import html.parser

from ctc_jax.reporting.number_tables import by_parts, heading, numbers, wide_table

SUMMARY = {
    "bound_bpd": 4.81234,
    "kl_nats/level_1": 518.84,
    "kl_nats/top": 43.5,
    "active_units/top": 64.0,
    "mask_entropy_nats/level_1": 0.56,
    "sharpness/samples": 0.0459,
    "frechet/pixels/samples": 33.6,
    "recall/pixels/samples": 0.565,
}


class Rows(html.parser.HTMLParser):
    """The tables of a page: of each its rows, of each its cells' words."""

    def __init__(self):
        super().__init__()
        self.tables = []

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_data(self, data):
        if self.tables and self.tables[-1]:
            self.tables[-1][-1][-1] += data


def read(page):
    rows = Rows()
    rows.feed(page)
    return [[[cell.strip() for cell in row] for row in table] for table in rows.tables]


def test_measures_of_the_same_parts_share_a_table():
    assert by_parts(SUMMARY) == [
        (["kl_nats", "active_units", "mask_entropy_nats"], ["level_1", "top"]),
        (["sharpness"], ["samples"]),
        (["frechet", "recall"], ["pixels/samples"]),
    ]


def test_a_measure_of_the_parts_of_two_tables_makes_them_one():
    assert by_parts(["a/x", "b/y", "c/z", "d/x", "d/y"]) == [(["a", "b", "d"], ["x", "y"]), (["c"], ["z"])]


def test_a_number_of_the_whole_is_a_card_and_one_of_a_part_a_cell():
    page = numbers(SUMMARY)
    assert page.count("<dt>") == 1
    assert "<dt>bound</dt><dd>4.812" in page
    assert read(page) == [
        [
            ["", "kl (nats)", "active units", "mask entropy (nats)"],
            ["level 1", "518.84", "", "0.5600"],
            ["top", "43.50", "64.00", ""],
        ],
        [["", "sharpness"], ["samples", "0.0459"]],
        [["", "frechet", "recall"], ["pixels, samples", "33.60", "0.5650"]],
    ]


def test_a_part_with_a_unit_of_its_own_says_it():
    page = numbers({"gap/elbo_nats": -123.456, "gap/fit_seconds": 0.5})
    assert read(page) == [[["", "gap"], ["elbo (nats)", "-123.46"], ["fit (s)", "0.5000"]]]


def test_names_and_texts_are_escaped():
    page = numbers({"<a>": "<b>", "c/<d>": 1})
    assert "<dt>&lt;a&gt;</dt><dd>&lt;b&gt;" in page
    assert "<td>&lt;d&gt;</td>" in page
    assert "<th>&lt;e&gt;</th>" in wide_table(["<e>"], [])


def test_without_numbers_it_says_so_and_without_any_of_the_whole_there_are_no_cards():
    assert "No numbers yet." in numbers({})
    assert "<dl" not in numbers({"a/b": 1})


def test_a_heading_says_name_and_unit():
    assert [heading(name) for name in ("kl_nats", "seed", "images_per_second")] == ["kl (nats)", "seed", "images/s"]
