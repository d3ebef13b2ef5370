"""Expressions of admission policies: what they say, how they fail, and which policies are not taken for what they say.

Every answer here is that of the server's own library (k8s.io/apiserver 1.34.4, pkg/admission/plugin/cel).
"""

import pytest

from meshup.simulate.api.evaluating import Failed, Given
from meshup.simulate.api.expressions import NotHere, Unreadable, language
from meshup.simulate.api.problems import Refusal
from tests.simulator.asking import ask, read, server

DATA = {
    "object": {
        "metadata": {"name": "cart", "labels": {"app": "cart"}},
        "spec": {"replicas": 3, "ports": [80, 443], "until": "2026-01-08T00:00:00Z", "nothing": None},
    },
    "oldObject": None,
    "request": {"operation": "CREATE"},
    "namespaceObject": None,
    "authorizer": {},
    "authorizer.requestResource": {"resource": "pods"},
}
VARIABLES = (
    ("one", "1"),
    ("two", "variables.one + 1"),
    ("until", "timestamp(object.spec.until)"),
    ("broken", "object.spec.size"),
    ("named", "'variables.named is a text'"),
)
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
    "object.metadata.name.matches('^[a-z]+$') && !'a\\n'.matches('a$')",
    "'a,b'.split(',').join('-') == 'a-b'",
    'r"\\d" == "\\\\d" && "tab\\t".size() == 4',
    "duration('1h30m') > duration('60m')",
    "timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z') == duration('24h')",
    "object.spec.replicas == 3.0 && !(object.spec.replicas == true) && object.metadata.name != 1",
    "object.spec.replicas > 2.5 && size(object.spec.ports) < 2.5 && 1 < 2.0",
    "variables.one < 1.5 && variables.two > 1.5",
    "{'a': 1}['a'] == 1 && {'a': 1} == {'a': 1}",
    "object.missing.field == 1 || true",
    "!(object.missing.field == 1 && false)",
    "string(3) + 's' == '3s' && int('4') == 4",
    "!has(oldObject.spec) && !has(object.spec.nothing.x) && !has(object.metadata.name.x)",
    "has(object.spec.ports) && ')' != '(' && !has(oldObject . spec)",
    "object.spec.ports.all(p, !has(p.x))",
    "object.?spec.?size.orValue(1) == 1 && object.?spec.?replicas.orValue(1) == 3",
    "[2, 1].isSorted() == false && [1, 2].sum() == 3 && ['b', 'a'].min() == 'a' && [1.5, 2.5].max() == 2.5",
    "sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects(['a'], ['b'])",
    "!sets.contains([1, 2], object.spec.ports) && sets.intersects(object.spec.ports, [443])",
    "variables.two == 2 && variables.named != ''",
    "variables.until - duration('1h') < variables.until && variables.until.getFullYear() == 2026",
    "has(variables.one) && (variables.broken == 1 || true)",
    "authorizer.group('').resource('pods').namespace('shop').check('get').allowed()",
    "!authorizer.group('').resource('pods').check('delete').allowed() && authorizer.path('/a').check('get').allowed()",
    "authorizer.requestResource.check('get').allowed() && authorizer != null",
)
FAIL = {
    "object.spec.size": "no such key: size",
    "oldObject.spec.size": "no such key: spec",
    "object.spec.ports.size == 1": "unsupported index type 'string' in list",
    "object.spec.ports[2]": "index out of bounds: 2",
    "object.spec.replicas + object.metadata.name": "no such overload",
    "object.spec.replicas < object.metadata.name": "no such overload",
    "1 / 0": "division by zero",
    "1 % 0": "modulus by zero",
    "9223372036854775807 + 1": "integer overflow",
    "object.spec.replicas && true": "no such overload",
    "timestamp(object.metadata.name)": "type conversion error from 'string' to 'google.protobuf.Timestamp'",
    "duration(object.metadata.name)": "type conversion error from 'string' to 'google.protobuf.Duration'",
    "int(object.metadata.name)": "type conversion error from 'string' to 'int'",
    "'a'.matches(object.metadata.name + '[')": "error parsing regexp: missing closing ]: `[`",
    "variables.broken == 1": 'composited variable "broken" fails to evaluate: no such key: size',
    "object.spec.ports.filter(p, p > 500).max() == 1": "max called on empty list",
}
BROKEN = {
    "1 +": "mismatched input '<EOF>' expecting",
    "(1": "missing ')' at '<EOF>'",
    "a.": "no viable alternative at input '.'",
    "'open": "token recognition error at: ''open'",
    "1 2": "extraneous input '2' expecting <EOF>",
    "{'a' 1}": "missing ':' at '1'",
    "#": "token recognition error at: '#'",
    "nobody": "<input>:1:1: undeclared reference to 'nobody' (in container '')",
    "true || nobody.knows.it": "<input>:1:9: undeclared reference to 'nobody' (in container '')",
    "variables.none.x": "<input>:1:10: undefined field 'none'",
    "'a' + 1": "<input>:1:5: found no matching overload for '_+_' applied to '(string, int)'",
    "1 == 1.0": "<input>:1:3: found no matching overload for '_==_' applied to '(int, double)'",
    "variables.two == 'x'": "found no matching overload for '_==_' applied to '(int, string)'",
    "has(object)": "invalid argument to has() macro",
    "params.x": "undeclared reference to 'params'",
    "authorizer.group('a').check('b')": "found no matching overload for 'check' applied to",
}
NOT_HERE = {
    "'a'.reverse() == 'a'": "the function reverse",
    "quantity('1Gi').isGreaterThan(quantity('1Mi'))": "the function quantity",
    "object.spec.ports.all(i, p, p > i)": "the function all",
    "[1].indexOf(1) == 0": "the place of an item in a list",
    "object.spec.ports.indexOf(80) == 0": "the place of an item in a list",
    "(" * 40 + "1" + ")" * 40 + " == 1": "nested more than 32 deep",
}
NOT_PASSED = {
    "object.spec.ports.indexOf('a') == 0": {},
    "object.metadata.name == 'a'": {"object": {"metadata": {"name": "a\0b"}}},
    "variables.cut == 'a'": {},
    "variables.perhaps.orValue(1) == 1": {},
}


def given(data=DATA, variables=VARIABLES):
    return Given(language(variables, params=False), data, lambda asked: asked.verb == "get")


@pytest.mark.parametrize("text", HOLD)
def test_what_holds(text):
    assert given().value(text) is True


@pytest.mark.parametrize(("text", "why"), FAIL.items())
def test_how_it_fails(text, why):
    with pytest.raises(Failed) as failed:
        given().value(text)
    assert str(failed.value) == why


@pytest.mark.parametrize(("text", "why"), BROKEN.items())
def test_what_is_no_expression(text, why):
    with pytest.raises(Unreadable) as unreadable:
        language(VARIABLES, params=False).read(text)
    assert str(unreadable.value).startswith("compilation failed: ERROR: <input>:1:")
    assert why in str(unreadable.value)


@pytest.mark.parametrize(("text", "what"), NOT_HERE.items())
def test_what_only_a_real_server_understands_is_named(text, what):
    with pytest.raises(NotHere, match=what):
        language(VARIABLES, params=False).read(text)


@pytest.mark.parametrize(("text", "data"), NOT_PASSED.items())
def test_what_the_library_would_answer_wrongly_is_answered_501(text, data):
    variables = (("cut", "'a\\u0000b'"), ("perhaps", "object.?spec.?size"))
    with pytest.raises(Refusal) as refused:
        given({**DATA, **data}, variables).value(text)
    assert refused.value.code == 501


@pytest.mark.parametrize(
    "spec",
    [
        {"validations": [{"expression": "object.metadata.name.reverse() == 'a'"}]},
        {"validations": [{"expression": "authorizer.requestResource.check('get').reason() == ''"}]},
        {"validations": [{"expression": "authorizer.serviceAccount('a', 'b').path('/x').check('get').allowed()"}]},
        {
            "validations": [{"expression": "variables.x > 1"}],
            "variables": [{"name": "x", "expression": "semver('1.2.3').major()"}],
        },
        {
            "validations": [{"expression": "variables.x.orValue(1) == 1"}],
            "variables": [{"name": "x", "expression": "object.?spec.?size"}],
        },
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
