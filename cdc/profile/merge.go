package profile

import "slices"

// merge lays a file over the profile that it extends: every key that the file
// gives replaces the base's value of that key, whole. Sections, lookups and the
// tables of auth are merged key by key; conditions and lists are values, and so are
// member and admin, also where they are one map.
func merge(base, over *node) *node {
	out := &node{at: over.at, kind: nodeMap, keys: slices.Clone(base.keys)}
	for _, e := range over.keys {
		switch e.key {
		case "user":
			mergeKey(out, e, func(b, o *node) *node { return mergeFlat(dropOtherName(b, o), o) })
		case "course", "assignment", "assigned", "submission", "grade":
			mergeKey(out, e, mergeFlat)
		case "lookup", "auth":
			mergeKey(out, e, mergeNested)
		default:
			mergeKey(out, e, nil)
		}
	}
	return out
}

// mergeKey sets e in n, joined to what stands there if both are maps.
func mergeKey(n *node, e entry, join func(base, over *node) *node) {
	old := n.entry(e.key)
	switch {
	case old == nil:
		n.keys = append(n.keys, e)
	case join != nil && old.value.kind == nodeMap && e.value.kind == nodeMap:
		*old = entry{at: e.at, key: e.key, value: join(old.value, e.value)}
	default:
		*old = e
	}
}

func mergeFlat(base, over *node) *node {
	out := &node{at: over.at, kind: nodeMap, keys: slices.Clone(base.keys)}
	for _, e := range over.keys {
		mergeKey(out, e, nil)
	}
	return out
}

func mergeNested(base, over *node) *node {
	out := &node{at: over.at, kind: nodeMap, keys: slices.Clone(base.keys)}
	for _, e := range over.keys {
		mergeKey(out, e, mergeFlat)
	}
	return out
}

// dropOtherName lets `name` replace the base's first and last, and the other way
// round: they are two ways to say one thing.
func dropOtherName(base, over *node) *node {
	whole := over.get("name") != nil
	parts := over.get("first") != nil || over.get("last") != nil
	if whole == parts {
		return base
	}
	out := &node{at: base.at, kind: nodeMap}
	for _, e := range base.keys {
		isWhole, isPart := e.key == "name", e.key == "first" || e.key == "last"
		if whole && isPart || parts && isWhole {
			continue
		}
		out.keys = append(out.keys, e)
	}
	return out
}
