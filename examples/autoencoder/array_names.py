"""Tells by the words of its name what an array of an .npz file holds."""

import re
from typing import Literal

WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")  # of snake_case and CamelCase, without digits
TEST = {"test", "tests", "testing", "tst", "xtest", "testimages", "testset", "testdata", "holdout"}
OTHER = {  # what goes with images, or is kept for validation
    *(
        "alpha",
        "annotation",
        "annot",
        "bbox",
        "bboxes",
        "box",
        "boxes",
        "depth",
        "depthmap",
        "disparity",
        "groundtruth",
        "gt",
        "heatmap",
    ),
    *("keypoint", "label", "landmark", "mask", "matte", "saliency", "seg", "segm", "segmentation", "semantic"),
    *(
        "dev",
        "eval",
        "evaluation",
        "id",
        "target",
        "trimap",
        "truth",
        "val",
        "valid",
        "validation",
        "weight",
        "y",
        "ytest",
        "ytrain",
    ),
}
ENDS = ("mask", "label", "bbox")  # of words written together, such as "segmask"


def kind(name: str) -> Literal["train", "test", "other"]:
    """Returns whether an array holds images to train on, test images, or something else.

    Example:
      >>> [kind(name) for name in ("x_train", "testImages", "latest", "train_masks")]
      ['train', 'test', 'train', 'other']
    """
    words = {word.lower() for word in WORD.findall(name)}
    singular = words | {word.removesuffix("s") for word in words}
    if singular & OTHER or any(word.endswith(ENDS) for word in singular):
        return "other"
    return "test" if words & TEST else "train"
