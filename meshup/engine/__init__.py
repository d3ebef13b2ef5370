"""Plan (pure), execute (effects), resume (a fold), undo (pure), wait (the only sleeper).

What the commands call, each with a `session.Session`:

- `planning.make_plan(session, book, context=, full=, accept=) -> Plan`; `planfile.text_of(plan)`, `planfile.parse(text)`.
- `execute.apply(session, plan, through=) -> Outcome`, `execute.resume(session, run=, through=) -> Outcome`.
- `rollback.service_plan(session, service, to=, reason=, until=, book=) -> Plan`, `rollback.stage_plan(session, stage)`,
  `rollback.run_plan(session, run)`, `rollback.perform(session, plan) -> Outcome`; `undo.as_kubectl(change)`.
- `approving.approve(session, stage, plan=) -> Approved`.
- `standing.status(session, book=) -> Standing`, `standing.report(session, release=) -> Report` (values in model/standing.py).
- `rehearse.rehearse(session, book, back=) -> Rehearsal`.
"""
