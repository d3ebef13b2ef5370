"""`meshup pins`: who is pinned to what."""

from __future__ import annotations

from meshup.cli import options


def command(
    namespace: options.Namespace = "",
    output: options.Output = "text",
    context: options.Context = "",
    kubeconfig: options.Kubeconfig = "",
    as_user: options.AsUser = "",
    as_group: options.AsGroup = [],
    color: options.Color = "auto",
    plain: options.Plain = False,
) -> int:
    """List who is pinned to which release, since when, why, and until when: everywhere, or in your own namespace.

    Example: meshup pins -n shop
    """
    import json

    from meshup.cli.connect import Aim, door, one_of
    from meshup.cli.screen import screen
    from meshup.cluster.clock import server_now
    from meshup.cluster.errors import Forbidden
    from meshup.journal.enforcement import trusted
    from meshup.journal.ledger import installed, pins
    from meshup.views import standing as view
    from meshup.views.documents import document

    one_of(output, ("text", "json"), flag="-o")
    look = screen(color=color, plain=plain)
    cluster = door(Aim(kubeconfig=kubeconfig, context=context, user=as_user, groups=tuple(as_group)))
    cluster.whoami()
    try:
        found = trusted(cluster, pins(cluster, namespace=namespace))
    except Forbidden:
        if namespace:
            raise
        namespace = cluster.namespace
        found = trusted(cluster, pins(cluster, namespace=namespace))
        look.err(f"note      you may not list pins of all namespaces; these are of {namespace}")
    now, there = server_now(cluster.clock), bool(found) or installed(cluster)
    if output == "json":
        told = document("pins", installed=there, pins=[view.pin_document(each, now) for each in found])
        look.out(json.dumps(told, indent=2))
    else:
        look.out(view.pins(found, now, installed=there, namespace=namespace, width=look.width))
    return 0
