package profile

import "slices"

// condition is a condition as the file says it: one of the maps must hold, and of
// a map all tests. The nil condition always holds.
type condition [][]columnTest

type columnTest struct {
	column string // or a path's text
	test   test
	label  string // "grade.graded", for errors
}

type testOp byte

const (
	opPresent testOp = iota + 1
	opValue          // equal to one of the values
	opRange          // at least min, below max
	opPast           // a time that has come
	opFuture         // a time that has not
)

// timed reports whether the test's outcome changes by itself.
func (t test) timed() bool { return t.op == opPast || t.op == opFuture }

// came is the test on whether it holds at a moment, which is a boolean.
func (t test) came() test {
	return test{op: opValue, negate: t.negate, values: []literal{{kind: nodeBool, text: "true"}}}
}

// timeSlot names the boolean that says whether a test against the clock holds.
func timeSlot(column string, op testOp) string {
	if op == opPast {
		return column + " is past"
	}
	return column + " is future"
}

// test is one test with every `not` folded into negate.
type test struct {
	op         testOp
	negate     bool
	values     []literal
	min, below *literal
}

// literal is a value in the file. Whether `true`, `5` or `"5"` matches is decided
// by the type of the column it meets.
type literal struct {
	kind nodeKind
	text string
}

// condition reads a condition; nil when the key is not there.
func (r *reader) condition(s section, key string) condition {
	n := s.node.get(key)
	if n == nil {
		return nil
	}
	const want = "a map of columns to tests, such as {status: closed}"
	switch {
	case n.kind == nodeMap:
		return condition{r.all(s, key, n, n)}
	case n.kind == nodeList && len(n.items) == 0:
		r.add(n.at, "an empty list", want+", or a list of such maps")
	case n.kind == nodeList:
		var out condition
		for _, item := range n.items {
			if item.kind != nodeMap {
				r.add(item.at, item.String(), want)
				continue
			}
			out = append(out, r.all(s, key, item, n))
		}
		return out
	default:
		r.add(n.at, n.String(), want+", or a list of such maps")
	}
	return nil
}

// all reads one map of a condition.
func (r *reader) all(s section, key string, n, value *node) []columnTest {
	if len(n.keys) == 0 {
		r.add(n.at, "an empty map", "a map of columns to tests, such as {status: closed}")
	}
	var out []columnTest
	for _, e := range n.keys {
		o, ok := r.operand(s, key, &node{at: e.at, kind: nodeWord, text: e.key}, value)
		if !ok {
			continue
		}
		if slices.ContainsFunc(out, func(t columnTest) bool { return t.column == o.text }) {
			r.add(e.at, quote(o.text)+" a second time", "each path once in a map")
			continue
		}
		r.enter(s, o)
		if t, ok := r.test(e.value); ok {
			out = append(out, columnTest{column: o.text, test: t, label: s.name() + "." + key})
			if t.timed() {
				addOnce(&s.src.timed, o.text)
			}
		}
	}
	return out
}

const tests = "a value, a list of values, present, absent, past, future, {not: test}, {min: number} or {below: number}"

func (r *reader) test(n *node) (test, bool) {
	switch {
	case n.kind == nodeNull:
		r.hint(n.at, "no test", tests, "to test for NULL write absent")
	case n.kind == nodeWord && n.text == "present":
		return test{op: opPresent}, true
	case n.kind == nodeWord && n.text == "absent":
		return test{op: opPresent, negate: true}, true
	case n.kind == nodeWord && n.text == "past":
		return test{op: opPast}, true
	case n.kind == nodeWord && n.text == "future":
		return test{op: opFuture}, true
	case n.isScalar():
		l, ok := r.literal(n)
		return test{op: opValue, values: []literal{l}}, ok
	case n.kind == nodeList:
		return r.oneOf(n)
	case n.get("not") != nil:
		return r.not(n)
	default:
		return r.between(n)
	}
	return test{}, false
}

func (r *reader) oneOf(n *node) (test, bool) {
	t := test{op: opValue}
	ok := len(n.items) > 0
	if !ok {
		r.add(n.at, "an empty list", "at least one value")
	}
	for _, item := range n.items {
		switch {
		case !item.isScalar():
			r.add(item.at, item.String(), "a value")
			ok = false
		case item.kind == nodeWord && slices.Contains([]string{"present", "absent", "past", "future"}, item.text):
			r.hint(item.at, quote(item.text)+" in a list of values", "a value",
				`put the word in quotes if it is a value, or write a list of conditions`)
			ok = false
		default:
			l, fine := r.literal(item)
			t.values = append(t.values, l)
			ok = ok && fine
		}
	}
	return t, ok
}

func (r *reader) not(n *node) (test, bool) {
	if len(n.keys) > 1 {
		r.add(n.at, `"not" beside another test`, `"not" alone`)
		return test{}, false
	}
	t, ok := r.test(n.get("not"))
	t.negate = !t.negate
	return t, ok
}

func (r *reader) between(n *node) (test, bool) {
	t := test{op: opRange}
	ok := len(n.keys) > 0
	if !ok {
		r.add(n.at, "an empty map", tests)
	}
	for _, e := range n.keys {
		if e.key != "min" && e.key != "below" {
			known := []string{"not", "min", "below"}
			r.hint(e.at, "unknown test "+quote(e.key), tests, didYouMean(e.key, known))
			ok = false
			continue
		}
		l := literal{kind: e.value.kind, text: e.value.text}
		if _, isNumber := parseDecimal([]byte(l.text)); l.kind != nodeNumber || !isNumber {
			r.add(e.value.at, e.value.String(), "a decimal number")
			ok = false
		}
		if e.key == "min" {
			t.min = &l
		} else {
			t.below = &l
		}
	}
	return t, ok
}

// literal reads a value. Numbers that YAML understands and PostgreSQL does not
// print (0x1F, 1_000, .inf) are refused rather than guessed.
func (r *reader) literal(n *node) (literal, bool) {
	if n.kind == nodeNumber {
		if d, ok := parseDecimal([]byte(n.text)); !ok || d.special != 0 {
			r.add(n.at, quote(n.text), "a number in plain decimals, or the text in quotes")
			return literal{}, false
		}
	}
	return literal{kind: n.kind, text: n.text}, true
}
