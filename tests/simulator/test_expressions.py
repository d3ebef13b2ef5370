"""Expressions of admission policies: what they say, and how they fail."""

import pytest

from meshup.simulate.api import evaluating, expressions
from tests.simulator.asking import ask, read, server

VARIABLES = {
    "object": {"metadata": {"name": "cart", "labels": {"app": "cart"}}, "spec": {"replicas": 3, "ports": [80, 443]}},
    "oldObject": None,
}
HOLD = (
    "true",
    "1 + 2 * 3 == 7",
    "(1 + 2) * 3 == 9",
    "10 - 2 - 3 == 5",
    "-7 / 2 == -3 && -7 % 2 == -1",
    "!false && !(true && false)",
    "object.spec.replicas >= 3",
    "object.metadata.labels['app'] == 'cart'",
    "'app' in object.metadata.labels && !('tier' in object.metadata.labels)",
    "has(object.metadata.labels.app) && !has(object.metadata.annotations)",
    "oldObject == null",
    "object.spec.replicas == 2 ? false : true",
    "object.spec.ports.exists(p, p == 443) && object.spec.ports.all(p, p > 0)",
    "object.spec.ports.exists_one(p, p < 100)",
    "object.spec.ports.map(p, p + 1) == [81, 444]",
    "object.spec.ports.filter(p, p > 100).size() == 1",
    "object.spec.ports.map(p, p > 100, p) == [443]",
    "object.metadata.labels.all(k, k.size() < 64)",
    "object.metadata.name.startsWith('ca') && object.metadata.name.endsWith('t')",
    "object.metadata.name.matches('^[a-z]+$')",
    "'a,b'.split(',').join('-') == 'a-b'",
    'r"\\d" == "\\\\d" && "tab\\t".size() == 4',
    "duration('1h30m') > duration('60m')",
    "timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z') == duration('24h')",
    "1 == 1.0 && !(1 == true) && 'a' != 1",
    "{'a': 1}['a'] == 1 && {'a': 1} == {'a': 1}",
    "object.missing.field == 1 || true",
    "!(object.missing.field == 1 && false)",
    "string(3) + 's' == '3s' && int('4') == 4",
)
FAIL = {
    "object.spec.size": "no such key: size",
    "object.spec.ports[2]": "index out of bounds: 2",
    "'a' + 1": "no such overload",
    "1 < 'a'": "no such overload",
    "nobody": "undeclared reference to 'nobody'",
    "1 / 0": "division by zero",
    "object.spec.replicas && true": "no such overload",
}
BROKEN = ("", "1 +", "(1", "a.", "[1, 2", "'open", "1 2", "a ? b", "{'a' 1}", "#", "(" * 200 + "1" + ")" * 200)


@pytest.mark.parametrize("text", HOLD)
def test_what_holds(text):
    assert evaluating.value(expressions.read(text), VARIABLES) is True


@pytest.mark.parametrize(("text", "why"), FAIL.items())
def test_how_it_fails(text, why):
    with pytest.raises(evaluating.Failed, match=f"^{why}$".replace("[", r"\[")):
        evaluating.value(expressions.read(text), VARIABLES)


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_expression(text):
    with pytest.raises(expressions.Unreadable):
        expressions.read(text)


@pytest.mark.parametrize(
    "spec",
    [
        {"validations": [{"expression": "object.metadata.name.reverse() == 'a'"}]},
        {"validations": [{"expression": "authorizer.requestResource.check('get').reason() == ''"}]},
        {"validations": [{"expression": "authorizer.serviceAccount('a', 'b').path('/x').check('get').allowed()"}]},
    ],
)
def test_a_policy_that_is_not_evaluated_here_is_not_taken(spec):
    answer = ask(
        server(),
        "POST",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": "p"},
            "spec": spec,
        },
    )
    assert answer.status == 501
    assert "the simulator does not implement" in read(answer)["message"]
