"""`meshup lint`: every problem of a runbook at once, without a cluster."""

from __future__ import annotations

from meshup.cli import options


def command(
    filename: options.Filename = "meshup.yaml",
    output: options.Output = "text",
    report: options.Report = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Check a runbook without a cluster; every problem at once.

    Example: meshup lint -f meshup.yaml --report sarif=lint.sarif
    """
    import json

    from meshup.cli import ending, reports
    from meshup.cli.books import read
    from meshup.cli.connect import one_of
    from meshup.cli.screen import screen
    from meshup.model.problem import Exit
    from meshup.model.text import of_runbook
    from meshup.views.ci import problem_annotations
    from meshup.views.documents import document
    from meshup.views.problem import findings, problem_document
    from meshup.views.problem_md import markdown
    from meshup.views.sarif import sarif
    from meshup.views.table import amount

    one_of(output, ("text", "json"), flag="-o")
    further = reports.asked(report, ("json", "sarif", "github"))
    look = screen(color=color, plain=plain)
    with ending.told(look, further):
        loaded = read(filename)
    errors = sum(each.severity == "error" for each in loaded.problems)
    told = document(
        "lint",
        runbook=filename,
        errors=errors,
        warnings=len(loaded.problems) - errors,
        problems=[problem_document(each) for each in loaded.problems],
    )
    ends = int(Exit.USAGE) if errors else int(Exit.DONE)
    reports.write(
        further,
        {"json": lambda: json.dumps(told, indent=2), "sarif": lambda: sarif(loaded.problems, runbook=filename)},
        github=reports.GitHub(
            summary=lambda room: markdown(loaded.problems, room=room),
            values={"exit": str(ends), "errors": str(errors), "warnings": str(len(loaded.problems) - errors)},
            annotations=problem_annotations(loaded.problems),
        ),
        screen=look,
    )
    if output == "json":
        look.out(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        if loaded.problems:
            look.err(findings(loaded.problems))
        if loaded.runbook is not None and not errors:
            book = loaded.runbook
            look.out(
                f"pass      {filename}: {amount(len(book.stages), 'stage')}, {amount(len(book.waves), 'wave')}, "
                f"{amount(len(book.services), 'service')}; {amount(len(loaded.problems), 'warning')}\n"
                f"Next      meshup plan{of_runbook(filename)}"
            )
        else:
            look.out(
                f"fail      {filename}: {amount(errors, 'error')}, {amount(len(loaded.problems) - errors, 'warning')}\n"
                f"Next      correct them, then: meshup lint -f {filename}"
            )
    return ends
