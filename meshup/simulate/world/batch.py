"""Jobs and CronJobs."""

from __future__ import annotations

from datetime import datetime, timedelta

from meshup.model.objects import dig
from meshup.simulate.api.problems import Refusal
from meshup.simulate.api.server import ApiServer
from meshup.simulate.api.store import Change, Obj
from meshup.simulate.world.bits import condition, from_template, is_ready, owned_by, owner_of
from meshup.simulate.world.queue import Queue


class Batch:
    """Both controllers; a CronJob fires by its schedule in virtual time."""

    def __init__(self, server: ApiServer, pods_of: dict[str, set[tuple[str, str]]]) -> None:
        self._server, self._objects, self._pods_of = server, server.objects, pods_of
        self.jobs = Queue(server.clock, self._job)
        self._planned: dict[tuple[str, str], str] = {}

    def see(self, change: Change) -> None:
        """Take notice of a change."""
        if change.key == ("batch", "jobs"):
            self.jobs.add(change.namespace, change.name)
        elif change.key == ("batch", "cronjobs"):
            if change.new is None:
                self._planned.pop((change.namespace, change.name), None)
            elif self._planned.get((change.namespace, change.name)) != change.new["spec"].get("schedule"):
                self._plan(change.namespace, change.name, str(change.new["spec"].get("schedule")))
        elif change.key == ("", "pods"):
            owner = owned_by(change.new or change.old or {})
            if owner is not None and owner.get("kind") == "Job":
                self.jobs.add(change.namespace, str(owner["name"]))

    def _job(self, namespace: str, name: str) -> None:
        obj = self._objects.get("jobs.batch", namespace, name)
        if obj is None or obj["metadata"].get("deletionTimestamp") or dig(obj, "status", "completionTime"):
            return
        spec = obj["spec"]
        found = [self._objects.get("pods", *key) for key in sorted(self._pods_of.get(obj["metadata"]["uid"], ()))]
        pods = [each for each in found if each is not None]
        succeeded = sum(dig(each, "status", "phase") == "Succeeded" for each in pods)
        failed = sum(dig(each, "status", "phase") == "Failed" for each in pods)
        active = [
            each
            for each in pods
            if dig(each, "status", "phase") not in ("Succeeded", "Failed")
            and not each["metadata"].get("deletionTimestamp")
        ]
        want = int(spec.get("completions") or 1)
        time = self._server.writes.time()
        missing = min(int(spec.get("parallelism") or 1), want - succeeded) - len(active)
        if failed <= int(spec.get("backoffLimit", 6)):
            for _ in range(max(0, missing)):
                extra = {
                    "batch.kubernetes.io/job-name": name,
                    "job-name": name,
                    "batch.kubernetes.io/controller-uid": obj["metadata"]["uid"],
                }
                try:
                    active.append(
                        self._objects.create(
                            "pods", from_template(obj, spec["template"], generate=f"{name}-", extra=extra)
                        )
                    )
                except Refusal:
                    self.jobs.add(namespace, name, after_s=5.0)
                    break
        status: Obj = {
            "startTime": dig(obj, "status", "startTime") or time,
            "ready": sum(is_ready(each) for each in active),
        }
        for key, value in (("active", len(active)), ("succeeded", succeeded), ("failed", failed)):
            if value:
                status[key] = value
        if succeeded >= want:
            status.pop("active", None)
            status["completionTime"] = time
            status["conditions"] = [
                condition(
                    "Complete",
                    "True",
                    reason="CompletionsReached",
                    message="Reached expected number of succeeded pods",
                    time=time,
                )
            ]
        elif failed > int(spec.get("backoffLimit", 6)):
            status["conditions"] = [
                condition(
                    "Failed",
                    "True",
                    reason="BackoffLimitExceeded",
                    message="Job has reached the specified backoff limit",
                    time=time,
                )
            ]
        self._objects.update_status("jobs.batch", namespace, name, status)
        if "completionTime" in status:
            self._trim(obj)

    def _trim(self, job: Obj) -> None:
        """Keep only as many finished Jobs of a CronJob as it wants."""
        owner = owned_by(job)
        cron = self._objects.get("cronjobs.batch", job["metadata"]["namespace"], str(owner["name"])) if owner else None
        if cron is None or owner is None:
            return
        keep = int(cron["spec"].get("successfulJobsHistoryLimit", 3))
        done = [
            each
            for each in self._objects.list("jobs.batch", job["metadata"]["namespace"])
            if dig(owned_by(each) or {}, "uid") == owner["uid"] and dig(each, "status", "completionTime")
        ]
        for each in sorted(done, key=lambda found: str(found["status"]["completionTime"]))[: max(0, len(done) - keep)]:
            self._objects.delete("jobs.batch", each["metadata"]["namespace"], each["metadata"]["name"])

    def _plan(self, namespace: str, name: str, schedule: str) -> None:
        self._planned[namespace, name] = schedule
        wait = (next_time(schedule, self._server.clock.now()) - self._server.clock.now()).total_seconds()
        self._server.clock.call_later(wait, lambda: self._fire(namespace, name, schedule))

    def _fire(self, namespace: str, name: str, schedule: str) -> None:
        cron = self._objects.get("cronjobs.batch", namespace, name)
        if cron is None or self._planned.get((namespace, name)) != schedule:
            return
        if not cron["spec"].get("suspend"):
            minute = int(self._server.clock.now().timestamp() // 60)
            template = cron["spec"]["jobTemplate"]
            meta = dict(template.get("metadata") or {})
            meta.update(name=f"{name}-{minute}", namespace=namespace, ownerReferences=[owner_of(cron)])
            try:
                self._objects.create(
                    "jobs.batch",
                    {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": dict(template["spec"])},
                )
                self._objects.update_status(
                    "cronjobs.batch", namespace, name, {"lastScheduleTime": self._server.writes.time()}
                )
            except Refusal:
                pass
        self._plan(namespace, name, schedule)


def next_time(schedule: str, now: datetime) -> datetime:
    """Give the next minute a five-field schedule names: lists, steps and numbers. Raises ValueError for anything else."""
    fields = schedule.split()
    if len(fields) != 5:
        raise ValueError(f"{schedule!r} is no schedule")
    allowed = [
        _allowed(field, low, high)
        for field, (low, high) in zip(fields, ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6)), strict=True)
    ]
    at = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    for _ in range(366 * 24 * 60):
        if (
            at.minute in allowed[0]
            and at.hour in allowed[1]
            and at.day in allowed[2]
            and at.month in allowed[3]
            and (at.weekday() + 1) % 7 in allowed[4]
        ):
            return at
        at += timedelta(minutes=1)
    raise ValueError(f"{schedule!r} never comes")


def _allowed(field: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, last = (
            (low, high)
            if span == "*"
            else (int(span.partition("-")[0]), int(span.partition("-")[2] or span.partition("-")[0]))
        )
        found |= set(range(first, last + 1, int(step or 1)))
    return frozenset(found)
