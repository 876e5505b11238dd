"""How much is too much. Each number is said to people as it stands here."""

from typing import Any, Final, NamedTuple

MB: Final = 1_000_000

# The largest pictures of today's cameras, and a few minutes of video from a telephone.
LARGEST: Final = {"image": 30 * MB, "video": 500 * MB}
LARGEST_FORM: Final = 1 * MB  # around the file: the form's other fields and the parts' headers
LONGEST_NAME: Final = 150  # characters

# Decoded they must fit a child of 300 MB; WebP and AVIF are held several times over while they are decoded.
MOST_PIXELS: Final = {"jpeg": 40 * MB, "png": 40 * MB, "gif": 40 * MB, "webp": 16 * MB, "avif": 16 * MB}
LONGEST_SIDE: Final = 20_000  # pixels; a strip of 40 million by 1 is no picture
MOST_FRAMES: Final = 1_000  # of an animation, of which the first is shown
LONGEST_VIDEO: Final = 300  # seconds: what one core turns into two sizes in a few minutes
MOST_VIDEO_PIXELS: Final = 3840 * 2160  # of a frame
MOST_VIDEO_FRAMES: Final = LONGEST_VIDEO * 125  # also decoded when they are not shown


class Allowance(NamedTuple):
    """Bytes and uploads that one person may keep, and uploads that may come of them in an hour."""

    bytes: int
    uploads: int
    an_hour: int


# Who uploads and deletes in a circle would keep the decoders busy for nothing.
CUSTOMERS: Final = Allowance(bytes=2_000 * MB, uploads=500, an_hour=300)
# They fill the shop's shelves, in one go: as many pictures as two cores make ready in an hour.
STAFF: Final = Allowance(bytes=100_000 * MB, uploads=50_000, an_hour=10_000)


def allowance(owner: Any) -> Allowance:
    return STAFF if owner.is_staff else CUSTOMERS


def in_words(count: int) -> str:
    """Bytes for a person: 30 MB, 1.4 MB, 12 kB."""
    if count < 1_000:
        return f"{count} bytes"
    if count < MB:
        return f"{count / 1_000:.0f} kB"
    return f"{count / MB:.1f} MB".replace(".0 ", " ")
