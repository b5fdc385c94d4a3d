package guess

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

//go:embed words.txt
var wordList string

// words is what words.txt says: topic, then word, then weight.
type words struct {
	weights map[string]map[string]int
	known   map[string]bool // every word that stands alone
	scored  map[[2]string]int
}

func readWords() *words {
	v := &words{weights: map[string]map[string]int{}, known: map[string]bool{"id": true}, scored: map[[2]string]int{}}
	for line := range strings.Lines(wordList) {
		fields := strings.Fields(line)
		if len(fields) < 3 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		weight, err := strconv.Atoi(fields[1])
		if err != nil {
			continue // a test reads every line
		}
		topic := v.weights[fields[0]]
		if topic == nil {
			topic = map[string]int{}
			v.weights[fields[0]] = topic
		}
		for _, w := range fields[2:] {
			topic[w] = weight
			v.known[w] = !strings.Contains(w, "_") || v.known[w]
		}
	}
	return v
}

// split takes a name apart into its words, in lower case: first_name, firstName,
// assignmentsubmission.
func (v *words) split(name string) []string {
	var out []string
	for _, token := range tokens(name) {
		out = append(out, v.segment(token)...)
	}
	return out
}

// tokens takes a name apart where its writer did.
func tokens(name string) []string {
	var out []string
	var token []rune
	end := func() {
		if len(token) > 0 {
			out = append(out, string(token))
		}
		token = nil
	}
	lower := false
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
		case unicode.IsUpper(r) && lower:
			end()
			token = append(token, unicode.ToLower(r))
		default:
			token = append(token, unicode.ToLower(r))
		}
		lower = unicode.IsLower(r) || unicode.IsDigit(r)
	}
	end()
	return out
}

// segment takes a token apart that is made of words that are known; otherwise it is
// one word.
func (v *words) segment(token string) []string {
	if v.knows(token) {
		return []string{token}
	}
	for i := len(token) - 2; i >= 4; i-- { // the longest first word wins
		if !v.knows(token[:i]) {
			continue
		}
		rest := token[i:]
		if rest == "id" || len(rest) >= 4 && v.knows(rest) {
			return []string{token[:i], rest}
		}
	}
	return []string{token}
}

func (v *words) knows(word string) bool { return v.known[word] || v.known[singular(word)] }

// singular takes off the plural of English, French and Spanish words.
func singular(w string) string {
	switch {
	case len(w) < 4, strings.HasSuffix(w, "ss"), strings.HasSuffix(w, "us"), !strings.HasSuffix(w, "s"):
		return w
	case strings.HasSuffix(w, "ies"):
		return w[:len(w)-3] + "y"
	case strings.HasSuffix(w, "sses"), strings.HasSuffix(w, "xes"), strings.HasSuffix(w, "ches"), strings.HasSuffix(w, "shes"):
		return w[:len(w)-2]
	}
	return w[:len(w)-1]
}

// weight is what a topic says of one word or of several joined by _.
func (v *words) weight(topic, word string) (int, bool) {
	if w, ok := v.weights[topic][word]; ok {
		return w, true
	}
	w, ok := v.weights[topic][singular(word)]
	return w, ok
}

// exactly is what a name is worth more that is the word and nothing else.
const exactly = 2

// score says how much a name speaks for a topic. Words that count together do not
// count alone; the best of those that speak for it counts, and all that speak against.
func (v *words) score(topic, name string) int {
	key := [2]string{topic, name}
	out, ok := v.scored[key]
	if !ok {
		out = v.judge(topic, name)
		v.scored[key] = out
	}
	return out
}

func (v *words) judge(topic, name string) int {
	list := v.split(name)
	if w, ok := v.weight(topic, strings.Join(tokens(name), "_")); ok {
		if w >= sureScore {
			w += exactly
		}
		return w
	}
	taken := make([]bool, len(list))
	best, against := 0, 0
	for n := min(len(list), 3); n >= 1; n-- {
		for i := 0; i+n <= len(list); i++ {
			if slices.Contains(taken[i:i+n], true) {
				continue
			}
			w, ok := v.weight(topic, strings.Join(list[i:i+n], "_"))
			if !ok {
				continue
			}
			for j := i; j < i+n; j++ {
				taken[j] = true
			}
			best, against = max(best, w), against+min(w, 0)
		}
	}
	return best + against
}

// head scores a table's name, of which the last word says what its rows are and the
// others what they are about.
func (v *words) head(topic, name string) int {
	list := v.split(name)
	if len(list) == 0 {
		return 0
	}
	last := v.score(topic, lastWord(list))
	if len(list) > 1 {
		both, _ := v.weight(topic, strings.Join(list[len(list)-2:], "_"))
		last = max(last, both)
	}
	whole := v.score(topic, name)
	switch {
	case whole < 0:
		return whole
	case topic != "table.aside" && last == 0 && v.score("table.aside", lastWord(list)) > 0:
		return whole / 5
	case last > 0:
		return min(last, whole)
	case topic != "table.aside" && v.isAbout(lastWord(list)):
		return 0
	}
	return whole / 2
}

// isAbout says whether a table whose name ends in this word holds one of the things that
// we look for, whatever else its name says.
func (v *words) isAbout(last string) bool {
	for _, topic := range []string{"table.person", "table.course", "table.assignment", "table.submission", "table.grade", "table.member"} {
		if v.score(topic, last) > 0 {
			return true
		}
	}
	return false
}
