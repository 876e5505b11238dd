from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "People"

    def ready(self) -> None:
        from accounts import auditing
        from accounts.session_store import begin  # models are there only now

        auditing.listen()
        user_logged_in.connect(begin, dispatch_uid="accounts.session_store.begin")
