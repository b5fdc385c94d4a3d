package school

import "fmt"

// classSize is how many students sit in one class.
const classSize = 25

// enrol makes the people and the classes.
func (s *School) enrol(size Size) {
	next := int64(1)
	hire := func(role string, n int) []Person {
		people := make([]Person, n)
		for i := range people {
			people[i] = s.rand.Person(next, role, i+1)
			if role != "student" {
				people[i].Token = s.rand.Hex(40)
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
