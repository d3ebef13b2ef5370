"""What the codes of reaching a cluster, and of its refusals, mean."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "MU7001": "There is no kubeconfig. It is looked for in --kubeconfig, then KUBECONFIG (a list is merged, the "
    "first file wins), then ~/.kube/config, then in the pod that meshup runs in. `meshup simulator start` "
    "gives one for a cluster in memory.",
    "MU7002": "The kubeconfig can't be read, is no YAML, or a field has the wrong form. The file, and the line "
    "where it is known, are named. Values such as tokens must be strings: put them in quotes.",
    "MU7003": "The context, cluster or user that is asked for is not in the kubeconfig, or the way to the server is "
    "not usable (an address without https, a proxy that needs another library, --as-group without --as). "
    "kubectl config get-contexts lists them.",
    "MU7004": "A certificate or key in the kubeconfig can't be read or does not fit: the authority, the client "
    "certificate or its key. They must be PEM, in a file or as base64 in the -data field.",
    "MU7005": "The token file, or the service account's folder in a pod, can't be read or is empty. An old token is "
    "never used instead.",
    "MU7006": "The exec plugin of the kubeconfig failed: not installed, ended with an error, silent for 60 s, or "
    "printed something that is no ExecCredential. Log in with it by hand. meshup never goes on without "
    "the credentials it should have had.",
    "MU7007": "The kubeconfig uses auth-provider, which Kubernetes removed in 1.26, and the official Python client "
    "could not get a token from it either. Use the exec plugin of the cloud or OIDC provider.",
    "MU7008": "The API server takes this for an anonymous user, or renewed credentials speak for another user than "
    "before. One run is one person's: log in as the user who began it, then resume.",
    "MU7009": "The API server was never reached: its name is unknown, nothing answers, the certificate does not "
    "fit, or a proxy is in between. Nothing was read or changed. kubectl version asks the same server.",
    "MU7010": "The API server did not accept the credentials, also after they were renewed once. Log in again.",
    "MU7011": "The API server answered before and has been away for ten minutes. What was written is journalled; "
    "meshup apply --resume goes on when it is back.",
    "MU7012": "A write was sent and its answer was lost, so it may have happened. It is never sent again blindly: "
    "meshup apply --resume reads the object, sees what became of it, and goes on.",
    "MU7013": "The API server, or a disruption budget, asks to come back later, and did so until the tries were "
    "used up. meshup halves its requests in flight on each such answer. Run the command again in a "
    "minute.",
    "MU7014": "The API server failed (500, 502, 503, 504), or an admission webhook that it must call does not "
    "answer, until the tries were used up. The message names what failed. It is resumable.",
    "MU7015": "You asked to stop while meshup was waiting for an API server that does not answer. Whatever was sent "
    "last is in the journal as an intent; meshup apply --resume looks what became of it.",
    "MU7101": "This identity may not do that. The message names verb, resource and namespace; meshup plan lists "
    "every right a run needs.",
    "MU7201": "The object, its namespace or its kind is not in the cluster any more. Plan again: the cluster moved.",
    "MU7202": "An object of that name exists already and is not ours, so it is not overwritten.",
    "MU7203": "Somebody else changed the object meanwhile, or owns a field that was to be written. The other "
    "manager and the field are named. Only fields that the plan lists are ever taken over.",
    "MU7204": "A quota, Pod Security, an admission webhook or an admission policy of the cluster says no. Its own "
    "text is shown.",
    "MU7205": "A list took so long that the server forgot where it was, twice. Run the command again.",
    "MU7206": "The server does not accept the object: a field is unknown, missing or has a wrong value. The fields "
    "are named.",
    "MU7207": "The server does not do that. It may be too old, or be the simulator, which says so instead of guessing.",
    "MU7208": "The server does not serve that kind: the definition (CRD) is not installed, or is of another version.",
    "MU7209": "An answer is larger than meshup reads: 2 MiB for one object, 16 MiB through a proxy.",
}
