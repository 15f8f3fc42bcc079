"""MNIST and Fashion-MNIST side by side: two tasks for one net."""

from dataclasses import dataclass

from kerastickets.plugin import Data, data_of_tasks, moments, side_by_side, standardise
from kerastickets_plugins.datasets.images import splits


@dataclass(frozen=True)
class MnistFashion:
    """MNIST left of Fashion-MNIST, 28x56x1, one label of each: 55000 / 5000 / 10000 examples.

    An example joins an image of each, paired by permutations that depend on the data set's name alone,
    within train, validation and test of the two. Outputs 0 to 9 are the digits, 10 to 19 the clothes; the
    loss is the sum of the two cross-entropies, and `mean_loss` reports their mean. Each pixel is
    standardised on train, constant ones divided by 1: that is what `mnist+fashion-mnist`, which joins the
    two as each is standardised by itself, does otherwise. Read from `TFDS_DATA_DIR`, or TFDS's own
    default folder; never downloaded.

    Raises:
        DataError: if one of the prepared data sets is missing, damaged or not of the published size.

    Reference:
        Y. LeCun, C. Cortes, C. Burges, The MNIST Database of Handwritten Digits. H. Xiao, K. Rasul,
        R. Vollgraf, Fashion-MNIST.
    """

    def __call__(self) -> Data:
        sets = [splits(name, (28, 28, 1), (60000, 10000), 5000)[0] for name in ("mnist", "fashion-mnist")]
        # Joined as bytes: a float copy of both would be four times as large.
        joined, (digits, clothes) = side_by_side("mnist-fashion", sets)
        mean, std = moments(joined[0][0], axis=0)
        ready = [(standardise(x, mean, std), y) for x, y in joined]
        tasks = {"mnist": (digits, 10), "fashion": (clothes, 10)}
        return data_of_tasks("mnist-fashion", ready, tasks, scaling=(mean, std))
