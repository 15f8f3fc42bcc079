"""scikit-learn's handwritten digits: real data that needs no download."""

import functools
from dataclasses import dataclass

from kerastickets.plugin import CROSS_ENTROPY, Data, moments, shuffled, standardise


@dataclass(frozen=True)
class Digits:
    """scikit-learn's 1,797 real handwritten digits, 8x8 pixels, contained in scikit-learn itself.

    1197 training, 300 validation and 300 test examples. Standardised with the mean and standard deviation of
    the training split.

    Example:
        >>> Digits()()
        Data('digits', train=1197, validation=300, test=300, inputs=(8, 8, 1), outputs=10)

    Reference:
        E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository (test part).
    """

    def __call__(self) -> Data:
        return _digits()


@functools.cache
def _digits() -> Data:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8, 1)
    order = shuffled(labels, "digits")
    test, validation, train = order[:300], order[300:600], order[600:]
    scaling = moments(images[train])
    images = standardise(images, *scaling)
    splits = ((images[part], labels[part]) for part in (train, validation, test))
    return Data("digits", *splits, loss=CROSS_ENTROPY, metrics=("accuracy",), classes=10, scaling=scaling)
