package school

import (
	_ "embed"
	"fmt"
	"strings"
	"time"
)

//go:embed first_names.txt
var firstNames string

//go:embed last_names.txt
var lastNames string

//go:embed titles.txt
var titles string

//go:embed words.txt
var words string

// classSize is how many students sit in one class.
const classSize = 25

// enrol makes the people and the classes.
func (s *School) enrol(size Size) {
	next := int64(1)
	hire := func(role string, n int) []Person {
		people := make([]Person, n)
		for i := range people {
			people[i] = Person{
				ID:        next,
				Email:     fmt.Sprintf("%s%d@school.example", role, i+1),
				FirstName: s.line(firstNames),
				LastName:  s.line(lastNames),
				Role:      role,
			}
			if role != "student" {
				people[i].Token = s.hex(40)
			}
			next++
		}
		return people
	}
	s.Admins = hire("admin", size.Admins)
	s.Teachers = hire("teacher", size.Teachers)
	s.Tutors = hire("tutor", size.Tutors)
	s.Students = hire("student", size.Students)
	s.classes = make([][]int, (size.Students+classSize-1)/classSize)
	for i := range s.Students {
		class := i % len(s.classes)
		s.classes[class] = append(s.classes[class], i)
	}
}

// className is like "7B".
func className(class int) string {
	return fmt.Sprintf("%d%c", 5+class/4, 'A'+rune(class%4))
}

// tutorOf is the tutor of a student, nil for the one in ten who has none.
func (s *School) tutorOf(student int) *int64 {
	if len(s.Tutors) == 0 || student%10 == 9 {
		return nil
	}
	return &s.Tutors[student%len(s.Tutors)].ID
}

// line is one of a text's lines.
func (s *School) line(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[s.rand.IntN(len(lines))]
}

// prose is n words.
func (s *School) prose(n int) string {
	all := strings.Fields(words)
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(all[s.rand.IntN(len(all))])
	}
	return b.String()
}

// hex is a key of n hexadecimal digits. It comes from the seed: no secret.
func (s *School) hex(n int) string {
	const digits = "0123456789abcdef"
	b := make([]byte, n)
	for i := range b {
		b[i] = digits[s.rand.IntN(len(digits))]
	}
	return string(b)
}

// now is the clock as a timestamptz keeps it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
