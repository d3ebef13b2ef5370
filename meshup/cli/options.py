"""Flags that mean the same on every command."""

from __future__ import annotations

from typing import Annotated

import typer

Filename = Annotated[str, typer.Option("-f", "--filename", envvar="MESHUP_FILENAME", help="the runbook")]
Context = Annotated[str, typer.Option("--context", envvar="MESHUP_CONTEXT", help="context of the kubeconfig")]
Kubeconfig = Annotated[
    str, typer.Option("--kubeconfig", help="path of the kubeconfig; else KUBECONFIG, ~/.kube/config, in-cluster")
]
Namespace = Annotated[
    str, typer.Option("-n", "--namespace", envvar="MESHUP_NAMESPACE", help="namespace of the service")
]
AsUser = Annotated[str, typer.Option("--as", help="user to impersonate")]
AsGroup = Annotated[list[str], typer.Option("--as-group", help="group to impersonate; repeatable")]
Output = Annotated[str, typer.Option("-o", "--output", envvar="MESHUP_OUTPUT", help="format on stdout")]
Report = Annotated[list[str], typer.Option("--report", help="FORMAT=FILE: the result in a further file; repeatable")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="perform what plan shows, without a question")]
Timeout = Annotated[
    str, typer.Option("--timeout", envvar="MESHUP_TIMEOUT", help="how long the caller wants to wait, such as 30m")
]
Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="say more; requests are counted")]
Color = Annotated[str, typer.Option("--color", envvar="MESHUP_COLOR", help="auto, always or never")]
Plain = Annotated[bool, typer.Option("--plain", help="ASCII, one record a line")]
Journal = Annotated[str, typer.Option("--journal", envvar="MESHUP_JOURNAL", help="keep the journal in this folder too")]
Reason = Annotated[str, typer.Option("--reason", help="why, for those who read the report")]
Write = Annotated[str, typer.Option("--write", help="write it to this file for CI to perform; nothing is contacted")]
Source = Annotated[str, typer.Option("--from", help="perform what this file asks for, once, as CI does")]
