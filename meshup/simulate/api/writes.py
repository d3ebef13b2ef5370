"""Every way of writing an object: the steps a real server takes, in its order."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from meshup.simulate.api import definitions, ownership, podsecurity, quota, validate
from meshup.simulate.api import schema as sc
from meshup.simulate.api.defaults import fill, fill_by_schema
from meshup.simulate.api.kinds import Kind
from meshup.simulate.api.patch import json_patch, merge_patch, strategic
from meshup.simulate.api.problems import (
    MODIFIED,
    Refusal,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    not_found,
)
from meshup.simulate.api.rbac import ADMIN, User
from meshup.simulate.api.store import Obj, Store
from meshup.simulate.api.webhooks import Asked, Webhooks

NAMESPACES = ("", "namespaces")
NO_GENERATION = frozenset(
    {
        "Pod",
        "Service",
        "ConfigMap",
        "Secret",
        "Namespace",
        "Node",
        "Event",
        "ServiceAccount",
        "Endpoints",
        "Lease",
        "ResourceQuota",
        "LimitRange",
        "EndpointSlice",
        "PersistentVolumeClaim",
        "Role",
        "ClusterRole",
        "RoleBinding",
        "ClusterRoleBinding",
        "HorizontalPodAutoscaler",
    }
)
STATUS_APART = frozenset(
    {
        "Pod",
        "Deployment",
        "ReplicaSet",
        "StatefulSet",
        "DaemonSet",
        "Job",
        "CronJob",
        "Namespace",
        "Node",
        "Ingress",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "ResourceQuota",
        "Service",
        "CustomResourceDefinition",
        "PersistentVolumeClaim",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """Circumstances of a write. manager: field manager. strict: unknown fields are refused. controller: no admission."""

    user: User = ADMIN
    manager: str = "unknown"
    dry_run: bool = False
    force: bool = False
    strict: bool = False
    controller: bool = False


class Writes:
    """Writes into one store. now: virtual wall time. chance: makes UIDs and generated names."""

    def __init__(self, store: Store, webhooks: Webhooks, now: Callable[[], datetime], chance: random.Random) -> None:
        self.store, self.webhooks, self._now, self._chance = store, webhooks, now, chance
        self._addresses = 10

    def time(self) -> str:
        """Give virtual time as objects carry it."""
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def schema(self, kind: Kind) -> dict[str, Any]:
        """Give the schema of a kind."""
        if kind.custom:
            definition = definitions.find(self.store, kind.group, kind.plural)
            return definitions.schema_of(definition, kind.version) if definition is not None else sc.ANY
        return sc.built_in_schema(kind.group, kind.version, kind.kind) or sc.ANY

    # -- the verbs ---------------------------------------------------------------------------------------------------

    def create(self, kind: Kind, namespace: str, body: Obj, how: How) -> Obj:
        """POST."""
        obj = self._shaped(kind, namespace, body, how, name="")
        meta = obj["metadata"]
        if meta.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + "".join(self._chance.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
        return self._insert(kind, namespace, obj, how)

    def update(self, kind: Kind, namespace: str, name: str, body: Obj, how: How, *, sub: str = "") -> Obj:
        """PUT."""
        old = self._must(kind, namespace, name)
        new = self._shaped(kind, namespace, body, how, name=name)
        sent = str(new["metadata"].get("resourceVersion") or "")
        if sent and sent != old["metadata"]["resourceVersion"]:
            raise conflict(kind.plural, kind.group, name, MODIFIED)
        if (not sent and kind.kind in ("Lease", "CustomResourceDefinition")) or (not sent and kind.custom):
            causes = [
                {
                    "reason": "FieldValueInvalid",
                    "message": "Invalid value: 0: must be specified for an update",
                    "field": "metadata.resourceVersion",
                }
            ]
            raise invalid(kind.kind, kind.group, name, causes)
        self._same_uid(kind, name, old, new)
        return self._store_update(kind, old, new, how, sub=sub, operation="Update")

    def patch(self, kind: Kind, namespace: str, name: str, patch: Any, content: str, how: How, *, sub: str = "") -> Obj:
        """PATCH of one of the three kinds."""
        old = self._must(kind, namespace, name)
        match content:
            case "application/json-patch+json":
                new = json_patch(old, patch)
            case "application/merge-patch+json":
                new = merge_patch(old, patch)
            case "application/strategic-merge-patch+json":
                if kind.custom:
                    raise Refusal(
                        415,
                        "the body of the request was in an unknown format - accepted media types include: "
                        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
                    )
                new = strategic(old, patch, self.schema(kind))
            case _:
                raise Refusal(415, f"the body of the request was in an unknown format: {content}")
        sent = new.get("metadata", {}).get("resourceVersion")
        if sent and sent != old["metadata"]["resourceVersion"]:
            raise conflict(kind.plural, kind.group, name, MODIFIED)
        if new.get("metadata", {}).get("name") != name:
            raise bad_request("the name of the object does not match the name on the URL")
        new = self._shaped(kind, namespace, new, how, name=name)
        self._same_uid(kind, name, old, new)
        return self._store_update(kind, old, new, how, sub=sub, operation="Update")

    def apply(self, kind: Kind, namespace: str, name: str, body: Obj, how: How, *, sub: str = "") -> tuple[Obj, bool]:
        """Apply on the server side; gives the object and whether it was created."""
        meta = body.get("metadata") or {}
        if meta.get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        if body.get("apiVersion") != kind.api_version or body.get("kind") != kind.kind:
            raise bad_request(f"invalid object type: {body.get('apiVersion')}, Kind={body.get('kind')}")
        if meta.get("name") not in (None, name):
            raise bad_request("the name of the object does not match the name on the URL")
        old = self.store.get(kind.key, namespace, name)
        if old is None and meta.get("uid"):
            raise conflict(
                kind.plural,
                kind.group,
                name,
                f"uid mismatch: the provided object specified uid {meta['uid']}, and no existing object was found",
            )
        sent = meta.get("resourceVersion")
        if old is None and sent:
            raise not_found(kind.plural, kind.group, name)
        body = {**body, "metadata": {**meta, "name": name, **({"namespace": namespace} if namespace else {})}}
        if how.strict:
            self._refuse_unknown(kind, body)
        if old is not None and sent and sent != old["metadata"]["resourceVersion"]:
            raise conflict(kind.plural, kind.group, name, MODIFIED)
        self._same_uid(kind, name, old, body)
        node = self.schema(kind)
        applied = {
            **body,
            "metadata": {k: v for k, v in body["metadata"].items() if k not in ("uid", "resourceVersion")},
        }
        merged, _ = ownership.apply(
            old,
            applied,
            node,
            manager=how.manager,
            api_version=kind.api_version,
            time=self.time(),
            force=how.force,
            sub=sub,
        )
        if old is None:
            managed = merged["metadata"].get("managedFields")
            made = self._shaped(kind, namespace, merged, how, name=name)
            return self._insert(kind, namespace, made, how, managed=managed), True
        merged = {**merged, "metadata": {**merged["metadata"], "uid": old["metadata"]["uid"]}}
        managed = merged["metadata"].get("managedFields")
        shaped = self._shaped(kind, namespace, merged, how, name=name)
        return self._store_update(kind, old, shaped, how, sub=sub, operation="Apply", managed=managed), False

    def delete(self, kind: Kind, namespace: str, name: str, options: Obj, how: How) -> tuple[Obj, bool]:
        """DELETE; gives the object and whether it is gone now."""
        old = self._must(kind, namespace, name)
        wanted = options.get("preconditions") or {}
        meta = old["metadata"]
        if wanted.get("uid") and wanted["uid"] != meta["uid"]:
            why = f"Precondition failed: UID in precondition: {wanted['uid']}, UID in object meta: {meta['uid']}"
            raise conflict(kind.plural, kind.group, name, why)
        if wanted.get("resourceVersion") and wanted["resourceVersion"] != meta["resourceVersion"]:
            why = (
                f"Precondition failed: ResourceVersion in precondition: {wanted['resourceVersion']}, "
                f"ResourceVersion in object meta: {meta['resourceVersion']}"
            )
            raise conflict(kind.plural, kind.group, name, why)
        policy = options.get("propagationPolicy")
        finalizers = list(meta.get("finalizers") or ())
        if policy == "Foreground" and "foregroundDeletion" not in finalizers:
            finalizers.append("foregroundDeletion")
        if policy == "Orphan" and "orphan" not in finalizers:
            finalizers.append("orphan")
        graceful = kind.kind == "Pod" and (options.get("gracePeriodSeconds") != 0) and old["spec"].get("nodeName")
        namespaced = kind.key == NAMESPACES and (old.get("spec") or {}).get("finalizers")
        if finalizers or graceful or namespaced:
            if meta.get("deletionTimestamp"):
                return old, False
            grace = (
                int(options.get("gracePeriodSeconds") or old["spec"].get("terminationGracePeriodSeconds", 30))
                if graceful
                else 0
            )
            marked = {**meta, "deletionTimestamp": self.time(), "deletionGracePeriodSeconds": grace}
            if finalizers:
                marked["finalizers"] = finalizers
            if "generation" in meta:
                marked["generation"] = meta["generation"] + 1
            new = {**old, "metadata": marked}
            if namespaced:
                new["status"] = {**(old.get("status") or {}), "phase": "Terminating"}
            if how.dry_run:
                return new, False
            return self.store.put(kind.key, new), False
        if not how.dry_run:
            self.store.remove(kind.key, namespace, name)
        return old, True

    # -- the steps ---------------------------------------------------------------------------------------------------

    def _must(self, kind: Kind, namespace: str, name: str) -> Obj:
        found = self.store.get(kind.key, namespace, name)
        if found is None:
            raise not_found(kind.plural, kind.group, name)
        return found

    def _same_uid(self, kind: Kind, name: str, old: Obj | None, new: Obj) -> None:
        sent = (new.get("metadata") or {}).get("uid")
        if old is not None and sent and sent != old["metadata"]["uid"]:
            why = f"Precondition failed: UID in precondition: {sent}, UID in object meta: {old['metadata']['uid']}"
            raise conflict(kind.plural, kind.group, name, why)

    def _refuse_unknown(self, kind: Kind, body: Obj) -> None:
        found = list(validate.unknown_fields(body, self.schema(kind)))
        if found:
            listed = ", ".join(f'unknown field "{each}"' for each in found)
            if kind.custom:
                raise bad_request(
                    f"failed to create typed patch object ({body['metadata'].get('namespace', '')}/"
                    f"{body['metadata'].get('name')}; {kind.api_version}, Kind={kind.kind}): .{found[0]}: field not declared in schema"
                )
            raise bad_request(
                f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: strict decoding error: {listed}'
            )

    def _shaped(self, kind: Kind, namespace: str, body: Obj, how: How, *, name: str) -> Obj:
        """Check what was sent against the URL, drop what is unknown, fill in defaults."""
        if body.get("kind") not in (None, kind.kind) or body.get("apiVersion") not in (None, kind.api_version):
            sent = f"{body.get('apiVersion')}, Kind={body.get('kind')}"
            raise bad_request(
                f"the API version in the data ({body.get('apiVersion')}) does not match the expected API version "
                f"({kind.api_version})"
                if body.get("kind") == kind.kind
                else f"no kind match for {sent}"
            )
        meta = dict(body.get("metadata") or {})
        if kind.namespaced:
            sent_namespace = meta.get("namespace")
            if sent_namespace and sent_namespace != namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            meta["namespace"] = namespace
        else:
            meta.pop("namespace", None)
        if name and meta.get("name") not in (None, "", name):
            raise bad_request(
                f"the name of the object ({meta.get('name')}) does not match the name on the URL ({name})"
            )
        if name:
            meta["name"] = name
        obj = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            **{k: v for k, v in body.items() if k not in ("apiVersion", "kind")},
            "metadata": meta,
        }
        if how.strict and not how.controller:
            self._refuse_unknown(kind, obj)
        if how.controller:
            return obj
        if kind.custom:
            node = self.schema(kind)
            return fill_by_schema(validate.pruned(obj, node), node)  # type: ignore[no-any-return]
        obj = validate.pruned(obj, self.schema(kind))
        return fill(kind.group, kind.kind, obj)

    def _asked(self, kind: Kind, operation: str, obj: Obj, how: How) -> Asked:
        meta = obj["metadata"]
        return Asked(
            operation=operation,
            group=kind.group,
            version=kind.version,
            plural=kind.plural,
            kind=kind.kind,
            namespace=meta.get("namespace", ""),
            name=meta.get("name", ""),
            user=how.user.name,
            groups=how.user.groups,
            dry_run=how.dry_run,
        )

    def _validated(self, kind: Kind, obj: Obj, old: Obj | None) -> None:
        meta = obj["metadata"]
        causes = list(validate.metadata(obj, kind.group, kind.kind))
        if kind.custom:
            body = {key: value for key, value in obj.items() if key != "metadata"}
            causes += list(
                validate.by_schema(
                    body,
                    {
                        **self.schema(kind),
                        "required": [r for r in self.schema(kind).get("required", ()) if r != "metadata"],
                    },
                    "",
                )
            )
        else:
            causes += list(validate.built_in(obj, old, kind.kind))
        if causes:
            raise invalid(kind.kind, kind.group, meta.get("name", ""), causes)

    def _insert(self, kind: Kind, namespace: str, obj: Obj, how: How, *, managed: Any = None) -> Obj:
        if kind.namespaced:
            self._namespace_open(kind, namespace, obj, how)
        if kind.kind == "Pod" and not how.controller:
            obj = self._pod_account(kind, obj)
        obj = self.webhooks.mutate(self._asked(kind, "CREATE", obj, how), obj)
        if not how.controller or kind.kind == "Pod":
            obj = self._shaped(kind, namespace, obj, How(user=how.user), name=obj["metadata"].get("name", ""))
        if kind.kind == "Pod":
            obj = quota.limited(self.store, namespace, obj)
        if (
            (kind.kind in STATUS_APART or "status" in kind.subresources)
            and kind.kind not in ("Namespace", "Pod")
            and not how.controller
        ):
            obj = {key: value for key, value in obj.items() if key != "status"}
            if kind.kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob"):
                obj["status"] = _empty_status(kind.kind)
            if kind.kind == "Service":
                obj["status"] = {"loadBalancer": {}}
            if kind.kind == "Ingress":
                obj["status"] = {"loadBalancer": {}}
        self._validated(kind, obj, None)
        self._admitted(kind, namespace, obj)
        self.webhooks.validate(self._asked(kind, "CREATE", obj, how), obj)
        name = obj["metadata"]["name"]
        if self.store.get(kind.key, namespace, name) is not None:
            raise already_exists(kind.plural, kind.group, name)
        meta = {
            k: v
            for k, v in obj["metadata"].items()
            if k
            not in ("uid", "creationTimestamp", "deletionTimestamp", "managedFields", "generation", "resourceVersion")
        }
        meta["uid"] = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        meta["creationTimestamp"] = self.time()
        if kind.kind not in NO_GENERATION:
            meta["generation"] = 1
        obj = {**obj, "metadata": meta}
        if kind.kind == "Service":
            obj = self._addressed(obj)
        if managed is not None:
            obj["metadata"]["managedFields"] = managed
        else:
            obj = ownership.after_update(
                None, obj, self.schema(kind), manager=how.manager, api_version=kind.api_version, time=self.time()
            )
        if how.dry_run:
            return {**obj, "metadata": {**obj["metadata"]}}
        return self.store.put(kind.key, obj)

    def _addressed(self, obj: Obj) -> Obj:
        spec = dict(obj["spec"])
        if spec.get("type") != "ExternalName" and not spec.get("clusterIP"):
            self._addresses += 1
            spec["clusterIP"] = f"10.96.{self._addresses // 250}.{self._addresses % 250 + 1}"
        if spec.get("clusterIP"):
            spec.setdefault("clusterIPs", [spec["clusterIP"]])
            spec.setdefault("ipFamilies", ["IPv4"])
            spec.setdefault("ipFamilyPolicy", "SingleStack")
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            ports = []
            for each in spec.get("ports") or ():
                self._addresses += 1
                ports.append({**each, "nodePort": each.get("nodePort") or 30000 + self._addresses % 2700})
            spec["ports"] = ports
        return {**obj, "spec": spec}

    def _namespace_open(self, kind: Kind, namespace: str, obj: Obj, how: How) -> None:
        found = self.store.get(NAMESPACES, "", namespace)
        if found is None:
            raise not_found("namespaces", "", namespace)
        if found["metadata"].get("deletionTimestamp") and not (how.controller and kind.kind == "Event"):
            name = obj["metadata"].get("name", "")
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            refusal = forbidden(kind.plural, kind.group, name, why)
            refusal.details = {
                **(refusal.details or {}),
                "causes": [
                    {
                        "reason": "NamespaceTerminating",
                        "message": f"namespace {namespace} is being terminated",
                        "field": "metadata.namespace",
                    }
                ],
            }
            raise refusal

    def _pod_account(self, kind: Kind, obj: Obj) -> Obj:
        spec = obj.get("spec") or {}
        name = spec.get("serviceAccountName") or "default"
        namespace = obj["metadata"].get("namespace", "")
        if self.store.get(("", "serviceaccounts"), namespace, name) is None:
            why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
            raise forbidden(kind.plural, kind.group, obj["metadata"].get("name", ""), why)
        return {**obj, "spec": {**spec, "serviceAccountName": name}}

    def _admitted(self, kind: Kind, namespace: str, obj: Obj) -> None:
        name = obj["metadata"].get("name", "")
        if kind.kind == "Pod":
            found = self.store.get(NAMESPACES, "", namespace)
            why = podsecurity.refusal(obj["spec"], found) if found is not None else ""
            if why:
                raise forbidden(kind.plural, kind.group, name, why)
        if kind.namespaced and kind.plural in (*quota.COUNTED, "pods"):
            why = quota.refusal(self.store, namespace, kind.plural, obj.get("spec") or {})
            if why:
                raise forbidden(kind.plural, kind.group, name, why)

    def _store_update(
        self, kind: Kind, old: Obj, new: Obj, how: How, *, sub: str, operation: str, managed: Any = None
    ) -> Obj:
        if sub == "status":
            new = {
                **old,
                "status": new.get("status"),
                "metadata": {**old["metadata"], **({"managedFields": managed} if managed is not None else {})},
            }
            if new["status"] is None:
                del new["status"]
        elif (kind.kind in STATUS_APART or "status" in kind.subresources) and not how.controller:
            new = {key: value for key, value in new.items() if key != "status"}
            if "status" in old:
                new["status"] = old["status"]
        meta = dict(new["metadata"])
        for fixed in (
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "selfLink",
        ):
            meta.pop(fixed, None)
            if fixed in old["metadata"]:
                meta[fixed] = old["metadata"][fixed]
        meta["resourceVersion"] = old["metadata"]["resourceVersion"]
        if managed is None:
            meta["managedFields"] = old["metadata"].get("managedFields")
            if meta["managedFields"] is None:
                del meta["managedFields"]
        new = {**new, "metadata": meta}
        if not how.controller and not sub:
            mutated = self.webhooks.mutate(self._asked(kind, "UPDATE", new, how), new)
            new = {**mutated, "metadata": {**mutated["metadata"]}}
            self._validated(kind, new, old)
            self.webhooks.validate(self._asked(kind, "UPDATE", new, how), new)
        if not sub and kind.kind == "Service":
            new = {
                **new,
                "spec": {
                    **{
                        k: old["spec"][k]
                        for k in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
                        if k in old["spec"]
                    },
                    **new["spec"],
                },
            }
        if "generation" in meta and not sub and _spec_of(new) != _spec_of(old):
            new["metadata"]["generation"] = int(old["metadata"]["generation"]) + 1
        if managed is None:
            new = ownership.after_update(
                old,
                new,
                self.schema(kind),
                manager=how.manager,
                api_version=kind.api_version,
                time=self.time(),
                sub=sub,
            )
        if _same(old, new):
            return old
        if how.dry_run:
            return new
        if (
            meta.get("deletionTimestamp")
            and not meta.get("finalizers")
            and old["metadata"].get("finalizers")
            and kind.key != NAMESPACES
        ):
            self.store.put(kind.key, new)
            gone = self.store.remove(kind.key, meta.get("namespace", ""), meta["name"])
            return gone or new
        del operation
        return self.store.put(kind.key, new)


def _same(old: Obj, new: Obj) -> bool:
    """Tell whether a write changes nothing but times of ownership: then nothing is stored."""

    def bare(obj: Obj) -> Obj:
        meta = {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "managedFields")}
        owners = [{k: v for k, v in each.items() if k != "time"} for each in obj["metadata"].get("managedFields") or ()]
        return {**obj, "metadata": {**meta, "owners": owners}}

    return bare(old) == bare(new)


def _spec_of(obj: Obj) -> Obj:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status", "apiVersion", "kind")}


def _empty_status(kind: str) -> Obj:
    return (
        {"replicas": 0}
        if kind == "ReplicaSet"
        else {"replicas": 0, "availableReplicas": 0}
        if kind == "StatefulSet"
        else (
            {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}
            if kind == "DaemonSet"
            else {}
        )
    )
