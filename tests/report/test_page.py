"""The pages: hostile texts stay texts, nothing is loaded, links lead somewhere, and figures keep apart."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from tests.report.made_claims import about, claim, made as made_claims

import firstlight as fl
from firstlight.experiments import FigureEntry, Result
from firstlight.experiments.verdicts import VERDICTS
from firstlight.figures.axes import new_figure
from firstlight.figures.svg import svg
from firstlight.filters import FilterBank
from firstlight.inspection.network_view import NetworkView, Snapshot
from firstlight.inspection.not_inspected import Failure
from firstlight.patches.shipped import shipped_moments
from firstlight.profile import EnergyProfile
from firstlight.report.claim_lines import headline
from firstlight.report.filter_pages import comparison_page, inspections_page
from firstlight.report.reproduction_page import reproduction_page

EVIL = "</script><img src=x onerror=alert(1)>\"'\n$x_y$ \u202e\u2028 \udcff\x01 &amp;</title>"
BASIS = shipped_moments(3).basis((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))
SIZE = 6_000_000  # bytes
HOSTILE = {"command": f"firstlight reproduce --data {EVIL}", "data": EVIL, "device": [EVIL]}


def figure(text: str) -> FigureEntry:
    fig, (ax,) = new_figure()
    ax.plot([1, 2], [3, 4], label=text)
    ax.legend()
    return FigureEntry(fig, text, text)


def view(energy: np.ndarray, name: str = EVIL, key: str = "", steps: int = 1) -> NetworkView:
    profile = EnergyProfile(energy, 4, change=True)
    snapshots = [Snapshot.of(profile, BASIS, step + 1) for step in range(steps)]
    filters = np.random.default_rng(0).normal(size=(4, 3, 3, 3))
    return NetworkView(name, BASIS, snapshots, filters, initial=0 * filters, units=name, key=key)


def bank(*shape: int, source: str = EVIL) -> FilterBank:
    return FilterBank(np.random.default_rng(len(shape)).normal(size=shape), source=source)


class Read(HTMLParser):
    """What a browser would make of a page: its elements, and the text that it shows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, attribute: str) -> list[str]:
        return [found for _, attributes in self.elements if (found := attributes.get(attribute)) is not None]


def pages() -> dict[str, str]:
    """One of each kind, with hostile texts wherever there can be any."""
    evil = dict.fromkeys(("statement", "source", "published", "quantity", "criterion"), EVIL)
    first = claim("F1", subject=EVIL, note=EVIL, figure="one")
    first = replace(first, criterion=replace(first.criterion, **evil))
    other = replace(first, id=f"F1.{EVIL}", figure="gone", verdict="not tested", reason=EVIL)
    shown = {"one": figure(EVIL), "two": figure(EVIL)}
    networks = (view(np.arange(27.0), key="1", steps=3), view(np.full(27, np.nan), "<b>nan</b>", key="2"))
    result = Result("formula", (first, other), {}, shown, (), EVIL, networks)
    found = [fl.inspect(bank(8, 3, 3, 3)), fl.inspect(bank(1, 3, 5, 1))]
    return {
        "reproduction": reproduction_page(fl.Reproduction(Path("out"), (result,), about(**HOSTILE))),
        "inspection": inspections_page(found, [Failure(EVIL, EVIL)], EVIL),
        "comparison": comparison_page(fl.compare([bank(8, 3, 3, 3), bank(4, 3, 7, 7), bank(2, 3, 3, 3)], BASIS), EVIL),
    }


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages()


@pytest.mark.parametrize("kind", ["reproduction", "inspection", "comparison"])
def test_hostile_names_are_shown_and_not_run(made, kind):
    page = made[kind]
    read = Read(page)
    assert not any(tag == "img" for tag, _ in read.elements)
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)
    assert "<img src=x onerror=alert(1)>" in read.text
    assert sum(tag == "script" for tag, _ in read.elements) == page.count("</script>") == 4
    page.encode()  # no file name keeps a page from being written


@pytest.mark.parametrize("kind", ["reproduction", "inspection", "comparison"])
def test_nothing_is_loaded_and_every_link_leads_somewhere(made, kind):
    page = made[kind]
    read = Read(page)
    names = read.all("id")
    assert len(names) == len(set(names))
    for address in [*read.all("src"), *read.all("href")]:
        assert address.startswith("data:") or address[1:] in names, address
    assert not re.search(r"@import|url\((?!#)", page.split("</style>")[0])
    for name in [*read.all("for"), *read.all("aria-labelledby")]:
        assert name in names
    assert len(page.encode()) < SIZE


@pytest.mark.parametrize("kind", ["reproduction", "inspection", "comparison"])
def test_every_interactive_chart_has_a_static_figure_before_it(made, kind):
    elements = Read(made[kind]).elements
    roles = [attributes.get("data-role") for _, attributes in elements]
    charts = {"reproduction": 1, "inspection": 1, "comparison": 3}[kind]
    assert sum(role in ("profile-chart", "heat-map", "overlay") for role in roles) == charts
    for number, role in enumerate(roles):
        if role in ("profile-chart", "heat-map", "overlay"):
            before = roles[:number][::-1].index("static")
            drawn = [(tag, a) for tag, a in elements[number - before : number] if a.get("role") == "img"]
            assert any(tag == "svg" or a.get("class") == "panels" for tag, a in drawn)


@pytest.mark.parametrize("kind", ["reproduction", "inspection", "comparison"])
def test_the_explorer_has_all_its_parts(made, kind):
    roles = set(Read(made[kind]).all("data-role"))
    assert roles >= {"explorer", "network", "tau", "tau-value", "correlation", "best-fit", "play", "play-formula"}
    assert roles >= {"profile-chart", "component-detail", "filter-detail", "theme", "static", "moment"}


def test_a_claim_links_to_its_figure_where_there_is_one(made):
    elements = Read(made["reproduction"]).elements
    rows = [attributes["data-claim"] for tag, attributes in elements if "data-claim" in attributes]
    assert [row and row.splitlines()[0] for row in rows] == ["F1", f"F1.{EVIL}".splitlines()[0]]
    links = [attributes["href"] for _, attributes in elements if attributes.get("data-role") == "claim-figure"]
    assert links == ["#figure-formula-one"]


def test_each_row_of_the_first_table_leads_to_its_claims_or_to_its_experiment():
    found = made_claims()
    table = reproduction_page(found).split('<table class="headline"')[1].split("</table>")[0]
    led = set(re.findall(r'href="#([^"]+)"', table))
    rows = headline(found)
    assert led == {f"claim-{claim.id}" for row in rows for claim in row.claims} | {
        row.criterion.experiment for row in rows if not row.claims
    }
    assert table.count("<tbody>") == len(rows)


def test_the_data_names_every_network_under_its_experiment(made):
    text = re.search(r'id="firstlight-data">(.*?)</script>', made["reproduction"], re.DOTALL)
    assert text is not None
    networks = json.loads(text[1])["networks"]
    assert [(network["name"], network["group"], len(network["snapshots"])) for network in networks] == [
        (EVIL, "formula", 3),
        ("<b>nan</b>", "formula", 1),
    ]
    assert networks[1]["snapshots"][0]["energy"] == [None] * 27


def test_no_claims_no_figures_and_no_networks_is_still_a_page():
    page = reproduction_page(fl.Reproduction(Path("out"), (Result("formula", (), {}, {}, (), ""),), about()))
    assert "8 not tested" in page
    assert "Reproduced: none of 8 published claims." in page
    assert "No claim was judged here" in page
    assert len(page) < 100_000  # without a chart, no library for charts
    assert reproduction_page(fl.Reproduction(Path("out"), (), about()))


def test_every_verdict_is_a_word_with_a_colour_of_its_own_kind():
    page = reproduction_page(made_claims())
    style = (files("firstlight.report") / "templates" / "style.css").read_text()
    for verdict in VERDICTS:
        assert re.search(rf"\.{verdict.replace(' ', '-')}\b[^{{}}]*\{{ color: ", style), verdict
    shown = set(re.findall(r'<span class="verdict ([\w-]+)">([\w ]+)</span></summary>', page))
    assert shown == {(verdict.replace(" ", "-"), verdict) for verdict in VERDICTS}
    assert "untrained: VGG11 is at 10.0% training accuracy" in page
    assert "0.967 (holds already)" in page


def test_an_old_record_is_shown_as_such():
    assert "Recorded by the first version" not in reproduction_page(made_claims())
    assert "Recorded by the first version, judged by the second" in reproduction_page(made_claims(first_version=True))


@pytest.mark.parametrize("weight", [np.zeros((3, 3, 3, 3)), np.ones((1, 3, 1, 1)), np.eye(27).reshape(27, 3, 3, 3)])
def test_filters_that_nothing_can_be_fitted_to_are_a_page(weight):
    page = inspections_page([fl.inspect(weight)], (), "about")
    assert "network" not in Read(page).all("data-role")  # one network is no choice
    assert "explorer" in Read(page).all("data-role")


def test_a_page_opens_on_a_trained_network_if_there_is_one():
    variance = BASIS.variance
    trained = (
        fl.linear_cnn_profile(variance, 3.0)[:, None] * np.linalg.qr(np.random.default_rng(0).normal(size=(27, 27)))[0]
    )
    learnt = FilterBank((trained.T @ BASIS.components).reshape(27, 3, 3, 3), source="learnt")
    page = inspections_page([fl.inspect(bank(8, 3, 3, 3, source="drawn")), fl.inspect(learnt)], (), "about")
    options = [attributes for tag, attributes in Read(page).elements if tag == "option"]
    assert ["selected" in option for option in options] == [False, True]
    assert "Energy profile and eq. 3 of learnt" in page  # where no script runs, too


def test_the_findings_of_one_network_come_right_after_the_title():
    weight = np.random.default_rng(0).normal(size=(8, 3, 3, 3))
    weight[2] = 0
    weight[6] = 3 * weight[4]
    found = fl.inspect(FilterBank(weight, source="one"))
    page = inspections_page([found], (), "about")
    assert "<h1>What the first layer of 1 network has learnt</h1>" in page
    main = page[page.index("<main") :]
    places = [
        main.index(found.findings[0].text),
        main.index("<figure"),
        main.index("<table"),
        main.index('id="explore"'),
    ]
    assert places == sorted(places)
    assert "<nav" not in page
    (picture,) = [label for label in Read(page).all("aria-label") if label.startswith("Filters of one: ")]
    words = "8 filters; filter 2: dead; filter 4: duplicate, as 6; filter 6: duplicate, as 4"
    assert picture == f"Filters of one: {words}"
    assert "Outlined: dead; dashed outline: duplicate." in page


def test_several_networks_have_contents_with_a_finding_each():
    found = [fl.inspect(bank(8, 3, 3, 3, source=name)) for name in ("first", "second")]
    page = inspections_page(found, [Failure("third", "cannot be read")], "about")
    assert "<h1>What the first layers of 2 networks have learnt</h1>" in page
    contents = page[page.index("<nav") : page.index("</nav>")]
    text = Read(contents).text
    for one in found:
        assert f"{one.source}: {one.findings[0].text.partition(':')[0]}" in text
    assert "third: could not be inspected" in text
    assert page.index("</nav>") < page.index('id="explore"') < page.index('id="source-1"')
    assert Read(contents).all("href") == ["#source-1", "#source-2", "#failure-1", "#explore"]


def test_a_comparison_begins_with_the_most_and_the_least_alike():
    profiles = [fl.linear_cnn_profile(BASIS.variance, tau) for tau in (1.0, 1.2, 1e6)]
    banks = [(np.diag(energy) @ BASIS.components).reshape(27, 3, 3, 3) for energy in profiles]
    page = comparison_page(fl.compare(banks, BASIS, labels=["a", "b", "c"]))
    assert "<h1>How alike the first layers of 3 networks are</h1>" in page
    text = " ".join(Read(page[page.index("<h1") : page.index("</header>")]).text.split())
    assert "Most alike: a and b, r = 0.99" in text
    assert ", above chance Least alike: " in text
    assert " and c, r = -0." in text
    assert "not above chance" in text
    assert "; of these 3 pairs, 2 do." in text


@pytest.mark.parametrize(
    ("other", "said"), [(1.2, "Alike beyond chance: a and b"), (1e6, "Not alike beyond chance: a and b")]
)
def test_of_two_networks_it_is_said_whether_they_are_alike(other, said):
    profiles = [fl.linear_cnn_profile(BASIS.variance, tau) for tau in (1.0, other)]
    banks = [(np.diag(energy) @ BASIS.components).reshape(27, 3, 3, 3) for energy in profiles]
    page = comparison_page(fl.compare(banks, BASIS, labels=["a", "b"]))
    assert "<h1>How alike the first layers of 2 networks are</h1>" in page
    assert said in Read(page).text
    assert "of these" not in page
    nothing = comparison_page(fl.compare([banks[0], 0 * banks[0]], BASIS, labels=["a", "b"]))
    assert "is not defined" in nothing


def test_random_networks_are_not_said_to_be_alike_beyond_chance():
    banks = [np.random.default_rng(seed).random((64, 3, 3, 3)) for seed in range(3)]
    two = Read(comparison_page(fl.compare(banks[:2], BASIS, labels=["a", "b"]))).text
    assert "Alike, which need not be learnt: a and b, r = 0.99" in two
    assert "Untrained: a, b: what they share need not be learnt" in two
    three = Read(comparison_page(fl.compare(banks, BASIS))).text
    assert ", which need not be learnt Least alike: " in " ".join(three.split())
    assert "eyond chance" not in two + three


def test_filters_that_never_changed_are_a_page():
    start = bank(8, 3, 3, 3)
    found = fl.inspect(start, initial=start)
    page = inspections_page([found], (), "about")
    assert '"initial":{' in page
    assert "energies" in page or "constant" in page


def test_the_same_figure_is_the_same_bytes():
    assert svg(figure("a").figure) == svg(figure("a").figure)
    assert "<dc:date>" not in svg(figure("a").figure)
