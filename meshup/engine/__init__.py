"""Plan (pure), execute (effects), resume (a fold), undo (pure), wait (the only sleeper).

What the commands call, each with a `session.Session`:

- `planning.make_plan(session, book, context=, full=, accept=)`; `planfile.text_of(plan)`, `planfile.parse(text, where=)`.
- `execute.apply(session, plan, through=)` performs any plan, those of a way back too; `execute.resume(session, run=,
  through=)`; `planfile.accepting(plan, doors)`.
- `rollback.service_plan(session, service, to=, reason=, until=, book=)`, `rollback.choices(session, book)`,
  `taking_back.stage_plan(session, stage, run=)`, `taking_back.run_plan(session, run)`; `undo.as_kubectl(change)`.
- `approving.approve(session, place, plan=, lasts=)`.
- `standing.status(session, book=)`, `reporting.view(session, book=)`: values of model/standing.py and
  model/report.py.
- `rehearse.rehearse(session, book, through=, back=, accept=)`.
"""
