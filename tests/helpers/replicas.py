"""What two replicas do, for `test_strategy.py`: TensorFlow divides a processor in two only before it begins.

Called as `python -m tests.helpers.replicas mirrored FOLDER`, or with TF_CONFIG as
`python -m tests.helpers.replicas worker FOLDER`; prints one JSON object on its last line.
"""

import json
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kerastickets.data.dataset import CROSS_ENTROPY, Data
from kerastickets.distribution.devices import Layout
from kerastickets.errors import KerasTicketsError
from kerastickets.foundations.termination import Terminated
from kerastickets.models.variables import snapshot
from kerastickets.pruning.prune_model import prune
from kerastickets.training.checkpoint import Checkpoint, Keeper
from kerastickets.training.session import Start
from kerastickets.training.train_ticket import train
from tests.helpers import training

STEPS = 20
#: Dials under which replicas equal one device, and those under which they differ as Keras has it.
EQUAL = {
    "momentum": {"optimizer": "sgd", "momentum": 0.9, "lr": 0.1},
    "adam": {"weight_decay": 1e-3},
    "schedule": training.cosine(l2=1e-3, warmup="1ep"),
    "averages": {"optimizer": {"class_name": "adam", "config": {"use_ema": True}}},
    "own step": {},
    "stream": {},
    "augmentation": {"augment": "flip+crop:1", "optimizer": "sgd", "lr": 0.1},
}
DIFFERENT = {
    "BatchNormalization, Dropout": {"optimizer": "sgd", "lr": 0.1},
    "clipnorm": {"optimizer": {"class_name": "sgd", "config": {"clipnorm": 0.1}}, "lr": 0.1},
}
BUILDS = {
    "own step": training.doubled,
    "BatchNormalization, Dropout": training.noisy,
    "augmentation": training.flattened,
}
DATA = {"stream": training.piped, "augmentation": training.pictures}


def trained(name, dials, layout):
    """A net after 20 steps from one state, and all that it was measured by."""
    build = BUILDS.get(name, training.plain)
    on = DATA.get(name, training.data)()
    trainer = training.trainer(build, on=on, layout=layout, **dials)
    trainer.load(training.start(build), training.masks(), seed=1)
    logs = trainer.engine.train(1, 0, STEPS)
    return trainer, (logs, trainer.engine.evaluate("validation"), trainer.engine.evaluate("test"))


def gaps(name, dials, layout):
    """How far replicas are from one device: in any weight, and in any metric; and how many zeros moved."""
    (one, expected), (many, received) = (trained(name, dials, where) for where in (None, layout))
    a, b = snapshot(one.model), snapshot(many.model)
    return {
        "weights": max(float(np.abs(a[key] - b[key]).max()) for key in a),
        "metrics": max(abs(x[key] - y[key]) for x, y in zip(expected, received, strict=True) for key in x),
        "moved": sum(int((b[key][~mask] != 0).sum()) for key, mask in training.masks().items()),
        "iterations": int(many.model.optimizer.iterations.numpy()),
        "digest": training.digest(b),
    }


def mean_and_streams(layout):
    """BatchNormalization's statistics on each replica, which Keras leaves apart, and the keys of Dropout."""
    trainer, _ = trained("BatchNormalization, Dropout", DIFFERENT["BatchNormalization, Dropout"], layout)
    means = [each.numpy().tolist() for each in trainer.model.layers[1].moving_mean.value.values]
    states = [each.numpy().tolist() for each in trainer.model.layers[3].seed_generator.state.value.values]
    return {"means": means, "states": states}


def synchronised():
    net = [layers.Dense(8), layers.BatchNormalization(synchronized=True), layers.Dense(3)]
    return keras.Sequential([keras.Input((4,)), *net])


def odd(seed):
    """Batches of seven, in a stream that does not say so."""
    x, y = training.data().train
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(7)


def refused(on=None, **dials):
    try:
        prune(training.plain, on or training.data(), **(training.DIALS | dials))
    except KerasTicketsError as error:
        return str(error)
    return None


def uneven(layout):
    """Metrics over splits that no two replicas share evenly, against one device."""
    whole, worst = training.data(200), 0.0
    for count in (2, 3, 5, 17, 101):
        part = tuple(array[:count] for array in whole.train)
        data = Data("odd", whole.train, part, part, CROSS_ENTROPY, ("accuracy",), classes=3)
        found = []
        for where in (None, layout):
            trainer = training.trainer(on=data, layout=where)
            trainer.load(training.start(), training.masks(), seed=0)
            found.append(trainer.engine.evaluate("validation"))
        worst = max(worst, *(abs(found[0][key] - found[1][key]) for key in found[0]))
    return worst


def runs(folder, strategy):
    """A run of two levels, stopped after the first, continued and repeated; and its last ticket trained on."""
    whole = training.find(levels=2, rate=0.5, strategy=strategy, out=folder / "whole")
    training.find(levels=1, rate=0.5, strategy=strategy, out=folder / "parts")
    parts = training.find(levels=2, rate=0.5, strategy=strategy, out=folder / "parts")
    last = whole.tickets[-1]
    again = train(last, training.data(), strategy=strategy)
    return {
        "digests": [ticket.digest for ticket in whole.tickets],
        "continued": [ticket.digest for ticket in parts.tickets],
        "kept": [ticket.kept for ticket in whole.tickets],
        "environment": last.provenance["environment"],
        "zeros": all((last.weights("final")[key][~mask] == 0).all() for key, mask in last.masks.items()),
        "again": again.ticket.digest,
        "folder": None if whole.folder is None else whole.folder.name,
    }


def stopped(folder, build, **dials):
    """Whether a training that was stopped after its second evaluation goes on to the bits of one that was not."""
    visits, plain_visit = [0], Keeper.visit

    def visit(self, state):
        visits[0] -= 1
        self._checkpoint._written = -1e9  # it is always time
        plain_visit(self, state)
        if not visits[0]:
            raise Terminated

    def outcome(start):
        dials_ = {"train": "20it", "eval_every": "5it", **dials}
        return training.trainer(build, layout=Layout.of("mirrored"), **dials_).train_many([start])[0]

    whole = Start(training.start(build), training.masks(), 3, snapshot_at={7}, identity="mine")
    kept = replace(whole, checkpoint=Checkpoint(folder / f"{build.__name__}.checkpoint"))
    Keeper.visit = visit
    try:
        visits[0] = 2
        with suppress(Terminated):
            outcome(kept)
        visits[0], rows = 0, []
        done, expected = outcome(replace(kept, on_row=rows.append)), outcome(whole)
    finally:
        Keeper.visit = plain_visit
    equal = done.metrics == expected.metrics and training.same(done.final, expected.final)
    return equal and len(rows) == 5 and kept.checkpoint.path.exists()


def two_replicas():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return Layout.of("mirrored")


def mirrored_whole(folder):
    layout = two_replicas()
    synced = "BatchNormalization, synchronised"
    BUILDS[synced] = synchronised
    return {
        "replicas": layout.replicas,
        "equal": {name: gaps(name, dials, layout) for name, dials in EQUAL.items()},
        "different": {name: gaps(name, dials, layout) for name, dials in DIFFERENT.items()},
        "synchronised": gaps(synced, {"optimizer": "sgd", "lr": 0.1}, layout),
        "apart": mean_and_streams(layout),
        "stopped": [stopped(folder, training.noisy), stopped(folder, training.doubled, optimizer="sgd")],
        "uneven": uneven(layout),
    }


def mirrored(folder):
    layout = two_replicas()
    return {
        "replicas": layout.replicas,
        "equal": {name: gaps(name, EQUAL[name], layout) for name in ("momentum", "adam")},
        "odd batch": refused(batch_size=7, strategy="mirrored"),
        "odd stream": refused(training.piped(odd), strategy="mirrored"),
        "small batch": refused(batch_size=1, strategy=layout.strategy),
        "jit": refused(jit="on", strategy="mirrored"),
        "accumulation": refused(
            optimizer={"class_name": "adamw", "config": {"gradient_accumulation_steps": 2}},
            strategy="mirrored",
        ),
        "server": refused(strategy=tf.distribute.experimental.CentralStorageStrategy()),
        "runs": runs(folder, "mirrored"),
    }


def worker(folder):
    layout = Layout.of("multiworker")
    # Each worker has a home of its own beside the folder that they share.
    (folder / f"home-{layout.worker}").mkdir()
    equal = {name: gaps(name, EQUAL[name], layout) for name in ("momentum", "adam")}
    noisy = gaps("BatchNormalization, Dropout", DIFFERENT["BatchNormalization, Dropout"], layout)
    facts = {"replicas": layout.replicas, "chief": layout.chief, "equal": equal, "noisy": noisy}
    facts["uneven"] = uneven(layout)
    facts["runs"] = runs(folder, "multiworker")
    own = folder / "whole" if layout.chief else folder / f"home-{layout.worker}"
    facts["not shared"] = refused(levels=2, rate=0.5, strategy="multiworker", out=own)
    facts["another seed"] = refused(seed=layout.worker, strategy="multiworker", out=folder / "seeds")
    taken = {"batch_size": 10} if layout.chief else {}
    facts["refused on the chief"] = refused(strategy="multiworker", out=folder / "whole", **taken)
    return facts


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    result = {"mirrored": mirrored, "mirrored-whole": mirrored_whole, "worker": worker}[sys.argv[1]](
        Path(sys.argv[2])
    )
    print(json.dumps(result))
