"""Files of a form or of a program, taken in while they come: nothing is read that is too large from the outset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import HttpRequest

from uploads.formats import NotAccepted, shown
from uploads.limits import LARGEST, LARGEST_FORM, in_words
from uploads.receiving import Received, Reception, TooLarge

FIELD: Final = "file"


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """One file of a request: whole, or refused."""

    name: str
    file: Received | None = None
    refusal: Exception | None = None


def check_length(request: HttpRequest) -> None:
    """Before anything is read. Raises TooLarge."""
    limit = max(LARGEST.values()) + LARGEST_FORM
    if int(request.META.get("CONTENT_LENGTH") or 0) > limit:
        raise TooLarge(f"The request is too large: {in_words(max(LARGEST.values()))} is the limit.")


class Arrivals(FileUploadHandler):
    """Django's upload handler that keeps what is acceptable in `folder`, and reads the rest without keeping it.

    One file that is refused stops none of the others. With `keeping=False` nothing is kept at all.
    """

    def __init__(self, folder: Path, *, keeping: bool = True) -> None:
        super().__init__()
        self.arrived: list[Arrived] = []
        self._folder, self._keeping = folder, keeping
        self._reception: Reception | None = None

    def new_file(self, *args: Any, **facts: Any) -> None:
        super().new_file(*args, **facts)
        if self.field_name != FIELD or not self._keeping:
            raise SkipFile
        self._reception = Reception(name=self.file_name or "", folder=self._folder)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:  # noqa: ARG002  Django's signature
        assert self._reception is not None
        try:
            self._reception.write(raw_data)
        except (NotAccepted, TooLarge) as why:
            self._refuse(why)
            raise SkipFile from why

    def file_complete(self, file_size: int) -> None:  # noqa: ARG002  Django's signature
        if self._reception is None:
            return
        try:
            whole = self._reception.end()
        except (NotAccepted, TooLarge) as why:
            self._refuse(why)
        else:
            self.arrived.append(Arrived(name=whole.name, file=whole))
            self._reception = None

    def upload_interrupted(self) -> None:
        if self._reception:
            self._reception.forget()

    def _refuse(self, why: NotAccepted | TooLarge) -> None:
        assert self._reception is not None
        self._reception.forget()
        self._reception = None
        self.arrived.append(Arrived(name=shown(self.file_name or ""), refusal=why))
