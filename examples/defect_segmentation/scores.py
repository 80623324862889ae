"""Scores of residual maps: by pixels, by defective regions (MVTec's PRO) and by whole pictures."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from sklearn.metrics import auc, average_precision_score, roc_auc_score, roc_curve

from examples.defect_segmentation.config import Loss, Residual
from examples.defect_segmentation.data import Material, TestPicture
from examples.defect_segmentation.detector import Detector

ALL_DEFECTS = "all"  # stands for all test pictures together
QUANTILE = 0.99  # of the residuals of a picture, by which pictures are compared; less noisy than the largest residual
LARGEST_RATE = 0.3  # the false positive rate up to which PRO is integrated, as for MVTec AD


class Score(NamedTuple):
    """How well a residual map of one network detects one kind of defect, in the test pictures that have it."""

    material: str
    defect: str
    loss: Loss
    residual: Residual
    seed: int
    prevalence: float  # the fraction of defective pixels; the PR-AUC of a random map
    roc_auc: float
    pr_auc: float  # the average precision
    pro: float  # the area under the curve of the mean overlap with a defective region, up to `LARGEST_RATE`; at most 1
    image_roc_auc: float | None  # None where no test picture is good
    recall: float  # the fraction of defective pixels above the threshold
    false_positive_rate: float  # the fraction of other pixels above the threshold
    learned: float  # the fraction of the structure of good pictures that the network reconstructs


def defects(tests: Sequence[TestPicture]) -> list[str]:
    """Returns the kinds of defects in order of appearance, then `ALL_DEFECTS`; nothing if no picture has a defect."""
    kinds = [*dict.fromkeys(test.defect for test in tests if test.mask.any())]
    return [*kinds, ALL_DEFECTS] if kinds else []


def score(
    material: Material, detector: Detector, maps: Sequence[np.ndarray], residual: Residual, seed: int
) -> list[Score]:
    """Returns a score for each kind of defect and one for all together, from a residual map of each test picture."""
    scores = []
    for defect in defects(material.tests):
        mask, values = pixels(material.tests, maps, defect)
        marked = values > detector.thresholds[residual]
        one = Score(
            material=material.name,
            defect=defect,
            loss=detector.loss,
            residual=residual,
            seed=seed,
            prevalence=float(mask.mean()),
            roc_auc=float(roc_auc_score(mask, values)),
            pr_auc=float(average_precision_score(mask, values)),
            pro=region_overlap(mask, values, region_weights(material.tests, defect)),
            image_roc_auc=image_roc_auc(material.tests, maps, defect),
            recall=float(marked[mask].mean()),
            false_positive_rate=float(marked[~mask].mean()),
            learned=detector.learning.fraction,
        )
        scores.append(one)
    return scores


def select(tests: Sequence[TestPicture], defect: str) -> list[int]:
    """Returns the indices of the test pictures by whose pixels a kind of defect is scored."""
    return [i for i, test in enumerate(tests) if defect in (test.defect, ALL_DEFECTS)]


def pixels(tests: Sequence[TestPicture], maps: Sequence[np.ndarray], defect: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mask and the residual of every pixel of the pictures that have a defect."""
    chosen = select(tests, defect)
    return np.concatenate([tests[i].mask.ravel() for i in chosen]), np.concatenate([maps[i].ravel() for i in chosen])


def region_weights(tests: Sequence[TestPicture], defect: str) -> np.ndarray:
    """Returns a weight for every pixel of `pixels`: the inverse size of its defective region, 1 outside of regions."""
    weights = []
    for i in select(tests, defect):
        regions, _ = ndimage.label(tests[i].mask, np.ones((3, 3)))
        sizes = np.bincount(regions.ravel())
        sizes[0] = 1
        weights.append(1 / sizes[regions].ravel())
    return np.concatenate(weights)


def region_overlap(mask: np.ndarray, values: np.ndarray, weights: np.ndarray) -> float:
    """Returns MVTec's PRO: the mean over regions of the recall, averaged over false positive rates to `LARGEST_RATE`.

    With these weights every region counts as one pixel, so that the ROC curve's true positive rate is that mean.
    """
    rates, overlaps, _ = roc_curve(mask, values, sample_weight=weights)
    inside = rates < LARGEST_RATE
    last = np.interp(LARGEST_RATE, rates, overlaps)
    area = auc(np.append(rates[inside], LARGEST_RATE), np.append(overlaps[inside], last))
    return float(area / LARGEST_RATE)


def image_roc_auc(tests: Sequence[TestPicture], maps: Sequence[np.ndarray], defect: str) -> float | None:
    """Returns the ROC-AUC of a high residual of a picture, for pictures with the defect among good pictures."""
    defective = [test.mask.any() for test in tests]
    chosen = [i for i, one in enumerate(defective) if not one or defect in (tests[i].defect, ALL_DEFECTS)]
    labels = [defective[i] for i in chosen]
    return None if all(labels) else float(roc_auc_score(labels, [np.quantile(maps[i], QUANTILE) for i in chosen]))
