"""A small cluster with two control planes and the ledger's definitions, and owners who go back."""

from __future__ import annotations

from datetime import timedelta

from bench import put
from rolling import Rolling
from toymesh import HOME, deployment

from meshup.journal.definitions import definition
from meshup.journal.ledger import advance, record
from meshup.journal.pin import pin_name
from meshup.model.ledger import Pin
from meshup.model.objects import Ref

NEW, OLD = "2.0", "1.0"
WEEK = timedelta(days=7)
NAMES = ("web", "cart", "pay", "ads", "mail")
RELEASES = "/apis/meshup.dev/v1/meshreleases"


def world(*, moved: bool = True) -> Rolling:
    """Two control planes, five services, and the ledger's definitions. moved: the services run the new release."""
    made = Rolling(NAMES)
    planes = [
        deployment(
            HOME,
            f"plane-{release[0]}-0",
            marks={"toy.example/plane": f"{release[0]}-0", "toy.example/release": release},
        )
        for release in (OLD, NEW)
    ]
    put(made.plain, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}}, *planes])
    put(made.plain, [definition("meshpins"), definition("meshreleases")])
    made.clock.advance(5.0)
    for name in NAMES if moved else ():
        on = Ref(api_version="apps/v1", kind="Deployment", namespace="shop", name=name)
        patch = {"spec": {"template": {"metadata": {"labels": {"toy.example/rev": "2-0"}}}}}
        made.plain.merge_patch(on, patch, manager="kubectl")
    made.clock.advance(10.0)
    return made


def went_back(made: Rolling, *names: str, user: str = "", lasts: timedelta = WEEK) -> list[Pin]:
    """Record that owners took services back; each a user of its own unless one is named. Gives the pins."""
    found = []
    for name in names:
        who = user or f"owner-{name}"
        now = made.clock.now().replace(microsecond=0)
        pin = Pin(
            name=pin_name(
                cluster_uid="c",
                service=f"shop/{name}",
                workload_uid=name,
                from_release=NEW,
                to_release=OLD,
                user=who,
                nonce="n",
            ),
            namespace="shop",
            service=name,
            workload=Ref(api_version="apps/v1", kind="Deployment", namespace="shop", name=name),
            workload_uid=name,
            from_release=NEW,
            from_revision="2-0",
            to_release=OLD,
            to_revision="1-0",
            user=who,
            user_uid="",
            reason=f"timeouts of {name}",
            since=now,
            until=now + lasts,
        )
        found.append(advance(made.plain, record(made.plain, pin, pause=made.clock.advance), "Active"))
    return found
