"""Who did what to whom. Written once, sealed a minute later, changed by nobody: the database itself refuses."""

from django.db import models
from django.utils import timezone


class AuditEntry(models.Model):
    """One act of a person or of their program. Append-only, and without a word that names a person.

    People and things are references, as “user:5”. The address it came from is kept beside it, where it can be erased.
    """

    at = models.DateTimeField(default=timezone.now)
    action = models.CharField(max_length=60)
    actor = models.CharField(max_length=100, help_text="Who did it: user:5, key:2, visitor, terminal.")
    about = models.CharField(max_length=100, blank=True, help_text="To what or whom, as “order:17”.")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    correlation_id = models.CharField(max_length=64)
    origin_digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of salt and address of its origin.")

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        permissions = [("export_auditentry", "Can export the audit log")]
        indexes = [
            models.Index(fields=["about", "id"], name="audit_about"),
            models.Index(fields=["actor", "id"], name="audit_actor"),
            models.Index(fields=["action", "id"], name="audit_action"),
        ]

    def __str__(self) -> str:
        return f"{self.action} #{self.pk}"


class AuditOrigin(models.Model):
    """The network address an act came from: the one thing of an entry that goes when its person is erased.

    What stays in the entry is a digest. Without the salt, which goes too, nobody can find the address from it.
    """

    entry = models.OneToOneField(AuditEntry, on_delete=models.PROTECT, related_name="origin")
    salt = models.CharField(max_length=32)
    address = models.CharField(max_length=45)

    def __str__(self) -> str:
        return self.address


class AuditSeal(models.Model):
    """Closes some entries: the SHA-256 over the seal before it and those entries, in the order of their ids."""

    number = models.PositiveIntegerField(unique=True)
    at = models.DateTimeField(default=timezone.now)
    entries = models.JSONField(help_text="Ids, as a list of [first, last].")
    up_to = models.PositiveBigIntegerField(help_text="The highest id that is sealed so far.")
    digest = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"seal {self.number}"
