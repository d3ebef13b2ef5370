"""What the findings of steps mean: why a plan is blocked."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "MU3211": "The revision of the runbook is installed and serves another release. A revision is never altered, because its pods "
    "would change under their owners: other values mean another revision.",
    "MU3212": "An object the step needs is there and was made by somebody else. meshup does not overwrite what it did not create; "
    "choose another name, or let its owner keep managing it (mesh.managedBy: external).",
    "MU3213": "The ingress has no hosts: nothing would be routed. List them, or name existing Ingress objects as the source.",
    "MU3214": "A service of a wave names a workload that is not in the cluster.",
    "MU3215": "A service can't be enrolled as it is: another controller owns its workload, its namespace's label would win, it uses "
    "the host's network, or its kind has no pods of its own. The reason is named.",
    "MU3216": "A policy that meshup must own to switch strict mode is there and belongs to somebody else.",
    "MU3218": "Objects are stored in a version that the release's definition does not have any more, so the server would refuse it. "
    "Migrate the stored objects first: write each again, then take the version out of the definition's status.storedVersions.",
    "MU3219": "A service can't be held half-way, which its stage asks for (enrol: hold): both revisions of it would never serve at "
    "once, and a canary gate could not judge it. Move it in a stage without hold.",
    "MU3618": "A service is on the new revision by its labels, and its rollout is still held half-way by an earlier run that was cut off "
    "or did not get evidence enough. A new plan would leave it so for ever; that run is resumed, or taken back.",
    "MU3217": "Another policy selects the same workloads, or a rule defeats mutual TLS for them, so strict mode would not mean what it "
    "says.",
    "MU3351": "A gateway's traffic is between two Deployments, and something that came since keeps meshup from their replicas, such as "
    "an autoscaler. Take it away, or take the stage back.",
    "MU3350": "A tag leads workloads beside those of its wave, which would move with it whenever a pod of theirs is made anew: give each "
    "wave a tag of its own, or put these services into it.",
}
