package profile_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyWhatARowMeansTheSameWithoutIsOptional(t *testing.T) {
	optional, aside := map[string][]string{}, map[string]bool{}
	for _, spec := range open(t, "django").Tolerant() {
		optional[spec.Name], aside[spec.Name] = spec.Optional, spec.Aside
	}
	require.Equal(t, map[string][]string{
		"accounts_studentprofile":            nil,
		"accounts_user":                      {"first_name", "last_name"},
		"assignments_assignment":             {"title", "description", "due_date"},
		"assignments_assignment_assigned_to": nil,
		"assignments_assignmentsubmission":   nil, // the times and the score are in marks and conditions, too
	}, optional)
	require.Equal(t, map[string]bool{
		"accounts_studentprofile": false, "accounts_user": false, "assignments_assignment": false,
		"assignments_assignment_assigned_to": false, "assignments_assignmentsubmission": true,
	}, aside)
}
