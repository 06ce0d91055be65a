"""Built-in data sets: what is known of them without a file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """Size of a data set: (channels, height, width) of an image, classes, images of each split; and where it comes from."""

    shape: tuple[int, int, int]
    classes: int
    train: int
    test: int
    about: str

    @property
    def examples(self) -> int:
        """The images of both splits together."""
        return self.train + self.test


FETCHED = {
    "digits": Known((1, 8, 8), 10, 1_500, 297, "scikit-learn's, in the wheel"),
    "cifar10": Known((3, 32, 32), 10, 50_000, 10_000, "torchvision's download"),
    "cifar100": Known((3, 32, 32), 100, 50_000, 10_000, "torchvision's download"),
}
"""Every built-in data set; `fetched.READERS` says how each is read."""

_UNKNOWN = FETCHED["cifar10"]


def known_of(source: str) -> Known:
    """Size of a data set; CIFAR-10's for a source that is not built in, so that no file decides the number of jobs."""
    return FETCHED.get(source, _UNKNOWN)
