"""`meshup show`: a saved plan again."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli import options


def command(
    file: Annotated[str, typer.Argument(help="a file that `meshup plan --out` wrote")],
    service: Annotated[str, typer.Option("--service", help="show only what happens to this service")] = "",
    namespace: options.Namespace = "",
    output: options.Output = "text",
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """Show a saved plan again, in any format; no cluster is contacted.

    Example: meshup show release.plan.json -o md
    """
    import json

    from meshup.cli.connect import one_of
    from meshup.cli.plans import read
    from meshup.cli.screen import screen
    from meshup.cli.services import service_id
    from meshup.views import plan as view
    from meshup.views.owner import for_service
    from meshup.views.plan_md import markdown

    one_of(output, ("text", "json", "md"), flag="-o")
    look = screen(color=color, plain=plain)
    plan = read(file)
    if output == "json":
        look.out(json.dumps(view.document(plan), ensure_ascii=False, indent=2))
    elif output == "md":
        look.out(markdown(plan))
    elif service:
        look.out(for_service(plan, service_id(plan.book, service, namespace), width=look.width))
    else:
        look.out(view.text(plan, width=look.width, saved=file, details=True))
    return 0
