from django.urls import path

from notifications.views import mailbox

app_name = "mailbox"
urlpatterns = [
    path("", mailbox.letters, name="list"),
    path("<str:name>/", mailbox.letter, name="letter"),
    path("<str:name>/html/", mailbox.letter_html, name="html"),
]
