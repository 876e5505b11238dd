"""/accounts/addresses/: where parcels go."""

from typing import cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts import addresses as book
from accounts.models import Address, User
from accounts.postal import ADDRESS_FIELDS, AddressForm


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def addresses(request: HttpRequest) -> HttpResponse:
    """The book, and the form for one more."""
    user = cast(User, request.user)
    form = AddressForm(request.POST or None, initial={"name": user.name})
    if request.method == "POST" and form.is_valid():
        try:
            book.add(user=user, fields=form.address())
        except book.TooManyAddresses as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, _("Kept."))
            return redirect("addresses")
    context = {"form": form, "addresses": book.of(user)}
    return render(request, "accounts/addresses.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def address(request: HttpRequest, uid: UUID) -> HttpResponse:
    found = _own(request, uid)
    form = AddressForm(request.POST or None, initial={name: getattr(found, name) for name in ADDRESS_FIELDS})
    if request.method == "POST" and form.is_valid():
        book.change(found, fields=form.address())
        messages.success(request, _("Saved."))
        return redirect("addresses")
    return render(
        request, "accounts/address.html", {"form": form, "address": found}, status=422 if form.errors else 200
    )


@require_POST
@login_required
def press(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The buttons beside an address."""
    found, button = _own(request, uid), request.POST.get("do", "")
    if button == "default":
        book.make_default(found)
    elif button == "delete":
        book.remove(found)
        messages.success(request, _("Deleted. Orders that went there keep it."))
    return redirect("addresses")


def _own(request: HttpRequest, uid: UUID) -> Address:
    return get_object_or_404(Address, user_id=request.user.pk, uid=uid)
