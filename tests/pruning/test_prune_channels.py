"""Pruning by channel: whole units go, the output layer never does."""

import numpy as np

from kerastickets.pruning.prune_model import prune


def test_units_go_and_classes_stay() -> None:
    run = prune("mlp:20-10", "digits", levels=2, rate=0.3, granularity="channel", train="1ep", jit="off")
    # 20 units of 64 weights and 10 of 20: 30 % a level leave 14 and 7, then 9.8 and 4.9, of which whole ones fit.
    assert [ticket.kept for ticket in run.tickets] == [1480, 14 * 64 + 7 * 20, 9 * 64 + 4 * 20]
    last = run.tickets[-1].masks
    assert last.keys() == {"dense/kernel", "dense_1/kernel"}
    for mask in last.values():
        units = mask.sum(0)
        assert set(np.unique(units)) == {0, mask.shape[0]}
    assert run.tickets[-1].provenance["method"]["granularity"] == "channel"
