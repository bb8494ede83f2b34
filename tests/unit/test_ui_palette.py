"""The categorical palette keeps its promise: distances in OKLab under four kinds of vision, recomputed from the constants."""

import numpy as np
import pytest

from pages.ui import palette

# Machado, Oliveira & Fernandes 2009, severity 1.0, on linear RGB: normal, deuteranopia, protanopia, tritanopia.
VISION = [
    np.eye(3),
    np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
]
M1 = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)  # noqa: E501
M2 = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)  # noqa: E501


def linear(colours):
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def smallest_distance(colours):
    least = np.inf
    for matrix in VISION:
        lab = np.cbrt(np.clip(linear(colours) @ matrix.T, 0, 1) @ M1.T) @ M2.T
        distance = np.sqrt(((lab[:, None] - lab[None]) ** 2).sum(-1)) + np.eye(len(lab)) * 9
        least = min(least, distance.min())
    return least


@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_categories_stay_apart_for_every_kind_of_vision(colours):
    assert len(colours) >= 20
    assert smallest_distance(colours[:8]) >= 0.10
    assert smallest_distance(colours) >= 0.05


@pytest.mark.parametrize(
    ("colours", "page"), [(palette.LIGHT, "#ffffff"), (palette.DARK, "#11181b")], ids=["light", "dark"]
)
def test_categories_stand_out_from_the_page(colours, page):
    weights = np.array([0.2126, 0.7152, 0.0722])
    ink, ground = linear(colours) @ weights, linear([page]) @ weights
    contrast = (np.maximum(ink, ground) + 0.05) / (np.minimum(ink, ground) + 0.05)
    assert contrast.min() >= 1.6


def test_more_categories_than_colours_still_get_one_each():
    many = palette.categorical(72)
    assert len(many) == len(set(many)) == 72 and many[:24] == list(palette.LIGHT)
    assert palette.categorical(0) == []
