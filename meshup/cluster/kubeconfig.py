"""Read kubeconfigs as kubectl does: --kubeconfig, a merged KUBECONFIG list, the default file, then in-cluster."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from meshup.cluster.access import Access, Credential, Login
from meshup.cluster.credentials import VERSIONS, Fixed, Plugin, PluginLogin, Rare, TokenFile, basic, bearer
from meshup.cluster.https import proxy_for
from meshup.cluster.kubefile import Entry, Merged, beside, blob, flag, merge, text, wrong
from meshup.model.problem import Unreachable, UsageError, Where
from meshup.model.text import clean

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the command line says of the cluster; "" and () = not said."""

    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the process sees of its machine; an argument, so that tests need no patch."""

    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    home: Path = field(default_factory=Path.home)
    service_account: Path = SERVICE_ACCOUNT


def access(choice: Choice, around: Surroundings | None = None) -> Access:
    """Find the way to the cluster. Raises UsageError (the file is wrong) or Unreachable (the credentials are)."""
    around = around or Surroundings()
    paths = _paths(choice, around)
    if not paths:
        return _in_cluster(choice, around)
    return _chosen(merge(paths), choice, around)


def contexts(choice: Choice, around: Surroundings | None = None) -> tuple[str, ...]:
    """Name the contexts that --context may choose; empty in a pod."""
    paths = _paths(choice, around or Surroundings())
    return tuple(merge(paths).contexts) if paths else ()


def _paths(choice: Choice, around: Surroundings) -> tuple[Path, ...]:
    if choice.kubeconfig:
        path = Path(choice.kubeconfig).expanduser()
        if not path.exists():
            raise UsageError(
                f"there is no kubeconfig {clean(path)}",
                code="MU7001",
                fix="correct --kubeconfig",
                at=Where(file=str(path)),
                cluster="not contacted",
            )
        return (path,)
    listed = [Path(each) for each in around.environment.get("KUBECONFIG", "").split(os.pathsep) if each]
    if listed:
        there = tuple(dict.fromkeys(each for each in listed if each.exists()))
        if not there:
            raise UsageError(
                f"KUBECONFIG names {clean(', '.join(map(str, listed)))}, which is not there",
                code="MU7001",
                fix="correct or unset KUBECONFIG",
                at=Where(file=str(listed[0])),
                cluster="not contacted",
            )
        return there
    default = around.home / ".kube" / "config"
    if default.exists():
        return (default,)
    if around.environment.get("KUBERNETES_SERVICE_HOST"):
        return ()
    raise UsageError(
        f"there is no kubeconfig: neither --kubeconfig nor KUBECONFIG is given, and {clean(default)} is not there",
        code="MU7001",
        fix="give --kubeconfig FILE; without a cluster: meshup simulator start",
        cluster="not contacted",
    )


def _chosen(merged: Merged, choice: Choice, around: Surroundings) -> Access:
    name = choice.context or merged.current
    where = Where(file=str(merged.paths[0]))
    if not name:
        raise UsageError(
            "the kubeconfig has no current-context",
            code="MU7003",
            at=where,
            why=_offer(merged.contexts),
            fix="give --context NAME, or kubectl config use-context NAME",
            cluster="not contacted",
        )
    context = _pick(merged.contexts, name, "context", where)
    cluster = _pick(merged.clusters, text(context.body, "cluster", context.at), "cluster", context.at)
    wanted = text(context.body, "user", context.at)
    user = _pick(merged.users, wanted, "user", context.at) if wanted else Entry(name="", body={}, path=context.path)
    server = text(cluster.body, "server", cluster.at)
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise wrong(f'server "{server}" of cluster "{cluster.name}" is no http(s) address', cluster.at)
    impersonate = _impersonate(choice, user)
    login = _login(user, cluster, server, merged, name)
    bare = parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1")
    if bare and _shows_secret(user):
        raise Unreachable(
            f"{clean(server)} is not encrypted, so no credentials are sent to it",
            code="MU7003",
            at=cluster.at,
            fix="use https, or a server on 127.0.0.1",
            cluster="not contacted",
        )
    return Access(
        server=server,
        login=login,
        context=name,
        at=cluster.at,
        namespace=choice.namespace or text(context.body, "namespace", context.at) or "default",
        ca=blob(cluster, "certificate-authority"),
        insecure=flag(cluster, "insecure-skip-tls-verify"),
        tls_server_name=text(cluster.body, "tls-server-name", cluster.at),
        proxy_url=text(cluster.body, "proxy-url", cluster.at) or proxy_for(server, around.environment),
        impersonate=impersonate,
        plugin=_argv(login),
    )


def _in_cluster(choice: Choice, around: Surroundings) -> Access:
    environment, folder = around.environment, around.service_account
    where = Where(file=str(folder))
    if choice.context:
        raise UsageError(
            "--context was given, but there is no kubeconfig",
            code="MU7003",
            fix="give --kubeconfig FILE",
            cluster="not contacted",
        )
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    try:
        ca = (folder / "ca.crt").read_bytes()
    except OSError as failed:
        raise Unreachable(
            f"the service account's files are not in {folder}",
            code="MU7005",
            why=failed.strerror or "",
            fix="set automountServiceAccountToken: true on the pod",
            at=where,
        ) from None
    namespace = folder / "namespace"
    return Access(
        server=f"https://{host}:{port}",
        ca=ca,
        context="in-cluster",
        at=where,
        namespace=choice.namespace or (namespace.read_text().strip() if namespace.exists() else "default"),
        login=TokenFile(folder / "token", certificate=b"", key=b"", at=where),
        impersonate=_impersonate(choice, Entry(name="", body={}, path=folder)),
    )


def _login(user: Entry, cluster: Entry, server: str, merged: Merged, context: str) -> Login:
    body = user.body
    certificate, key = blob(user, "client-certificate"), blob(user, "client-key")
    if bool(certificate) != bool(key):
        raise wrong(f'user "{user.name}" has a client certificate without its key, or the reverse', user.at)
    if body.get("exec") is not None:
        plugin = _plugin(user, cluster, server)
        return PluginLogin(plugin=plugin, certificate=certificate, key=key)
    token = text(body, "token", user.at)
    if file := text(body, "tokenFile", user.at):
        return TokenFile(beside(user, file), certificate=certificate, key=key, at=user.at)
    if token:
        if not token.isascii() or not token.isprintable():
            raise wrong(f'the token of user "{user.name}" holds characters that no token has', user.at)
        return Fixed(bearer(token, certificate=certificate, key=key))
    if name := text(body, "username", user.at):
        return Fixed(Credential(headers=basic(name, text(body, "password", user.at)), certificate=certificate, key=key))
    if body.get("auth-provider") is not None:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{"name": each.name, "cluster": dict(each.body)} for each in merged.clusters.values()],
            "users": [{"name": each.name, "user": dict(each.body)} for each in merged.users.values()],
            "contexts": [{"name": each.name, "context": dict(each.body)} for each in merged.contexts.values()],
        }
        return Rare(config, context, at=user.at)
    return Fixed(Credential(certificate=certificate, key=key))


def _plugin(user: Entry, cluster: Entry, server: str) -> Plugin:
    spec = user.body["exec"]
    if not isinstance(spec, Mapping):
        raise wrong(f'exec of user "{user.name}" must be a mapping', user.at)
    command, version = text(spec, "command", user.at), text(spec, "apiVersion", user.at)
    if not command:
        raise wrong(f'exec of user "{user.name}" has no command', user.at)
    if version not in VERSIONS:
        raise wrong(
            f'exec of user "{user.name}" has apiVersion "{version}"; {" and ".join(VERSIONS)} are known', user.at
        )
    interactive = text(spec, "interactiveMode", user.at) or ("IfAvailable" if version.endswith("v1beta1") else "")
    if interactive not in ("Never", "IfAvailable", "Always"):
        raise wrong(f'exec of user "{user.name}": interactiveMode must be Never, IfAvailable or Always', user.at)
    arguments, environment = spec.get("args") or [], spec.get("env") or []
    if not isinstance(arguments, list) or not all(isinstance(each, str) for each in arguments):
        raise wrong(f'exec of user "{user.name}": args must be a list of strings', user.at)
    try:
        pairs = tuple((str(each["name"]), str(each["value"])) for each in environment)
    except (TypeError, KeyError):
        raise wrong(f'exec of user "{user.name}": env must be a list of name and value', user.at) from None
    shown = None
    if spec.get("provideClusterInfo"):
        shown = {"server": server, "insecure-skip-tls-verify": flag(cluster, "insecure-skip-tls-verify")}
        if ca := blob(cluster, "certificate-authority"):
            shown["certificate-authority-data"] = base64.b64encode(ca).decode()
        if name := text(cluster.body, "tls-server-name", cluster.at):
            shown["tls-server-name"] = name
    return Plugin(
        command=str(beside(user, command)) if os.sep in command else command,
        arguments=tuple(arguments),
        environment=pairs,
        version=version,
        interactive=interactive,
        install_hint=text(spec, "installHint", user.at),
        cluster=shown,
        at=user.at,
    )


def _argv(login: Login) -> tuple[str, ...]:
    return (login.plugin.command, *login.plugin.arguments) if isinstance(login, PluginLogin) else ()


def _shows_secret(user: Entry) -> bool:
    return any(user.body.get(each) for each in ("token", "tokenFile", "password", "exec", "auth-provider"))


def _impersonate(choice: Choice, user: Entry) -> tuple[tuple[str, str], ...]:
    """Give the headers; flags win over the kubeconfig's own as-fields, as in kubectl."""
    name = choice.user or text(user.body, "as", user.at)
    groups = choice.groups or tuple(map(str, user.body.get("as-groups") or ()))
    if not name:
        if groups:
            raise UsageError("--as-group needs --as", code="MU7003", fix="add --as USER", cluster="not contacted")
        return ()
    pairs = [("impersonate-user", name), *(("impersonate-group", each) for each in groups)]
    if not choice.user:
        if uid := text(user.body, "as-uid", user.at):
            pairs.append(("impersonate-uid", uid))
        extra = user.body.get("as-user-extra") or {}
        pairs += [(f"impersonate-extra-{key}", str(value)) for key, values in extra.items() for value in values]
    for _, value in pairs:
        if not value.isprintable() or not value.isascii():
            raise UsageError(
                f'"{clean(value)}" can\'t be impersonated',
                code="MU7003",
                fix="give a plain user or group name",
                cluster="not contacted",
            )
    return tuple(pairs)


def _pick(entries: Mapping[str, Entry], name: str, what: str, at: Where) -> Entry:
    if name not in entries:
        raise UsageError(
            f'the kubeconfig has no {what} "{clean(name)}"',
            code="MU7003",
            at=at,
            why=_offer(entries),
            fix="give --context NAME" if what == "context" else f"add the {what}, or choose another --context",
            cluster="not contacted",
        )
    return entries[name]


def _offer(entries: Mapping[str, Entry]) -> str:
    return f"there are: {clean(', '.join(sorted(entries)), limit=400)}" if entries else "it has none"
