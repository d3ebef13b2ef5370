"""Watches and pages: order, bookmarks, what is forgotten."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from asking import CM, ask, config, events, read, server


def version(one):
    return read(ask(one, "GET", CM))["metadata"]["resourceVersion"]


def test_a_watch_ends_at_its_deadline_of_virtual_time():
    one = server()
    began = one.clock.elapsed()
    lines = list(ask(one, "GET", CM, watch=1, timeoutSeconds=30, resourceVersion=version(one), stream=True).lines)
    assert lines == []
    assert one.clock.elapsed() - began == 30


def test_waiting_on_a_watch_lets_timers_run():
    one = server()
    seen = version(one)
    one.clock.call_later(
        7, lambda: one.objects.create("configmaps", {**config(), "metadata": {"name": "a", "namespace": "default"}})
    )
    lines = ask(one, "GET", CM, watch=1, timeoutSeconds=60, resourceVersion=seen, stream=True).lines
    assert events(lines, 1)[0]["object"]["metadata"]["name"] == "a"
    assert one.clock.elapsed() == 7


def test_bookmarks_come_when_asked_for():
    one = server()
    quiet = ask(one, "GET", CM, watch=1, timeoutSeconds=150, resourceVersion=version(one), stream=True)
    assert list(quiet.lines) == []
    marked = ask(
        one,
        "GET",
        CM,
        watch=1,
        timeoutSeconds=150,
        resourceVersion=version(one),
        allowWatchBookmarks="true",
        stream=True,
    )
    found = events(marked.lines, 2)
    assert [each["type"] for each in found] == ["BOOKMARK", "BOOKMARK"]
    assert found[0]["object"] == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": str(one.store.version)},
    }


def test_forgotten_history_is_410_for_watches_and_pages():
    one = server()
    for name in "abc":
        ask(one, "POST", CM, config(name))
    seen = version(one)
    token = read(ask(one, "GET", CM, limit=1))["metadata"]["continue"]
    ask(one, "POST", CM, config("d"))
    one.forget_history()
    error = events(ask(one, "GET", CM, watch=1, resourceVersion=seen, stream=True).lines, 1)[0]
    assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")
    expired = ask(one, "GET", CM, limit=1, **{"continue": token})
    assert (expired.status, read(expired)["reason"]) == (410, "Expired")


def test_pages_show_the_list_as_it_was_when_it_began():
    one = server()
    for name in "abcd":
        ask(one, "POST", CM, config(name))
    first = read(ask(one, "GET", CM, limit=2))
    ask(one, "DELETE", f"{CM}/d")
    ask(one, "POST", CM, config("e"))
    names = [each["metadata"]["name"] for each in first["items"]]
    meta = first["metadata"]
    while meta.get("continue"):
        page = read(ask(one, "GET", CM, limit=2, **{"continue": meta["continue"]}))
        meta = page["metadata"]
        names += [each["metadata"]["name"] for each in page["items"]]
        assert meta["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert names == ["a", "b", "c", "d", "kube-root-ca.crt"]


def test_a_page_token_expires():
    one = server()
    for name in "abc":
        ask(one, "POST", CM, config(name))
    token = read(ask(one, "GET", CM, limit=1))["metadata"]["continue"]
    one.clock.advance(301)
    assert ask(one, "GET", CM, limit=1, **{"continue": token}).status == 410


def test_the_initial_events_of_a_streamed_list_end_with_a_bookmark():
    one = server()
    ask(one, "POST", CM, config("a"))
    begin = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    lines = ask(one, "GET", CM, watch=1, stream=True, **begin).lines
    found = events(lines, 3)
    assert [each["type"] for each in found] == ["ADDED", "ADDED", "BOOKMARK"]
    assert found[2]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_what_a_listener_writes_is_told_after_what_it_heard():
    one = server()
    heard = []

    def touch(change):
        if change.kind == "ADDED" and change.name == "a":
            one.objects.patch("configmaps", "default", "a", {"data": {"touched": "yes"}})

    one.store.subscribe(touch)
    one.store.subscribe(lambda change: heard.append((change.kind, change.name, change.version)))
    ask(one, "POST", CM, config("a"))
    assert [each[0] for each in heard] == ["ADDED", "MODIFIED"]
    assert heard[0][2] < heard[1][2]


def test_a_closed_watch_hears_nothing_more():
    one = server()
    lines = ask(one, "GET", CM, watch=1, stream=True).lines
    next(lines)
    lines.close()
    before = len(one.store._listeners)
    ask(one, "POST", CM, config("z"))
    assert len(one.store._listeners) == before
