"""How far a copy is, told as a result of django-celery-results under the copy's own id: Celery's tools find it there.

Only told. What is true stands in the row of the copy; a worker that begins again, tells again from the beginning.
"""

import json
from typing import Final

from django_celery_results.models import TaskResult

from notifications.personal_data.models import Export

PROGRESS: Final = "PROGRESS"
SUCCESS: Final = "SUCCESS"  # Celery's word


def tell(export: Export, *, done: int, total: int, state: str = PROGRESS) -> None:
    """Numbers only: results are read by whoever may read the broker's."""
    result = {"result": json.dumps({"done": done, "total": total}), "status": state}
    coded = {"content_type": "application/json", "content_encoding": "utf-8", "task_name": "gather_export"}
    TaskResult.objects.update_or_create(task_id=str(export.uid), defaults=result | coded)


def told(export: Export) -> tuple[int, int]:
    """(done, total) files; what the row says while nothing has been told."""
    found = TaskResult.objects.filter(task_id=str(export.uid)).values_list("result", flat=True).first()
    said = json.loads(found) if found else {"done": export.done, "total": export.total}
    return said["done"], said["total"]


def forget(export: Export) -> None:
    TaskResult.objects.filter(task_id=str(export.uid)).delete()
