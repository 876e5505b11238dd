"""What happens to a file after the answer. Decoding is no work for a transaction: nothing is open meanwhile."""

from datetime import timedelta

from notifications.pipeline.clock import ClockDay, ClockHour
from notifications.pipeline.events import subscribe
from notifications.pipeline.retries import Retry
from uploads import failing, processing, sweeping
from uploads.events import ImageUploaded, UploadDeleted, UploadRejected, VideoTranscoded, VideoUploaded

# What fails four times in a few minutes is told to its owner, who can try again.
FEW = Retry(attempts=4)
LONGEST_FILM = timedelta(minutes=90)  # of work, on a slow machine that does much else
LONGEST_SWEEP = timedelta(hours=2)  # of a bucket with a million files; what is swept is not looked at again


@subscribe(ImageUploaded, queue="images", atomic=False, retry=FEW)
def make_renditions(event: ImageUploaded) -> None:
    processing.make_renditions(upload_id=event.upload_id)


@subscribe(VideoUploaded, queue="video", atomic=False, retry=FEW, limit=LONGEST_FILM)
def transcode(event: VideoUploaded) -> None:
    processing.transcode(upload_id=event.upload_id)


@subscribe(VideoTranscoded, queue="images", atomic=False, retry=FEW)
def make_poster(event: VideoTranscoded) -> None:
    processing.make_poster(upload_id=event.upload_id)


@subscribe(UploadRejected, atomic=False)
def remove_rejected(event: UploadRejected) -> None:
    sweeping.remove_files(uid=event.uid)


@subscribe(UploadDeleted, atomic=False)
def remove_deleted(event: UploadDeleted) -> None:
    sweeping.remove_files(uid=event.uid)


@subscribe(ClockHour)
def fail_forgotten(event: ClockHour) -> None:  # noqa: ARG001
    failing.fail_forgotten()


@subscribe(ClockDay, atomic=False, limit=LONGEST_SWEEP)
def sweep(event: ClockDay) -> None:  # noqa: ARG001
    sweeping.sweep()
