from notifications.pipeline.events import DomainEvent


class ImageUploaded(DomainEvent, name="image.uploaded"):
    """Fires when a picture has been taken in, or is to be worked on once more."""

    upload_id: int


class ImageProcessed(DomainEvent, name="image.processed", public=True):
    """Fires when all sizes of a picture are there."""

    upload_id: int


class VideoUploaded(DomainEvent, name="video.uploaded"):
    """Fires when a video has been taken in, or is to be worked on once more."""

    upload_id: int


class VideoTranscoded(DomainEvent, name="video.transcoded", public=True):
    """Fires when a video can be played; its poster comes next."""

    upload_id: int


class UploadRejected(DomainEvent, name="upload.rejected", public=True):
    """Fires when a file turned out to be nothing we can show; its `reason` is for its owner."""

    upload_id: int
    uid: str
    reason: str


class UploadDeleted(DomainEvent, name="upload.deleted"):
    """Fires when an upload's rows are gone. Its files follow."""

    uid: str
