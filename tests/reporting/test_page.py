import base64
import html.parser
import re

import numpy as np
import pytest

from ctc_jax.reporting.page import Picture, write_report
from ctc_jax.reporting.pictures import save_gif, save_png


class Reader(html.parser.HTMLParser):
    """Collects tags, attributes and text; fails on a tag closed out of order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend(attrs)
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend(attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def report(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (6, 7, 3)).astype(np.uint8)
    save_png(tmp_path / "a.png", picture)
    save_gif(tmp_path / "a.gif", [picture, picture[::-1]], seconds=1.0, rest=1.0)
    write_report(
        tmp_path / "report.html",
        title="cifar <ctc> & more",
        summary={"bound_bpd": 4.81234, "data": "cifar10"},
        history=[{"step": 1, "split": "train", "bound_bpd": 5.0}],
        config={"seed": 3, "likelihood": {"name": "ctc", "nested": {"deep": [1, 2]}}},
        defaults={"seed": 3, "likelihood.name": "logistic", "likelihood.nested.deep": [1, 2]},
        provenance={"command": ["python", "launch.py", "--config=a b"], "git": {"dirty": True}},
        pictures=[Picture("Samples <b>", tmp_path / "a.png"), Picture("Moving", tmp_path / "a.gif")],
        notes=["masks of level_1 < all"],
        about={"data": "cifar10, 32 x 32 x 3"},
    )
    reader = Reader()
    reader.feed((tmp_path / "report.html").read_text())
    return reader, tmp_path


def test_page_is_well_formed_and_refers_to_nothing_outside(report):
    reader, _ = report
    assert reader.open == []
    assert not {"script", "link", "iframe", "object", "base"} & set(reader.tags)
    names = ("src", "href", "xlink:href", "srcset", "data", "action")
    references = [value for name, value in reader.attributes if name in names]
    assert references
    assert all(re.match("data:image/(png|gif);base64,", value) for value in references)
    style = "".join(reader.text)
    assert "url(" not in style
    assert "@import" not in style


def test_page_contains_the_bytes_of_the_pictures_as_what_they_are(report):
    reader, folder = report
    sources = [value.partition(",") for name, value in reader.attributes if name == "src"]
    for kind in ("png", "gif"):
        content = base64.b64encode((folder / f"a.{kind}").read_bytes()).decode()
        assert (f"data:image/{kind};base64", ",", content) in sources


def test_numbers_config_and_command_are_there_in_order(report):
    reader, _ = report
    text = " ".join(" ".join(reader.text).split())
    places = [
        text.index(piece)
        for piece in (
            "data cifar10, 32 x 32 x 3",
            "4.812 bpd",
            "masks of level_1 < all",
            "Samples <b>",
            "python launch.py \\ '--config=a b'",
            "likelihood.name ctc logistic",
            "2 keys at their defaults",
            "seed 3",
            "likelihood.nested.deep [1, 2]",
            "git.dirty true",
        )
    ]
    assert places == sorted(places)
    assert "cifar <ctc> & more" in text


def test_no_temporary_file_is_left(report):
    _, folder = report
    assert sorted(path.name for path in folder.iterdir()) == ["a.gif", "a.png", "report.html"]
