"""The three sentences: they name what the table has, and no network that was not judged."""

from rich.console import Console
from tests.report.made_claims import UNTRAINED, claim, made

from firstlight.experiments import Result
from firstlight.experiments.results import Reproduction
from firstlight.report.claim_lines import SHORT, headline, published_rows
from firstlight.report.in_brief import in_brief
from firstlight.reproduction.record import recorded


def of(*claims, experiment: str = "formula") -> Reproduction:
    found = made()
    return Reproduction(found.out, (Result(experiment, claims, {}, {}),), found.about)


def test_the_short_table_has_twelve_rows_with_every_verdict_among_them():
    rows = headline(made())
    assert len(rows) == SHORT
    assert all(row.criterion.headline for row in rows)
    assert {row.verdict for row in rows} >= {"reproduced", "not reproduced", "not tested"}
    assert headline(made(("formula",))) == published_rows(made(("formula",)))  # few enough as they are


def test_they_say_what_holds_what_does_not_and_how_far_the_networks_had_learnt():
    holds, fails, networks = in_brief(made())
    assert holds.startswith("Reproduced, 17 of 22 published claims: eq. 3 fits VGG11; ")
    assert fails == (
        "Not reproduced, 1: scaling a component moves the profile as eq. 3 says. Inconclusive 1, not tested 3."
    )
    assert networks.startswith("Training accuracy on cifar10, mean of 3 seeds: VGG11 to 91%")


def test_nothing_is_said_of_networks_that_had_not_learnt():
    holds, fails, networks = in_brief(of(claim("F1", accuracy=UNTRAINED)))
    assert holds == "Reproduced: none of 8 published claims."
    assert fails == "Not reproduced: none. Not tested 8."
    assert networks == "On cifar10: 1 network had learnt too little to be judged."


def test_claims_of_the_data_alone_name_no_network():
    assert in_brief(of())[2] == "No network is in these claims, which are of cifar10 alone."


def test_of_experiments_of_which_nothing_is_published_the_verdicts_are_counted():
    found = recorded("initialisation", console=Console(quiet=True))
    none, counted, networks = in_brief(found)
    assert none == "No published claim is in these experiments."
    assert counted == "Own findings 11 inconclusive, 5 not tested, 2 hold."
    assert "FastNet, default, lr 0.3 to 46%" in networks
    assert "mean of 5 seeds" in networks
