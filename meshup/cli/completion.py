"""`meshup completion`: a static script per shell; it never calls the cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from meshup.cli.commands import COMMANDS
from meshup.cli.screen import screen
from meshup.model.problem import UsageError

FLAGS = "--filename --context --kubeconfig --namespace --as --as-group --output --report --yes --timeout --color --plain --help"


def script(shell: str) -> str:
    """Give the completion script for a shell. Raises UsageError for one that is not known."""
    names = [name for name, command in COMMANDS.items() if not command.hidden]
    match shell:
        case "bash":
            return "\n".join(
                [
                    "_meshup() {",
                    '  local word="${COMP_WORDS[COMP_CWORD]}"',
                    '  if [ "$COMP_CWORD" -eq 1 ]; then',
                    f'    COMPREPLY=($(compgen -W "{" ".join(names)}" -- "$word"))',
                    '  elif [ "${word#-}" != "$word" ]; then',
                    f'    COMPREPLY=($(compgen -W "{FLAGS}" -- "$word"))',
                    "  else",
                    '    COMPREPLY=($(compgen -f -- "$word"))',
                    "  fi",
                    "}",
                    "complete -o default -F _meshup meshup",
                ]
            )
        case "zsh":
            listed = " ".join(
                f"'{name}:{COMMANDS[name].does.replace(chr(39), '')}'".replace(": ", " - ") for name in names
            )
            flags = " ".join(f"'{flag}[]'" for flag in FLAGS.split())
            return "\n".join(
                [
                    "#compdef meshup",
                    "_meshup() {",
                    "  local -a commands",
                    f"  commands=({listed})",
                    "  if (( CURRENT == 2 )); then",
                    "    _describe 'command' commands",
                    "  else",
                    f"    _arguments '*:file:_files' {flags}",
                    "  fi",
                    "}",
                    "compdef _meshup meshup",
                ]
            )
        case "fish":
            lines = ["complete -c meshup -n __fish_use_subcommand -f"]
            lines += [
                f"complete -c meshup -n __fish_use_subcommand -a {name} -d '{COMMANDS[name].does}'" for name in names
            ]
            lines += [f"complete -c meshup -l {flag[2:]}" for flag in FLAGS.split()]
            return "\n".join(lines)
        case "powershell":
            quoted = ", ".join(f"'{name}'" for name in names)
            return "\n".join(
                [
                    "Register-ArgumentCompleter -Native -CommandName meshup -ScriptBlock {",
                    "  param($wordToComplete, $commandAst, $cursorPosition)",
                    f'  @({quoted}) | Where-Object {{ $_ -like "$wordToComplete*" }} |',
                    "    ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }",
                    "}",
                ]
            )
        case _:
            raise UsageError(
                f'no completion for "{shell}"',
                code="MU1001",
                why="known: bash, zsh, fish, powershell",
                fix="meshup completion bash",
            )


def command(shell: Annotated[str, typer.Argument(help="bash, zsh, fish or powershell")]) -> int:
    """Print the completion script for a shell.

    Example: source <(meshup completion bash)
    """
    screen().out(script(shell))
    return 0
