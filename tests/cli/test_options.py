"""Values on the command line, and the arithmetic of the bar."""

import click
import pytest

from kerastickets import Duration
from kerastickets_cli.options import DurationsType, RateType, SeedsType, rates
from kerastickets_cli.pairs import PairType, pairs
from kerastickets_cli.progress import Bar


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (SeedsType(), "0-4", (0, 1, 2, 3, 4)),
        (SeedsType(), "0,2,5", (0, 2, 5)),
        (SeedsType(), "7", (7,)),
        (SeedsType(), "0-2,9", (0, 1, 2, 9)),
        (RateType(), "0.2", ("*", 0.2)),
        (RateType(), "dense_1/kernel=0", ("dense_1/kernel", 0.0)),
        (PairType(), "a=b=c", ("a", "b=c")),
        (PairType(), "a=", ("a", "")),
        (DurationsType(), "0it, 2ep", (Duration(0, "it"), Duration(2, "ep"))),
    ],
)
def test_values(kind, text, value):
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [(SeedsType(), text) for text in ("", "a", "3-1", "-1", "1-", "1,,2", "0-2,1", "0-99999999", "1.5", "٣")]
    + [(RateType(), text) for text in ("", "a", "conv=", "=0.2", "conv=a")]
    + [(PairType(), text) for text in ("", "a", "=a")]
    + [(DurationsType(), text) for text in ("", "5", "5it,", "-5it", "1.5ep")],
)
def test_malformed_values_are_wrong_usage(kind, text):
    with pytest.raises(click.BadParameter):
        kind.convert(text, None, None)


def test_rates_are_one_number_or_a_mapping():
    assert rates(()) is None
    assert rates((("*", 0.2),)) == 0.2
    assert rates((("*", 0.2), ("conv", 0.1))) == {"*": 0.2, "conv": 0.1}
    with pytest.raises(click.BadParameter, match="conv must be given once"):
        rates((("conv", 0.2), ("conv", 0.1)))
    with pytest.raises(click.BadParameter, match="batches must be given once"):
        pairs("-o", (("batches", "1"), ("batches", "1")))


def test_an_early_stop_shortens_the_whole():
    bar = Bar(runs=2)
    bar.plan(0, [100, 80, 0])  # the second level starts at iteration 20, the third is not trained
    assert bar.reached == (0, 360)
    bar.reach(0, 0, 60)
    assert bar.reached == (60, 360)
    bar.close(0, 0)
    assert bar.reached == (60, 320)
    bar.reach(0, 1, 100)
    bar.close(0, 1)
    bar.close(0, 2)
    assert bar.reached == (140, 320)
    bar.plan(1, [100, 80, 0])
    bar.close(1, 0)  # found done
    assert bar.reached == (140, 220)
    bar.stop()
