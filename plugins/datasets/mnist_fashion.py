"""A data set with MNIST and Fashion-MNIST side by side: two tasks for one net."""

from dataclasses import dataclass

from kerastickets.plugin import Data, data_of_tasks, moments, side_by_side, standardise
from kerastickets_plugins.datasets.images import splits


@dataclass(frozen=True)
class MnistFashion:
    """MNIST to the left of Fashion-MNIST, 28x56x1, with one label for each half.

    55000 training, 5000 validation and 10000 test examples. An example joins one image of each data set, from
    the same split. Permutations that depend only on the data set's name decide which images are paired.
    Outputs 0 to 9 are the digits, outputs 10 to 19 the clothes. The loss is the sum of the two
    cross-entropies; `mean_loss` reports their mean. Each pixel is standardised on the training split;
    constant pixels are divided by 1. In this it differs from `mnist+fashion-mnist`, which standardises each
    data set on its own before joining them. Read from `TFDS_DATA_DIR`, or else TFDS's default folder; never
    downloaded.

    Raises:
        DataError: one of the prepared data sets is missing, damaged or not of the published size.

    Reference:
        Y. LeCun, C. Cortes, C. Burges, The MNIST Database of Handwritten Digits. H. Xiao, K. Rasul,
        R. Vollgraf, Fashion-MNIST.
    """

    def __call__(self) -> Data:
        sets = [splits(name, (28, 28, 1), (60000, 10000), 5000)[0] for name in ("mnist", "fashion-mnist")]
        # Join them as bytes, because a float copy of both would be four times as large.
        joined, (digits, clothes) = side_by_side("mnist-fashion", sets)
        mean, std = moments(joined[0][0], axis=0)
        ready = [(standardise(x, mean, std), y) for x, y in joined]
        tasks = {"mnist": (digits, 10), "fashion": (clothes, 10)}
        return data_of_tasks("mnist-fashion", ready, tasks, scaling=(mean, std))
