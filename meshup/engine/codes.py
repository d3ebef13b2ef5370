"""What the codes of planning, applying, resuming and taking back mean."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "MU2101": "The file is not a plan that this version can read: its first line names another schema, a line is not "
    "JSON, or it is larger than 64 MiB. meshup plan --out FILE makes a new one.",
    "MU2102": "The plan file was altered since it was made: its digest does not fit its content. A plan is performed as "
    "it was reviewed or not at all. Change the runbook and plan again.",
    "MU2110": "The runbook names a mesh that no driver is installed for. The message lists those that are; further ones "
    "come as plugins of the group meshup.meshes.",
    "MU2111": "--through or --stage names a stage or wave that the plan does not have. Write STAGE or STAGE/WAVE.",
    "MU2112": "The plan has findings that keep it from being performed. Each is listed with its own code and fix; mend "
    "them and plan again.",
    "MU2113": "--accept-one-way names a one-way change that the plan does not have. meshup show lists those it has.",
    "MU2121": "A change needs a kind or a namespace that the cluster lacks, and no earlier step of the runbook makes it. "
    "Install the definition, for instance those of Gateway API, or make the namespace; then plan again.",
    "MU2122": "A planned field belongs to another field manager, for instance an autoscaler, GitOps or an operator. "
    "meshup does not take it unless the plan lists it. Agree with the one who owns it, or leave the service out.",
    "MU2123": "The server, or an admission rule, refused the dry run of a change, so the write would be refused too. Its "
    "own words stand beside the object.",
    "MU2124": "A dry-run Pod of the workload's planned template was refused, by a quota, Pod Security or another rule. "
    "The rollout would hang, so it does not begin.",
    "MU2125": "A dry-run Pod with the planned labels came back without a proxy although the revision is installed: the "
    "labels of its namespace, the host's network or a selector of the injector stands in the way.",
    "MU2126": "A dry-run Pod came back with another revision than planned: a label that wins, most often the namespace's. "
    "Single services can't be moved there until it is gone.",
    "MU2127": "Performing the plan would cost more memory, CPU or restarts than the runbook's budgets allow.",
    "MU2128": "A gate reads its counts from a Prometheus over a window that is too short for a rate: two scrapes must lie in "
    "it. It would stay unknown until its time is over. Give it a longer patience.window.",
    "MU2129": "A gate that compares two revisions would stay unknown: the Prometheus that the runbook names did not answer, does not "
    "scrape the proxies or names their pods by other labels, holds no metric for what is asked, or scrapes too seldom. Without one "
    "the proxies' own pages are read: they tell no CPU, and at most 50 of them are.",
    "MU2201": "Planned fields or objects moved since the plan was made; each is named with the manager that moved it. "
    "apply does exactly what the plan says or stops. Plan again; what others changed elsewhere is no drift.",
    "MU2202": "The plan or runbook is for another cluster: the UID of its namespace kube-system differs. Choose the right "
    "--context.",
    "MU2203": "Stand-in manifests only pretend to be a mesh and are refused by every server but the simulator. Choose "
    "istioctl, helm or a directory as the source of manifests.",
    "MU2204": "While applying, a planned field turned out to belong to another manager. It was left as it is.",
    "MU2205": "An object is not the one the plan means: somebody else made it, or it was deleted and made again. It was "
    "left as it is.",
    "MU2206": "Another run, or another owner's rollback, wrote to the workload after this command had looked at it: of two "
    "writers the later one loses and changes nothing. meshup pins shows who holds the service now; decide again.",
    "MU2304": "An earlier run was cut off in the middle of changes, so what it had begun may or may not have happened. "
    "Only that run knows its way on and back: resume it, or roll it back. For the rollback of one service: that run has not "
    "let go of it, and the service is where it should be; resume the rollback once the run goes on or is taken back.",
    "MU2305": "There is no run on record that fits. A run begins with meshup apply.",
    "MU2321": "Stopped by SIGINT or SIGTERM after finishing and journalling the write under way. Resumable.",
    "MU2331": "There is no run that could wait for an approval. A saved plan can be approved before it runs.",
    "MU2332": "The stage or wave does not wait for an approval. The message names those that do.",
    "MU2333": "The one who applies a plan can't approve it too. A second person runs meshup approve.",
    "MU3101": "An approval has not been given, or a soak goes on longer than the caller wants to wait. The lock is free "
    "and nothing is lost: a later resume goes on, and judges a soak from its recorded start.",
    "MU3102": "A gate was still being asked when the time given with --timeout was over. Resumable.",
    "MU3103": "Somebody else has to do a write (a handoff) and has not done it in time. What is to be done stands in the "
    "plan. Resume when it is done.",
    "MU3104": "A wave that requires all its services waits for owners who have not opted in. Its membership was frozen "
    "when it was planned, so plan again once they have.",
    "MU3111": "A gate that must hold before the changes of a stage or wave did not hold, so they did not begin. What came "
    "before stays as it is.",
    "MU3112": "A gate failed and its wave was taken back and verified. Mend the cause, then resume; an edited runbook "
    "needs a new plan.",
    "MU3113": "A gate stayed without enough evidence to its limit. Unknown never lets a stage go on: the wave holds in "
    "place, or was taken back where strict mode must not stay on without evidence.",
    "MU3114": "A gate failed in a stage whose on_fail is hold, or whose changes have no way back: nothing was taken back. Resume "
    "after mending the cause, or roll back what can be.",
    "MU3121": "The release is on hold: it was blocked by name, a critical service is back from it while it is not supported yet, or "
    "more users or services went back from it than the runbook's holds allow. A wave that would install it or move services onto "
    "it does not begin; each record against it is named. Mend what they met with; once the critical service's pin has ended, fewer "
    "are away from it, or it is a candidate again, resume.",
    "MU3391": "The way back could not be carried through or verified. A person must look; what is left is printed as "
    "kubectl commands, and resuming tries it again.",
    "MU3401": "The runbook has no service of that name, or several. Name it as NAMESPACE/NAME.",
    "MU3402": "A service can only go to a release whose control plane is installed in the cluster. The message lists "
    "those that are.",
    "MU3403": "The service can't be moved: its workload is not there, belongs to a controller, or somebody else's policy "
    "or label stands in the way. The reason is in the message.",
    "MU3404": "The release is not supported (a candidate, deprecated, blocked, or out of support): its MeshRelease says so. "
    "Choose another one; the message lists what is possible now.",
    "MU3405": "A rollback is temporary: it lasts longer than nothing and at most 14 days.",
    "MU3406": "The platform owner keeps a list of releases (MeshRelease), and this one is not on it. Choose one that is, or "
    "ask them to put it there.",
    "MU3407": "A rollback without --to goes to the newest supported release that the service was healthy on: where gates "
    "passed, a pin was verified, or it ran before a run moved it. Nothing of that is on record here, so name one with --to.",
    "MU3408": "No pin of that name, and none that holds a service of that name, is on record in the namespace. The message "
    "lists those in force.",
    "MU3409": "A pin whose rollback has begun and not ended is not ended early: the service could stay half-way. Resume the "
    "rollback, or wait for it; then end the pin.",
    "MU3411": "Since the run wrote a field, somebody else changed it. A way back does not overwrite others' values: put "
    "it back by hand or agree with its owner, then run the command again.",
    "MU3501": "A release can't become that from where it is: a candidate is promoted or blocked, a supported one deprecated or "
    "blocked, a deprecated one promoted again or blocked, and a blocked one made a candidate again first. Nor can one be "
    "supported whose support has ended.",
    "MU3502": "The release is not on record. meshup releases add records it as a candidate.",
    "MU3503": "The release is on hold, because a critical service is back from it, or more users or services went back from it than "
    "the runbook's holds allow: it is not promoted. Each of them is named with the reason they gave.",
    "MU3507": "A candidate is supported because critical users ran it and its gates held: `upgrade` makes such a wave. Nothing of it "
    "is on record, or nobody of them runs it any more. With a reason it is supported on your word, which is on record then.",
    "MU3504": "The record of a release keeps at most 64 known issues. Take old ones out of the MeshRelease first.",
    "MU3601": "Nothing is known of the release that an upgrade should go to. The message lists the lines that are known; a newer "
    "meshup may know it.",
    "MU3602": "The release is not newer than the one the runbook is of. An upgrade goes up; single services go back by rollback.",
    "MU3603": "The release is blocked, deprecated, out of support or on hold, so no mesh is upgraded to it. Who decided so, or who "
    "went back from it, is named.",
    "MU3604": "The runbook's revision is not installed, so there is nothing to upgrade from. Onboard first, or name the runbook of "
    "what is installed.",
    "MU3605": "The release is too far from the one that runs: a control plane may be ahead of its proxies by so many minor releases "
    "and no more. Upgrade in steps; the message names the next one.",
    "MU3606": "No service of the runbook is critical. A release is qualified by those who depend on it most, so an upgrade needs to "
    "know them: mark them with critical: true.",
    "MU3607": "Critical services are there, and none of them may move: their owners did not opt in, pinned them, or wish to wait. "
    "Each is named with its reason. Ask an owner; nobody is moved over their word.",
    "MU3608": "--compare always asks for both revisions of the critical services to serve at once while they are judged, and that "
    "can't be: the runbook names no Prometheus and more proxies' pages would have to be read than are, or one of them has a single "
    "pod or a kind or strategy that moves it whole.",
    "MU3421": "The runbook has no wave of that name, so the wish can't be kept. The message lists those it has; without "
    "--wave the runbook decides.",
    "MU3422": "A service that runs in the mesh and refuses plaintext can't be opted out as it is: nothing would lift its "
    "strict mode any more. Take it out of the mesh first (meshup rollback SERVICE --to none), which lifts it; then opt out. "
    "That changes the service's policy, which the role owner does not give and the role operator does: without that right "
    "somebody of the platform runs it. An opt-out is no wish that a later plan carries out: it keeps plans away.",
    "MU3412": "The token that should say on whose behalf this is done is not accepted by the API server, has ended, or is not "
    "meant for meshup. A record never says verified for a person who was not.",
    "MU3413": "The rollback of this wish was tried and failed. A file is performed once; write a new one when the cause is mended.",
}
