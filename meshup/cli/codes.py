"""What the codes of the command line mean."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "MU1001": "The command line is not understood: an unknown command or flag, a missing or a superfluous argument. "
    "Nothing was contacted. `meshup COMMAND --help` shows what the command takes.",
    "MU1002": "A write was asked for without a terminal and without --yes. A forgotten flag must not look neutral in CI, "
    "so this is exit 2. Read `meshup plan`, then add --yes.",
    "MU1003": "The answer to the question was not yes, so nothing was done.",
    "MU1004": "A file that the command should write is there already and would be overwritten. Move it or give --force.",
    "MU1005": "A file could not be read or written: it is not there, is a folder, or its permissions forbid it.",
    "MU1006": "There is no room left on the disk, or what reads stdout is gone. Nothing in the cluster depends on that "
    "file; run the same command again when there is room.",
    "MU1007": "The word after `explain` is no command, stage, step, gate, check, error code or exit code that meshup knows.",
    "MU1008": "The output format, or another word of a closed list, is not one that this command has. The message lists those it has.",
    "MU1009": "A one-way change must be accepted by its name with --accept-one-way NAME; --yes does not accept it.",
    "MU1010": "A plugin brings a step, gate or driver under a name that is built in. Plugins add, they never replace.",
    "MU1011": "The service named on the command line is not in the runbook, or the name fits several. Name it as NAMESPACE/NAME.",
    "MU1013": "A reason is needed, of at most 256 characters and without control characters: the report is read by people.",
    "MU1014": "A day or time is needed that is still to come: 2026-12-01, 2026-12-01T09:00:00Z, or a length of time such as "
    "7d. It is compared with the server's clock where that is known.",
    "MU1015": "The file is no wish (kind Wish) that this command performs. Each problem is shown at its line; --write FILE "
    "writes one that is.",
    "MU1016": "A term given to meshup replay --set can't be tried: it is written as TERM=VALUE, or KIND.TERM=VALUE for the gates of "
    "one kind, and its value follows the rules of a runbook.",
    "MU1017": "Flags that were given together say nothing together: one of them plays a runbook, and the other plays none.",
    "MU1021": "A release, a date or an issue given to meshup releases can't be read: a release is a version such as 1.30.3, a date "
    "such as 2027-04-30, an issue one line of at most 1,024 printable characters.",
    "MU1032": "The release given with --version neither runs, nor is installed, nor on record, and nobody left it: a report of it "
    "would be empty, and would look like a good one. Those that are known are named.",
    "MU5001": "A simulator runs already. One at a time; stop it, or use its kubeconfig.",
    "MU5002": "No simulator runs, or it does not answer. meshup simulator start brings one up; status shows it.",
    "MU5003": "The simulator does not take that; its own words are shown. Nothing of the cluster was changed.",
    "MU5004": "There is no scenario of that name or at that path. meshup simulator start --help names the shipped ones.",
    "MU5005": "There is no fault of that name in the scenario. meshup simulator faults lists them.",
    "MU5006": "The simulator did not start; the last line of its log is shown.",
    "MU9001": "meshup met something its authors did not foresee. The journal is written before every act, so a run that "
    "was under way can be resumed; the file that is named holds a scrubbed trace for a report.",
}
