"""What beat sends, and to whom."""

import pytest
from django.conf import settings

from config.celery import app
from config.supervisor.parts import parts

_COMMANDS = [part.command for part in parts("127.0.0.1", 8000)]
_READ = {command[command.index("--queues") + 1] for command in _COMMANDS if "--queues" in command}


@pytest.mark.parametrize("name", settings.CELERY_BEAT_SCHEDULE)
def test_each_task_that_beat_sends_exists_and_goes_to_a_queue_that_a_worker_of_the_platform_reads(
    name: str,
) -> None:
    app.loader.import_default_modules()
    entry = settings.CELERY_BEAT_SCHEDULE[name]
    # Those for many institutions name the task that each of them is to run.
    for task in [entry["task"], *entry.get("args", [])]:
        assert task in app.tasks
        assert app.amqp.router.route({}, task)["queue"].name in _READ
