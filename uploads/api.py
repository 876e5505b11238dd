"""Uploads for programs: hand a file in, ask how far it is, forget it."""

from typing import Any, Final, cast
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from notifications.api.problems import problem, refusals
from notifications.api.scopes import HasScope
from uploads import intake, storage
from uploads.addresses import full_address
from uploads.arriving import FIELD, Arrivals, Arrived, check_length
from uploads.formats import WORDS
from uploads.limits import LARGEST, in_words
from uploads.models import Rendition, Upload, UploadQuerySet
from uploads.receiving import TooLarge

ASK_AGAIN: Final = {"Retry-After": "1"}
LOCATION: Final = OpenApiParameter("Location", str, OpenApiParameter.HEADER, response=[202], description="Ask there.")
RETRY_AFTER: Final = OpenApiParameter(
    "Retry-After",
    int,
    OpenApiParameter.HEADER,
    response=[202, 429, 503],
    description="Seconds until it is worth asking.",
)


class RenditionSerializer(serializers.Serializer[Any]):
    """A copy that we made: one size in one format."""

    name = serializers.CharField(help_text="thumb, small, medium, large; of a video 480p, 720p and poster.")
    format = serializers.ChoiceField(choices=["webp", "avif", "jpeg", "png", "mp4"])
    width = serializers.IntegerField(min_value=1)
    height = serializers.IntegerField(min_value=1)
    bytes = serializers.IntegerField(min_value=1)
    url = serializers.SerializerMethodField(help_text="Good for an hour at least; ask again for a new one.")

    def get_url(self, rendition: Rendition) -> str:
        return full_address(rendition)


class UploadSerializer(serializers.Serializer[Any]):
    """A file that was handed in, and what was made of it."""

    id = serializers.UUIDField(source="uid")
    kind = serializers.ChoiceField(choices=Upload.Kind.choices)
    name = serializers.CharField()
    bytes = serializers.IntegerField(min_value=0)
    status = serializers.ChoiceField(choices=Upload.Status.choices)
    progress = serializers.IntegerField(min_value=0, max_value=100, help_text="Percent.")
    reason = serializers.CharField(allow_blank=True, help_text="Why it was rejected, or has failed.")
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    renditions = RenditionSerializer(many=True, source="renditions.all")


class FileSerializer(serializers.Serializer[Any]):
    file = serializers.FileField(help_text=f"{WORDS}. Named as what it is.")


class Uploads(GenericAPIView[Any]):
    permission_classes = [HasScope]
    parser_classes = [MultiPartParser]
    scopes = {"POST": "uploads:write"}

    @extend_schema(
        operation_id="upload_file",
        summary="Hand a picture or a video in",
        description=f"Pictures of up to {in_words(LARGEST['image'])}, videos of up to {in_words(LARGEST['video'])}. The"
        " answer comes at once; sizes are made after it. The same file again is the same upload.",
        request={"multipart/form-data": FileSerializer},
        parameters=[LOCATION, RETRY_AFTER],
        responses={
            202: UploadSerializer,
            **refusals(
                400,
                401,
                403,
                406,
                429,
                _409="There is no room for it: delete some first.",
                _413="The file is larger than we take.",
                _503="There is no room on our disk, or the database is busy or away.",
                _415="It is not an accepted format, or not what its name says.",
            ),
        },
    )
    def post(self, request: Request) -> Response:
        try:
            check_length(request._request)
            with storage.workplace() as folder:
                return _received(request, Arrivals(folder))
        except TooLarge as why:
            return problem(413, str(why))
        except storage.DiskFull:
            return problem(503, "There is no room on our disk just now.", headers={"Retry-After": "600"})


class OneUpload(GenericAPIView[Any]):
    permission_classes = [HasScope]
    scopes = {"GET": "uploads:write", "DELETE": "uploads:write"}

    @extend_schema(
        operation_id="get_upload",
        summary="How far an upload is, and where its renditions are",
        responses={200: UploadSerializer, **refusals(401, 403, 404, 406)},
    )
    def get(self, request: Request, id: UUID) -> Response:
        return Response(_body(get_object_or_404(_reachable(request), uid=id)))

    @extend_schema(
        operation_id="delete_upload",
        summary="Delete an upload and all that was made of it",
        responses={204: None, **refusals(401, 403, 404, 406, _409="It is shown in the shop.")},
    )
    def delete(self, request: Request, id: UUID) -> Response:
        try:
            intake.delete(upload=get_object_or_404(_reachable(request), uid=id))
        except intake.InUse as why:
            return problem(409, str(why), code="in_use")
        return Response(status=204)


def _received(request: Request, arrivals: Arrivals) -> Response:
    request.upload_handlers = [arrivals]
    request.data  # noqa: B018  reading it is what brings the files
    if len(arrivals.arrived) != 1:
        errors = [{"field": FIELD, "detail": f"Hand in one file as {FIELD}."}]
        return problem(400, "Some fields are not right.", code="invalid", errors=errors)
    return _answer(request, arrivals.arrived[0])


def _answer(request: Request, arrived: Arrived) -> Response:
    if arrived.file is None:
        return problem(413 if isinstance(arrived.refusal, TooLarge) else 415, str(arrived.refusal))
    try:
        upload = intake.accept(owner=request.user, file=arrived.file)
    except intake.OverQuota as full:
        return problem(409, str(full), code="over_quota")
    except intake.TooOften as often:
        return problem(429, str(often), headers={"Retry-After": str(often.retry_after)})
    there = reverse("api:upload", args=[upload.uid])
    return Response(_body(upload), status=202, headers={"Location": there, **ASK_AGAIN})


def _reachable(request: Request) -> UploadQuerySet:
    """A key's owner reaches what is theirs, staff reach everything."""
    right = "uploads.delete_upload" if request.method == "DELETE" else "uploads.view_upload"
    sees_all = request.user.is_staff and request.user.has_perm(right)
    return Upload.objects.all() if sees_all else Upload.objects.owned_by(request.user)


def _body(upload: Upload) -> Any:
    return cast(Any, UploadSerializer(upload).data)
