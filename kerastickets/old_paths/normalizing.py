"""Where `LocalResponseNormalization` was; `.keras` files that hold the layer name this path."""

from kerastickets.models.normalization import LocalResponseNormalization as LocalResponseNormalization
