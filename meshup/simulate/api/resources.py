"""Calls for resources: reads, lists, watches, writes and their subresources."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshup.model.transport import Response
from meshup.simulate.api import answers, definitions, listing, ownership, reviews, selectors, subresources, tables
from meshup.simulate.api.calls import Call
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.problems import Refusal, bad_request, cause, invalid, no_path, not_found, not_here
from meshup.simulate.api.shaping import How, parsed
from meshup.simulate.api.store import Obj
from meshup.simulate.api.watching import Watch

if TYPE_CHECKING:
    from meshup.simulate.api.server import ApiServer

APPLY = "application/apply-patch+yaml"
REVIEWS = ("authentication.k8s.io", "authorization.k8s.io")
FIELD_SUBS = ("status", "ephemeralcontainers", "resize")
NOT_ALLOWED = "the server does not allow this method on the requested resource"


_TOKENS = Kind(
    group="authentication.k8s.io",
    version="v1",
    plural="tokenrequests",
    kind="TokenRequest",
    singular="tokenrequest",
    namespaced=True,
    verbs=frozenset({"create"}),
)


class Resources:
    """Answers calls for one kind, whichever it is."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._store, self._writes = server.store, server.writes

    def answer(self, call: Call, kind: Kind) -> Response:
        """Carry out a call. Raises Refusal."""
        if kind.namespaced and not call.namespace and (call.name or call.request.method == "POST"):
            raise no_path() if call.name else bad_request("an empty namespace may not be set during creation")
        if not kind.namespaced and call.namespace and kind.plural != "namespaces":
            raise no_path()
        if call.subresource:
            return self._subresource(call, kind)
        match call.request.method:
            case "GET":
                if call.name:
                    return self._get(call, kind)
                return self._watch(call, kind) if call.watching else self._list(call, kind)
            case "POST" if not call.name:
                return self._create(call, kind)
            case "PUT" if call.name:
                return self._update(call, kind)
            case "PATCH" if call.name:
                return self._patch(call, kind)
            case "DELETE":
                return self._delete(call, kind) if call.name else self._delete_all(call, kind)
            case _:
                raise Refusal(405, NOT_ALLOWED, details={})

    # -- reads -------------------------------------------------------------------------------------------------------

    def _namespace(self, call: Call, kind: Kind) -> str:
        return call.namespace if kind.namespaced else ""

    def _columns(self, kind: Kind) -> list[Obj]:
        if not kind.custom:
            return []
        return tables.columns_of(definitions.find(self._store, kind.group, kind.plural), kind.version)

    def _shown(self, call: Call, kind: Kind, obj: Obj, status: int, warnings: list[str] | None = None) -> Response:
        body = answers.shown(
            self._store,
            kind,
            obj,
            answers.wants(call.request.headers.get("accept", "")),
            now=self._server.clock.now(),
            columns=self._columns(kind),
            include=call.query.get("includeObject") or "Metadata",
        )
        headers = dict(answers.JSON)
        if warnings:
            headers["warning"] = ", ".join(
                '299 - "' + each.replace("\\", "\\\\").replace('"', '\\"') + '"' for each in warnings
            )
        return Response(status=status, headers=headers, body=body)

    def _get(self, call: Call, kind: Kind) -> Response:
        obj = self._store.get(kind.key, self._namespace(call, kind), call.name)
        if obj is None:
            raise not_found(kind.plural, kind.group, call.name)
        return self._shown(call, kind, obj, 200)

    def _list(self, call: Call, kind: Kind) -> Response:
        if "list" not in kind.verbs:
            raise Refusal(405, NOT_ALLOWED, details={})
        how = answers.wants(call.request.headers.get("accept", ""))
        found, meta = listing.select(self._store, kind, self._namespace(call, kind), call.query, self._server.pages)
        body = answers.listed(
            self._store,
            kind,
            found,
            meta,
            how,
            now=self._server.clock.now(),
            columns=self._columns(kind),
            include=call.query.get("includeObject") or "Metadata",
        )
        return Response(status=200, headers=answers.JSON, body=body)

    def _watch(self, call: Call, kind: Kind) -> Response:
        how = answers.wants(call.request.headers.get("accept", ""))
        columns = self._columns(kind)
        include = call.query.get("includeObject") or "Metadata"

        def write(obj: Obj) -> bytes:
            now = self._server.clock.now()
            return answers.shown(self._store, kind, obj, how, now=now, columns=columns, include=include)

        watch = Watch(
            self._store,
            self._server.clock,
            kind,
            self._namespace(call, kind),
            call.query,
            write=write,
            idle=self._server.idle,
        )
        return Response(status=200, headers=answers.JSON, lines=watch.lines())

    # -- writes ------------------------------------------------------------------------------------------------------

    def _how(self, call: Call, kind: Kind) -> How:
        dry = call.query.get("dryRun", "")
        options = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}
        title = options.get(call.request.method, "DeleteOptions")
        if dry not in ("", "All"):
            message = f'Unsupported value: ["{dry}"]: supported values: "All"'
            raise invalid(title, "meta.k8s.io", "", [cause("FieldValueNotSupported", message, "dryRun")])
        validation = call.query.get("fieldValidation", "") or "Warn"
        if validation not in ("Strict", "Warn", "Ignore"):
            message = f'Unsupported value: "{validation}": supported values: "", "Ignore", "Strict", "Warn"'
            raise invalid(title, "meta.k8s.io", "", [cause("FieldValueNotSupported", message, "fieldValidation")])
        _check_manager(call.query.get("fieldManager", ""), title)
        agent = call.request.headers.get("user-agent", "unknown").partition("/")[0] or "unknown"
        return How(
            user=call.user,
            manager=call.query.get("fieldManager") or agent,
            sent_manager=call.query.get("fieldManager", ""),
            dry_run=dry == "All",
            force=call.query.get("force", "") in ("1", "true"),
            validation=validation,
        )

    def _body(self, call: Call) -> Any:
        kind = self._server.registry.at(call.group, call.version, call.plural)
        content = call.request.headers.get("content-type", "application/json")
        return parsed(call.request.body, content, kind.kind if kind is not None else "Status")

    def _create(self, call: Call, kind: Kind) -> Response:
        if "create" not in kind.verbs:
            raise Refusal(405, NOT_ALLOWED, details={})
        body = self._body(call)
        if kind.group in REVIEWS:
            made = reviews.review(self._store, kind, body, call.user, now=self._writes.time(), namespace=call.namespace)
            if made.get("spec"):
                owned = self._owned(kind, {key: body.get(key) for key in ("spec",)}, self._how(call, kind))
                made["metadata"] = {**made["metadata"], "managedFields": owned}
            return answers.plain(201, made)
        how = self._how(call, kind)
        if kind.key == ("", "bindings"):
            name = (body.get("metadata") or {}).get("name", "")
            return answers.plain(201, subresources.bind(self._writes, call.namespace, name, body, how))
        obj = self._writes.create(kind, self._namespace(call, kind), body, how)
        return self._shown(call, kind, obj, 201, how.warnings)

    def _owned(self, kind: Kind, body: Obj, how: How, sub: str = "") -> list[Obj]:
        node = self._server.registry.schema(kind)
        made = ownership.after_update(
            None,
            {**body, "metadata": {}},
            node,
            manager=how.manager,
            api_version=kind.api_version,
            time=self._writes.time(),
            sub="",
        )
        return [
            {**each, **({"subresource": sub} if sub else {})} for each in made["metadata"].get("managedFields") or ()
        ]

    def _update(self, call: Call, kind: Kind, sub: str = "") -> Response:
        how = self._how(call, kind)
        obj = self._writes.update(kind, self._namespace(call, kind), call.name, self._body(call), how, sub=sub)
        return self._shown(call, kind, obj, 200, how.warnings)

    def _patch(self, call: Call, kind: Kind, sub: str = "") -> Response:
        content = call.request.headers.get("content-type", "").partition(";")[0]
        how = self._how(call, kind)
        namespace = self._namespace(call, kind)
        if content == APPLY:
            if not call.query.get("fieldManager"):
                message = "Required value: is required for apply patch"
                causes = [cause("FieldValueRequired", message, "fieldManager")]
                raise invalid("PatchOptions", "meta.k8s.io", "", causes)
            obj, made = self._writes.apply(kind, namespace, call.name, self._body(call), how, sub=sub)
            return self._shown(call, kind, obj, 201 if made else 200, how.warnings)
        if call.query.get("force"):
            message = "Forbidden: may not be specified for non-apply patch"
            raise invalid("PatchOptions", "meta.k8s.io", "", [cause("FieldValueForbidden", message, "force")])
        body = self._body(call) if content.endswith("json") else {}
        if content == "application/json-patch+json" and not isinstance(body, list):
            raise bad_request(
                "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
            )
        obj = self._writes.patch(kind, namespace, call.name, body, content, how, sub=sub)
        return self._shown(call, kind, obj, 200, how.warnings)

    def _options(self, call: Call) -> Obj:
        options: Obj = dict(self._body(call)) if call.request.body else {}
        for name in ("propagationPolicy", "gracePeriodSeconds", "orphanDependents"):
            if name in call.query:
                text = call.query[name]
                options[name] = (
                    int(text)
                    if name == "gracePeriodSeconds"
                    else text == "true"
                    if name == "orphanDependents"
                    else text
                )
        _check_deletion(options)
        return options

    def _delete(self, call: Call, kind: Kind) -> Response:
        options = self._options(call)
        how = self._how(call, kind)
        if options.get("dryRun"):
            how = How(user=how.user, manager=how.manager, dry_run=True)
        obj, gone = self._writes.delete(kind, self._namespace(call, kind), call.name, options, how)
        if not gone or kind.kind == "Pod":
            return self._shown(call, kind, obj, 200)
        details = {
            "name": call.name,
            **({"group": kind.group} if kind.group else {}),
            "kind": kind.plural,
            "uid": obj["metadata"]["uid"],
        }
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return answers.plain(200, status)

    def _delete_all(self, call: Call, kind: Kind) -> Response:
        if "deletecollection" not in kind.verbs:
            raise Refusal(405, NOT_ALLOWED, details={})
        options = self._options(call)
        how = self._how(call, kind)
        test = selectors.both(
            selectors.labels(call.query.get("labelSelector", "")),
            selectors.fields(call.query.get("fieldSelector", ""), kind.group, kind.plural),
        )
        namespace = self._namespace(call, kind)
        found = [each for each in self._store.list(kind.key, namespace) if test is None or test(each)]
        how = replace(how, collection=True)
        for each in found:
            meta = each["metadata"]
            self._writes.delete(kind, meta.get("namespace", ""), meta["name"], options, how)
        meta = {"resourceVersion": str(self._store.version)}
        how_shown = answers.wants(call.request.headers.get("accept", ""))
        body = answers.listed(
            self._store,
            kind,
            found,
            meta,
            how_shown,
            now=self._server.clock.now(),
            columns=self._columns(kind),
            include="Metadata",
        )
        return Response(status=200, headers=answers.JSON, body=body)

    # -- subresources ------------------------------------------------------------------------------------------------

    def _subresource(self, call: Call, kind: Kind) -> Response:
        sub, method = call.subresource, call.request.method
        if sub not in kind.subresources and sub != "proxy":
            raise not_found(kind.plural, kind.group, call.name) if kind.custom else no_path()
        namespace = self._namespace(call, kind)
        if sub in FIELD_SUBS:
            if sub != "status":
                raise not_here(f"{kind.plural}/{sub}")
            if method == "GET":
                return self._get(call, kind)
            if method == "PUT":
                return self._update(call, kind, sub=sub)
            if method == "PATCH":
                return self._patch(call, kind, sub=sub)
            raise Refusal(405, NOT_ALLOWED, details={})
        if sub == "scale":
            return self._scale(call, kind, namespace)
        if method == "POST" and kind.key == ("", "pods") and sub == "eviction":
            found = subresources.evict(self._writes, namespace, call.name, self._body(call), self._how(call, kind))
            return answers.plain(201, found)
        if method == "POST" and kind.key == ("", "pods") and sub == "binding":
            found = subresources.bind(self._writes, namespace, call.name, self._body(call), self._how(call, kind))
            return answers.plain(201, found)
        if method == "POST" and kind.key == ("", "serviceaccounts") and sub == "token":
            body = self._body(call)
            made = subresources.token(self._writes, namespace, call.name, body, self._server.clock.now())
            review = self._server.registry.of("authentication.k8s.io", "v1", "TokenRequest") or _TOKENS
            made["metadata"]["managedFields"] = self._owned(
                review, {"spec": body.get("spec") or {}}, self._how(call, kind), sub="token"
            )
            return answers.plain(201, made)
        if method == "PUT" and kind.key == ("", "namespaces") and sub == "finalize":
            return self._shown(call, kind, subresources.finalize(self._writes, call.name, self._body(call)), 200)
        raise not_here(f"{method} {kind.plural}/{sub}")

    def _scale(self, call: Call, kind: Kind, namespace: str) -> Response:
        if call.request.method == "GET":
            return answers.plain(200, subresources.scale_of(self._store, kind, namespace, call.name))
        content = ""
        if call.request.method == "PATCH":
            content = call.request.headers.get("content-type", "").partition(";")[0]
        elif call.request.method != "PUT":
            raise Refusal(405, NOT_ALLOWED, details={})
        how = self._how(call, kind)
        body = self._body(call)
        return answers.plain(200, subresources.set_scale(self._writes, kind, namespace, call.name, body, how, content))


LONGEST_MANAGER = 128
PROPAGATIONS = ("Foreground", "Background", "Orphan")


def _check_manager(name: str, title: str) -> None:
    """Refuse a name of a field manager that is too long or can't be printed."""
    size = len(name.encode())
    causes = []
    if size > LONGEST_MANAGER:
        message = f"Too long: may not be more than {LONGEST_MANAGER} bytes"
        causes.append(cause("FieldValueTooLong", message, "fieldManager"))
    for at, letter in enumerate(name):
        if not letter.isprintable():
            shown = f"invalid character U+{ord(letter):04X} (at position {at})"
            causes.append(cause("FieldValueInvalid", f"Invalid value: {_quoted(name)}: {shown}", "fieldManager"))
            break
    if causes:
        raise invalid(title, "meta.k8s.io", "", causes)


def _quoted(text: str) -> str:
    """Write a text as Go quotes it."""
    short = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
    letters = (short.get(ord(each)) or (each if each.isprintable() else f"\\x{ord(each):02x}") for each in text)
    return f'"{"".join(letters)}"'


def _check_deletion(options: Obj) -> None:
    """Refuse a propagation policy that there is not, and one beside the older field of the same meaning."""
    policy = options.get("propagationPolicy")
    if policy is None:
        return
    found = None
    if policy not in PROPAGATIONS:
        supported = ", ".join(f'"{each}"' for each in (*PROPAGATIONS, "nil"))
        message = f'Unsupported value: "{policy}": supported values: {supported}'
        found = cause("FieldValueNotSupported", message, "propagationPolicy")
    elif options.get("orphanDependents") is not None:
        message = f'Invalid value: "{policy}": orphanDependents and deletionPropagation cannot be both set'
        found = cause("FieldValueInvalid", message, "propagationPolicy")
    if found is not None:
        raise invalid("DeleteOptions", "meta.k8s.io", "", [found])
