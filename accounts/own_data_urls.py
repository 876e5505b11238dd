from django.urls import path

from accounts.views import own_data

urlpatterns = [
    path("export/", own_data.export, name="export"),
    path("export/<uuid:uid>/", own_data.download, name="export_download"),
    path("export/<uuid:uid>/delete/", own_data.drop, name="export_drop"),
    path("delete/", own_data.delete, name="account_delete"),
    path("deleted/", own_data.deleted, name="account_deleted"),
]
