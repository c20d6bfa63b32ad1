"""Background work that knows of more than one institution."""

from celery import current_app, shared_task

from federation.models import Institution


@shared_task(ignore_result=True)
def in_every_institution(task_name: str) -> None:
    """Send the task of this name to every hosted institution, to run in its schema."""
    for schema_name in Institution.objects.values_list("schema_name", flat=True):
        current_app.send_task(task_name, headers={"_schema_name": schema_name})
